//! Allows a long-running container to receive traffic before it can answer.

use super::fix::{Broken, Fix, Mend, PartialContainer, probe};
use super::{Category, Context, Finding, Rule, RuleId, Severity, Violations};

/// A container without a readiness probe, where one makes sense.
pub static MISSING_READINESS: Rule = Rule {
    id: RuleId::new("missing-readiness"),
    summary: "A long-running container that gets traffic before it can answer",
    label: "Missing readiness probes",
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
    weight: 2,
    in_default_score: true,
    since: "0.1.0",
    parameters: &[],
    applies_to: |workload| !workload.runs_to_completion() && !workload.runs_on_knative(),
    check,
    expression: Some(include_str!("missing_readiness.cel")),
    fix: Some(Fix { summary: "a readinessProbe that connects to a TCP port", mend }),
};

fn check(context: &Context<'_>, found: &mut Violations) {
    let containers = context.workload.pod.containers.iter().enumerate();
    for (index, container) in containers.filter(|(_, container)| container.readiness_probe.is_none()) {
        found.add(&Finding {
            container: Some(&container.name),
            count: 1,
            path: format_args!("{}.containers[{index}].readinessProbe", context.workload.pod_path()),
            message: format_args!(
                "no readiness probe: add one that passes when the container can answer requests"
            ),
        });
    }
}

fn mend(broken: &Broken<'_>) -> Mend {
    if broken.container.readiness_probe.is_some() {
        return Mend::default();
    }
    match probe(broken) {
        Ok(readiness) => {
            let sets = PartialContainer { readiness_probe: Some(readiness), ..PartialContainer::default() };
            Mend { sets, reasons: Vec::new() }
        }
        Err(reason) => Mend::nothing(reason),
    }
}
