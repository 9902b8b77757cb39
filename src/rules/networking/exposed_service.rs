//! A Service that is open to the outside.

use crate::inventory::Content;
use crate::rules::{Category, Check, ObjectContext, Parameter, Rule, RuleId, Severity, Value, Violations};
use crate::workload::{Kind, Labels};

/// A Service that is open to the outside.
pub(super) static RULE: Rule = Rule {
    id: RuleId::new("exposed-service"),
    summary: "A Service that every node opens a port for",
    docs: "\
## What it does
Reports Services of type NodePort. With `loadBalancers`, it also reports those of type LoadBalancer without an
annotation that makes the load balancer an internal one.

## Why is this bad
The port is open on every node of the cluster, past the Ingress with its TLS, authentication and limits.

## Example
```yaml
spec:
  type: NodePort    # bad: use ClusterIP with an Ingress or a Gateway
```

## Exceptions
Load balancers are skipped unless `loadBalancers` is on: they are the usual way into a cluster.
",
    category: Category::Networking,
    severity: Severity::Low,
    peers: &["kube-score:service-type", "kube-linter:exposed-services", "popeye:1103", "popeye:1104"],
    parameters: &[Parameter {
        name: "loadBalancers",
        summary: "reports Services of type LoadBalancer, too",
        default: Value::Boolean(false),
    }],
    check: Check::Object { reads: &[Kind::Service], check },
    ..Rule::BASE
};

fn check(context: &ObjectContext<'_>, found: &mut Violations) {
    let Content::Service(service) = &context.object.content else { return };
    let is_open = match service.type_.as_str() {
        "NodePort" => true,
        "LoadBalancer" => context.parameters.boolean("loadBalancers") && !is_internal(context),
        _ => false,
    };
    if is_open {
        found.in_object(
            format_args!("spec.type"),
            format_args!("the Service is of type {}: use ClusterIP behind an Ingress", service.type_),
        );
    }
}

/// Returns true if an annotation asks for a load balancer within the network. Each cloud has its own.
fn is_internal(context: &ObjectContext<'_>) -> bool {
    let annotations = context.object.metadata.annotations.as_ref();
    annotations.into_iter().flat_map(Labels::iter).any(|(key, value)| {
        let is_about = key.contains("load-balancer") || key.contains("loadbalancer");
        let is_flag = key.contains("internal") && !value.eq_ignore_ascii_case("false");
        is_about && (is_flag || value.eq_ignore_ascii_case("internal"))
    })
}
