//! A role that allows commands in pods.

use std::collections::HashMap;

use super::granted::BUILT_IN;
use crate::inventory::PolicyRule;
use crate::rules::{Category, Check, Findings, Relations, Rule, RuleId, Severity};
use crate::workload::Kind;

/// A role that allows commands in pods.
pub(super) static RULE: Rule = Rule {
    id: RuleId::new("pod-exec-access"),
    summary: "A role that allows commands in pods",
    docs: "\
## What it does
Reports Roles and ClusterRoles with a rule that allows `exec` or `attach` in pods. The message names the bindings of
the role that are in the input.

## Why is this bad
With `exec`, a subject has all that the pod has: its account, its Secrets, its network. No admission rule looks at the
commands.

## Example
```yaml
rules:
- apiGroups: [\"\"]
  resources: [pods/exec]    # bad
  verbs: [create]
```

## Exceptions
`pods/*` is skipped, because it grants nothing. `get` counts too: before Kubernetes 1.35 it was enough. The roles
`admin`, `edit` and `cluster-admin`, and those of Kubernetes itself, are meant to have it.
",
    category: Category::Rbac,
    severity: Severity::High,
    peers: &[
        "polaris:clusterrolePodExecAttach",
        "polaris:rolePodExecAttach",
        "polaris:clusterrolebindingPodExecAttach",
        "polaris:rolebindingClusterRolePodExecAttach",
        "polaris:rolebindingRolePodExecAttach",
    ],
    check: Check::Relation {
        reads: &[Kind::Role, Kind::ClusterRole, Kind::RoleBinding, Kind::ClusterRoleBinding],
        check,
    },
    ..Rule::BASE
};

const RESOURCES: [&str; 4] = ["pods/exec", "pods/attach", "*/exec", "*/attach"];

fn check(context: &Relations<'_>, found: &mut Findings) {
    let inventory = context.inventory;
    let bindings = [Kind::RoleBinding, Kind::ClusterRoleBinding].into_iter();
    let mut bound: HashMap<(&str, &str, &str), Vec<&str>> = HashMap::new();
    for known in bindings.flat_map(|kind| inventory.all(kind)) {
        let Some(binding) = known.binding() else { continue };
        let namespace = if binding.role_ref.kind == "ClusterRole" { "" } else { &*known.identity.namespace };
        let role = (binding.role_ref.kind.as_str(), namespace, binding.role_ref.name.as_str());
        bound.entry(role).or_default().push(&known.identity.name);
    }
    for kind in [Kind::Role, Kind::ClusterRole] {
        for known in inventory.all(kind).iter().filter(|known| !known.is_rbac_default()) {
            let (namespace, name) = (&*known.identity.namespace, &*known.identity.name);
            let Some(role) = known.role() else { continue };
            let is_meant = kind == Kind::ClusterRole && BUILT_IN.contains(&name);
            if is_meant || role.aggregation_rule.is_some() {
                continue;
            }
            let allows = |rule: &PolicyRule| {
                rule.has_group("") && rule.has_resource(&RESOURCES) && rule.has_verb(&["create", "get"])
            };
            if let Some(index) = role.rules.iter().position(allows) {
                let mut bindings = bound.get(&(kind.name(), namespace, name)).cloned().unwrap_or_default();
                bindings.sort_unstable();
                bindings.dedup();
                let bindings = if bindings.is_empty() {
                    String::new()
                } else {
                    format!(" (bound by {})", bindings.join(", "))
                };
                found.report(
                    &known.identity,
                    format_args!("rules[{index}]"),
                    format_args!("the role allows commands in every pod{bindings}: take exec and attach out"),
                );
            }
        }
    }
}
