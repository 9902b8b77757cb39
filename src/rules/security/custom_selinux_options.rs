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
    let pod = context.pod_security().into_iter().flat_map(custom_fields);
    if let Some((field, _)) = note(pod, found) {
        found.in_object(
            format_args!("{}.securityContext.seLinuxOptions.{field}", context.pod_path()),
            format_args!("sets an SELinux {field} that may confine it less: remove it"),
        );
    }
    for place in context.containers() {
        let own = place.security().into_iter().flat_map(custom_fields);
        if let Some((field, _)) = note(own, found) {
            found.in_container(
                &place,
                format_args!("securityContext.seLinuxOptions.{field}"),
                format_args!("sets an SELinux {field} that may confine it less: remove it"),
            );
        }
    }
}

/// Notes options as what the next finding is about, and returns the first.
fn note<'a>(
    options: impl Iterator<Item = (&'static str, &'a str)>,
    found: &mut Violations,
) -> Option<(&'static str, &'a str)> {
    let mut first = None;
    for (field, value) in options {
        found.about(format_args!("{field} {value}"));
        first = first.or(Some((field, value)));
    }
    first
}

/// Returns the `SELinux` options that may confine a container less.
fn custom_fields<'a>(context: &'a SecurityContext<'_>) -> impl Iterator<Item = (&'static str, &'a str)> {
    let usual = ["", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"];
    let options = context.se_linux_options.iter();
    options.flat_map(move |options| {
        let fields = [
            ("type", &*options.type_, usual.contains(&&*options.type_)),
            ("user", &*options.user, options.user.is_empty()),
            ("role", &*options.role, options.role.is_empty()),
        ];
        fields.into_iter().filter(|(.., is_usual)| !is_usual).map(|(field, value, _)| (field, value))
    })
}
