//! Allows a long-running container to hang without a restart.

use crate::rules::fix::{Fix, FixInput, FixOutcome, PartialContainer, probe, startup};
use crate::rules::{Category, Check, Context, Rule, RuleId, Severity, Violations};

/// A container without a liveness probe, where one makes sense.
pub static RULE: Rule = Rule {
    id: RuleId::new("missing-liveness"),
    summary: "A long-running container that nothing restarts when it hangs",
    label: Some("Missing liveness probes"),
    docs: "\
## What it does
Counts containers without a `livenessProbe`.

## Why is this bad
A process that deadlocks or stops answering keeps running: the kubelet only restarts a container that exits or fails
this probe.

## Example
```yaml
livenessProbe:
  httpGet: {path: /livez, port: 8080}
```

## Exceptions
Init containers, native sidecars and the pods of Jobs and CronJobs are not counted. An empty probe (`{}`) is a probe and
`null` is none. A `startupProbe` is not a liveness probe.
",
    category: Category::Reliability,
    severity: Severity::Medium,
    weight: Some(3),
    in_default_score: true,
    parameters: &[],
    peers: &[
        "polaris:livenessProbeMissing",
        "kube-score:pod-probes",
        "kube-linter:no-liveness-probe",
        "popeye:102",
        "popeye:103",
    ],
    details: false,
    expression: Some(include_str!("missing_liveness.cel")),
    check: Check::Pod(check),
    fix: Some(Fix {
        summary: "a livenessProbe that connects to a TCP port, and a startupProbe on the same port unless there is one",
        field: "livenessProbe",
        compute,
    }),
    ..Rule::BASE
};

fn check(context: &Context<'_>, found: &mut Violations) {
    if context.workload.runs_to_completion() {
        return;
    }
    for place in context.main_containers().filter(|place| place.container.liveness_probe.is_none()) {
        found.in_container(
            &place,
            "livenessProbe",
            format_args!("no liveness probe: add one that fails only when a restart would help"),
        );
    }
}

fn compute(input: &FixInput<'_>) -> FixOutcome {
    if input.container.liveness_probe.is_some() {
        return FixOutcome::default();
    }
    match probe(input) {
        Ok(liveness) => {
            let startup_probe = input.container.startup_probe.is_none().then(|| startup(&liveness));
            let sets = PartialContainer {
                startup_probe,
                liveness_probe: Some(liveness),
                ..PartialContainer::default()
            };
            FixOutcome { sets, reasons: Vec::new() }
        }
        Err(reason) => FixOutcome::nothing(reason),
    }
}
