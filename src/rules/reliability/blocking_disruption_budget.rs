//! A `PodDisruptionBudget` that allows no eviction.

use crate::inventory::{Amount, DisruptionBudget, Inventory, Known, Minimum, Standing};
use crate::rules::{Category, Check, Findings, Parameter, Relations, Rule, RuleId, Severity, Value};
use crate::workload::{Kind, LabelSelector, Owner};

/// A `PodDisruptionBudget` that allows no eviction.
pub(super) static RULE: Rule = Rule {
    id: RuleId::new("blocking-disruption-budget"),
    summary: "A PodDisruptionBudget that allows no eviction",
    docs: "\
## What it does
Reports budgets with `maxUnavailable` of 0, `minAvailable` of 100%, neither of the two, or a `minAvailable` that is
not below the least number of selected pods. Percentages are rounded up. With `unhealthyPods`, it also reports budgets
whose `unhealthyPodEvictionPolicy` is not AlwaysAllow.

## Why is this bad
A node with such a pod can't be drained, so upgrades of the cluster stop there.

## Example
```yaml
kind: PodDisruptionBudget
spec:
  minAvailable: 2    # bad for two replicas: use maxUnavailable: 1
```

## Exceptions
If the number of pods is not known, because an autoscaler may be missing from the input, the answer is unknown.
",
    category: Category::Reliability,
    severity: Severity::High,
    peers: &[
        "polaris:pdbDisruptionsIsZero",
        "polaris:pdbMinAvailableGreaterThanHPAMinReplicas",
        "kube-score:poddisruptionbudget-has-policy",
        "kube-linter:pdb-max-unavailable",
        "kube-linter:pdb-min-available",
        "kube-linter:pdb-unhealthy-pod-eviction-policy",
        "popeye:901",
    ],
    parameters: &[Parameter {
        name: "unhealthyPods",
        summary: "reports budgets that also protect pods that are not ready",
        default: Value::Boolean(false),
    }],
    check: Check::Relation {
        reads: &[
            Kind::PodDisruptionBudget,
            Kind::Pod,
            Kind::Template,
            Kind::HorizontalPodAutoscaler,
            Kind::ScaledObject,
        ],
        check,
    },
    ..Rule::BASE
};

fn check(context: &Relations<'_>, found: &mut Findings) {
    let inventory = context.inventory;
    for known in inventory.all(Kind::PodDisruptionBudget) {
        let Some(budget) = known.disruption_budget() else { continue };
        let is_zero = |amount: &Amount| *amount == Amount::Number(0) || amount.percent() == Some(0);
        match (&budget.max_unavailable, &budget.min_available) {
            (None, None) => found.report(
                &known.identity,
                format_args!("spec"),
                format_args!(
                    "without maxUnavailable and minAvailable no eviction is allowed: set maxUnavailable"
                ),
            ),
            (Some(most), _) if is_zero(most) => found.report(
                &known.identity,
                format_args!("spec.maxUnavailable"),
                format_args!("maxUnavailable {most} allows no eviction: allow at least one"),
            ),
            (_, Some(least)) if least.percent().is_some_and(|percent| percent >= 100) => found.report(
                &known.identity,
                format_args!("spec.minAvailable"),
                format_args!("minAvailable {least} allows no eviction: use maxUnavailable"),
            ),
            (None, Some(least)) => check_pods(context, known, budget, least, found),
            (Some(_), _) => {}
        }
        if context.parameters.boolean("unhealthyPods")
            && budget.unhealthy_pod_eviction_policy != "AlwaysAllow"
        {
            found.report(
                &known.identity,
                format_args!("spec.unhealthyPodEvictionPolicy"),
                format_args!("pods that are not ready can't be evicted: set AlwaysAllow"),
            );
        }
    }
}

/// Compares `minAvailable` with the least number of pods.
fn check_pods(
    context: &Relations<'_>,
    known: &Known,
    budget: &DisruptionBudget,
    least: &Amount,
    found: &mut Findings,
) {
    let Some(selector) = &budget.selector else { return };
    match minimum(context.inventory, &known.identity.namespace, selector) {
        Minimum::Known(pods) if pods > 0 && least.of(pods).is_some_and(|needed| needed >= pods) => found
            .report(
                &known.identity,
                format_args!("spec.minAvailable"),
                format_args!("minAvailable {least} of {pods} pods allows no eviction: use maxUnavailable"),
            ),
        Minimum::Unknown => found.unknown(&known.identity),
        Minimum::Known(_) | Minimum::None => {}
    }
}

/// Returns the least number of pods that a selector matches.
fn minimum(inventory: &Inventory, namespace: &str, selector: &LabelSelector<'_>) -> Minimum {
    let mut sum = 0_i64;
    for group in inventory.matching(namespace, selector) {
        if group.standing == Standing::Managed {
            let workload = group.workload();
            let owner = Owner::parse(&workload).ok();
            if owner.and_then(|owner| inventory.template(namespace, owner)).is_some() {
                // The template counts.
                continue;
            }
        }
        match inventory.minimum(group) {
            Minimum::Known(pods) => sum = sum.saturating_add(pods),
            other => return other,
        }
    }
    Minimum::Known(sum)
}
