//! A workload without a label or annotation that the policy asks for.

use crate::rules::{Category, Check, Context, Parameter, Rule, RuleId, Severity, Value, Violations};

/// A workload without a label or annotation that the policy asks for.
pub(super) static RULE: Rule = Rule {
    id: RuleId::new("missing-required-label"),
    summary: "A workload without a label or annotation that the policy asks for",
    docs: "\
## What it does
Reports workloads that lack a label of the parameter `labels`, or an annotation of the parameter `annotations`. An
entry is a key, or `key=value`. Without parameters the rule reports nothing.

## Why is this bad
Labels such as an owner or a cost centre only help if every workload has them.

## Example
```yaml
metadata:
  labels: {owner: shop}
```

## Exceptions
Objects with a controller are skipped, because their controller is evaluated.
",
    category: Category::Api,
    severity: Severity::Low,
    peers: &["kube-linter:required-label-owner", "kube-linter:required-annotation-email"],
    parameters: &[Parameter {
        name: "labels",
        summary: "The labels that every workload needs, each as key or key=value",
        default: Value::Texts(Vec::new()),
    }, Parameter {
        name: "annotations",
        summary: "The annotations that every workload needs, each as key or key=value",
        default: Value::Texts(Vec::new()),
    }],
    all_annotations: true,
    check: Check::Workload(check),
    expression: Some(include_str!("missing_required_label.cel")),
    ..Rule::BASE
};

fn check(context: &Context<'_>, found: &mut Violations) {
    let metadata = &context.workload.metadata;
    for (field, wanted, own) in [
        ("labels", context.parameters.texts("labels"), metadata.labels.as_ref()),
        ("annotations", context.parameters.texts("annotations"), metadata.annotations.as_ref()),
    ] {
        for entry in wanted {
            let (key, value) =
                entry.split_once('=').map_or((&**entry, None), |(key, value)| (key, Some(value)));
            let found_value = own.and_then(|own| own.get(key));
            if found_value.is_none_or(|own| value.is_some_and(|value| **own != *value)) {
                found.about(format_args!("{field} {key}")).in_object(
                    format_args!("metadata.{field}"),
                    format_args!("{field} lack {entry}, which the policy asks for: add it"),
                );
            }
        }
    }
}
