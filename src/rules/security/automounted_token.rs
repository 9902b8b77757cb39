//! A token of the API in a pod that does not need it.

use std::collections::HashSet;

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
    let bound = Bound::of(inventory);
    // A binding of another namespace can name the account.
    let knows_bindings = inventory.is_closed_everywhere(Kind::RoleBinding)
        && inventory.is_closed_everywhere(Kind::ClusterRoleBinding);
    for group in inventory.workloads() {
        let shape = &group.shape;
        if shape.account.is_some() || shape.automounts_token == Some(false) {
            continue;
        }
        let namespace = &*group.identity.namespace;
        let account = inventory.find(Kind::ServiceAccount, namespace, "default");
        let of_account =
            account.and_then(Known::service_account).map(|own| own.automount_service_account_token);
        if shape.automounts_token.is_none() && of_account == Some(Some(false)) || bound.has(namespace) {
            continue;
        }
        let knows_account = shape.automounts_token == Some(true)
            || account.is_some()
            || inventory.is_closed(Kind::ServiceAccount, namespace);
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

/// The namespaces whose account `default` has a permission.
#[derive(Default)]
struct Bound<'i> {
    /// True if that of each namespace has.
    all: bool,
    namespaces: HashSet<&'i str>,
}

impl<'i> Bound<'i> {
    /// Finds the namespaces in all bindings, because one of another namespace can name the account.
    fn of(inventory: &'i Inventory) -> Self {
        let mut bound = Self::default();
        let bindings = inventory.all(Kind::RoleBinding).iter().chain(inventory.all(Kind::ClusterRoleBinding));
        for known in bindings.filter(|binding| !binding.is_rbac_default()) {
            for subject in known.binding().into_iter().flat_map(|binding| &binding.subjects) {
                bound.add(subject, &known.identity.namespace);
            }
        }
        bound
    }

    /// Adds the subject of a binding in the namespace `own`.
    fn add(&mut self, subject: &'i Subject, own: &'i str) {
        let Subject { kind, name, namespace } = subject;
        match kind.as_str() {
            "ServiceAccount" if name == "default" => {
                self.namespaces.insert(if namespace.is_empty() { own } else { namespace.as_str() });
            }
            "Group" if name == "system:serviceaccounts" || name == "system:authenticated" => self.all = true,
            "Group" => self.namespaces.extend(name.strip_prefix("system:serviceaccounts:")),
            "User" => self.namespaces.extend(
                name.strip_prefix("system:serviceaccount:").and_then(|name| name.strip_suffix(":default")),
            ),
            _ => {}
        }
    }

    fn has(&self, namespace: &str) -> bool {
        self.all || self.namespaces.contains(namespace)
    }
}
