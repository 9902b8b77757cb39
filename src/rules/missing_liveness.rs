//! Allows a long-running container to hang without a restart.

use super::fix::{Broken, Fix, Mend, PartialContainer, probe, startup};
use super::{Category, Context, Finding, Rule, RuleId, Severity, Violations};

/// A container without a liveness probe, where one makes sense.
pub static MISSING_LIVENESS: Rule = Rule {
    id: RuleId::new("missing-liveness"),
    summary: "A long-running container that nothing restarts when it hangs",
    label: "Missing liveness probes",
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
    weight: 3,
    in_default_score: true,
    since: "0.1.0",
    parameters: &[],
    applies_to: |workload| !workload.runs_to_completion(),
    check,
    expression: Some(include_str!("missing_liveness.cel")),
    fix: Some(Fix {
        summary: "a livenessProbe that connects to a TCP port, and a startupProbe on the same port unless there is one",
        mend,
    }),
};

fn check(context: &Context<'_>, found: &mut Violations) {
    let containers = context.workload.pod.containers.iter().enumerate();
    for (index, container) in containers.filter(|(_, container)| container.liveness_probe.is_none()) {
        found.add(&Finding {
            container: Some(&container.name),
            count: 1,
            path: format_args!("{}.containers[{index}].livenessProbe", context.workload.pod_path()),
            message: format_args!("no liveness probe: add one that fails only when a restart would help"),
        });
    }
}

fn mend(broken: &Broken<'_>) -> Mend {
    if broken.container.liveness_probe.is_some() {
        return Mend::default();
    }
    match probe(broken) {
        Ok(liveness) => {
            let startup_probe = broken.container.startup_probe.is_none().then(|| startup(&liveness));
            let sets = PartialContainer {
                startup_probe,
                liveness_probe: Some(liveness),
                ..PartialContainer::default()
            };
            Mend { sets, reasons: Vec::new() }
        }
        Err(reason) => Mend::nothing(reason),
    }
}
