//! Allows a pod that runs and stays unready.

use jiff::{SignedDuration, Timestamp};

use crate::rules::{Category, Check, Context, Parameter, Rule, RuleId, Severity, Value, Violations};
use crate::workload::{ConditionType, PodStatus};

/// A pod that is scheduled and has been unready for longer than allowed.
pub(super) static RULE: Rule = Rule {
    id: RuleId::new("unready-pod"),
    summary: "A pod that has a node and stays unready",
    docs: "\
## What it does
Reports pods that are scheduled and whose condition `Ready` has been False for more than `seconds`. The message names
the reasons that the kubelet gives for containers that wait or have ended.

## Why is this bad
The pod gets no traffic from Services, and a rollout waits for it. Often it crashes, its image can't be pulled, or
its readiness probe fails.

## Example
```yaml
status:
  conditions:
    - {type: PodScheduled, status: 'True'}
    - {type: Ready, status: 'False', lastTransitionTime: '2026-01-01T00:00:00Z'}    # bad after five minutes
```

## Exceptions
Pods of Jobs, pods that have ended and pods that are being deleted are skipped. A pod without a node is the subject of
`pending`. A template has no status.
",
    category: Category::Reliability,
    severity: Severity::High,
    parameters: &[Parameter {
        name: "seconds",
        summary: "Seconds for which a pod may be unready",
        default: Value::Integer(300),
    }],
    peers: &["popeye:200", "popeye:201", "popeye:202", "popeye:203", "popeye:204"],
    check: Check::Live(check),
    ..Rule::BASE
};

fn check(context: &Context<'_>, found: &mut Violations) {
    let workload = context.workload;
    let Some(status) = &workload.status else { return };
    if status.is_terminal() || workload.metadata.is_deleted || workload.runs_to_completion() {
        return;
    }
    let is = |type_, wanted| status.condition(type_).filter(|condition| condition.status == Some(wanted));
    let (Some(_), Some(ready)) = (is(ConditionType::PodScheduled, true), is(ConditionType::Ready, false))
    else {
        return;
    };
    let seconds = context.parameters.integer("seconds");
    let allowed = i64::try_from(seconds).map_or(SignedDuration::MAX, SignedDuration::from_secs);
    let since = ready.since.unwrap_or(Timestamp::MIN);
    if context.now.duration_since(since) <= allowed {
        let late = allowed.saturating_add(SignedDuration::from_secs(1));
        if let Ok(late) = since.checked_add(late) {
            found.recheck_at(late);
        }
        return;
    }
    found.in_object(
        format_args!("status.conditions"),
        format_args!(
            "not ready for more than {seconds} seconds{}: read its events and its log (kubectl describe pod)",
            reasons(status)
        ),
    );
}

/// Returns the reasons of containers that wait or have ended, in parentheses.
fn reasons(status: &PodStatus<'_>) -> String {
    let containers = status.init_container_statuses.iter().chain(&status.container_statuses);
    let named = containers.filter_map(|container| match container.reason.as_deref()? {
        // An init container that did its work.
        "" | "Completed" => None,
        reason => Some(format!("{}: {reason}", container.name)),
    });
    let named: Vec<String> = named.collect();
    if named.is_empty() { String::new() } else { format!(" ({})", named.join(", ")) }
}
