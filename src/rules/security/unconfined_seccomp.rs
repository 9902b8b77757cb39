//! A pod or container without any seccomp profile, on purpose.

use crate::rules::{Category, Check, Context, Rule, RuleId, Severity, Violations};

/// A pod or container without any seccomp profile, on purpose.
pub(super) static RULE: Rule = Rule {
    id: RuleId::new("unconfined-seccomp"),
    summary: "A pod or container that turns its seccomp profile off",
    docs: "\
## What it does
Reports seccomp profiles, of the pod or of a container, whose type is set and is neither `RuntimeDefault` nor
`Localhost`.

## Why is this bad
All system calls of the kernel are open to the container, the old and rarely tested ones too. Many ways out of a
container begin with one of those.

## Example
```yaml
seccompProfile: {type: Unconfined}    # bad
```

## Exceptions
An absent profile is reported by `missing-seccomp-profile`. An empty profile counts as one of no valid type.
",
    category: Category::Security,
    severity: Severity::High,
    peers: &["polaris:linuxHardening", "pss:seccompProfile_baseline"],
    check: Check::Pod(check),
    expression: Some(include_str!("unconfined_seccomp.cel")),
    ..Rule::BASE
};

fn check(context: &Context<'_>, found: &mut Violations) {
    let problem = "turns its seccomp profile off: use RuntimeDefault";
    if context
        .pod_security()
        .and_then(|pod| pod.seccomp_profile.as_ref())
        .is_some_and(|own| !confines(&own.type_))
    {
        found.in_object(
            format_args!("{}.securityContext.seccompProfile.type", context.pod_path()),
            format_args!("{problem}"),
        );
    }
    for place in context.containers() {
        let own = place.security().and_then(|own| own.seccomp_profile.as_ref());
        if own.is_some_and(|own| !confines(&own.type_)) {
            found.in_container(&place, "securityContext.seccompProfile.type", format_args!("{problem}"));
        }
    }
}

/// Returns true if a type of profile confines the container.
fn confines(type_: &str) -> bool {
    matches!(type_, "RuntimeDefault" | "Localhost")
}
