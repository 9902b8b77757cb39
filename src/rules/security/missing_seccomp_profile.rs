//! A container without a seccomp profile.

use crate::rules::{Category, Check, Context, Rule, RuleId, Severity, Violations};

/// A container without a seccomp profile.
pub(super) static RULE: Rule = Rule {
    id: RuleId::new("missing-seccomp-profile"),
    summary: "A container without a seccomp profile",
    docs: "\
## What it does
Reports containers without a `seccompProfile`, neither their own nor the pod's.

## Why is this bad
Unless the kubelet sets a default, all system calls of the kernel are open to the container. The profile of the
runtime closes those that few programs need.

## Example
```yaml
securityContext:
  seccompProfile: {type: RuntimeDefault}
```

## Exceptions
Pods with `os.name: windows` are skipped. A profile that is set to something else is reported by `unconfined-seccomp`.
",
    category: Category::Security,
    severity: Severity::Medium,
    manual_fix: Some("seccompProfile: {type: RuntimeDefault}, in the security context of the pod"),
    peers: &["polaris:linuxHardening", "kube-score:container-seccomp-profile", "pss:seccompProfile_restricted"],
    check: Check::Pod(check),
    expression: Some(include_str!("missing_seccomp_profile.cel")),
    ..Rule::BASE
};

fn check(context: &Context<'_>, found: &mut Violations) {
    let pod = context.pod_security().and_then(|pod| pod.seccomp_profile.as_ref());
    if context.workload.pod.is_windows() || pod.is_some() {
        return;
    }
    for place in context.containers() {
        if place.security().and_then(|own| own.seccomp_profile.as_ref()).is_none() {
            found.in_container(
                &place,
                "securityContext.seccompProfile",
                format_args!("has no seccomp profile: set the type RuntimeDefault, here or in the pod"),
            );
        }
    }
}
