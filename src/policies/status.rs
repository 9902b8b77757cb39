//! Writes the status of a policy, over the version of the policy that it was computed from.

use std::fmt::Debug;

use kube::api::{Api, Patch, PatchParams};
use kube::core::object::HasStatus;
use kube::{Resource, ResourceExt as _};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::cluster::{CallError, Cluster};

/// The field manager that owns the status of policies.
const STATUS_MANAGER: &str = "kube-devops-status";

/// An error while a status is written.
#[derive(Debug, thiserror::Error)]
pub enum StatusError {
    /// The write failed.
    #[error("cannot write the status: {0}")]
    Write(CallError),
    /// The namespace could not be read.
    #[error("cannot look at the namespace: {0}")]
    Namespace(CallError),
    /// The policy goes with its namespace, in which nothing is written any more.
    #[error("its namespace is being deleted")]
    NamespaceGoing,
}

impl StatusError {
    /// Returns true if the API server refused the status, and would refuse it again, as where it is too large.
    pub fn is_refused(&self) -> bool {
        let Self::Write(error) = self else { return false };
        // etcd's limit is an internal error for the API server.
        let is_too_large = error.status().is_some_and(|status| status.message.contains("too large"));
        is_too_large || matches!(error.code(), Some(400 | 403 | 413 | 422))
    }

    /// Returns the HTTP status of the API server's answer, where there was one.
    pub fn code(&self) -> Option<u16> {
        match self {
            Self::Write(error) | Self::Namespace(error) => error.code(),
            Self::NamespaceGoing => None,
        }
    }
}

/// A kind of policy.
pub trait PolicyResource:
    Resource<DynamicType = ()> + HasStatus<Status: Serialize> + Clone + Debug + DeserializeOwned
{
}

impl<K> PolicyResource for K where
    K: Resource<DynamicType = ()> + HasStatus<Status: Serialize> + Clone + Debug + DeserializeOwned
{
}

/// Writes the complete status of a policy and returns the policy with it.
///
/// It replaces what others wrote into the status. The write is refused once the policy is another version.
pub async fn write_status<K: PolicyResource>(
    cluster: &Cluster,
    policies: &Api<K>,
    policy: &K,
    status: &K::Status,
) -> Result<K, StatusError> {
    // The status may have changed only because everything in the namespace is being deleted.
    if let Some(namespace) = policy.namespace()
        && cluster.is_terminating(&namespace).await.map_err(StatusError::Namespace)?
    {
        return Err(StatusError::NamespaceGoing);
    }
    let document = json!({
        "apiVersion": K::api_version(&()),
        "kind": K::kind(&()),
        "metadata": { "name": policy.name_any(), "resourceVersion": policy.resource_version() },
        "status": status,
    });
    let params = PatchParams::apply(STATUS_MANAGER).force();
    let written = patch_status(cluster, policies, policy, &params, Patch::Apply(document)).await?;
    // A forced apply takes over the fields in the document, but leaves fields that only others set.
    let Some(difference) = difference(&json!(written.status()), &json!(status)) else { return Ok(written) };
    let document = json!({
        "metadata": { "resourceVersion": written.resource_version() },
        "status": difference,
    });
    let params = PatchParams { field_manager: Some(STATUS_MANAGER.to_owned()), ..PatchParams::default() };
    patch_status(cluster, policies, policy, &params, Patch::Merge(document)).await
}

async fn patch_status<K: PolicyResource>(
    cluster: &Cluster,
    policies: &Api<K>,
    policy: &K,
    params: &PatchParams,
    patch: Patch<Value>,
) -> Result<K, StatusError> {
    let name = policy.name_any();
    let written = cluster.call(async |_| policies.patch_status(&name, params, &patch).await).await;
    written.map_err(StatusError::Write)
}

/// Returns the merge patch that turns one status into another, field by field; `None` where they are equal.
fn difference(is: &Value, should: &Value) -> Option<Value> {
    let (is, should) = (is.as_object()?, should.as_object()?);
    let differ = is.iter().filter(|(field, value)| should.get(*field) != Some(*value));
    let patch: Map<String, Value> =
        differ.map(|(field, _)| (field.clone(), should.get(field).cloned().unwrap_or_default())).collect();
    (!patch.is_empty()).then_some(Value::Object(patch))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_difference_has_only_remains_of_an_apply() {
        let should = json!({ "healthy": true, "conditions": [1, 2] });
        assert_eq!(difference(&should, &should), None);
        let is = json!({ "healthy": true, "conditions": [1, 2, 3], "healthScore": 7 });
        assert_eq!(difference(&is, &should), Some(json!({ "conditions": [1, 2], "healthScore": null })));
    }
}
