//! A pod or container that asks to run as root.

use crate::rules::{Category, Check, Context, Rule, RuleId, Severity, Violations};

/// A pod or container that asks to run as root.
pub(super) static RULE: Rule = Rule {
    id: RuleId::new("explicit-root-user"),
    summary: "A pod or container that asks to run as root",
    docs: "\
## What it does
Reports `runAsUser: 0`, in a container or in the pod. The pod's is reported even if every container overrides it.

## Why is this bad
The manifest asks for root, so the user of the image is of no help. Root in a container is root on the node if
anything lets it out.

## Example
```yaml
securityContext:
  runAsUser: 0    # bad
```

## Exceptions
Pods with `hostUsers: false` are skipped, because their root is an ordinary user of the node.
",
    category: Category::Security,
    severity: Severity::High,
    peers: &["kube-linter:run-as-non-root", "pss:runAsUser"],
    check: Check::Pod(check),
    expression: Some(include_str!("explicit_root_user.cel")),
    ..Rule::BASE
};

fn check(context: &Context<'_>, found: &mut Violations) {
    if context.workload.pod.has_user_namespace() {
        return;
    }
    if context.pod_security().is_some_and(|pod| pod.run_as_user == Some(0)) {
        found.in_object(
            format_args!("{}.securityContext.runAsUser", context.pod_path()),
            format_args!("asks to run as root: use another user"),
        );
    }
    for place in context.containers() {
        if place.security().is_some_and(|own| own.run_as_user == Some(0)) {
            found.in_container(
                &place,
                "securityContext.runAsUser",
                format_args!("asks to run as root: use another user"),
            );
        }
    }
}
