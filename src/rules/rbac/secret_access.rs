//! A binding that gives access to every Secret.

use super::granted::report_bindings;
use crate::inventory::PolicyRule;
use crate::rules::{Category, Check, Findings, Relations, Rule, RuleId, Severity};
use crate::workload::Kind;

/// A binding that gives access to every Secret.
pub(super) static RULE: Rule = Rule {
    id: RuleId::new("secret-access"),
    summary: "A binding that gives access to every Secret",
    docs: "\
## What it does
Reports bindings whose role allows `get`, `list` or `watch` of Secrets without `resourceNames`.

## Why is this bad
Secrets hold the tokens and passwords of everything else in the namespace. `list` shows their content as `get` does.

## Example
```yaml
rules:
- apiGroups: [\"\"]
  resources: [secrets]    # bad: add resourceNames
  verbs: [get]
```

## Exceptions
Bindings to `admin`, `edit` and `cluster-admin` are skipped: these roles are meant to have it, and
`cluster-admin-binding` reports the last one. A role that isn't in the input has an unknown answer.
",
    category: Category::Rbac,
    severity: Severity::Medium,
    peers: &["kube-linter:access-to-secrets"],
    check: Check::Relation {
        reads: &[Kind::Role, Kind::ClusterRole, Kind::RoleBinding, Kind::ClusterRoleBinding],
        check,
    },
    ..Rule::BASE
};

fn check(context: &Relations<'_>, found: &mut Findings) {
    let grants = |rule: &PolicyRule| {
        rule.has_group("")
            && rule.has_resource(&["secrets"])
            && rule.has_verb(&["get", "list", "watch"])
            && rule.resource_names.is_empty()
    };
    report_bindings(context, found, grants, "", "gives access to every Secret: name the Secrets");
}
