//! Allows a pod that stays Pending and never starts.

use super::{Category, Context, Finding, Parameter, Rule, RuleId, Severity, Value, Violations};

/// A pod in phase Pending for longer than allowed.
pub static PENDING: Rule = Rule {
    id: RuleId::new("pending"),
    summary: "A pod that waits to be scheduled or to pull its images",
    label: "Pending pods",
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
    weight: 4,
    in_default_score: true,
    since: "0.1.0",
    parameters: &[Parameter {
        name: "seconds",
        summary: "Seconds since the pod's creation for which Pending is accepted",
        default: Value::Integer(0),
    }],
    applies_to: |workload| workload.status.is_some(),
    check,
    expression: None,
    fix: None,
};

fn check(context: &Context<'_>, found: &mut Violations) {
    let workload = context.workload;
    let phase = workload.status.as_ref().and_then(|status| status.phase.as_deref());
    if phase != Some("Pending") {
        return;
    }
    let created = workload.metadata.creation_timestamp.unwrap_or(jiff::Timestamp::MIN);
    let age = context.now.duration_since(created).as_secs();
    if u64::try_from(age).unwrap_or(0) < context.integer(0) {
        return;
    }
    found.add(&Finding {
        container: None,
        count: 1,
        path: format_args!("status.phase"),
        message: format_args!("still Pending: the pod's events say what it waits for (kubectl describe pod)"),
    });
}
