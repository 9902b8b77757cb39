//! Replicas that no `PodDisruptionBudget` protects.

use crate::inventory::Minimum;
use crate::rules::{Category, Check, Findings, Relations, Rule, RuleId, Severity};
use crate::workload::{Kind, WorkloadKind};

/// Replicas that no `PodDisruptionBudget` protects.
pub(super) static RULE: Rule = Rule {
    id: RuleId::new("missing-disruption-budget"),
    summary: "Replicas that a drain may evict all at once",
    docs: "\
## What it does
Reports Deployments and StatefulSets that always have two or more pods, and that no PodDisruptionBudget selects.

## Why is this bad
When nodes are drained, for example for an upgrade, all pods may be evicted at the same time.

## Example
```yaml
kind: PodDisruptionBudget
spec:
  maxUnavailable: 1
  selector: {matchLabels: {app: web}}
```

## Exceptions
Workloads that may have one pod or none are skipped. If the input may lack budgets or autoscalers, the answer is
unknown.
",
    category: Category::Reliability,
    severity: Severity::Low,
    peers: &[
        "polaris:missingPodDisruptionBudget",
        "kube-score:deployment-has-poddisruptionbudget",
        "kube-score:statefulset-has-poddisruptionbudget",
        "popeye:206",
    ],
    check: Check::Relation {
        reads: &[
            Kind::Template,
            Kind::PodDisruptionBudget,
            Kind::HorizontalPodAutoscaler,
            Kind::ScaledObject,
        ],
        check,
    },
    ..Rule::BASE
};

fn check(context: &Relations<'_>, found: &mut Findings) {
    let inventory = context.inventory;
    let kinds = [WorkloadKind::Deployment, WorkloadKind::StatefulSet];
    for group in inventory.workloads().filter(|group| kinds.contains(&group.kind())) {
        if inventory.selecting(Kind::PodDisruptionBudget, group).next().is_some() {
            continue;
        }
        let is_closed = inventory.is_closed(Kind::PodDisruptionBudget, &group.identity.namespace);
        match inventory.minimum(group) {
            Minimum::Known(minimum) if minimum >= 2 && is_closed => found.report(
                &group.identity,
                format_args!("spec.template.metadata.labels"),
                format_args!("a drain may evict all {minimum} replicas at once: add a PodDisruptionBudget"),
            ),
            Minimum::Known(minimum) if minimum >= 2 => found.unknown(&group.identity),
            Minimum::Unknown => found.unknown(&group.identity),
            Minimum::Known(_) | Minimum::None => {}
        }
    }
}
