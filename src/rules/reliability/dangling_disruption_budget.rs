//! A `PodDisruptionBudget` that selects no pod.

use crate::inventory::Selected;
use crate::rules::{Category, Check, Findings, Relations, Rule, RuleId, Severity};
use crate::workload::Kind;

/// A `PodDisruptionBudget` that selects no pod.
pub(super) static RULE: Rule = Rule {
    id: RuleId::new("dangling-disruption-budget"),
    summary: "A PodDisruptionBudget that selects no pod",
    docs: "\
## What it does
Reports budgets whose selector matches no pod and no template of their namespace, or that have no selector.

## Why is this bad
The budget protects nothing.

## Example
```yaml
kind: PodDisruptionBudget
spec:
  selector: {matchLabels: {app: wbe}}    # bad: no pod has this label
```

## Exceptions
The answer is unknown as for `dangling-service`.
",
    category: Category::Reliability,
    severity: Severity::Low,
    peers: &["popeye:900"],
    check: Check::Relation { reads: &[Kind::PodDisruptionBudget, Kind::Pod, Kind::Template], check },
    ..Rule::BASE
};

fn check(context: &Relations<'_>, found: &mut Findings) {
    let inventory = context.inventory;
    for known in inventory.all(Kind::PodDisruptionBudget) {
        let Some(budget) = known.disruption_budget() else { continue };
        let selected = match &budget.selector {
            Some(selector) => inventory.select(&known.identity.namespace, selector),
            None => Selected::Nothing,
        };
        match selected {
            Selected::Pods(_) => {}
            Selected::Unknown => found.unknown(&known.identity),
            Selected::Nothing => found.report(
                &known.identity,
                format_args!("spec.selector"),
                format_args!("the selector matches no pod and no template: use labels that the pods have"),
            ),
        }
    }
}
