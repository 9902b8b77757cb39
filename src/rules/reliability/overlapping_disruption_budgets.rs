//! A pod with two `PodDisruptionBudgets`.

use std::collections::BTreeSet;

use crate::inventory::Identity;
use crate::rules::{Category, Check, Findings, Relations, Rule, RuleId, Severity};
use crate::workload::Kind;

/// A pod with two `PodDisruptionBudgets`.
pub(super) static RULE: Rule = Rule {
    id: RuleId::new("overlapping-disruption-budgets"),
    summary: "A pod with two PodDisruptionBudgets",
    docs: "\
## What it does
Reports budgets that select a pod or template that another budget of the namespace selects, too.

## Why is this bad
The API server answers each eviction of the pod with an error, so its node can't be drained.

## Example
```yaml
kind: PodDisruptionBudget
spec:
  selector: {}    # bad beside another budget of the namespace
```

## Exceptions
Of several budgets, the first one by name is not reported.
",
    category: Category::Reliability,
    severity: Severity::High,
    peers: &["popeye:209"],
    check: Check::Relation { reads: &[Kind::PodDisruptionBudget, Kind::Pod, Kind::Template], check },
    ..Rule::BASE
};

fn check(context: &Relations<'_>, found: &mut Findings) {
    let inventory = context.inventory;
    let mut reported: BTreeSet<&Identity> = BTreeSet::new();
    for group in inventory.groups() {
        let mut budgets = inventory.selecting(Kind::PodDisruptionBudget, group);
        let Some(first) = budgets.next() else { continue };
        // The same budget in two files is one budget.
        for other in budgets.filter(|other| other.identity.name != first.identity.name) {
            if reported.insert(&other.identity) {
                let (first, workload) = (&first.identity.name, group.workload());
                found.report(
                    &other.identity,
                    format_args!("spec.selector"),
                    format_args!("budget {first} selects the pods of {workload}, too: keep one of the two"),
                );
            }
        }
    }
}
