//! Allows a pod that stays Pending and never starts.

use jiff::{SignedDuration, Timestamp};

use crate::rules::{Category, Check, Context, Parameter, Rule, RuleId, Severity, Value, Violations};

/// A pod in phase Pending for longer than allowed.
pub static RULE: Rule = Rule {
    id: RuleId::new("pending"),
    summary: "A pod that waits to be scheduled or to pull its images",
    label: Some("Pending pods"),
    docs: "\
## What it does
Counts pods in phase `Pending` that are older than `seconds`.

## Why is this bad
The requested capacity is missing: no node has room, a volume can't be bound, or an image can't be pulled. A rollout
can hang on the pod, and a zone failure meets fewer replicas than planned.

## Example
```yaml
status: {phase: Pending}    # bad
status: {phase: Running}    # good
```

## Exceptions
A template has no phase. Without a policy every pending pod counts, however young.
",
    category: Category::Reliability,
    severity: Severity::Medium,
    weight: Some(4),
    in_default_score: true,
    parameters: &[Parameter {
        name: "seconds",
        summary: "Seconds since the pod's creation for which Pending is accepted",
        default: Value::Integer(0),
    }],
    peers: &["popeye:207"],
    details: false,
    check: Check::Live(check),
    ..Rule::BASE
};

fn check(context: &Context<'_>, found: &mut Violations) {
    let workload = context.workload;
    let phase = workload.status.as_ref().and_then(|status| status.phase.as_deref());
    if phase != Some("Pending") {
        return;
    }
    let created = workload.metadata.creation_timestamp.unwrap_or(Timestamp::MIN);
    let allowed = i64::try_from(context.parameters.integer("seconds"))
        .map_or(SignedDuration::MAX, SignedDuration::from_secs);
    if context.now.duration_since(created).max(SignedDuration::ZERO) < allowed {
        if let Ok(late) = created.checked_add(allowed) {
            found.recheck_at(late);
        }
        return;
    }
    found.in_object(
        format_args!("status.phase"),
        format_args!("still Pending: the pod's events say what it waits for (kubectl describe pod)"),
    );
}
