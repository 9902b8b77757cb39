//! An environment variable that is set twice.

use crate::rules::{Category, Check, Context, Rule, RuleId, Severity, Violations};
use crate::workload::EnvVar;

/// An environment variable that is set twice.
pub(super) static RULE: Rule = Rule {
    id: RuleId::new("duplicate-env-var"),
    summary: "An environment variable that a later one of the same name hides",
    docs: "\
## What it does
Reports variables whose name an earlier entry of the same container has already.

## Why is this bad
Only the last value counts. An apply may drop one of the two, and then the container gets the other value.

## Example
```yaml
env:
- {name: MODE, value: a}    # hidden
- {name: MODE, value: b}    # bad
```

## Exceptions
A value that extends the earlier one, such as `$(PATH):/opt/bin`, is fine. `envFrom` may be overridden.
",
    category: Category::Reliability,
    severity: Severity::Medium,
    peers: &["kube-score:environment-variable-key-duplication", "kube-linter:duplicate-env-var"],
    check: Check::Pod(check),
    expression: Some(include_str!("duplicate_env_var.cel")),
    compares_variables: true,
    ..Rule::BASE
};

fn check(context: &Context<'_>, found: &mut Violations) {
    for place in context.containers() {
        let env = &place.container.env;
        for (index, var) in env.iter().enumerate() {
            let is_repeated = env.iter().take(index).any(|earlier| earlier.name == var.name);
            if is_repeated && !extends(var) {
                found.about(&*var.name).in_container(
                    &place,
                    format_args!("env[{index}]"),
                    format_args!("sets {} once more, which hides the earlier value: remove one", var.name),
                );
            }
        }
    }
}

/// Returns true if the value of a variable has an earlier value of the same name, and more.
fn extends(var: &EnvVar<'_>) -> bool {
    let reference = format!("$({})", var.name);
    var.value.len() > reference.len() && var.value.contains(&reference)
}
