//! A container that uses almost all that its limit allows.

use crate::inventory::Content;
use crate::rules::{Category, Check, Findings, Parameter, Relations, Rule, RuleId, Severity, Value};
use crate::workload::{Kind, Quantity};

/// The percentage of the limit from which a use is near it.
const NEAR: i128 = 90;

/// A container that uses almost all that its limit allows.
pub(super) static RULE: Rule = Rule {
    id: RuleId::new("usage-near-limit"),
    summary: "A container that uses 90% of its memory limit or more",
    docs: "\
## What it does
Reports containers whose use of memory is at least 90% of their limit, as the API `metrics.k8s.io` measures it. With the
parameter `cpu`, the use of CPU counts too.

## Why is this bad
A container above its memory limit is killed. One at its CPU limit is slowed down.

## Example
```yaml
kind: PodMetrics
containers: [{name: web, usage: {memory: 490Mi}}]    # bad: the limit is 512Mi
```

## Exceptions
Containers without a limit are skipped. The answer is unknown for the pods of a cluster without the API. One measurement is
no proof, so the rule is in `all` only.
",
    category: Category::Efficiency,
    severity: Severity::Medium,
    recommended: Some(false),
    peers: &["popeye:111", "popeye:112"],
    parameters: &[Parameter {
        name: "cpu",
        summary: "true if the use of CPU counts too",
        default: Value::Boolean(false),
    }],
    check: Check::Relation { reads: &[Kind::PodMetrics, Kind::Pod], check },
    ..Rule::BASE
};

fn check(context: &Relations<'_>, found: &mut Findings) {
    let (inventory, with_cpu) = (context.inventory, context.parameters.boolean("cpu"));
    let all = inventory.all(Kind::PodMetrics);
    if all.is_empty() {
        found.unknown_in(inventory.pods_with_memory_limit());
    }
    for known in all {
        let Content::PodUsage(used) = known.content() else { continue };
        let Some((pod, shape)) = inventory.pod(&known.identity.namespace, &known.identity.name) else {
            continue;
        };
        for (index, limits) in shape.limits.iter().enumerate() {
            let Some(container) = used.containers.iter().find(|one| *one.name == *limits.container) else {
                continue;
            };
            let usage = &container.usage;
            for (name, used, limit) in
                [("memory", usage.memory, limits.memory), ("cpu", usage.cpu.filter(|_| with_cpu), limits.cpu)]
            {
                let Some(percent) = near(used, limit) else { continue };
                found.report(
                    &pod,
                    format_args!("spec.containers[{index}].resources.limits.{name}"),
                    format_args!(
                        "container {} uses {percent}% of its {name} limit: raise the limit, or find what it uses it for",
                        limits.container
                    ),
                );
            }
        }
    }
}

/// Returns the percentage of a limit that is in use, if it is near the limit.
fn near(used: Option<Quantity>, limit: Option<Quantity>) -> Option<i128> {
    let percent = used?.percent_of(limit?);
    (percent >= NEAR).then_some(percent)
}
