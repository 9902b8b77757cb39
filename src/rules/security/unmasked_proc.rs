//! A container that sees all of /proc.

use crate::rules::{Category, Check, Context, Parameter, Rule, RuleId, Severity, Value, Violations};

/// A container that sees all of /proc.
pub(super) static RULE: Rule = Rule {
    id: RuleId::new("unmasked-proc"),
    summary: "A container that sees the parts of /proc that runtimes hide",
    docs: "\
## What it does
Reports containers with a `procMount` other than `Default`.

## Why is this bad
Runtimes hide and protect parts of /proc through which a container could read the node's memory or change its kernel.

## Example
```yaml
securityContext:
  procMount: Unmasked    # bad
```

## Exceptions
With the parameter `allowInUserNamespace`, pods with `hostUsers: false` may use it, as the Pod Security level
`baseline` accepts since Kubernetes 1.35. Level `restricted` does not.
",
    category: Category::Security,
    severity: Severity::High,
    peers: &["polaris:procMount", "kube-linter:unsafe-proc-mount", "pss:procMount", "pss:procMount_restricted"],
    parameters: &[Parameter {
        name: "allowInUserNamespace",
        summary: "Whether pods with hostUsers: false may unmask /proc",
        default: Value::Boolean(false),
    }],
    check: Check::Pod(check),
    expression: Some(include_str!("unmasked_proc.cel")),
    ..Rule::BASE
};

fn check(context: &Context<'_>, found: &mut Violations) {
    if context.parameters.boolean("allowInUserNamespace") && context.workload.pod.has_user_namespace() {
        return;
    }
    for place in context.containers() {
        let own = place.security().and_then(|own| own.proc_mount.as_deref());
        if let Some(mount) = own.filter(|mount| *mount != "Default") {
            found.in_container(
                &place,
                "securityContext.procMount",
                format_args!(
                    "sees parts of /proc that are usually hidden (procMount {mount}): remove the field"
                ),
            );
        }
    }
}
