//! Stops Deployments and waits until their pods have ended.

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams, ListParams};
use kube::{Client, ResourceExt as _};
use tokio::time::{Instant, sleep};

use super::{CallError, Cluster};

/// The pause between two looks at the pods.
const POLL: Duration = Duration::from_secs(1);

/// Deployments that were not stopped.
#[derive(Debug, thiserror::Error)]
pub enum StopError {
    /// A call to the API server failed.
    #[error(transparent)]
    Call(#[from] CallError),
    /// A pod did not end in time.
    #[error("{count} pods have not ended: see kubectl get pods -n {namespace}")]
    StillRunning {
        /// The namespace.
        namespace: String,
        /// The number of pods.
        count: usize,
    },
}

impl Cluster {
    /// Deletes the Deployments in a namespace that have these labels, and waits until no pod has them. Returns the names
    /// of the Deployments.
    pub async fn stop(
        &self,
        namespace: &str,
        labels: &str,
        patience: Duration,
    ) -> Result<Vec<String>, StopError> {
        let params = ListParams::default().labels(labels);
        let deployments = |client: Client| Api::<Deployment>::namespaced(client, namespace);
        let mut stopped = Vec::new();
        for found in self.call(async |client| deployments(client).list_metadata(&params).await).await?.items {
            let name = found.name_any();
            let delete = async |client| deployments(client).delete(&name, &DeleteParams::default()).await;
            match self.call(delete).await {
                Err(error) if error.code() != Some(404) => return Err(error.into()),
                _ => stopped.push(name),
            }
        }
        let deadline = Instant::now() + patience;
        loop {
            let list = async |client| Api::<Pod>::namespaced(client, namespace).list_metadata(&params).await;
            let count = self.call(list).await?.items.len();
            if count == 0 {
                return Ok(stopped);
            }
            if Instant::now() >= deadline {
                return Err(StopError::StillRunning { namespace: namespace.to_owned(), count });
            }
            sleep(POLL).await;
        }
    }
}
