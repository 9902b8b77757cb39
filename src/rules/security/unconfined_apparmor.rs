//! A pod or container without an `AppArmor` profile, on purpose.

use crate::rules::{Category, Check, Context, Rule, RuleId, Severity, Violations};
use crate::workload::Labels;

/// A pod or container without an `AppArmor` profile, on purpose.
pub(super) static RULE: Rule = Rule {
    id: RuleId::new("unconfined-apparmor"),
    summary: "A pod or container that turns its AppArmor profile off",
    docs: "\
## What it does
Reports AppArmor profiles, of the pod or of a container, whose type is set and is neither `RuntimeDefault` nor
`Localhost`. It also reports the former annotations `container.apparmor.security.beta.kubernetes.io/*` with any value
but nothing, `runtime/default` and `localhost/...`.

## Why is this bad
Where nodes have AppArmor, the runtime's profile keeps a container from mounting filesystems and from writing to the
kernel's settings.

## Example
```yaml
appArmorProfile: {type: Unconfined}    # bad
```

## Exceptions
An absent profile means the default of the runtime.
",
    category: Category::Security,
    severity: Severity::High,
    peers: &["polaris:linuxHardening", "pss:appArmorProfile"],
    check: Check::Pod(check),
    expression: Some(include_str!("unconfined_apparmor.cel")),
    ..Rule::BASE
};

/// The prefix of the annotations that named profiles before Kubernetes 1.30.
const ANNOTATION: &str = "container.apparmor.security.beta.kubernetes.io/";

fn check(context: &Context<'_>, found: &mut Violations) {
    let problem = "turns its AppArmor profile off: use RuntimeDefault";
    if context
        .pod_security()
        .and_then(|pod| pod.app_armor_profile.as_ref())
        .is_some_and(|own| !confines(&own.type_))
    {
        found.in_object(
            format_args!("{}.securityContext.appArmorProfile.type", context.pod_path()),
            format_args!("{problem}"),
        );
    }
    for place in context.containers() {
        let own = place.security().and_then(|own| own.app_armor_profile.as_ref());
        if own.is_some_and(|own| !confines(&own.type_)) {
            found.in_container(&place, "securityContext.appArmorProfile.type", format_args!("{problem}"));
        }
    }
    for (key, value) in context.workload.pod_annotations().into_iter().flat_map(Labels::iter) {
        if key.starts_with(ANNOTATION)
            && !matches!(value, "" | "runtime/default")
            && !value.starts_with("localhost/")
        {
            found.about(key).in_object(
                format_args!("{}.annotations['{key}']", context.workload.pod_metadata_path()),
                format_args!("turns an AppArmor profile off: use runtime/default"),
            );
        }
    }
}

/// Returns true if a type of profile confines the container.
fn confines(type_: &str) -> bool {
    matches!(type_, "RuntimeDefault" | "Localhost")
}
