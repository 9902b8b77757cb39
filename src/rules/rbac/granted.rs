//! The rules that a binding grants.

use crate::inventory::{Inventory, Known, PolicyRule, Related};
use crate::rules::{Findings, Relations};
use crate::workload::Kind;

/// The `ClusterRole`s for users that every cluster has.
pub(super) const BUILT_IN: [&str; 4] = ["admin", "cluster-admin", "edit", "view"];

/// The binding by which kubeadm gives administrators their permissions.
const KUBEADM: &str = "kubeadm:cluster-admins";

/// The rules of the role that a binding names.
pub(super) enum Granted<'a> {
    /// These rules. They may be incomplete if the role aggregates others.
    Rules { rules: Vec<&'a PolicyRule>, is_complete: bool },
    /// The rules of a role that every cluster has.
    BuiltIn(&'a str),
    /// The role does not exist.
    Missing,
    /// The role is not in the input.
    Unknown,
}

/// Returns true if Kubernetes itself made an RBAC object.
pub(super) fn is_default(object: &Related) -> bool {
    object.name().starts_with("system:")
        || object.metadata.label("kubernetes.io/bootstrapping") == Some("rbac-defaults")
}

/// Returns the rules that a binding grants.
pub(super) fn granted<'a>(inventory: &'a Inventory, known: &'a Known) -> Granted<'a> {
    let Some(binding) = known.binding() else { return Granted::Missing };
    let name = binding.role_ref.name.as_str();
    let is_cluster_role = binding.role_ref.kind == "ClusterRole";
    let (kind, namespace) =
        if is_cluster_role { (Kind::ClusterRole, "") } else { (Kind::Role, &*known.identity.namespace) };
    if is_cluster_role && (BUILT_IN.contains(&name) || name.starts_with("system:")) {
        return Granted::BuiltIn(name);
    }
    let Some(role) = inventory.find(kind, namespace, name).and_then(Known::role) else {
        let is_closed = inventory.is_closed(kind, namespace);
        return if is_closed { Granted::Missing } else { Granted::Unknown };
    };
    let mut rules: Vec<&PolicyRule> = role.rules.iter().collect();
    let Some(aggregation) = &role.aggregation_rule else {
        return Granted::Rules { rules, is_complete: true };
    };
    for selector in &aggregation.cluster_role_selectors {
        let parts = inventory.all(Kind::ClusterRole).iter().filter(|part| part.has_labels(selector));
        rules.extend(parts.filter_map(Known::role).flat_map(|role| &role.rules));
    }
    Granted::Rules { rules, is_complete: inventory.is_closed(Kind::ClusterRole, "") }
}

/// Reports the bindings that grant a rule. A binding without subjects grants nothing.
pub(super) fn report_bindings(
    context: &Relations<'_>,
    found: &mut Findings,
    grants: impl Fn(&PolicyRule) -> bool,
    built_in: &str,
    problem: &str,
) {
    let inventory = context.inventory;
    for known in [Kind::RoleBinding, Kind::ClusterRoleBinding].iter().flat_map(|kind| inventory.all(*kind)) {
        let Some(binding) = known.binding().filter(|binding| !binding.subjects.is_empty()) else { continue };
        if known.is_rbac_default() || &*known.identity.name == KUBEADM {
            continue;
        }
        let name = &binding.role_ref.name;
        let (is_granted, is_complete) = match granted(inventory, known) {
            Granted::Rules { rules, is_complete } => (rules.into_iter().any(&grants), is_complete),
            Granted::BuiltIn(name) => (name == built_in, true),
            Granted::Missing => (false, true),
            Granted::Unknown => (false, false),
        };
        if is_granted {
            let kind = &binding.role_ref.kind;
            let message = format_args!("{kind} {name} {problem}");
            found.report(&known.identity, format_args!("roleRef"), message);
        } else if !is_complete {
            found.unknown(&known.identity);
        }
    }
}
