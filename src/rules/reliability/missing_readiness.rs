//! Allows a long-running container to receive traffic before it can answer.

use crate::rules::fix::{Fix, FixInput, FixOutcome, PartialContainer, probe};
use crate::rules::{Category, Check, Context, Rule, RuleId, Severity, Violations};

/// A container without a readiness probe, where one makes sense.
pub static RULE: Rule = Rule {
    id: RuleId::new("missing-readiness"),
    summary: "A long-running container that gets traffic before it can answer",
    label: Some("Missing readiness probes"),
    docs: "\
## What it does
Counts containers without a `readinessProbe`.

## Why is this bad
The pod counts as ready as soon as its containers run. Services send it requests while it is still starting, and
a rollout stops old pods before the new ones can answer.

## Example
```yaml
readinessProbe:
  httpGet: {path: /readyz, port: 8080}
```

## Exceptions
Init containers, native sidecars and the pods of Jobs and CronJobs are not counted. Neither are the pods of Knative
Services, which Knative probes itself. An empty probe (`{}`) is a probe and `null` is none. A `startupProbe` is not a
readiness probe.
",
    category: Category::Reliability,
    severity: Severity::Low,
    weight: Some(2),
    in_default_score: true,
    parameters: &[],
    recommended: Some(true),
    peers: &[
        "polaris:readinessProbeMissing",
        "kube-score:pod-probes",
        "kube-linter:no-readiness-probe",
        "popeye:102",
        "popeye:104",
    ],
    details: false,
    expression: Some(include_str!("missing_readiness.cel")),
    check: Check::Pod(check),
    fix: Some(Fix {
        summary: "a readinessProbe that connects to a TCP port",
        field: "readinessProbe",
        compute,
    }),
    ..Rule::BASE
};

fn check(context: &Context<'_>, found: &mut Violations) {
    if context.workload.runs_to_completion() || context.workload.runs_on_knative() {
        return;
    }
    for place in context.main_containers().filter(|place| place.container.readiness_probe.is_none()) {
        found.in_container(
            &place,
            "readinessProbe",
            format_args!("no readiness probe: add one that passes when the container can answer requests"),
        );
    }
}

fn compute(input: &FixInput<'_>) -> FixOutcome {
    if input.container.readiness_probe.is_some() {
        return FixOutcome::default();
    }
    match probe(input) {
        Ok(readiness) => {
            let sets = PartialContainer { readiness_probe: Some(readiness), ..PartialContainer::default() };
            FixOutcome { sets, reasons: Vec::new() }
        }
        Err(reason) => FixOutcome::nothing(reason),
    }
}
