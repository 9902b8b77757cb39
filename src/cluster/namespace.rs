//! The state of a namespace.

use k8s_openapi::api::core::v1::Namespace;
use kube::Api;

use super::{CallError, Cluster};

impl Cluster {
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
