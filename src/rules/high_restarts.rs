//! Allows a container that keeps restarting.

use super::{Category, Context, Finding, Parameter, Rule, RuleId, Severity, Value, Violations};

/// The most restarts of one container that count.
const CAP: u64 = 5;

/// A container that has been restarted more often than allowed.
pub static HIGH_RESTARTS: Rule = Rule {
    id: RuleId::new("high-restarts"),
    summary: "A container that keeps restarting",
    label: "Restart severity score",
    docs: "\
## What it does
Adds up, over the entries of `status.containerStatuses` restarted more than `maxRestartCount` times, their
restart counts, each at most 5.

## Why is this bad
Each restart drops the requests under way. A container that restarts again and again is crashing, out of
memory, or killed by its own liveness probe.

## Example
```yaml
status:
  containerStatuses:
    - {name: web, restartCount: 12}    # bad: counts 5
    - {name: proxy, restartCount: 3}   # good: not more than 3
```

## Exceptions
Init containers are not counted, and a template has no restarts.
",
    category: Category::Reliability,
    severity: Severity::Critical,
    weight: 6,
    in_default_score: true,
    since: "0.1.0",
    parameters: &[Parameter {
        name: "maxRestartCount",
        summary: "Restarts of a container that are still fine",
        default: Value::Integer(3),
    }],
    applies_to: |workload| workload.status.is_some(),
    check,
    fix: None,
};

fn check(context: &Context<'_>, found: &mut Violations) {
    let allowed = context.integer(0);
    let statuses = context.workload.status.iter().flat_map(|status| &status.container_statuses);
    for (index, status) in statuses.enumerate() {
        let restarts = u64::from(status.restart_count);
        if restarts > allowed {
            found.add(&Finding {
                container: Some(&status.name),
                count: restarts.min(CAP),
                path: format_args!("status.containerStatuses[{index}].restartCount"),
                message: format_args!(
                    "restarted {restarts} times, more than {allowed}: read the log of its last run (kubectl logs -p)"
                ),
            });
        }
    }
}
