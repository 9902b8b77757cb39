//! A pod or container with an `SELinux` label of its own.

use crate::rules::{Category, Check, Context, Rule, RuleId, Severity, Violations};
use crate::workload::SecurityContext;

/// A pod or container with an `SELinux` label of its own.
pub(super) static RULE: Rule = Rule {
    id: RuleId::new("custom-selinux-options"),
    summary: "A pod or container with an SELinux label that confines it less",
    docs: "\
## What it does
Reports `seLinuxOptions`, of the pod or of a container, with a user, with a role, or with a type other than
`container_t`, `container_init_t`, `container_kvm_t` and `container_engine_t`.

## Why is this bad
On nodes with SELinux the label keeps containers away from the node and from each other. Another type, such as
`spc_t`, lifts that.

## Example
```yaml
seLinuxOptions: {type: spc_t}    # bad
```

## Exceptions
A level alone is fine, and so is an empty type.
",
    category: Category::Security,
    severity: Severity::High,
    peers: &["pss:seLinuxOptions"],
    check: Check::Pod(check),
    expression: Some(include_str!("custom_selinux_options.cel")),
    ..Rule::BASE
};

fn check(context: &Context<'_>, found: &mut Violations) {
    if let Some(field) = context.pod_security().and_then(|pod| custom_field(pod)) {
        found.in_object(
            format_args!("{}.securityContext.seLinuxOptions.{field}", context.pod_path()),
            format_args!("sets an SELinux {field} that may confine it less: remove it"),
        );
    }
    for place in context.containers() {
        if let Some(field) = place.security().and_then(|own| custom_field(own)) {
            found.in_container(
                &place,
                format_args!("securityContext.seLinuxOptions.{field}"),
                format_args!("sets an SELinux {field} that may confine it less: remove it"),
            );
        }
    }
}

/// Returns the first field of the `SELinux` options that may confine a container less.
fn custom_field(context: &SecurityContext<'_>) -> Option<&'static str> {
    let options = context.se_linux_options.as_ref()?;
    let usual = ["", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"];
    if !usual.contains(&&*options.type_) {
        Some("type")
    } else if !options.user.is_empty() {
        Some("user")
    } else if !options.role.is_empty() {
        Some("role")
    } else {
        None
    }
}
