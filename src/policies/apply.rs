//! Applies policies to a cluster without taking settings over from others.

use kube::ResourceExt as _;
use kube::api::{DynamicObject, PatchParams};
use serde_json::{Value, json};

use crate::cluster::{Applied, CallError, Cluster};
use crate::policy::SET_LABEL;

/// The field manager of policies that commands apply.
const MANAGER: &str = "kube-devops-policies";

/// The manner of an apply.
#[derive(Debug, Clone, Copy, Default)]
pub struct ApplyOptions {
    /// True if the API server checks everything and stores nothing.
    pub dry_run: bool,
}

/// The reason why a policy was not applied.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// Another manager owns a field and set it to another value.
    #[error(
        "{0}: take the setting out there or give it the same value; `kubectl apply --server-side --force-conflicts` \
         replaces it"
    )]
    Conflict(String),
    /// The policy is being deleted.
    #[error("it is being deleted: try again when it is gone")]
    Deleted,
    /// The call failed.
    #[error(transparent)]
    Call(#[from] CallError),
}

impl ApplyError {
    /// Returns true if every other call would fail in the same way.
    pub fn is_general(&self) -> bool {
        matches!(self, Self::Call(error) if error.is_general())
    }
}

/// Applies a policy, which names its namespace, by server-side apply. It never takes over a field of another manager.
///
/// A policy without a set stays in the set that it belongs to in the cluster.
pub async fn apply(cluster: &Cluster, policy: &Value, options: ApplyOptions) -> Result<Applied, ApplyError> {
    let before = cluster.get_namespaced(policy).await?;
    if before.as_ref().is_some_and(|before| before.metadata.deletion_timestamp.is_some()) {
        return Err(ApplyError::Deleted);
    }
    let policy = &in_its_set(policy, before.as_ref());
    let params = PatchParams { dry_run: options.dry_run, ..PatchParams::apply(MANAGER) };
    let after = cluster.apply_namespaced(policy, &params).await.map_err(|error| match error.status() {
        Some(status) if status.code == 409 => ApplyError::Conflict(status.message.clone()),
        _ => ApplyError::Call(error),
    })?;
    Ok(match before {
        None => Applied::Created,
        Some(before) if same(&before, &after) => Applied::Unchanged,
        Some(_) => Applied::Changed,
    })
}

/// Adds the set that a policy belongs to in the cluster, unless the manifest names one. Server-side apply would remove
/// the label otherwise, because it belongs to the same field manager.
fn in_its_set(policy: &Value, before: Option<&DynamicObject>) -> Value {
    let mut policy = policy.clone();
    let is_in_a_set =
        policy.pointer("/metadata/labels").is_some_and(|labels| labels.get(SET_LABEL).is_some());
    if let Some(set) = before.and_then(|before| before.labels().get(SET_LABEL)).filter(|_| !is_in_a_set) {
        policy["metadata"]["labels"][SET_LABEL] = json!(set);
    }
    policy
}

/// Compares two states of an object. A dry run gives no new resourceVersion, so the content counts.
fn same(before: &DynamicObject, after: &DynamicObject) -> bool {
    let content = |object: &DynamicObject| {
        let mut metadata = object.metadata.clone();
        metadata.resource_version = None;
        metadata.generation = None;
        // To own a setting beside another manager changes nothing.
        metadata.managed_fields = None;
        (metadata, object.data.get("spec").cloned())
    };
    content(before) == content(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_that_only_gets_another_owner_is_unchanged() {
        let policy = |version: &str, manager: &str, spec: u64| -> DynamicObject {
            serde_json::from_value(json!({
                "metadata": { "name": "p", "resourceVersion": version, "managedFields": [{ "manager": manager }] },
                "spec": { "maxRestartCount": spec },
            }))
            .unwrap()
        };
        let before = policy("1", "kubectl", 3);
        assert!(same(&before, &policy("2", "kube-devops-policies", 3)));
        assert!(!same(&before, &policy("2", "kubectl", 4)));
    }

    #[test]
    fn a_policy_stays_in_its_set_unless_the_manifest_names_another_one() {
        let in_set = |set: &str| json!({ "metadata": { "name": "p", "labels": { SET_LABEL: set } } });
        let before: DynamicObject = serde_json::from_value(in_set("web")).unwrap();
        let plain = json!({ "metadata": { "name": "p" } });
        for (manifest, before, expected) in [
            (&plain, Some(&before), in_set("web")),
            (&in_set("blog"), Some(&before), in_set("blog")),
            (&plain, None, plain.clone()),
        ] {
            assert_eq!(in_its_set(manifest, before), expected);
        }
    }
}
