//! Undoes patches: finds the patched workloads and removes the fields, with or without a running operator.

use std::collections::BTreeSet;
use std::sync::Arc;

use kube::ResourceExt as _;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use super::apply::{fetch, patch, read_again};
use super::apply_error::ApplyError;
use super::evidence::pods;
use super::find::find;
use super::withdraw::{Withdrawal, tuned, withdraw};
use crate::cluster::{CallError, Cluster, retry_on_conflict};
use crate::enforcement::{ContainerField, FieldOwners, Share, Subject, UNDONE, UndoResult, is_ready, share};
use crate::policies;
use crate::policy::DevOpsPolicy;
use crate::workload::{PolicyRef, WorkloadKind, WorkloadRef};

/// The field manager of the annotation [`UNDONE`].
const UNDO_MANAGER: &str = "kube-devops-undo";

/// The workloads to undo.
#[derive(Clone, Copy, Debug)]
pub enum UndoTarget<'a> {
    /// One workload.
    Workload(WorkloadKind, &'a str),
    /// All patches of a policy.
    Policy(&'a str),
    /// All patches.
    All,
}

/// An error while finding patched workloads.
#[derive(Debug, thiserror::Error)]
pub enum UndoError {
    /// The workload does not exist.
    #[error("there is no {} {:?} in namespace {:?}", .0.kind, .0.name, .0.namespace)]
    NoWorkload(WorkloadRef),
    /// There is neither a policy with this name nor a workload patched for one.
    #[error(
        "namespace {:?} has no policy {:?}, and no workload that is patched for one of that name",
        .0.namespace, .0.name
    )]
    NoPolicy(PolicyRef),
    /// The policies cannot be listed.
    #[error("cannot list the policies of namespace {namespace:?}")]
    Policies {
        /// The namespace.
        namespace: String,
        /// The failed call.
        source: CallError,
    },
    /// The workloads cannot be read.
    #[error(transparent)]
    Workloads(#[from] ApplyError),
}

/// A patched workload, and the fields to undo.
#[derive(Debug)]
pub struct PatchedWorkload {
    /// The workload.
    pub subject: Subject,
    /// The policy's share of the fields.
    pub share: Share,
}

/// Finds the patched workloads in a namespace, or with `everywhere` in all namespaces for [`UndoTarget::All`].
pub async fn patched(
    cluster: &Cluster,
    namespace: &str,
    everywhere: bool,
    target: UndoTarget<'_>,
) -> Result<Vec<PatchedWorkload>, UndoError> {
    let (policy, policies) = match target {
        UndoTarget::Policy(policy) => (Some(policy), policies_in(cluster, namespace).await?),
        UndoTarget::Workload(..) | UndoTarget::All => (None, Vec::new()),
    };
    let found = if let UndoTarget::Workload(kind, name) = target {
        let missing = || UndoError::NoWorkload(WorkloadRef::new(namespace, kind.name(), name));
        vec![fetch(cluster, kind, namespace, name).await?.ok_or_else(missing)?]
    } else {
        let wanted = |subject: &Subject| share(subject, policy, &policies).is_some();
        find(cluster, (!everywhere).then_some(namespace), wanted).await?
    };
    let is_known = |name: &str| policies.iter().any(|policy| policy.name_any() == name);
    if let Some(policy) = policy.filter(|policy| found.is_empty() && !is_known(policy)) {
        return Err(UndoError::NoPolicy(PolicyRef::new(namespace, policy)));
    }
    let patched = found.into_iter().filter_map(|subject| {
        let share = share(&subject, policy, &policies)?;
        Some(PatchedWorkload { subject, share })
    });
    Ok(patched.collect())
}

/// Lists the policies of a namespace; returns none if the cluster lacks the CRD.
async fn policies_in(cluster: &Cluster, namespace: &str) -> Result<Vec<Arc<DevOpsPolicy>>, UndoError> {
    match policies::list(cluster, Some(namespace)).await {
        Ok(found) => Ok(found.into_values().flatten().map(|compiled| compiled.policy).collect()),
        Err(error) if error.code() == Some(404) => Ok(Vec::new()),
        Err(source) => Err(UndoError::Policies { namespace: namespace.to_owned(), source }),
    }
}

/// Returns the result that an undo would have. Fails if the undo would be refused.
pub fn preview(patched: &PatchedWorkload) -> Result<UndoResult, ApplyError> {
    let PatchedWorkload { subject, share } = patched;
    ApplyError::check_manager(subject)?;
    let tuned = tuned(subject, &share.fields);
    let stays: FieldOwners = share
        .fields
        .iter()
        .filter(|field| !tuned.contains_key(field))
        .map(|field| (field.clone(), subject.co_owners(field)))
        .filter(|(_, owners)| !owners.is_empty())
        .collect();
    Ok(outcome(patched, true, tuned, stays, Vec::new()))
}

/// Undoes the patch of one workload.
pub async fn undo(cluster: &Cluster, patched: &PatchedWorkload) -> Result<UndoResult, ApplyError> {
    let PatchedWorkload { subject, share } = patched;
    let Share { fields, rest_for, .. } = share;
    let stuck = stuck(cluster, subject).await?;
    // The workload's controller updates it often during a rollout, so conflicts are retried.
    let attempt = async |number| {
        let subject = read_again(cluster, subject, number).await?;
        let subject = mark(cluster, &subject).await?;
        withdraw(cluster, &subject, fields, rest_for.as_deref()).await
    };
    match retry_on_conflict(attempt, |error| matches!(error, ApplyError::Stale)).await {
        Ok(Withdrawal { remains, tuned, .. }) => Ok(outcome(patched, false, tuned, remains, stuck)),
        Err(ApplyError::Gone) => {
            Ok(outcome(patched, false, FieldOwners::new(), FieldOwners::new(), Vec::new()))
        }
        Err(error) => Err(error),
    }
}

/// Leaves the annotation by which the operator knows who removed the fields. The fields' manager could not keep it.
async fn mark(cluster: &Cluster, subject: &Subject) -> Result<Subject, ApplyError> {
    let generation = subject.metadata().generation.unwrap_or_default().to_string();
    let document = json!({ "metadata": { "annotations": { UNDONE: generation } } });
    let params = PatchParams { field_manager: Some(UNDO_MANAGER.to_owned()), ..PatchParams::default() };
    patch(cluster, subject, &params, &Patch::Merge(&document)).await
}

fn outcome(
    patched: &PatchedWorkload,
    is_preview: bool,
    tuned: FieldOwners,
    stays: FieldOwners,
    stuck: Vec<String>,
) -> UndoResult {
    let fields: &BTreeSet<ContainerField> = &patched.share.fields;
    UndoResult {
        workload: patched.subject.reference(),
        is_preview,
        is_rest: fields.is_empty(),
        gone: fields.iter().filter(|field| !stays.contains_key(field)).cloned().collect(),
        tuned,
        stays,
        stuck,
    }
}

/// Returns the pods of a `StatefulSet` that are not ready, which its controller does not replace.
async fn stuck(cluster: &Cluster, subject: &Subject) -> Result<Vec<String>, CallError> {
    if subject.kind() != WorkloadKind::StatefulSet {
        return Ok(Vec::new());
    }
    let pods = pods(cluster, subject).await?;
    let stuck = pods.iter().filter(|pod| !is_ready(pod) && pod.metadata.deletion_timestamp.is_none());
    Ok(stuck.map(|pod| pod.name().to_owned()).collect())
}
