//! Allows a container that uses resources without bounds, or is evicted first.

mod fix;

use crate::inventory::Amounts;
use crate::rules::{
    Category, Check, ContainerPlace, Context, Fix, Parameter, Rule, RuleId, Severity, Value, Violations,
};
use crate::workload::{Kind, Quantity, Resources};

/// A container without requests, or without a memory limit.
pub static RULE: Rule = Rule {
    id: RuleId::new("missing-resources"),
    summary: "A container without a CPU request, memory request or memory limit",
    label: Some("Missing resources"),
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
Pod-level `spec.resources` counts for every container. Init containers are not counted. In manifests, and in live
workloads without pods, what a LimitRange of the namespace supplies to new containers is not missing. A live pod has it
already.
",
    category: Category::Efficiency,
    severity: Severity::Medium,
    weight: Some(2),
    in_default_score: false,
    parameters: &[Parameter {
        name: "cpuLimit",
        summary: "Whether a CPU limit is required as well",
        default: Value::Boolean(false),
    }],
    peers: &[
        "polaris:cpuRequestsMissing",
        "polaris:cpuLimitsMissing",
        "polaris:memoryRequestsMissing",
        "polaris:memoryLimitsMissing",
        "kube-score:container-resources",
        "kube-score:container-ephemeral-storage-request-and-limit",
        "kube-linter:unset-cpu-requirements",
        "kube-linter:unset-memory-requirements",
        "popeye:106",
        "popeye:107",
    ],
    details: false,
    supplied_by: &[Kind::LimitRange],
    expression: Some(include_str!("missing_resources.cel")),
    check: Check::Pod(check),
    fix: Some(Fix {
        summary: "those of the default requests and limits that are missing",
        field: "resources",
        compute: fix::compute,
    }),
    ..Rule::BASE
};

fn check(context: &Context<'_>, found: &mut Violations) {
    for (place, amounts) in lacking(context) {
        amounts.names().for_each(|name| {
            found.about(name);
        });
        found.in_container(&place, "resources", format_args!("{}", lacking_message(amounts)));
    }
}

/// Returns the containers that lack requests or limits, each with those that are missing.
pub fn lacking<'a>(context: &Context<'a>) -> impl Iterator<Item = (ContainerPlace<'a>, Amounts)> + use<'a> {
    let pod = context.workload.pod.resources.unwrap_or_default();
    let cpu_limit = context.parameters.boolean("cpuLimit");
    let lacking = context.main_containers().map(move |place| {
        let own = place.container.resources.unwrap_or_default();
        let lacks = |amount: fn(&Resources) -> Option<Quantity>| amount(&own).or(amount(&pod)).is_none();
        let amounts = [
            lacks(Resources::cpu_request),
            lacks(Resources::memory_request),
            cpu_limit && lacks(Resources::cpu_limit),
            lacks(Resources::memory_limit),
        ];
        (place, Amounts(amounts))
    });
    lacking.filter(|(_, amounts)| !amounts.is_empty())
}

/// Returns the message about missing requests and limits.
pub fn lacking_message(amounts: Amounts) -> String {
    let names: Vec<&str> = amounts.names().collect();
    format!("no {}: set what the container needs", names.join(", no "))
}
