//! What the API server says that it is, and how long it takes to say so.

use super::{CallError, Cluster};
use std::time::Duration;
use tokio::time::Instant;

/// The API server's version, and how it was reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerVersion {
    /// The version, such as `v1.33.2`.
    pub version: String,
    /// How long a call takes on an open connection.
    pub latency: Duration,
}

impl Cluster {
    /// Asks the API server for its version.
    pub async fn version(&self) -> Result<ServerVersion, CallError> {
        let ask = || self.call(async |client: kube::Client| client.apiserver_version().await);
        // The first call pays for the connection, and for an exec plugin's login.
        ask().await?;
        let start = Instant::now();
        let info = ask().await?;
        Ok(ServerVersion { version: info.git_version, latency: start.elapsed() })
    }

    /// Tells which of these resources a group and version such as `apps/v1` serves, in their order.
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
