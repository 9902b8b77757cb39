//! A probe or hook that names a port that its container does not declare.

use crate::rules::{Category, Check, Context, Rule, RuleId, Severity, Violations};
use crate::workload::{Handler, Port};

/// A probe or hook that names a port that its container does not declare.
pub(super) static RULE: Rule = Rule {
    id: RuleId::new("unresolved-probe-port"),
    summary: "A probe or hook that names a port that its container does not declare",
    docs: "\
## What it does
Reports probes and lifecycle hooks whose `httpGet` or `tcpSocket` has the name of a port, if the same container
declares no port of this name.

## Why is this bad
The kubelet cannot find the port, so the probe always fails: the container is restarted again and again, or never gets
traffic.

## Example
```yaml
ports: [{name: http, containerPort: 80}]
readinessProbe: {httpGet: {port: web}}    # bad
```

## Exceptions
A number needs no declared port.
",
    category: Category::Reliability,
    severity: Severity::High,
    peers: &["kube-linter:liveness-port", "kube-linter:readiness-port", "kube-linter:startup-port"],
    check: Check::Pod(check),
    expression: Some(include_str!("unresolved_probe_port.cel")),
    ..Rule::BASE
};

fn check(context: &Context<'_>, found: &mut Violations) {
    for place in context.containers() {
        let container = place.container;
        let hooks = container.lifecycle.as_deref();
        let handlers = [
            ("livenessProbe", container.liveness_probe.as_ref().map(|probe| &probe.handler)),
            ("readinessProbe", container.readiness_probe.as_ref().map(|probe| &probe.handler)),
            ("startupProbe", container.startup_probe.as_deref().map(|probe| &probe.handler)),
            ("lifecycle.postStart", hooks.and_then(|hooks| hooks.post_start.as_ref())),
            ("lifecycle.preStop", hooks.and_then(|hooks| hooks.pre_stop.as_ref())),
        ];
        for (field, handler) in handlers {
            let Some(Port::Name(name)) = handler.and_then(Handler::port) else { continue };
            if !container.ports.iter().any(|port| port.name == *name) {
                found.about(name).in_container(
                    &place,
                    field,
                    format_args!(
                        "connects to the port {name}, which the container does not declare: declare it"
                    ),
                );
            }
        }
    }
}
