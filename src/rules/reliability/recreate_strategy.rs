//! A rollout that interrupts a Service.

use crate::inventory::Minimum;
use crate::rules::{Category, Check, Findings, Relations, Rule, RuleId, Severity};
use crate::workload::{Kind, WorkloadKind};

/// A rollout that interrupts a Service.
pub(super) static RULE: Rule = Rule {
    id: RuleId::new("recreate-strategy"),
    summary: "A rollout that stops every pod behind a Service",
    docs: "\
## What it does
Reports Deployments with the strategy Recreate, and StatefulSets and DaemonSets with OnDelete, that a Service selects
and that always have two or more pods.

## Why is this bad
A Deployment stops all pods before it starts new ones. With OnDelete, new versions don't run until somebody deletes
the pods.

## Example
```yaml
strategy:
  type: Recreate    # bad: use RollingUpdate
```

## Exceptions
Workloads with a claim or a port of the node are skipped: two of their pods may not run at the same time.
",
    category: Category::Reliability,
    severity: Severity::Low,
    peers: &["kube-score:deployment-strategy", "kube-linter:no-rolling-update-strategy"],
    check: Check::Relation {
        reads: &[Kind::Template, Kind::Service, Kind::HorizontalPodAutoscaler, Kind::ScaledObject],
        check,
    },
    ..Rule::BASE
};

fn check(context: &Relations<'_>, found: &mut Findings) {
    let inventory = context.inventory;
    for group in inventory.workloads() {
        let Some(template) = group.template() else { continue };
        let (path, is_bad) = match group.kind() {
            WorkloadKind::Deployment => ("spec.strategy.type", template.strategy == "Recreate"),
            WorkloadKind::StatefulSet | WorkloadKind::DaemonSet => {
                ("spec.updateStrategy.type", template.strategy == "OnDelete")
            }
            _ => continue,
        };
        let is_needed = group.shape.has_claim || group.shape.has_host_port;
        if !is_bad || is_needed || inventory.selecting(Kind::Service, group).next().is_none() {
            continue;
        }
        match inventory.minimum(group) {
            Minimum::Known(..=1) => {}
            Minimum::Unknown => found.unknown(&group.identity),
            Minimum::Known(_) | Minimum::None => found.report(
                &group.identity,
                format_args!("{path}"),
                format_args!(
                    "{} interrupts the Service at each rollout: use RollingUpdate",
                    template.strategy
                ),
            ),
        }
    }
}
