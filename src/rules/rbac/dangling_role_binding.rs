//! A binding to a role or account that does not exist.

use super::granted::{Granted, granted};
use crate::inventory::Subject;
use crate::rules::{Category, Check, Findings, Relations, Rule, RuleId, Severity};
use crate::workload::Kind;

/// A binding to a role or account that does not exist.
pub(super) static RULE: Rule = Rule {
    id: RuleId::new("dangling-role-binding"),
    summary: "A binding to a role or account that does not exist",
    docs: "\
## What it does
Reports bindings whose role does not exist, and subjects that are service accounts that do not exist.

## Why is this bad
Nobody gets the permissions. Whoever makes an account of that name later gets them without being asked for.

## Example
```yaml
kind: RoleBinding
roleRef: {kind: Role, name: reader}    # bad: there is no such Role
```

## Exceptions
`admin`, `edit`, `view`, `cluster-admin` and `system:*` exist in every cluster, and the account `default` in every
namespace. If the input may lack roles or accounts, the answer is unknown.
",
    category: Category::Rbac,
    severity: Severity::Medium,
    peers: &["popeye:1300"],
    check: Check::Relation {
        reads: &[
            Kind::Role,
            Kind::ClusterRole,
            Kind::RoleBinding,
            Kind::ClusterRoleBinding,
            Kind::ServiceAccount,
        ],
        check,
    },
    ..Rule::BASE
};

fn check(context: &Relations<'_>, found: &mut Findings) {
    let inventory = context.inventory;
    for known in [Kind::RoleBinding, Kind::ClusterRoleBinding].iter().flat_map(|kind| inventory.all(*kind)) {
        let Some(binding) = known.binding() else { continue };
        if known.is_rbac_default() {
            continue;
        }
        let (kind, name) = (&binding.role_ref.kind, &binding.role_ref.name);
        let mut is_unknown = false;
        match granted(inventory, known) {
            Granted::Missing => found.report(
                &known.identity,
                format_args!("roleRef.name"),
                format_args!("there is no {kind} {name}: create it, or delete the binding"),
            ),
            Granted::Unknown => is_unknown = true,
            Granted::Rules { .. } | Granted::BuiltIn(_) => {}
        }
        for (index, subject) in binding.subjects.iter().enumerate() {
            let Subject { kind, name, namespace } = subject;
            let namespace = if namespace.is_empty() { &*known.identity.namespace } else { namespace };
            let is_there = kind != "ServiceAccount"
                || name == "default"
                || inventory.find(Kind::ServiceAccount, namespace, name).is_some();
            if is_there {
                continue;
            }
            if inventory.is_closed(Kind::ServiceAccount, namespace) {
                found.report(
                    &known.identity,
                    format_args!("subjects[{index}]"),
                    format_args!("there is no ServiceAccount {name} in namespace {namespace}: create it"),
                );
            } else {
                is_unknown = true;
            }
        }
        if is_unknown {
            found.unknown(&known.identity);
        }
    }
}
