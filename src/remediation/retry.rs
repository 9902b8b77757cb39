//! Requests another attempt on a workload that is skipped after a patch failed or was withdrawn.

use jiff::Timestamp;
use kube::ResourceExt;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use super::apply::{fetch, patch};
use super::apply_error::ApplyError;
use crate::cluster::{CallError, Cluster};
use crate::enforcement::RETRY;
use crate::enforcement::records::{about, is_closed};
use crate::manifests::OBJECT_MANAGER;
use crate::policies;
use crate::policy::DevOpsPolicy;
use crate::workload::{WorkloadKind, WorkloadRef};

/// The reason why there is no other attempt.
#[derive(Debug, thiserror::Error)]
pub enum RetryError {
    /// The workload does not exist.
    #[error("there is no {} {:?} in namespace {:?}", .0.kind, .0.name, .0.namespace)]
    NoWorkload(WorkloadRef),
    /// No policy has a record of a patch that failed or was withdrawn.
    #[error(
        "no policy of namespace {:?} records a patch of {} {:?} that failed or was withdrawn: \
         kube-devops policy rehearse gives the reason why a workload is skipped",
        .0.namespace, .0.kind, .0.name
    )]
    NothingFailed(WorkloadRef),
    /// The policies cannot be listed.
    #[error("cannot list the policies of namespace {namespace:?}")]
    Policies {
        /// The namespace.
        namespace: String,
        /// The failed call.
        source: CallError,
    },
    /// The workload cannot be read or annotated.
    #[error(transparent)]
    Workload(#[from] ApplyError),
}

/// Sets the annotation that requests another attempt after a failed patch, and returns the policies that skipped the
/// workload.
pub async fn retry(
    cluster: &Cluster,
    kind: WorkloadKind,
    namespace: &str,
    name: &str,
    now: Timestamp,
) -> Result<Vec<DevOpsPolicy>, RetryError> {
    let workload = WorkloadRef::new(namespace, kind.name(), name);
    let Some(subject) = fetch(cluster, kind, namespace, name).await? else {
        return Err(RetryError::NoWorkload(workload));
    };
    let listed = policies::list(cluster, Some(namespace)).await;
    let listed = listed.map_err(|source| RetryError::Policies { namespace: namespace.to_owned(), source })?;
    let all = listed.into_values().flatten().map(|known| (*known.policy).clone());
    let left_it = |policy: &DevOpsPolicy| {
        policy.status.as_ref().and_then(|status| about(status, &subject)).is_some_and(is_closed)
    };
    let mut found: Vec<DevOpsPolicy> = all.filter(left_it).collect();
    if found.is_empty() {
        return Err(RetryError::NothingFailed(workload));
    }
    found.sort_by_key(ResourceExt::name_any);
    let annotations = json!({ RETRY: now.to_string() });
    let change = json!({ "metadata": { "uid": subject.uid(), "annotations": annotations } });
    let params = PatchParams { field_manager: Some(OBJECT_MANAGER.to_owned()), ..PatchParams::default() };
    patch(cluster, &subject, &params, &Patch::Merge(&change)).await?;
    Ok(found)
}
