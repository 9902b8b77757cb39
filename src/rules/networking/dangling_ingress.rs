//! An Ingress to a Service or port that does not exist.

use crate::inventory::{BackendPort, Ingress, Known, Service};
use crate::rules::{Category, Check, Findings, Relations, Rule, RuleId, Severity};
use crate::workload::Kind;

/// An Ingress to a Service or port that does not exist.
pub(super) static RULE: Rule = Rule {
    id: RuleId::new("dangling-ingress"),
    summary: "An Ingress to a Service or port that does not exist",
    docs: "\
## What it does
Reports backends of an Ingress, the default one too, whose Service does not exist or does not have the port.

## Why is this bad
Requests get an error from the ingress controller.

## Example
```yaml
backend:
  service:
    name: web
    port: {number: 8080}    # bad: the Service has port 80 only
```

## Exceptions
Backends that are no Services are skipped, and so are the ports of ExternalName Services and the port `use-annotation`
of the AWS controller. If the input may lack Services, a missing one has an unknown answer.
",
    category: Category::Networking,
    severity: Severity::High,
    peers: &[
        "kube-score:ingress-targets-service",
        "kube-linter:dangling-ingress",
        "popeye:1401",
        "popeye:1402",
        "popeye:1404",
    ],
    check: Check::Relation { reads: &[Kind::Ingress, Kind::Service], check },
    ..Rule::BASE
};

fn check(context: &Relations<'_>, found: &mut Findings) {
    let inventory = context.inventory;
    for known in inventory.all(Kind::Ingress) {
        let namespace = &*known.identity.namespace;
        let mut is_unknown = false;
        for (path, backend) in known.ingress().into_iter().flat_map(Ingress::backends) {
            let Some((name, port)) = backend.service() else { continue };
            if port == BackendPort::Name("use-annotation") {
                continue;
            }
            let Some(service) = inventory.find(Kind::Service, namespace, name).and_then(Known::service)
            else {
                if inventory.is_closed(Kind::Service, namespace) {
                    let message = format_args!("there is no Service {name}: create it, or name another");
                    found.report(&known.identity, format_args!("{path}"), message);
                } else {
                    is_unknown = true;
                }
                continue;
            };
            if !service.is_external_name() && !has_port(service, port) {
                let message = format_args!("Service {name} has no such port: name one that it has");
                found.report(&known.identity, format_args!("{path}.service.port"), message);
            }
        }
        if is_unknown {
            found.unknown(&known.identity);
        }
    }
}

fn has_port(service: &Service, port: BackendPort<'_>) -> bool {
    match port {
        BackendPort::Absent => true,
        BackendPort::Number(number) => service.ports.iter().any(|own| own.port == number),
        BackendPort::Name(name) => service.ports.iter().any(|own| own.name == name),
    }
}
