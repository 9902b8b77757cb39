//! A rollout that does not get on.

use crate::rules::{Category, Check, Context, Rule, RuleId, Severity, Violations};
use crate::workload::{Condition, ConditionType, WorkloadKind};

/// A rollout that does not get on.
pub(super) static RULE: Rule = Rule {
    id: RuleId::new("stalled-rollout"),
    summary: "A Deployment or ReplicaSet whose new pods don't come",
    docs: "\
## What it does
Reports Deployments whose condition `Progressing` is False, and Deployments and ReplicaSets whose condition
`ReplicaFailure` is True.

## Why is this bad
The new version is not there, or only in part. A quota, an admission webhook or a failing pod stops the rollout, and
Kubernetes does not roll back.

## Example
```yaml
status:
  conditions:
    - {type: Progressing, status: 'False', reason: ProgressDeadlineExceeded}    # bad
```

## Exceptions
A status that is older than the spec is skipped. A ReplicaSet of a Deployment is evaluated at the Deployment. A manifest
has no status.
",
    category: Category::Reliability,
    severity: Severity::High,
    peers: &["popeye:501", "popeye:1120"],
    check: Check::Workload(check),
    ..Rule::BASE
};

fn check(context: &Context<'_>, found: &mut Violations) {
    let workload = context.workload;
    let Some(status) = &workload.own_status else { return };
    if workload.metadata.generation > status.observed_generation {
        return;
    }
    let is_deployment = workload.kind == WorkloadKind::Deployment;
    if !is_deployment && workload.kind != WorkloadKind::ReplicaSet {
        return;
    }
    let stalled = status.if_false(ConditionType::Progressing).filter(|_| is_deployment);
    for (condition, problem) in [
        (stalled, "the rollout makes no progress"),
        (status.if_true(ConditionType::ReplicaFailure), "pods can't be created"),
    ] {
        let Some(condition) = condition else { continue };
        found.in_object(
            format_args!("status.conditions"),
            format_args!(
                "{problem}{}: the conditions say more (kubectl describe {})",
                reason(condition),
                workload.kind.name().to_lowercase()
            ),
        );
    }
}

/// Returns the reason of a condition in parentheses.
fn reason(condition: &Condition<'_>) -> String {
    condition.reason.as_deref().map_or(String::new(), |reason| format!(" ({reason})"))
}
