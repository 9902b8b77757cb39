//! The place where the records of a policy's patches are written: its own status, or that of a cluster policy.

use kube::api::Api;
use tokio::sync::Mutex;

use crate::cluster::Cluster;
use crate::enforcement::records;
use crate::policies::{ClusterPolicy, StatusError, write_status};
use crate::policy::{ClusterDevOpsPolicy, CompiledPolicy, DevOpsPolicy, DevOpsPolicyStatus};

/// The place of a policy's records.
#[derive(Clone, Copy)]
pub enum StatusHome<'h> {
    /// The status of the policy.
    Own(&'h Api<DevOpsPolicy>),
    /// The status of a cluster policy, beside the records of its other namespaces.
    Cluster(&'h ClusterStatus),
}

/// The status of a cluster policy while its namespaces are worked on, one after the other.
pub struct ClusterStatus {
    policies: Api<ClusterDevOpsPolicy>,
    /// The policy as last read or written.
    policy: Mutex<ClusterDevOpsPolicy>,
}

impl StatusHome<'_> {
    /// Writes the status of a policy, and returns the policy with it.
    pub(super) async fn write(
        self,
        cluster: &Cluster,
        policy: &DevOpsPolicy,
        status: DevOpsPolicyStatus,
    ) -> Result<DevOpsPolicy, StatusError> {
        match self {
            Self::Own(policies) => write_status(cluster, policies, policy, &status).await,
            Self::Cluster(whole) => whole.write(cluster, policy, status).await,
        }
    }
}

impl ClusterStatus {
    /// Begins with the policy as it is known.
    pub fn new(policies: Api<ClusterDevOpsPolicy>, policy: &ClusterPolicy) -> Self {
        Self { policies, policy: Mutex::new((*policy.policy).clone()) }
    }

    /// Returns the policy as last written.
    pub async fn policy(&self) -> ClusterDevOpsPolicy {
        self.policy.lock().await.clone()
    }

    /// Returns the policy within a namespace, as last written.
    pub async fn within(&self, known: &CompiledPolicy, namespace: &str) -> CompiledPolicy {
        let mut policy = self.policy.lock().await.within(Some(namespace));
        policy.metadata.annotations.clone_from(&known.policy.metadata.annotations);
        CompiledPolicy { policy: policy.into(), effective: known.effective.clone() }
    }

    /// Returns true if the status has room for the record of another patch.
    pub async fn has_room(&self) -> bool {
        records::has_room(&self.policy.lock().await.within(None))
    }

    async fn write(
        &self,
        cluster: &Cluster,
        within: &DevOpsPolicy,
        status: DevOpsPolicyStatus,
    ) -> Result<DevOpsPolicy, StatusError> {
        let mut policy = self.policy.lock().await;
        let namespace = within.metadata.namespace.as_deref().unwrap_or_default();
        let next = policy.status.clone().unwrap_or_default().with_namespace(namespace, status);
        *policy = write_status(cluster, &self.policies, &*policy, &next).await?;
        let mut written = policy.within(Some(namespace));
        written.metadata.annotations.clone_from(&within.metadata.annotations);
        Ok(written)
    }
}
