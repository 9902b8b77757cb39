//! A `CronJob` that may never start.

use crate::rules::{Category, Check, Context, Parameter, Rule, RuleId, Severity, Value, Violations};
use crate::workload::WorkloadKind;

/// A `CronJob` that may never start.
pub(super) static RULE: Rule = Rule {
    id: RuleId::new("short-start-deadline"),
    summary: "A CronJob with a start deadline that is too short to be met",
    docs: "\
## What it does
Reports CronJobs with a `startingDeadlineSeconds` below 10. With the parameter `required`, it reports CronJobs without
one too.

## Why is this bad
The controller looks every 10 seconds. A Job whose deadline is over by then is never started, and that is only visible
in the CronJob's events.

## Example
```yaml
startingDeadlineSeconds: 5    # bad
```

## Exceptions
Without a deadline the controller starts a late Job whenever it can.
",
    category: Category::Reliability,
    severity: Severity::Low,
    peers: &["kube-score:cronjob-has-deadline"],
    parameters: &[Parameter {
        name: "required",
        summary: "Whether every CronJob needs a deadline",
        default: Value::Boolean(false),
    }],
    check: Check::Workload(check),
    expression: Some(include_str!("short_start_deadline.cel")),
    ..Rule::BASE
};

fn check(context: &Context<'_>, found: &mut Violations) {
    if context.workload.kind != WorkloadKind::CronJob {
        return;
    }
    let deadline = context.workload.spec.as_ref().and_then(|spec| spec.starting_deadline_seconds);
    let path = format_args!("spec.startingDeadlineSeconds");
    match deadline {
        Some(seconds) if seconds < 10 => found.in_object(
            path,
            format_args!(
                "a deadline of {seconds} seconds may be over before the controller looks: give it 10 or more"
            ),
        ),
        None if context.parameters.boolean("required") => {
            found.in_object(path, format_args!("has no deadline, so Jobs may start late: set one"));
        }
        _ => {}
    }
}
