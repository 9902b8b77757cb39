//! Requests another attempt on a workload that is skipped after a patch failed or was withdrawn.

use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use tracing::debug;

use super::apply::{fetch, patch};
use super::apply_error::ApplyError;
use super::ledger_notes::ledger_notes;
use crate::cluster::{CallError, Cluster};
use crate::enforcement::records::{about, is_closed};
use crate::enforcement::{RETRY, Subject};
use crate::manifests::{LEDGER_NAME, OBJECT_MANAGER};
use crate::policies;
use crate::policy::DevOpsPolicy;
use crate::workload::{WorkloadKind, WorkloadRef};

/// The reason why there is no other attempt.
#[derive(Debug, thiserror::Error)]
pub enum RetryError {
    /// The workload does not exist.
    #[error("there is no {} {:?} in namespace {:?}", .0.kind, .0.name, .0.namespace)]
    NoWorkload(WorkloadRef),
    /// Neither a policy nor the ledger has a record of a patch that failed or was withdrawn.
    #[error(
        "no policy of namespace {:?} records a patch of {} {:?} that failed or was withdrawn, nor does a ConfigMap \
         {LEDGER_NAME} that you may list: kube-devops policy rehearse gives the reason why a workload is skipped",
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

/// The longest wait for the second after the end of an attempt, for clocks that differ.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

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
    let (mut found, others): (Vec<DevOpsPolicy>, Vec<DevOpsPolicy>) = all.partition(left_it);
    let mut noted = None;
    if found.is_empty() {
        noted = noted_end(cluster, &subject).await;
        if noted.is_some() {
            found = others.into_iter().filter(DevOpsPolicy::is_in_force).collect();
        }
    }
    if found.is_empty() {
        return Err(RetryError::NothingFailed(workload));
    }
    found.sort_by_key(ResourceExt::name_any);
    let ended = found.iter().filter_map(|policy| about(policy.status.as_ref()?, &subject)?.time.as_ref());
    let asked = after(ended.map(|time| time.0).chain(noted).max(), now);
    tokio::time::sleep(asked.duration_since(now).unsigned_abs().min(LONGEST_WAIT)).await;
    let annotations = json!({ RETRY: asked.to_string() });
    let change = json!({ "metadata": { "uid": subject.uid(), "annotations": annotations } });
    let params = PatchParams { field_manager: Some(OBJECT_MANAGER.to_owned()), ..PatchParams::default() };
    patch(cluster, &subject, &params, &Patch::Merge(&change)).await?;
    Ok(found)
}

/// Returns the time of a withdrawal that only the ledger records, because the status had no room for it or its policy
/// is gone. `None` too if the ledger may not be read.
async fn noted_end(cluster: &Cluster, subject: &Subject) -> Option<Timestamp> {
    let notes =
        ledger_notes(cluster).await.inspect_err(|error| debug!(%error, "cannot read the ledger")).ok()?;
    notes.iter().filter(|note| note.uid == subject.uid()).map(|note| note.time).max()
}

/// Returns the time of a request that is later than the end of an attempt, also for an operator whose clock is ahead.
/// The times of records have whole seconds.
fn after(ended: Option<Timestamp>, now: Timestamp) -> Timestamp {
    let next = ended.and_then(|ended| Timestamp::from_second(ended.as_second().checked_add(1)?).ok());
    next.map_or(now, |next| next.max(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_in_a_later_second_than_the_attempt() {
        let at = |milliseconds: i64| Timestamp::from_millisecond(milliseconds).unwrap();
        assert_eq!(after(None, at(1500)), at(1500));
        assert_eq!(after(Some(at(1000)), at(1500)), at(2000));
        assert_eq!(after(Some(at(1000)), at(2500)), at(2500));
        assert_eq!(after(Some(at(4000)), at(2500)), at(5000), "the operator's clock is ahead");
    }
}
