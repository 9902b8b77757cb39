//! Roles for the users of a cluster. Kubernetes adds them to its own roles `view` and `admin`.

use serde_json::{Value, json};

use super::APP;
use super::settings::labels;
use crate::manifests::{GROUP, RESOURCES};

/// Returns the roles: `view`, and with it `edit` and `admin`, reads policies and results; only `admin` writes policies.
///
/// A policy in mode enforce changes workloads, and decides what admission denies. So `edit` is not enough.
pub(super) fn user_roles() -> [Value; 2] {
    let role = |name: &str, verbs: &[&str], resources: &[&str]| {
        let mut labels = labels(None);
        labels[format!("rbac.authorization.k8s.io/aggregate-to-{name}")] = "true".into();
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": { "name": format!("{APP}-{name}"), "labels": labels },
            "rules": [{ "apiGroups": [GROUP], "resources": resources, "verbs": verbs }],
        })
    };
    [
        role("view", &["get", "list", "watch"], &RESOURCES),
        role("admin", &["create", "update", "patch", "delete", "deletecollection"], &["devopspolicies"]),
    ]
}
