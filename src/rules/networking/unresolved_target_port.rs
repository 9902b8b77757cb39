//! A named target port that the pods do not declare.

use crate::inventory::{PodGroup, ServicePort, TargetPort};
use crate::rules::{Category, Check, Findings, Relations, Rule, RuleId, Severity};
use crate::workload::Kind;

/// A named target port that the pods do not declare.
pub(super) static RULE: Rule = Rule {
    id: RuleId::new("unresolved-target-port"),
    summary: "A named target port that the pods do not declare",
    docs: "\
## What it does
Reports ports of a Service whose `targetPort` is a name that a selected pod declares in no container or sidecar, with
the protocol of the Service's port.

## Why is this bad
The Service has no endpoint for this port in such a pod.

## Example
```yaml
ports:
- port: 80
  targetPort: http    # bad unless a container declares a port with the name http
```

## Exceptions
A number always works, whether a container declares it or not. Pods and templates of one workload count together: while it
is updated, and where the input has it in several variants, one of them is enough.
",
    category: Category::Networking,
    severity: Severity::High,
    peers: &["kube-linter:invalid-target-ports", "popeye:1106"],
    check: Check::Relation { reads: &[Kind::Service, Kind::Pod, Kind::Template], check },
    ..Rule::BASE
};

fn check(context: &Relations<'_>, found: &mut Findings) {
    let inventory = context.inventory;
    for known in inventory.all(Kind::Service) {
        let Some(service) = known.service().filter(|service| service.selects_pods()) else { continue };
        let is_named = |port: &ServicePort| matches!(port.target_port, Some(TargetPort::Name(_)));
        if !service.ports.iter().any(is_named) {
            continue;
        }
        let pods = inventory.matching(&known.identity.namespace, &service.selector);
        for (index, port) in service.ports.iter().enumerate() {
            let Some(TargetPort::Name(name)) = &port.target_port else { continue };
            let declares = |group: &&&PodGroup| {
                let mut ports = group.shape.ports.iter();
                ports.any(|own| *own.name == **name && *own.protocol == *port.protocol())
            };
            // An input can have a workload in several variants, of which the Service fits one.
            let has_variant = |group: &PodGroup| {
                let mut variants = pods.iter().filter(|one| one.workload() == group.workload());
                variants.any(|one| declares(&one))
            };
            if let Some(group) = pods.iter().find(|group| !declares(group) && !has_variant(group)) {
                let (workload, protocol) = (group.workload(), port.protocol());
                found.report(
                    &known.identity,
                    format_args!("spec.ports[{index}].targetPort"),
                    format_args!("{workload} declares no {protocol} port {name}: name it in a container"),
                );
            }
        }
    }
}
