//! A namespace with pods that no `NetworkPolicy` isolates.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::inventory::{Identity, Known, NetworkPolicy};
use crate::rules::{Category, Check, Findings, Parameter, Relations, Rule, RuleId, Severity, Value};
use crate::workload::{Kind, ObjectKind};

/// A namespace with pods that no `NetworkPolicy` isolates.
pub(super) static RULE: Rule = Rule {
    id: RuleId::new("missing-network-policy"),
    summary: "A namespace with pods that any other pod can reach",
    docs: "\
## What it does
Reports namespaces with workloads whose pods no NetworkPolicy isolates for incoming traffic; with `egress`, for
outgoing traffic too. There is one finding for each namespace.

## Why is this bad
Every pod of the cluster can connect to these pods. Whoever takes over one pod can go on to all others.

## Example
```yaml
kind: NetworkPolicy
spec:
  podSelector: {}    # good: isolates every pod of the namespace
```

## Exceptions
Pods on the network of their node are skipped: policies don't apply to them. The answer is unknown if the input may
lack policies, and if it has policies of Cilium, Calico or the policy API, which this rule does not understand.
",
    category: Category::Networking,
    severity: Severity::Medium,
    peers: &[
        "polaris:missingNetworkPolicy",
        "kube-score:pod-networkpolicy",
        "kube-linter:non-isolated-pod",
        "popeye:1204",
        "popeye:1205",
    ],
    parameters: &[Parameter {
        name: "egress",
        summary: "outgoing traffic has to be isolated, too",
        default: Value::Boolean(false),
    }],
    check: Check::Relation {
        reads: &[Kind::Pod, Kind::Template, Kind::NetworkPolicy, Kind::ForeignNetworkPolicy],
        check,
    },
    ..Rule::BASE
};

fn check(context: &Relations<'_>, found: &mut Findings) {
    let inventory = context.inventory;
    let needs_egress = context.parameters.boolean("egress");
    let mut namespaces: BTreeMap<&str, Namespace<'_>> = BTreeMap::new();
    for group in inventory.workloads().filter(|group| !group.shape.uses_host_network) {
        let policies = || inventory.selecting(Kind::NetworkPolicy, group).filter_map(Known::network_policy);
        let is_isolated = policies().any(NetworkPolicy::isolates_ingress)
            && (!needs_egress || policies().any(NetworkPolicy::isolates_egress));
        let namespace = namespaces.entry(&group.identity.namespace).or_default();
        namespace.all += 1;
        namespace.open += usize::from(!is_isolated);
        namespace.is_asked |= group.identity.is_asked;
        if !is_isolated && let Some(source) = &group.identity.source {
            let first = namespace.first.get_or_insert(source);
            *first = (*first).min(source);
        }
    }
    let may_have_foreign = |namespace: &str| {
        let has_some = |namespace| !inventory.within(Kind::ForeignNetworkPolicy, namespace).is_empty();
        has_some(namespace) || has_some("") || !inventory.is_closed(Kind::ForeignNetworkPolicy, namespace)
    };
    for (name, namespace) in namespaces.into_iter().filter(|(_, namespace)| namespace.open > 0) {
        // The Namespace may be in no file. The finding then leads to its first workload.
        let known = inventory.find(Kind::Namespace, "", name).and_then(|known| known.identity.source.clone());
        let identity = Identity {
            namespace: name.into(),
            name: name.into(),
            kind: ObjectKind::Other(Kind::Namespace),
            owner: None,
            source: known.or_else(|| namespace.first.cloned()),
            is_asked: namespace.is_asked,
        };
        if may_have_foreign(name) || !inventory.is_closed(Kind::NetworkPolicy, name) {
            found.unknown(&identity);
            continue;
        }
        let Namespace { open, all, .. } = namespace;
        found.report(
            &identity,
            format_args!("metadata.name"),
            format_args!(
                "no NetworkPolicy isolates {open} of {all} workloads: deny traffic that is not allowed"
            ),
        );
    }
}

/// The workloads of a namespace.
#[derive(Default)]
struct Namespace<'a> {
    all: usize,
    open: usize,
    /// The first place of an open one.
    first: Option<&'a (Arc<str>, usize)>,
    is_asked: bool,
}
