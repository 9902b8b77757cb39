//! A container that adds a capability beyond the usual ones.

use crate::rules::{Category, Check, Context, Rule, RuleId, Severity, Violations};

/// A container that adds a capability beyond the usual ones.
pub(super) static RULE: Rule = Rule {
    id: RuleId::new("non-default-capability"),
    summary: "A container that adds a capability beyond the usual ones",
    docs: "\
## What it does
Reports containers that add a capability other than those that container runtimes give anyway: AUDIT_WRITE, CHOWN,
DAC_OVERRIDE, FOWNER, FSETID, KILL, MKNOD, NET_BIND_SERVICE, SETFCAP, SETGID, SETPCAP, SETUID and SYS_CHROOT.

## Why is this bad
Capabilities such as SYS_ADMIN or NET_ADMIN are a large part of root's rights, and some of them lead out of the
container.

## Example
```yaml
capabilities:
  add: [SYS_ADMIN]    # bad
```

## Exceptions
Names are compared exactly, as the Pod Security level `baseline` does: `CAP_CHOWN` and `chown` are reported too.
",
    category: Category::Security,
    severity: Severity::High,
    peers: &["polaris:dangerousCapabilities", "pss:capabilities_baseline"],
    check: Check::Pod(check),
    expression: Some(include_str!("non_default_capability.cel")),
    ..Rule::BASE
};

fn check(context: &Context<'_>, found: &mut Violations) {
    for place in context.containers() {
        let Some(capabilities) = place.security().and_then(|own| own.capabilities.as_ref()) else { continue };
        for (index, added) in capabilities.add.iter().enumerate() {
            if !USUAL.contains(&&**added) {
                found.about(added).in_container(
                    &place,
                    format_args!("securityContext.capabilities.add[{index}]"),
                    format_args!("adds the capability {added}: remove it, or find a lesser one"),
                );
            }
        }
    }
}

/// The capabilities that the Pod Security level `baseline` lets a container add:
/// <https://kubernetes.io/docs/concepts/security/pod-security-standards/>.
const USUAL: [&str; 13] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];
