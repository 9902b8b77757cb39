//! A liveness probe that restarts a container that is only not ready.

use crate::rules::{Category, Check, Context, Rule, RuleId, Severity, Violations};
use crate::workload::{Handler, Probe};

/// A liveness probe that restarts a container that is only not ready.
pub(super) static RULE: Rule = Rule {
    id: RuleId::new("identical-probes"),
    summary: "A liveness probe that fails with the readiness probe",
    docs: "\
## What it does
Reports containers whose liveness and readiness probe make the same request, if liveness does not give up later:
`periodSeconds` times `failureThreshold` of liveness is at most that of readiness.

## Why is this bad
A container that is too busy to answer should get no traffic for a while. With equal probes it is restarted instead,
and the load moves on to the others, which fail next.

## Example
```yaml
livenessProbe:  {httpGet: {path: /health, port: 80}}
readinessProbe: {httpGet: {path: /health, port: 80}}    # bad
```

## Exceptions
Probes with different requests, and a liveness probe that is more patient, are fine.
",
    category: Category::Reliability,
    severity: Severity::Low,
    peers: &["kube-score:pod-probes-identical"],
    check: Check::Pod(check),
    expression: Some(include_str!("identical_probes.cel")),
    ..Rule::BASE
};

fn check(context: &Context<'_>, found: &mut Violations) {
    for place in context.containers() {
        let (Some(liveness), Some(readiness)) =
            (&place.container.liveness_probe, &place.container.readiness_probe)
        else {
            continue;
        };
        let patience = |probe: &Probe<'_>| probe.period_seconds.saturating_mul(probe.failure_threshold);
        if makes_same_request(liveness, readiness) && patience(liveness) <= patience(readiness) {
            found.in_container(
                &place,
                "livenessProbe",
                format_args!(
                    "fails with the readiness probe: raise its failureThreshold, or ask something else"
                ),
            );
        }
    }
}

/// Returns true if two probes make the same request. Absent fields are the API server's defaults.
fn makes_same_request(a: &Probe<'_>, b: &Probe<'_>) -> bool {
    let asks = a.grpc.is_some() || a.handler != Handler::default();
    asks && a.grpc == b.grpc && with_defaults(&a.handler) == with_defaults(&b.handler)
}

fn with_defaults<'a>(handler: &Handler<'a>) -> Handler<'a> {
    let mut handler = handler.clone();
    if let Some(get) = &mut handler.http_get {
        if get.path.is_empty() {
            get.path = "/".into();
        }
        if get.scheme.is_empty() {
            get.scheme = "HTTP".into();
        }
    }
    handler
}
