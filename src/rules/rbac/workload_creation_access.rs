//! A binding that gives the right to start pods.

use super::granted::report_bindings;
use crate::inventory::PolicyRule;
use crate::rules::{Category, Check, Findings, Relations, Rule, RuleId, Severity};
use crate::workload::Kind;

/// A binding that gives the right to start pods.
pub(super) static RULE: Rule = Rule {
    id: RuleId::new("workload-creation-access"),
    summary: "A binding that gives the right to start pods",
    docs: "\
## What it does
Reports bindings whose role allows the creation of pods, or of the workloads that make them.

## Why is this bad
Whoever can start a pod can give it any account of the namespace, and mount any Secret.

## Example
```yaml
rules:
- apiGroups: [apps]
  resources: [deployments]    # bad, unless the subject deploys
  verbs: [create]
```

## Exceptions
Bindings to `admin`, `edit` and `cluster-admin` are skipped: these roles are meant to have it. A role that isn't in
the input has an unknown answer.
",
    category: Category::Rbac,
    severity: Severity::Low,
    peers: &["kube-linter:access-to-create-pods"],
    check: Check::Relation {
        reads: &[Kind::Role, Kind::ClusterRole, Kind::RoleBinding, Kind::ClusterRoleBinding],
        check,
    },
    ..Rule::BASE
};

/// The resources that are pods or make them, by group.
const CREATED: [(&str, &[&str]); 3] = [
    ("", &["pods", "replicationcontrollers"]),
    ("apps", &["deployments", "statefulsets", "daemonsets", "replicasets"]),
    ("batch", &["jobs", "cronjobs"]),
];

fn check(context: &Relations<'_>, found: &mut Findings) {
    let grants = |rule: &PolicyRule| {
        rule.has_verb(&["create"])
            && CREATED.iter().any(|(group, resources)| rule.has_group(group) && rule.has_resource(resources))
    };
    report_bindings(
        context,
        found,
        grants,
        "",
        "gives the right to start pods: take create out unless the subject deploys",
    );
}
