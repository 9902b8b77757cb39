//! A role with a wildcard.

use super::granted::is_default;
use crate::inventory::Content;
use crate::rules::{Category, Check, ObjectContext, Rule, RuleId, Severity, Violations};
use crate::workload::Kind;

/// A role with a wildcard.
pub(super) static RULE: Rule = Rule {
    id: RuleId::new("wildcard-rule"),
    summary: "A role that covers resources or verbs that don't exist yet",
    docs: "\
## What it does
Reports rules of Roles and ClusterRoles with `*` among their resources or verbs.

## Why is this bad
The role grants whatever will be added to the cluster: new resources, new subresources such as `exec`, and new verbs
such as `escalate`.

## Example
```yaml
rules:
- apiGroups: [apps]
  resources: [\"*\"]    # bad: list the resources
  verbs: [get, list]
```

## Exceptions
ClusterRoles that aggregate others are skipped: their rules are those of others. Roles of Kubernetes itself
(`system:*`, or labelled `kubernetes.io/bootstrapping: rbac-defaults`) are skipped.
",
    category: Category::Rbac,
    severity: Severity::Medium,
    peers: &["kube-linter:wildcard-in-rules"],
    check: Check::Object { reads: &[Kind::Role, Kind::ClusterRole], check },
    ..Rule::BASE
};

fn check(context: &ObjectContext<'_>, found: &mut Violations) {
    let Content::Role(role) = &context.object.content else { return };
    if is_default(context.object) || role.aggregation_rule.is_some() {
        return;
    }
    for (index, rule) in role.rules.iter().enumerate() {
        for (field, values) in [("resources", &rule.resources), ("verbs", &rule.verbs)] {
            if values.iter().any(|value| value == "*") {
                found.in_object(
                    format_args!("rules[{index}].{field}"),
                    format_args!("the rule has all {field}, future ones too: list those that are needed"),
                );
            }
        }
    }
}
