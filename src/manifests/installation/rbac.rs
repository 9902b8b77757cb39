//! RBAC of each mode, generated from the table of permissions that `check` asks for.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::settings::labels;
use super::{APP, Component, Installation};
use crate::manifests::{Mode, Permission, PermissionScope, RulePermissions};

/// The verbs in the order in which a rule names them.
const VERBS: [&str; 7] = ["get", "list", "watch", "create", "update", "patch", "delete"];

/// Returns the roles of a mode and their bindings.
///
/// Without namespaces, a `ClusterRole` holds everything but the objects in the own namespace. With namespaces, there is a
/// Role in each of them, and no `ClusterRole`: permissions on resources without a namespace are left out.
pub(super) fn roles(installation: &Installation, mode: Mode) -> Vec<Value> {
    let modes = installation.modes_within(mode);
    let of_rules = match Component::of(mode) {
        Some(Component::Reconcile) => installation.rule_permissions,
        _ => RulePermissions::Score,
    };
    let within = |scopes: &[PermissionScope]| -> Vec<Value> {
        let added = |(count, mode): (usize, &Mode)| added_rules(&modes[..count], *mode, scopes);
        let of_rules = of_rules.permissions();
        let of_rules = rules(of_rules.iter().filter(|permission| scopes.contains(&permission.scope)));
        modes.iter().enumerate().flat_map(added).chain(of_rules).collect()
    };
    let name = account(mode);
    let component = Component::of(mode);
    let mut objects = Vec::new();
    let namespaces = installation.namespaces_of(mode);
    if namespaces.is_empty() {
        objects.extend(pair(
            installation,
            &name,
            None,
            component,
            &within(&[PermissionScope::Cluster, PermissionScope::EvaluatedNamespaces]),
        ));
    }
    for namespace in namespaces {
        objects.extend(pair(
            installation,
            &name,
            Some(namespace),
            component,
            &within(&[PermissionScope::EvaluatedNamespaces]),
        ));
    }
    let own = within(&[PermissionScope::OwnNamespace]);
    if !own.is_empty() {
        let name = format!("{name}-own");
        objects.extend(pair(installation, &name, Some(&installation.namespace), component, &own));
    }
    objects
}

/// Returns the rules that a mode adds to those of other modes, for the permissions of these scopes.
pub(crate) fn added_rules(to: &[Mode], mode: Mode, scopes: &[PermissionScope]) -> Vec<Value> {
    let known: Vec<_> = to.iter().flat_map(|mode| mode.permissions()).collect();
    let permissions = mode.permissions();
    let added = permissions.iter().filter(|permission| !known.contains(permission));
    rules(added.filter(|permission| scopes.contains(&permission.scope)))
}

/// Returns the name of the account of a mode.
pub(super) fn account(mode: Mode) -> String {
    Component::of(mode).map_or_else(|| format!("{APP}-{mode}"), |component| component.name().to_owned())
}

/// Returns the account of a mode that runs in no component, for one-shot commands such as those of CI.
pub(super) fn one_shot_account(installation: &Installation, mode: Mode) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": installation.metadata(&account(mode), None),
        "automountServiceAccountToken": false,
    })
}

/// Returns a role and its binding, in a namespace or in all.
fn pair(
    installation: &Installation,
    name: &str,
    namespace: Option<&str>,
    component: Option<Component>,
    rules: &[Value],
) -> [Value; 2] {
    let prefix = if namespace.is_some() { "" } else { "Cluster" };
    let mut metadata = json!({ "name": name, "labels": labels(component) });
    if let Some(namespace) = namespace {
        metadata["namespace"] = namespace.into();
    }
    let account = name.strip_suffix("-own").unwrap_or(name);
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": format!("{prefix}Role"),
        "metadata": metadata,
        "rules": rules,
    });
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": format!("{prefix}RoleBinding"),
        "metadata": metadata,
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io", "kind": format!("{prefix}Role"), "name": name,
        },
        "subjects": [{ "kind": "ServiceAccount", "name": account, "namespace": installation.namespace }],
    });
    [role, binding]
}

/// The key of a rule: the API group and the names of objects.
type Key<'p> = (&'p str, &'p [&'p str]);

