//! A manifest that resets what an autoscaler decided.

use crate::inventory::Identity;
use crate::rules::{Category, Check, Findings, Relations, Rule, RuleId, Severity};
use crate::workload::Kind;

/// A manifest that resets what an autoscaler decided.
pub(super) static RULE: Rule = Rule {
    id: RuleId::new("replicas-under-autoscaler"),
    summary: "A manifest that resets what an autoscaler decided",
    docs: "\
## What it does
Reports manifests of workloads that set `replicas` although an autoscaler in the input scales them.

## Why is this bad
Each time the manifest is applied, the workload goes back to that number, whatever the load is.

## Example
```yaml
kind: Deployment
spec:
  replicas: 3    # bad under a HorizontalPodAutoscaler: leave it out
```

## Exceptions
Live objects are skipped: they always have the field. Take it out with care: after a client-side apply without it, the
workload has one replica until the autoscaler acts.
",
    category: Category::Reliability,
    severity: Severity::Medium,
    peers: &["kube-score:deployment-targeted-by-hpa-does-not-have-replicas-configured"],
    check: Check::Relation {
        reads: &[Kind::Template, Kind::HorizontalPodAutoscaler, Kind::ScaledObject],
        check,
    },
    ..Rule::BASE
};

fn check(context: &Relations<'_>, found: &mut Findings) {
    let inventory = context.inventory;
    for group in inventory.workloads().filter(|group| group.identity.source.is_some()) {
        let Some(replicas) = group.template().and_then(|facts| facts.replicas) else { continue };
        let Identity { namespace, name, .. } = &group.identity;
        if inventory.scaled(namespace, group.kind(), name).is_some() {
            found.report(
                &group.identity,
                format_args!("spec.replicas"),
                format_args!(
                    "an autoscaler decides the number, and {replicas} resets it: leave replicas out"
                ),
            );
        }
    }
}
