//! Allows a container that uses resources without bounds, or is evicted first.

mod fix;

use super::{Category, Context, Finding, Fix, Parameter, Rule, RuleId, Severity, Value, Violations};
use crate::workload::{Quantity, Resources};

/// A container without requests, or without a memory limit.
pub static MISSING_RESOURCES: Rule = Rule {
    id: RuleId::new("missing-resources"),
    summary: "A container without a CPU request, memory request or memory limit",
    label: "Missing resources",
    docs: "\
## What it does
Counts containers without a CPU request, memory request or memory limit. A CPU limit is required only if
the policy sets `cpuLimit`.

## Why is this bad
Without requests the scheduler places the pod without knowing its needs, and the pod is evicted first. Without a
memory limit, one leak affects every other pod on the node.

## Example
```yaml
resources:
  requests: {cpu: 100m, memory: 128Mi}
  limits: {memory: 128Mi}
```

## Exceptions
Zero counts as none. A limit without a request counts as the request too, because the API server copies it.
Pod-level `spec.resources` counts for every container. Init containers are not counted.
",
    category: Category::Efficiency,
    severity: Severity::Medium,
    weight: 2,
    in_default_score: false,
    since: "0.1.0",
    parameters: &[Parameter {
        name: "cpuLimit",
        summary: "Whether a CPU limit is required as well",
        default: Value::Boolean(false),
    }],
    applies_to: |_| true,
    check,
    expression: Some(include_str!("missing_resources.cel")),
    fix: Some(Fix { summary: "those of the default requests and limits that are missing", mend: fix::mend }),
};

fn check(context: &Context<'_>, found: &mut Violations) {
    let pod = context.workload.pod.resources.unwrap_or_default();
    let cpu_limit = context.boolean(0);
    for (index, container) in context.workload.pod.containers.iter().enumerate() {
        let own = container.resources.unwrap_or_default();
        let lacks = |amount: fn(&Resources) -> Option<Quantity>| amount(&own).or(amount(&pod)).is_none();
        let missing = [
            ("CPU request", lacks(Resources::cpu_request)),
            ("memory request", lacks(Resources::memory_request)),
            ("CPU limit", cpu_limit && lacks(Resources::cpu_limit)),
            ("memory limit", lacks(Resources::memory_limit)),
        ];
        let missing: Vec<&str> = missing.iter().filter(|(_, lacks)| *lacks).map(|(what, _)| *what).collect();
        if !missing.is_empty() {
            found.add(&Finding {
                container: Some(&container.name),
                count: 1,
                path: format_args!("{}.containers[{index}].resources", context.workload.pod_path()),
                message: format_args!("no {}: set what the container needs", missing.join(", no ")),
            });
        }
    }
}
