//! A probe or hook that connects to another host than its pod.

use crate::rules::{Category, Check, Context, Rule, RuleId, Severity, Violations};
use crate::workload::Handler;

/// A probe or hook that connects to another host than its pod.
pub(super) static RULE: Rule = Rule {
    id: RuleId::new("probe-host"),
    summary: "A probe or lifecycle hook that connects to another host than its pod",
    docs: "\
## What it does
Reports a `host` in the `httpGet` or `tcpSocket` of a liveness, readiness or startup probe, or of a postStart or
preStop hook.

## Why is this bad
The kubelet makes the request from the node. With a host of the author's choice it reaches addresses that the pod
itself may not reach. A probe of another host also says nothing about this container.

## Example
```yaml
livenessProbe:
  httpGet: {host: 127.0.0.1, port: 80}    # bad: leave host out
```

## Exceptions
An empty host is none. The Pod Security level `baseline` refuses the field since Kubernetes 1.34.
",
    category: Category::Security,
    severity: Severity::Medium,
    peers: &["pss:hostProbesAndHostLifecycle"],
    check: Check::Pod(check),
    expression: Some(include_str!("probe_host.cel")),
    ..Rule::BASE
};

fn check(context: &Context<'_>, found: &mut Violations) {
    for place in context.containers() {
        let container = place.container;
        let probes = [
            ("livenessProbe", container.liveness_probe.as_ref()),
            ("readinessProbe", container.readiness_probe.as_ref()),
            ("startupProbe", container.startup_probe.as_deref()),
        ];
        let hooks = [
            ("lifecycle.postStart", container.lifecycle.as_ref().and_then(|hooks| hooks.post_start.as_ref())),
            ("lifecycle.preStop", container.lifecycle.as_ref().and_then(|hooks| hooks.pre_stop.as_ref())),
        ];
        let handlers =
            probes.map(|(field, probe)| (field, probe.map(|probe| &probe.handler))).into_iter().chain(hooks);
        for (field, handler) in handlers {
            for (field_of_host, host) in handler.into_iter().flat_map(Handler::hosts) {
                found.about(host).in_container(
                    &place,
                    format_args!("{field}.{field_of_host}"),
                    format_args!("names a host to connect to: remove it, so that the pod itself is asked"),
                );
            }
        }
    }
}
