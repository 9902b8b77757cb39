//! Allows a long-running container to get traffic before it can answer.

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
A pod counts as ready as soon as its containers run. Services send it requests while it still starts, and a
rollout takes down old pods before the new ones can answer.

## Example
```yaml
readinessProbe:
  httpGet: {path: /readyz, port: 8080}
```

## Exceptions
Init containers, sidecars among them, and whatever a Job or CronJob runs are never counted. An empty probe
(`{}`) is a probe; `null` is none; a `startupProbe` alone is not a readiness probe.
",
    category: Category::Reliability,
    severity: Severity::Low,
    weight: 2,
    in_default_score: true,
    since: "0.1.0",
    parameters: &[],
    applies_to: |workload| !workload.runs_to_completion(),
    check,
    fix: Some(Fix { summary: "a readinessProbe that connects to a TCP port", mend }),
};

fn check(context: &Context<'_>, found: &mut Violations) {
    let containers = context.workload.pod.containers.iter().enumerate();
    for (index, container) in containers.filter(|(_, container)| container.readiness_probe.is_none()) {
        found.add(&Finding {
            container: Some(&container.name),
            count: 1,
            path: format_args!("{}.containers[{index}].readinessProbe", context.workload.pod_path()),
            message: format_args!("no readiness probe: add one that says when requests can be answered"),
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
