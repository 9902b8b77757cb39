//! A Job that has failed for good.

use crate::rules::{Category, Check, Context, Rule, RuleId, Severity, Violations};
use crate::workload::{ConditionType, WorkloadKind};

/// A Job that has failed for good.
pub(super) static RULE: Rule = Rule {
    id: RuleId::new("failing-job"),
    summary: "A Job that failed, or a CronJob whose last Job did",
    docs: "\
## What it does
Reports Jobs without an owner whose condition `Failed` is True. Reports CronJobs without a running Job for which no
Job succeeded since the last one was made.

## Why is this bad
The work was not done, and nothing tries it again before the next run.

## Example
```yaml
status: {conditions: [{type: Failed, status: 'True', reason: BackoffLimitExceeded}]}    # bad
```

## Exceptions
Suspended ones, Jobs that still have retries and CronJobs that never ran are skipped. A Job of a CronJob is evaluated at
the CronJob, whose status tells if a later Job succeeded. If somebody deletes a Job before its end, its CronJob is
reported until the next success. A manifest has no status.
",
    category: Category::Reliability,
    severity: Severity::Medium,
    peers: &["popeye:1502", "popeye:1503"],
    check: Check::Workload(check),
    ..Rule::BASE
};

fn check(context: &Context<'_>, found: &mut Violations) {
    let workload = context.workload;
    let Some(status) = &workload.own_status else { return };
    if workload.spec.as_ref().is_some_and(|spec| spec.suspend) {
        return;
    }
    match workload.kind {
        WorkloadKind::Job => {
            let Some(failed) = status.if_true(ConditionType::Failed) else { return };
            let reason = failed.reason.as_deref().map_or(String::new(), |reason| format!(" ({reason})"));
            found.in_object(
                format_args!("status.conditions"),
                format_args!("the Job failed{reason}: read the log of its pods, and run it again"),
            );
        }
        WorkloadKind::CronJob
            if !status.has_active_jobs && status.last_schedule_time > status.last_successful_time =>
        {
            found.in_object(
                format_args!("status.lastSuccessfulTime"),
                format_args!("the last Job failed: read the log of its pods (kubectl get jobs)"),
            );
        }
        _ => {}
    }
}
