//! The API server's version, and its latency.

use super::{CallError, Cluster};
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use std::time::Duration;
use tokio::time::Instant;

/// The API server's version, and the time of the call for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerVersion {
    /// The version, such as `v1.33.2`.
    pub version: String,
    /// The duration of a call on an open connection.
    pub latency: Duration,
}

impl Cluster {
    /// Asks the API server for its version.
    pub async fn version(&self) -> Result<ServerVersion, CallError> {
        let ask = || self.call(async |client: kube::Client| client.apiserver_version().await);
        // The first call also opens the connection, and may run an exec plugin.
        ask().await?;
        let start = Instant::now();
        let info = ask().await?;
        Ok(ServerVersion { version: info.git_version, latency: start.elapsed() })
    }

    /// Returns a text that is the same for all ways to one cluster: the uid of its namespace `kube-system`.
    pub async fn identity(&self) -> Result<String, CallError> {
        let get = async |client| Api::<Namespace>::all(client).get_metadata("kube-system").await;
        Ok(self.call(get).await?.metadata.uid.unwrap_or_default())
    }

    /// Returns for each resource, in order, whether a group and version such as `apps/v1` serves it.
    pub async fn serves(&self, group_version: &str, resources: &[&str]) -> Result<Vec<bool>, CallError> {
        let known = self
            .call(async |client: kube::Client| client.list_api_group_resources(group_version).await)
            .await;
        let known = match known {
            Ok(list) => list.resources,
            Err(error) if error.code() == Some(404) => Vec::new(),
            Err(error) => return Err(error),
        };
        let serves = |resource: &&str| known.iter().any(|known| known.name == **resource);
        Ok(resources.iter().map(serves).collect())
    }
}
