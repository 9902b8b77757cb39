//! Allows a container that keeps restarting.

use crate::rules::{Category, Check, Context, Finding, Parameter, Rule, RuleId, Severity, Value, Violations};
use crate::workload::ContainerStatus;

/// The most restarts of one container that count.
const CAP: u64 = 5;

/// A container that restarted more often than allowed.
pub static RULE: Rule = Rule {
    id: RuleId::new("high-restarts"),
    summary: "A container that keeps restarting",
    label: Some("Restart severity score"),
    docs: "\
## What it does
Adds up the restart counts of containers that restarted more than `maxRestartCount` times, at most 5 for each. It
reads `status.containerStatuses` and, for native sidecars (init containers with `restartPolicy: Always`),
`status.initContainerStatuses`.

## Why is this bad
Each restart drops the requests in flight. A container that keeps restarting is crashing, exceeds its memory
limit, or fails its own liveness probe.

## Example
```yaml
status:
  containerStatuses:
    - {name: web, restartCount: 12}    # bad: counts 5
    - {name: proxy, restartCount: 3}   # good: not more than 3
```

## Exceptions
Other init containers are not counted. A template has no restarts.
",
    category: Category::Reliability,
    severity: Severity::Critical,
    weight: Some(6),
    in_default_score: true,
    parameters: &[Parameter {
        name: "maxRestartCount",
        summary: "Restarts of a container that are accepted",
        default: Value::Integer(3),
    }],
    peers: &["popeye:205"],
    details: false,
    check: Check::Live(check),
    ..Rule::BASE
};

fn check(context: &Context<'_>, found: &mut Violations) {
    let Some(status) = &context.workload.status else { return };
    let init_containers = &context.workload.pod.init_containers;
    let is_sidecar = |name: &str| init_containers.iter().any(|init| *init.name == *name && init.is_sidecar());
    for (index, container) in status.container_statuses.iter().enumerate() {
        check_container(context, "containerStatuses", index, container, found);
    }
    for (index, container) in status.init_container_statuses.iter().enumerate() {
        if is_sidecar(&container.name) {
            check_container(context, "initContainerStatuses", index, container, found);
        }
    }
}

fn check_container(
    context: &Context<'_>,
    list: &str,
    index: usize,
    status: &ContainerStatus<'_>,
    found: &mut Violations,
) {
    let allowed = context.parameters.integer("maxRestartCount");
    let restarts = u64::from(status.restart_count);
    if restarts > allowed {
        found.add(&Finding {
            container: Some(&status.name),
            count: restarts.min(CAP),
            path: format_args!("status.{list}[{index}].restartCount"),
            message: format_args!(
                "restarted {restarts} times, more than {allowed}: read the log of its last run (kubectl logs -p)"
            ),
        });
    }
}
