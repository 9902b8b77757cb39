//! A pod that needs an object that does not exist.

use std::collections::BTreeSet;

use crate::inventory::{Inventory, Known, Reference};
use crate::rules::{Category, Check, Findings, Relations, Rule, RuleId, Severity};
use crate::workload::Kind;

/// A pod that needs an object that does not exist.
pub(super) static RULE: Rule = Rule {
    id: RuleId::new("dangling-reference"),
    summary: "A pod that needs an object that does not exist",
    docs: "\
## What it does
Reports pods and templates whose ServiceAccount, ConfigMap or Secret does not exist, or lacks a key that they name.
This covers env, envFrom, volumes and imagePullSecrets, those of a ServiceAccount too.

## Why is this bad
The pod does not start, or can't pull its image.

## Example
```yaml
envFrom:
- configMapRef: {name: settings}    # bad: there is no such ConfigMap
```

## Exceptions
References with `optional: true`, the account `default`, and `kube-root-ca.crt` are skipped. The target of an
ExternalSecret, a SealedSecret or a Certificate counts as present. A key that is missing in an object of the input is
always reported. A missing object has an unknown answer if the input may lack it, if it may not be read, or if custom
resources of unknown kinds may make it.
",
    category: Category::Reliability,
    severity: Severity::High,
    peers: &[
        "kube-linter:non-existent-service-account",
        "kube-linter:env-value-from",
        "popeye:305",
        "popeye:307",
        "popeye:507",
    ],
    check: Check::Relation {
        reads: &[
            Kind::Pod,
            Kind::Template,
            Kind::ServiceAccount,
            Kind::ConfigMap,
            Kind::Secret,
            Kind::SecretSource,
        ],
        check,
    },
    ..Rule::BASE
};

/// The `ConfigMap`s that controllers make in every namespace.
const MADE: [&str; 2] = ["kube-root-ca.crt", "openshift-service-ca.crt"];

/// The answer to the question if an object is there.
enum Presence {
    Present,
    /// It lacks the key.
    WithoutKey,
    Missing,
    Unknown,
}

fn check(context: &Relations<'_>, found: &mut Findings) {
    let inventory = context.inventory;
    let made = made_secrets(inventory);
    for group in inventory.workloads() {
        let namespace = &*group.identity.namespace;
        let path = group.kind().pod_path();
        let mut seen = BTreeSet::new();
        let mut is_unknown = false;
        for reference in &group.shape.references {
            let Reference { kind, name, key, place } = reference;
            if !seen.insert((*kind, name, key)) {
                continue;
            }
            match presence(inventory, &made, namespace, *kind, name, key.as_deref()) {
                Presence::Present => {}
                Presence::Unknown => is_unknown = true,
                Presence::Missing => found.report(
                    &group.identity,
                    format_args!("{path}.{place}"),
                    format_args!("there is no {kind} {name}: create it, or make the reference optional"),
                ),
                Presence::WithoutKey => found.report(
                    &group.identity,
                    format_args!("{path}.{place}"),
                    format_args!("{kind} {name} has no key {}: add it", key.as_deref().unwrap_or_default()),
                ),
            }
        }
        if let Some(name) = &group.shape.account
            && inventory.find(Kind::ServiceAccount, namespace, name).is_none()
        {
            if inventory.is_closed(Kind::ServiceAccount, namespace) {
                found.report(
                    &group.identity,
                    format_args!("{path}.serviceAccountName"),
                    format_args!("there is no ServiceAccount {name}: create it"),
                );
            } else {
                is_unknown = true;
            }
        }
        if is_unknown {
            found.unknown(&group.identity);
        }
    }
    check_accounts(inventory, &made, found);
}

/// Looks at the Secrets with which accounts pull images.
fn check_accounts(inventory: &Inventory, made: &BTreeSet<(&str, &str)>, found: &mut Findings) {
    for known in inventory.all(Kind::ServiceAccount) {
        let namespace = &*known.identity.namespace;
        let secrets = known.service_account().into_iter().flat_map(|account| &account.image_pull_secrets);
        for (index, secret) in secrets.enumerate().filter(|(_, secret)| !secret.name.is_empty()) {
            let name = &secret.name;
            match presence(inventory, made, namespace, Kind::Secret, name, None) {
                Presence::Missing => found.report(
                    &known.identity,
                    format_args!("imagePullSecrets[{index}].name"),
                    format_args!("there is no Secret {name}: create it"),
                ),
                Presence::Unknown => found.unknown(&known.identity),
                Presence::Present | Presence::WithoutKey => {}
            }
        }
    }
}

/// Returns the namespaces and names of the Secrets that controllers make from custom resources.
fn made_secrets(inventory: &Inventory) -> BTreeSet<(&str, &str)> {
    let sources = inventory.all(Kind::SecretSource).iter();
    sources.filter_map(|source| Some((&*source.identity.namespace, source.made_secret()?))).collect()
}

fn presence(
    inventory: &Inventory,
    made: &BTreeSet<(&str, &str)>,
    namespace: &str,
    kind: Kind,
    name: &str,
    key: Option<&str>,
) -> Presence {
    let is_made = match kind {
        Kind::Secret => made.contains(&(namespace, name)),
        _ => MADE.contains(&name),
    };
    if is_made {
        return Presence::Present;
    }
    if let Some(keys) = inventory.find(kind, namespace, name).and_then(Known::keys) {
        let has_key = key.is_none_or(|key| keys.all.contains(key));
        return if has_key { Presence::Present } else { Presence::WithoutKey };
    }
    let is_closed = inventory.is_closed(kind, namespace)
        && !inventory.has_makers()
        && (kind != Kind::Secret || inventory.is_closed(Kind::SecretSource, namespace));
    if is_closed { Presence::Missing } else { Presence::Unknown }
}
