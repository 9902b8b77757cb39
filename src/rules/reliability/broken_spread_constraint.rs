//! A topology spread constraint that spreads nothing.

use crate::rules::{Category, Check, Context, Rule, RuleId, Severity, Violations};
use crate::workload::Labels;

/// A topology spread constraint that spreads nothing.
pub(super) static RULE: Rule = Rule {
    id: RuleId::new("broken-spread-constraint"),
    summary: "A topology spread constraint that does not count the pods themselves",
    docs: "\
## What it does
Reports topology spread constraints without a `labelSelector`, with one that does not match the pod's own labels, with
a `maxSkew` or `minDomains` below 1, or without a `topologyKey`.

## Why is this bad
The scheduler counts the pods that the selector matches. If it doesn't match this one, the pods may all end up on one
node.

## Example
```yaml
topologySpreadConstraints:
- maxSkew: 1
  topologyKey: kubernetes.io/hostname
  labelSelector: {matchLabels: {app: wbe}}    # bad: the label is app: web
```

## Exceptions
The empty selector `{}` matches every pod of the namespace, and is fine.
",
    category: Category::Reliability,
    severity: Severity::Medium,
    peers: &["kube-score:pod-topology-spread-constraints"],
    check: Check::Pod(check),
    expression: Some(include_str!("broken_spread_constraint.cel")),
    ..Rule::BASE
};

fn check(context: &Context<'_>, found: &mut Violations) {
    let none = Labels::default();
    let labels = context.workload.labels().unwrap_or(&none);
    for (index, constraint) in context.workload.pod.topology_spread_constraints.iter().enumerate() {
        let selector = constraint.label_selector.as_ref();
        let (field, problem) = if constraint.topology_key.is_empty() {
            ("topologyKey", "names no topologyKey: name one, such as kubernetes.io/hostname")
        } else if constraint.max_skew.is_none_or(|skew| skew < 1) {
            ("maxSkew", "has no maxSkew of at least 1: set one")
        } else if constraint.min_domains.is_some_and(|domains| domains < 1) {
            ("minDomains", "has a minDomains below 1: remove it")
        } else if selector.is_none() {
            ("labelSelector", "has no labelSelector, so it counts no pod: select the pod's own labels")
        } else if selector.is_some_and(|selector| !selector.matches(labels)) {
            ("labelSelector", "does not select the pod itself: select the pod's own labels")
        } else {
            continue;
        };
        let kind = format_args!("{} {}", constraint.topology_key, constraint.when_unsatisfiable);
        found.about(kind).in_object(
            format_args!("{}.topologySpreadConstraints[{index}].{field}", context.pod_path()),
            format_args!("the constraint {problem}"),
        );
    }
}
