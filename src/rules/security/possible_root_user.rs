//! A container that may run as root.

use crate::rules::{Category, Check, Context, Rule, RuleId, Severity, Violations};

/// A container that may run as root.
pub(super) static RULE: Rule = Rule {
    id: RuleId::new("possible-root-user"),
    summary: "A container that may run as root",
    docs: "\
## What it does
Reports containers for which `runAsNonRoot` is not true, in the container or, where that says nothing, in the pod. It
also reports a pod that says false, although each container says true.

## Why is this bad
Root in a container is root on the node if anything lets it out: a bug of the kernel or the runtime, or a mount.

## Example
```yaml
securityContext:
  runAsNonRoot: true
```

## Exceptions
Pods with `hostUsers: false` are skipped, because their root is an ordinary user of the node. A `runAsUser` above 0 is
no exception: the Pod Security level `restricted` asks for the field all the same.
",
    category: Category::Security,
    severity: Severity::Medium,
    manual_fix: Some("runAsNonRoot: true, where the user's number is above 0"),
    peers: &["polaris:runAsRootAllowed", "kube-linter:run-as-non-root", "popeye:302", "popeye:306", "pss:runAsNonRoot"],
    check: Check::Pod(check),
    expression: Some(include_str!("possible_root_user.cel")),
    ..Rule::BASE
};

fn check(context: &Context<'_>, found: &mut Violations) {
    if context.workload.pod.has_user_namespace() {
        return;
    }
    let of_pod = context.pod_security().and_then(|pod| pod.run_as_non_root);
    if of_pod == Some(false) {
        found.in_object(
            format_args!("{}.securityContext.runAsNonRoot", context.pod_path()),
            format_args!("says that it may run as root: set runAsNonRoot to true"),
        );
    }
    for place in context.containers() {
        let own = place.security().and_then(|own| own.run_as_non_root);
        if own == Some(false) || own.is_none() && of_pod.is_none() {
            found.in_container(
                &place,
                "securityContext.runAsNonRoot",
                format_args!("may run as root: set runAsNonRoot to true"),
            );
        }
    }
}
