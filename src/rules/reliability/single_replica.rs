//! A Deployment behind a Service that can shrink to one pod.

use crate::inventory::Minimum;
use crate::rules::{Category, Check, Findings, Parameter, Relations, Rule, RuleId, Severity, Value};
use crate::workload::{Kind, WorkloadKind};

/// A Deployment behind a Service that can shrink to one pod.
pub(super) static RULE: Rule = Rule {
    id: RuleId::new("single-replica"),
    summary: "A Deployment behind a Service that can shrink to one pod",
    docs: "\
## What it does
Reports Deployments that a Service selects and whose least number of pods is below `min`. The number is that of an
autoscaler, if there is one, else `replicas`.

## Why is this bad
Each rollout, eviction or failure of a node interrupts the Service.

## Example
```yaml
kind: Deployment
spec:
  replicas: 1    # bad: use 2
```

## Exceptions
Zero replicas, the strategy Recreate, and pods with a claim are skipped. If `replicas` is absent and the input may
lack autoscalers, the answer is unknown.
",
    category: Category::Reliability,
    severity: Severity::Low,
    peers: &[
        "polaris:deploymentMissingReplicas",
        "polaris:hpaMinAvailability",
        "kube-score:deployment-replicas",
        "kube-score:horizontalpodautoscaler-replicas",
        "kube-linter:minimum-three-replicas",
        "kube-linter:hpa-minimum-three-replicas",
        "popeye:1109",
    ],
    parameters: &[Parameter { name: "min", summary: "the least number of pods", default: Value::Integer(2) }],
    check: Check::Relation {
        reads: &[Kind::Template, Kind::Service, Kind::HorizontalPodAutoscaler, Kind::ScaledObject],
        check,
    },
    ..Rule::BASE
};

fn check(context: &Relations<'_>, found: &mut Findings) {
    let inventory = context.inventory;
    let least = i64::try_from(context.parameters.integer("min")).unwrap_or(i64::MAX);
    for group in inventory.workloads().filter(|group| group.kind() == WorkloadKind::Deployment) {
        let Some(template) = group.template() else { continue };
        let is_single_on_purpose = template.strategy == "Recreate" || group.shape.has_claim;
        if is_single_on_purpose || inventory.selecting(Kind::Service, group).next().is_none() {
            continue;
        }
        match inventory.minimum(group) {
            Minimum::Known(minimum) if (1..least).contains(&minimum) => found.report(
                &group.identity,
                format_args!("spec.replicas"),
                format_args!("a Service depends on {minimum} pod at least: set at least {least}"),
            ),
            Minimum::Unknown => found.unknown(&group.identity),
            Minimum::Known(_) | Minimum::None => {}
        }
    }
}
