//! The state of a namespace.

use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::ObjectMeta;
use serde_json::Value;
use tokio::time::sleep;
use tracing::warn;

use super::{CallError, Cluster};

/// The pause between two rounds of [`poll_namespaces`].
const PAUSE: Duration = Duration::from_mins(1);

/// Reads the metadata of some Namespaces once a minute, for callers that may not watch all of them. Never returns. `ready`
/// is dropped after the first round.
///
/// A Namespace that does not exist, or may not be read, has no metadata.
pub async fn poll_namespaces<R>(
    cluster: &Cluster,
    names: &[String],
    ready: R,
    take: impl Fn(&str, Option<&ObjectMeta>),
) {
    let mut ready = Some(ready);
    loop {
        for name in names {
            match cluster.namespace_metadata(name).await {
                Ok(metadata) => take(name, metadata.as_ref()),
                Err(error) if error.code() == Some(403) => take(name, None),
                Err(error) => warn!(namespace = name, %error, "failed to read the Namespace; will retry"),
            }
        }
        ready.take();
        sleep(PAUSE).await;
    }
}

impl Cluster {
    /// Returns the metadata of a Namespace; `None` if it does not exist.
    pub async fn namespace_metadata(&self, name: &str) -> Result<Option<ObjectMeta>, CallError> {
        let get = async |client| Api::<Namespace>::all(client).get_metadata_opt(name).await;
        Ok(self.call(get).await?.map(|found| found.metadata))
    }

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
