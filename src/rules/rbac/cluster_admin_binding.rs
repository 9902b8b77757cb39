//! A binding that gives every permission.

use super::granted::report_bindings;
use crate::inventory::PolicyRule;
use crate::rules::{Category, Check, Findings, Relations, Rule, RuleId, Severity};
use crate::workload::Kind;

/// A binding that gives every permission.
pub(super) static RULE: Rule = Rule {
    id: RuleId::new("cluster-admin-binding"),
    summary: "A binding that gives every permission",
    docs: "\
## What it does
Reports bindings to `cluster-admin`, and to roles of which one rule has `*` as group, resource and verb.

## Why is this bad
The subject can do everything: read all Secrets, change all workloads, and give the same permissions to others.

## Example
```yaml
kind: ClusterRoleBinding
roleRef: {kind: ClusterRole, name: cluster-admin}    # bad: use a role with what is needed
```

## Exceptions
The binding `kubeadm:cluster-admins`, bindings without subjects, and bindings of Kubernetes itself are skipped. A role
that isn't in the input has an unknown answer.
",
    category: Category::Rbac,
    severity: Severity::Critical,
    peers: &[
        "polaris:clusterrolebindingClusterAdmin",
        "polaris:rolebindingClusterAdminClusterRole",
        "polaris:rolebindingClusterAdminRole",
        "kube-linter:cluster-admin-role-binding",
    ],
    check: Check::Relation {
        reads: &[Kind::Role, Kind::ClusterRole, Kind::RoleBinding, Kind::ClusterRoleBinding],
        check,
    },
    ..Rule::BASE
};

fn check(context: &Relations<'_>, found: &mut Findings) {
    let has = |values: &[String]| values.iter().any(|value| value == "*");
    let grants = |rule: &PolicyRule| has(&rule.api_groups) && has(&rule.resources) && has(&rule.verbs);
    report_bindings(context, found, grants, "cluster-admin", "gives every permission: bind a smaller role");
}
