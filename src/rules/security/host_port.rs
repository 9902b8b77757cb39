//! A container that takes a port of its node.

use crate::rules::{Category, Check, Context, Rule, RuleId, Severity, Violations};

/// A container that takes a port of its node.
pub(super) static RULE: Rule = Rule {
    id: RuleId::new("host-port"),
    summary: "A container that takes a port of its node",
    docs: "\
## What it does
Reports ports of containers with a `hostPort` that is not 0.

## Why is this bad
Two pods with the same port cannot run on one node, so a rollout may hang. The port is open on the node's addresses,
where Services and most NetworkPolicies don't guard it.

## Example
```yaml
ports:
- containerPort: 8080
  hostPort: 8080    # bad: use a Service
```

## Exceptions
Under `hostNetwork` the API server copies every declared port to `hostPort`. The ports of such a pod count as one
finding. The Pod Security level `baseline` refuses the field.
",
    category: Category::Security,
    severity: Severity::Medium,
    peers: &["polaris:hostPortSet", "pss:hostPorts"],
    check: Check::Pod(check),
    expression: Some(include_str!("host_port.cel")),
    ..Rule::BASE
};

fn check(context: &Context<'_>, found: &mut Violations) {
    let on_host_network = context.workload.pod.host_network;
    for place in context.containers() {
        let ports = place.container.ports.iter().enumerate().filter(|(_, port)| port.host_port != 0);
        for (index, port) in ports.clone() {
            // One finding stands for all ports on the host network.
            for (_, port) in ports.clone().filter(|(other, _)| on_host_network || *other == index) {
                found.about(format_args!("{}/{}", port.host_port, port.protocol()));
            }
            found.in_container(
                &place,
                format_args!("ports[{index}].hostPort"),
                format_args!("takes port {} of the node: use a Service instead", port.host_port),
            );
            if on_host_network {
                return;
            }
        }
    }
}
