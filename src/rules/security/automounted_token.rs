//! A token of the API in a pod that does not need it.

use std::collections::HashMap;

use crate::inventory::{Inventory, Known, Subject};
use crate::rules::{Category, Check, Findings, Relations, Rule, RuleId, Severity};
use crate::workload::Kind;

/// A token of the API in a pod that does not need it.
pub(super) static RULE: Rule = Rule {
    id: RuleId::new("automounted-token"),
    summary: "A token of the API in a pod that does not need it",
    docs: "\
## What it does
Reports pods and templates that run as the account `default` and get its token, although no binding in the input gives
that account a permission.

## Why is this bad
A process that is taken over can talk to the API server, and gets every permission that the account will ever have.

## Example
```yaml
spec:
  automountServiceAccountToken: false    # good
```

## Exceptions
Pods with an account of their own are skipped: it may be known elsewhere, as with cloud identities and Vault.
Projected tokens are asked for, and are skipped too. The pod's own word comes before that of the account. If the input
may lack the account or bindings, the answer is unknown.
",
    category: Category::Security,
    severity: Severity::Low,
    peers: &[
        "polaris:automountServiceAccountToken",
        "kube-linter:default-service-account",
        "popeye:300",
        "popeye:301",
        "popeye:303",
    ],
    check: Check::Relation {
        reads: &[
            Kind::Pod,
            Kind::Template,
            Kind::ServiceAccount,
            Kind::RoleBinding,
            Kind::ClusterRoleBinding,
        ],
        check,
    },
    ..Rule::BASE
};

fn check(context: &Relations<'_>, found: &mut Findings) {
    let inventory = context.inventory;
    let mut needed: HashMap<&str, bool> = HashMap::new();
    for group in inventory.workloads() {
        let shape = &group.shape;
        if shape.account.is_some() || shape.automounts_token == Some(false) {
            continue;
        }
        let namespace = &*group.identity.namespace;
        let account = inventory.find(Kind::ServiceAccount, namespace, "default");
        let of_account =
            account.and_then(Known::service_account).map(|own| own.automount_service_account_token);
        if shape.automounts_token.is_none() && of_account == Some(Some(false)) {
            continue;
        }
        if *needed.entry(namespace).or_insert_with(|| is_bound(inventory, namespace)) {
            continue;
        }
        let knows_account = shape.automounts_token == Some(true)
            || account.is_some()
            || inventory.is_closed(Kind::ServiceAccount, namespace);
        let knows_bindings = inventory.is_closed(Kind::RoleBinding, namespace)
            && inventory.is_closed_everywhere(Kind::ClusterRoleBinding);
        if knows_account && knows_bindings {
            found.report(
                &group.identity,
                format_args!("{}.automountServiceAccountToken", group.kind().pod_path()),
                format_args!(
                    "the pod gets a token that nothing needs: set automountServiceAccountToken to false"
                ),
            );
        } else {
            found.unknown(&group.identity);
        }
    }
}

/// Returns true if a binding gives the account `default` of a namespace a permission.
fn is_bound(inventory: &Inventory, namespace: &str) -> bool {
    let all = inventory.within(Kind::RoleBinding, namespace).iter();
    let bindings = all.chain(inventory.all(Kind::ClusterRoleBinding));
    bindings.filter(|binding| !binding.is_rbac_default()).any(|known| {
        let own = &*known.identity.namespace;
        known.binding().is_some_and(|binding| {
            binding.subjects.iter().any(|subject| names_default(subject, own, namespace))
        })
    })
}

/// Returns true if a subject of a binding in `own` has the account `default` of a namespace.
fn names_default(subject: &Subject, own: &str, namespace: &str) -> bool {
    let Subject { kind, name, namespace: of } = subject;
    match kind.as_str() {
        "ServiceAccount" => name == "default" && (if of.is_empty() { own } else { of.as_str() }) == namespace,
        "Group" => {
            name == "system:serviceaccounts"
                || name == "system:authenticated"
                || name.strip_prefix("system:serviceaccounts:") == Some(namespace)
        }
        "User" => *name == format!("system:serviceaccount:{namespace}:default"),
        _ => false,
    }
}
