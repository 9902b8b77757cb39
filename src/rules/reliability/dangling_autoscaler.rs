//! An autoscaler of a workload that does not exist.

use crate::inventory::Autoscaler;
use crate::rules::{Category, Check, Findings, Relations, Rule, RuleId, Severity};
use crate::workload::{Kind, Owner, WorkloadKind};

/// An autoscaler of a workload that does not exist.
pub(super) static RULE: Rule = Rule {
    id: RuleId::new("dangling-autoscaler"),
    summary: "An autoscaler of a workload that does not exist",
    docs: "\
## What it does
Reports HorizontalPodAutoscalers and KEDA ScaledObjects whose target is not in their namespace.

## Why is this bad
Nothing is scaled.

## Example
```yaml
kind: HorizontalPodAutoscaler
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: wbe}    # bad: a typo
```

## Exceptions
If the target is of an unknown kind, or if the input may lack workloads, the answer is unknown.
",
    category: Category::Reliability,
    severity: Severity::High,
    peers: &[
        "kube-score:horizontalpodautoscaler-has-target",
        "kube-linter:dangling-horizontalpodautoscaler",
        "popeye:600",
        "popeye:601",
    ],
    check: Check::Relation {
        reads: &[Kind::HorizontalPodAutoscaler, Kind::ScaledObject, Kind::Template],
        check,
    },
    ..Rule::BASE
};

fn check(context: &Relations<'_>, found: &mut Findings) {
    let inventory = context.inventory;
    for known in
        [Kind::HorizontalPodAutoscaler, Kind::ScaledObject].iter().flat_map(|kind| inventory.all(*kind))
    {
        let Some(autoscaler) = known.autoscaler() else { continue };
        let namespace = &*known.identity.namespace;
        let Autoscaler { api_version, kind, name, .. } = autoscaler;
        let is_known = WorkloadKind::find(api_version, kind).is_some();
        if is_known && inventory.template(namespace, Owner { kind, name }).is_some() {
            continue;
        }
        if is_known && inventory.is_closed(Kind::Template, namespace) {
            found.report(
                &known.identity,
                format_args!("spec.scaleTargetRef"),
                format_args!("there is no {kind} {name}: name a workload of the namespace"),
            );
        } else {
            found.unknown(&known.identity);
        }
    }
}
