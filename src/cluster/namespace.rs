//! The state of a namespace.

use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use serde_json::Value;

use super::{CallError, Cluster};

impl Cluster {
    /// Returns a Namespace as JSON; `None` without it, or without the right to read it.
    pub async fn namespace_object(&self, namespace: &str) -> Result<Option<Value>, CallError> {
        let get = async |client: kube::Client| Api::<Namespace>::all(client).get_opt(namespace).await;
        match self.call(get).await {
            Ok(found) => Ok(found.and_then(|found| serde_json::to_value(found).ok())),
            Err(error) if error.code() == Some(403) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Returns true if a namespace is gone, or is being deleted with everything in it. Without the right to read
    /// namespaces it counts as staying.
    pub async fn is_terminating(&self, namespace: &str) -> Result<bool, CallError> {
        let get = async |client| Api::<Namespace>::all(client).get_opt(namespace).await;
        match self.call(get).await {
            Ok(namespace) => Ok(namespace.is_none_or(|found| found.metadata.deletion_timestamp.is_some())),
            Err(error) if error.code() == Some(403) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
