//! An Ingress that serves a host without TLS.

use crate::inventory::Content;
use crate::rules::{Category, Check, ObjectContext, Rule, RuleId, Severity, Violations};
use crate::workload::Kind;

/// An Ingress that serves a host without TLS.
pub(super) static RULE: Rule = Rule {
    id: RuleId::new("plaintext-ingress"),
    summary: "An Ingress that serves a host without TLS",
    docs: "\
## What it does
Reports Ingresses without `tls`, and rules whose host no entry of `tls` covers. A wildcard covers one label, and an
entry without hosts covers all of them.

## Why is this bad
Everybody on the way reads the traffic, its passwords and cookies too, and can change it.

## Example
```yaml
spec:
  tls: []    # bad: name a Secret with a certificate, and the hosts
  rules:
  - host: shop.example.com
```

## Exceptions
Ingresses whose load balancer has the certificate (annotations of AWS and GKE), or that pass TLS through, are skipped.
",
    category: Category::Networking,
    severity: Severity::Medium,
    peers: &["polaris:tlsSettingsMissing"],
    check: Check::Object { reads: &[Kind::Ingress], check },
    ..Rule::BASE
};

/// The annotations of a certificate at the load balancer, and of TLS that the pods end.
const ELSEWHERE: [&str; 8] = [
    "alb.ingress.kubernetes.io/certificate-arn",
    "ingress.gcp.kubernetes.io/pre-shared-cert",
    "networking.gke.io/managed-certificates",
    "networking.gke.io/certmap",
    "nginx.ingress.kubernetes.io/ssl-passthrough",
    "haproxy.org/ssl-passthrough",
    "haproxy-ingress.github.io/ssl-passthrough",
    "ingress.kubernetes.io/ssl-passthrough",
];

fn check(context: &ObjectContext<'_>, found: &mut Violations) {
    let Content::Ingress(ingress) = &context.object.content else { return };
    let ends_elsewhere = |annotation: &str| {
        context.object.metadata.annotation(annotation).is_some_and(|value| !matches!(value, "" | "false"))
    };
    if ELSEWHERE.iter().any(|annotation| ends_elsewhere(annotation)) {
        return;
    }
    if ingress.tls.is_empty() {
        found.in_object(format_args!("spec.tls"), format_args!("no TLS: add a certificate for the hosts"));
        return;
    }
    if ingress.tls.iter().any(|tls| tls.hosts.is_empty()) {
        return;
    }
    for (index, rule) in ingress.rules.iter().enumerate().filter(|(_, rule)| !rule.host.is_empty()) {
        if !ingress.tls.iter().flat_map(|tls| &tls.hosts).any(|covering| covers(covering, &rule.host)) {
            found.in_object(
                format_args!("spec.rules[{index}].host"),
                format_args!("no entry of tls has the host {}: add it", rule.host),
            );
        }
    }
}

/// Returns true if a certificate for one host is good for another. A wildcard stands for one label.
fn covers(certificate: &str, host: &str) -> bool {
    let label = || host.split_once('.').map(|(_, rest)| rest);
    certificate.eq_ignore_ascii_case(host)
        || certificate
            .strip_prefix("*.")
            .is_some_and(|domain| label().is_some_and(|rest| rest.eq_ignore_ascii_case(domain)))
}