/// Returns the rules for permissions, one for each set of verbs on the resources of a group.
///
/// RBAC cannot restrict `create` by name, because the authorizer does not know the name of a new object. So `create` gets a
/// rule without names.
pub(crate) fn rules<'p>(permissions: impl Iterator<Item = &'p Permission>) -> Vec<Value> {
    let mut verbs: BTreeMap<(Key<'p>, String), BTreeSet<usize>> = BTreeMap::new();
    for permission in permissions {
        for verb in permission.verbs {
            let names = if *verb == "create" { &[][..] } else { permission.names };
            let order = VERBS.iter().position(|known| known == verb).unwrap_or(VERBS.len());
            verbs.entry(((permission.group, names), permission.path())).or_default().insert(order);
        }
    }
    let mut resources: BTreeMap<(Key<'p>, BTreeSet<usize>), Vec<String>> = BTreeMap::new();
    for ((key, resource), verbs) in verbs {
        resources.entry((key, verbs)).or_default().push(resource);
    }
    resources
        .into_iter()
        .map(|(((group, names), verbs), resources)| {
            let verbs: Vec<_> = verbs.into_iter().filter_map(|order| VERBS.get(order)).collect();
            let mut rule = json!({ "apiGroups": [group], "resources": resources, "verbs": verbs });
            if !names.is_empty() {
                rule["resourceNames"] = json!(names);
            }
            rule
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules_of(mode: Mode, kind: &str) -> Vec<Value> {
        let installation = Installation { modes: vec![mode], ..Installation::default() };
        let roles = roles(&installation, mode);
        let of_kind = roles.iter().filter(|role| role["kind"] == kind);
        of_kind.flat_map(|role| role["rules"].as_array().unwrap().clone()).collect()
    }

    #[test]
    fn rules_name_every_group_resource_and_verb() {
        for mode in Mode::ALL {
            for rule in [rules_of(mode, "ClusterRole"), rules_of(mode, "Role")].concat() {
                let text = rule.to_string();
                let names_secrets = mode == Mode::Webhook && rule["resourceNames"].is_array();
                let creates = mode == Mode::Webhook && rule["verbs"] == json!(["create"]);
                let reaches_secrets = text.contains("secrets") && !names_secrets && !creates;
                assert!(!text.contains('*') && !reaches_secrets, "{mode}: {text}");
                for verb in rule["verbs"].as_array().unwrap() {
                    assert!(VERBS.contains(&verb.as_str().unwrap()), "{mode}: {text}");
                }
            }
        }
    }

    #[test]
    fn rules_grant_exactly_the_permissions_of_the_table() {
        for mode in Mode::ALL {
            let mut granted = BTreeSet::new();
            for rule in [rules_of(mode, "ClusterRole"), rules_of(mode, "Role")].concat() {
                for resource in rule["resources"].as_array().unwrap() {
                    for verb in rule["verbs"].as_array().unwrap() {
                        let text = |value: &Value| value.as_str().unwrap().to_owned();
                        granted.insert((text(&rule["apiGroups"][0]), text(resource), text(verb)));
                    }
                }
            }
            let permissions = mode.permissions();
            let needed = permissions.iter().flat_map(|permission| {
                let verbs = permission.verbs.iter();
                verbs.map(|verb| (permission.group.to_owned(), permission.path(), (*verb).to_owned()))
            });
            assert_eq!(granted, needed.collect(), "{mode}");
        }
    }

    #[test]
    fn native_admission_adds_to_the_role_of_the_operator() {
        let granted = |modes: &[Mode]| {
            let installation = Installation { modes: modes.to_vec(), ..Installation::default() };
            let [mode] = Vec::from_iter(installation.effective_modes()).try_into().unwrap();
            serde_json::to_string(&roles(&installation, mode))
                .unwrap()
                .contains("validatingadmissionpolicies")
        };
        assert!(granted(&[Mode::Native]) && granted(&[Mode::Reconcile, Mode::Native]));
        assert!(granted(&[Mode::Enforce, Mode::Native]) && !granted(&[Mode::Enforce]));
    }

    #[test]
    fn only_the_operator_may_read_what_rules_read() {
        let rule_permissions = RulePermissions::Recommended;
        let installation =
            Installation { rule_permissions, modes: Mode::ALL.to_vec(), ..Installation::default() };
        let reads_ingresses =
            |mode| serde_json::to_string(&roles(&installation, mode)).unwrap().contains("ingresses");
        assert!(
            reads_ingresses(Mode::Enforce)
                && !reads_ingresses(Mode::Watch)
                && !reads_ingresses(Mode::Webhook)
        );
    }

    #[test]
    fn objects_of_our_own_are_reached_by_name() {
        for rule in rules_of(Mode::Enforce, "Role") {
            let creates = rule["verbs"] == json!(["create"]);
            assert_eq!(rule["resourceNames"].is_array(), !creates, "{rule}");
        }
    }

    #[test]
    fn with_namespaces_there_is_no_cluster_role() {
        let installation = Installation {
            namespaces: vec!["shop".to_owned(), "bank".to_owned()],
            ..Installation::default()
        };
        let roles = roles(&installation, Mode::Watch);
        let kinds: BTreeSet<_> = roles.iter().map(|role| role["kind"].as_str().unwrap()).collect();
        assert_eq!(kinds, BTreeSet::from(["Role", "RoleBinding"]));
        let places: BTreeSet<_> =
            roles.iter().map(|role| role["metadata"]["namespace"].as_str().unwrap()).collect();
        assert_eq!(places, BTreeSet::from(["bank", "kube-devops", "shop"]));
    }
}
