//! A Job that stays in the cluster after its end.

use crate::rules::{Category, Check, Context, Rule, RuleId, Severity, Violations};
use crate::workload::WorkloadKind;

/// A Job that stays in the cluster after its end.
pub(super) static RULE: Rule = Rule {
    id: RuleId::new("lingering-job"),
    summary: "A Job that nothing deletes after its end",
    docs: "\
## What it does
Reports Jobs without an owner and without `ttlSecondsAfterFinished`.

## Why is this bad
Ended Jobs and their pods stay until somebody deletes them. Thousands of them slow down the API server and every list.

## Example
```yaml
ttlSecondsAfterFinished: 86400
```

## Exceptions
A CronJob deletes its own Jobs. Hooks of Helm and Argo CD are skipped, because these tools wait for them and delete
them.
",
    category: Category::Reliability,
    severity: Severity::Low,
    manual_fix: Some("ttlSecondsAfterFinished: 86400"),
    peers: &["kube-linter:job-ttl-seconds-after-finished"],
    check: Check::Workload(check),
    expression: Some(include_str!("lingering_job.cel")),
    ..Rule::BASE
};

/// The annotations of Jobs that a tool deletes.
const HOOKS: [&str; 2] = ["helm.sh/hook", "argocd.argoproj.io/hook"];

fn check(context: &Context<'_>, found: &mut Violations) {
    let workload = context.workload;
    let has_ttl = workload.spec.as_ref().is_some_and(|spec| spec.ttl_seconds_after_finished.is_some());
    let is_owned = workload.metadata.owner_references.as_ref().is_some_and(|owners| !owners.is_empty());
    if workload.kind == WorkloadKind::Job
        && !has_ttl
        && !is_owned
        && HOOKS.iter().all(|hook| workload.metadata.annotation(hook).is_none())
    {
        found.in_object(
            format_args!("spec.ttlSecondsAfterFinished"),
            format_args!("nothing deletes the Job after its end: set ttlSecondsAfterFinished"),
        );
    }
}
