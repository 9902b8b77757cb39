//! A container whose processes can gain more rights.

use crate::rules::{Category, Check, Context, Rule, RuleId, Severity, Violations};

/// A container whose processes can gain more rights.
pub(super) static RULE: Rule = Rule {
    id: RuleId::new("privilege-escalation"),
    summary: "A container whose processes can gain more rights than they started with",
    docs: "\
## What it does
Reports containers without `allowPrivilegeEscalation: false`.

## Why is this bad
A process can run a setuid program such as sudo and become root, whatever user the container started as.

## Example
```yaml
securityContext:
  allowPrivilegeEscalation: false
```

## Exceptions
Pods with `os.name: windows` are skipped. The field exists only in containers; the pod's security context has none.
",
    category: Category::Security,
    severity: Severity::Medium,
    manual_fix: Some("allowPrivilegeEscalation: false, unless the container is privileged or adds SYS_ADMIN"),
    peers: &[
        "polaris:privilegeEscalationAllowed",
        "kube-linter:privilege-escalation-container",
        "pss:allowPrivilegeEscalation",
    ],
    check: Check::Pod(check),
    expression: Some(include_str!("privilege_escalation.cel")),
    ..Rule::BASE
};

fn check(context: &Context<'_>, found: &mut Violations) {
    if context.workload.pod.is_windows() {
        return;
    }
    for place in context.containers() {
        if place.security().and_then(|own| own.allow_privilege_escalation) != Some(false) {
            found.in_container(
                &place,
                "securityContext.allowPrivilegeEscalation",
                format_args!("its processes can gain more rights: set allowPrivilegeEscalation to false"),
            );
        }
    }
}
