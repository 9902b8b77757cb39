//! A privileged container, which has all rights on its node.

use crate::rules::{Category, Check, Context, Rule, RuleId, Severity, Violations};

/// A privileged container, which has all rights on its node.
pub(super) static RULE: Rule = Rule {
    id: RuleId::new("privileged-container"),
    summary: "A container with all rights on its node",
    docs: "\
## What it does
Reports containers, init containers and ephemeral containers with `securityContext.privileged: true`.

## Why is this bad
A privileged container has every capability and every device of its node. Whoever gets into it owns the node, and with
it the other pods and their credentials.

## Example
```yaml
securityContext:
  privileged: true    # bad
```

## Exceptions
Agents that manage the node itself, such as network plugins, may need it. Give them a policy of their own. The Pod
Security level `baseline` refuses the field.
",
    category: Category::Security,
    severity: Severity::Critical,
    peers: &[
        "polaris:runAsPrivileged",
        "kube-score:container-security-context-privileged",
        "kube-linter:privileged-container",
        "pss:privileged",
    ],
    check: Check::Pod(check),
    expression: Some(include_str!("privileged_container.cel")),
    ..Rule::BASE
};

fn check(context: &Context<'_>, found: &mut Violations) {
    for place in context.containers() {
        if place.security().is_some_and(|own| own.privileged == Some(true)) {
            found.in_container(
                &place,
                "securityContext.privileged",
                format_args!("runs privileged: remove the field, and add the capabilities that it needs"),
            );
        }
    }
}
