//! A workload with a restart policy that its kind does not allow.

use crate::rules::{Category, Check, Context, Rule, RuleId, Severity, Violations};
use crate::workload::WorkloadKind;

/// A workload with a restart policy that its kind does not allow.
pub(super) static RULE: Rule = Rule {
    id: RuleId::new("invalid-restart-policy"),
    summary: "A workload with a restart policy that its kind does not allow",
    docs: "\
## What it does
Reports Jobs and CronJobs whose `restartPolicy` is not OnFailure or Never, and other workloads with a policy other
than Always.

## Why is this bad
The API server refuses such an object.

## Example
```yaml
kind: Job
spec: {template: {spec: {restartPolicy: Always}}}    # bad
```

## Exceptions
An absent policy means Always, so Jobs need one and all others do not. A pod may have any policy.
",
    category: Category::Api,
    severity: Severity::High,
    peers: &["kube-score:cronjob-restartpolicy", "kube-linter:restart-policy"],
    check: Check::Workload(check),
    ..Rule::BASE
};

fn check(context: &Context<'_>, found: &mut Violations) {
    let workload = context.workload;
    let policy =
        workload.pod.restart_policy.as_deref().filter(|policy| !policy.is_empty()).unwrap_or("Always");
    let (allowed, change) = match workload.kind {
        WorkloadKind::Pod | WorkloadKind::PodTemplate => return,
        WorkloadKind::Job | WorkloadKind::CronJob => {
            (matches!(policy, "OnFailure" | "Never"), "use OnFailure or Never")
        }
        _ => (policy == "Always", "remove it"),
    };
    if !allowed {
        found.in_object(
            format_args!("{}.restartPolicy", context.pod_path()),
            format_args!("restartPolicy {policy} is not allowed in a {}: {change}", workload.kind.name()),
        );
    }
}
