//! A `NetworkPolicy` with a selector that matches nothing.

use crate::inventory::{Inventory, Known, Peer, Selected};
use crate::rules::{Category, Check, Findings, Relations, Rule, RuleId, Severity};
use crate::workload::{Kind, LabelSelector, Labels};

/// A `NetworkPolicy` with a selector that matches nothing.
pub(super) static RULE: Rule = Rule {
    id: RuleId::new("dangling-network-policy"),
    summary: "A NetworkPolicy with a selector that matches nothing",
    docs: "\
## What it does
Reports NetworkPolicies whose `podSelector`, or the selectors of a peer, match no pod, template or namespace.

## Why is this bad
The policy protects nothing, or allows less than it seems to.

## Example
```yaml
spec:
  podSelector: {matchLabels: {app: wbe}}    # bad: no pod has this label
```

## Exceptions
An empty selector and `ipBlock` are skipped. The answer is unknown as for `dangling-service`, and where a peer selects
namespaces, unless the input has all of them. Namespaces of Kubernetes itself are never missing.
",
    category: Category::Networking,
    severity: Severity::Low,
    peers: &[
        "kube-score:networkpolicy-targets-pod",
        "kube-linter:dangling-networkpolicy",
        "kube-linter:dangling-networkpolicypeer-podselector",
        "popeye:1200",
        "popeye:1201",
        "popeye:1202",
        "popeye:1208",
    ],
    check: Check::Relation {
        reads: &[Kind::NetworkPolicy, Kind::Pod, Kind::Template, Kind::Namespace],
        check,
    },
    ..Rule::BASE
};

/// The answer to the question if a selector matches something.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Match {
    Some,
    None,
    Unknown,
}

fn check(context: &Relations<'_>, found: &mut Findings) {
    let inventory = context.inventory;
    for known in inventory.all(Kind::NetworkPolicy) {
        let Some(policy) = known.network_policy() else { continue };
        let namespace = &*known.identity.namespace;
        let pods = match &policy.pod_selector {
            Some(selector) if !selector.is_empty() => pods(inventory, namespace, selector),
            _ => Match::Some,
        };
        let own = ("spec.podSelector".to_owned(), pods);
        let peers = policy.peers().map(|(path, one)| (path, peer(inventory, namespace, one)));
        let mut is_unknown = false;
        for (path, matched) in std::iter::once(own).chain(peers) {
            is_unknown |= matched == Match::Unknown;
            if matched == Match::None {
                let message = format_args!("the selector matches nothing: use labels of pods and namespaces");
                found.report(&known.identity, format_args!("{path}"), message);
            }
        }
        if is_unknown {
            found.unknown(&known.identity);
        }
    }
}

fn pods(inventory: &Inventory, namespace: &str, selector: &LabelSelector<'_>) -> Match {
    match inventory.select(namespace, selector) {
        Selected::Pods(_) => Match::Some,
        Selected::Nothing => Match::None,
        Selected::Unknown => Match::Unknown,
    }
}

fn peer(inventory: &Inventory, namespace: &str, peer: &Peer) -> Match {
    let selector = peer.pod_selector.as_ref().filter(|selector| !selector.is_empty());
    let Some(namespaces) = &peer.namespace_selector else {
        return selector.map_or(Match::Some, |selector| pods(inventory, namespace, selector));
    };
    let is_known = |name: &str| inventory.find(Kind::Namespace, "", name).is_some();
    let of_pods = inventory.pod_namespaces();
    // Only the name is known of a namespace that is not in the input itself.
    let unread = of_pods.into_iter().filter(|name| !is_known(name));
    let (by_name, unread): (Vec<&str>, Vec<&str>) =
        unread.partition(|name| namespaces.matches(&Labels::default().with(NAME, name)));
    let read = inventory.all(Kind::Namespace).iter().filter(|known| namespaces.matches(&labels_of(known)));
    let names: Vec<&str> = read.map(|known| &*known.identity.name).chain(by_name).collect();
    let are_all = inventory.is_closed_everywhere(Kind::Namespace) && unread.is_empty();
    if names.is_empty() {
        let is_missing = are_all && !namespaces.is_empty() && !is_of_kubernetes(namespaces);
        return if is_missing { Match::None } else { Match::Unknown };
    }
    let Some(selector) = selector else { return Match::Some };
    let found: Vec<Match> = names.into_iter().map(|name| pods(inventory, name, selector)).collect();
    if found.contains(&Match::Some) {
        Match::Some
    } else if are_all && found.iter().all(|one| *one == Match::None) {
        Match::None
    } else {
        Match::Unknown
    }
}

/// The label with its name that every namespace has.
const NAME: &str = "kubernetes.io/metadata.name";

/// Returns the labels of a namespace, with the one that the API server adds.
fn labels_of(namespace: &Known) -> Labels<'_> {
    let none = Labels::default();
    namespace.labels().unwrap_or(&none).with(NAME, &namespace.identity.name)
}

/// Returns true if a selector names a namespace of Kubernetes itself, which no manifest has.
fn is_of_kubernetes(selector: &LabelSelector<'_>) -> bool {
    selector.match_labels.get(NAME).is_some_and(|name| name.starts_with("kube-") || &**name == "default")
}
