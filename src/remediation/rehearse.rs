//! Rehearses a policy: plans every patch and sends it as a server-side dry run.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use kube::ResourceExt as _;
use serde_json::Value;
use tracing::warn;

use super::apply::{read_again, rehearse};
use super::apply_error::ApplyError;
use super::appraise::{Appraisal, Inquiry, appraise};
use super::candidates::breaks_what_can_be_mended;
use super::evidence::{services, surroundings};
use super::find::find;
use super::ledger_notes::ledger_notes;
use crate::cluster::{Cluster, retry_on_conflict};
use crate::enforcement::{
    EnforcingPolicy, Note, RehearsalOutcome, Rehearsed, RolloutOrder, RolloutProgress, Subject, Surroundings,
    managed_by, settling,
};
use crate::governance::AnnotatedExemptions;
use crate::manifests::LEDGER_NAME;
use crate::policy::{CompiledPolicy, PolicyError, SuggestedFix};

/// The reason why there is no rehearsal.
#[derive(Debug, thiserror::Error)]
pub enum RehearsalError {
    /// The policy is invalid.
    #[error("the policy is invalid: {0}")]
    Policy(#[from] Arc<PolicyError>),
    /// The cluster cannot be read.
    #[error(transparent)]
    Cluster(#[from] ApplyError),
}

/// Rehearses a policy as if it enforced, with the other enforcing policies of its namespace. The workloads come in the
/// order in which they would be patched. Workloads without a fixable violation are not included.
pub async fn rehearse_policy(
    cluster: &Cluster,
    policy: &CompiledPolicy,
    all: &[CompiledPolicy],
    now: Timestamp,
) -> Result<Vec<Rehearsed>, RehearsalError> {
    rehearse_some(cluster, policy, all, |_| true, now).await
}

/// Returns the patches for managers of workloads, as the operator plans them.
pub async fn fixes(
    cluster: &Cluster,
    policy: &CompiledPolicy,
    all: &[CompiledPolicy],
    now: Timestamp,
) -> Result<Vec<SuggestedFix>, RehearsalError> {
    let managed = |subject: &Subject| managed_by(subject).is_some();
    let rehearsed = rehearse_some(cluster, policy, all, managed, now).await?.into_iter();
    let fixes = rehearsed.filter_map(|one| match one.outcome {
        RehearsalOutcome::Skipped { fix, .. } => fix,
        _ => None,
    });
    Ok(fixes.collect())
}

async fn rehearse_some(
    cluster: &Cluster,
    policy: &CompiledPolicy,
    all: &[CompiledPolicy],
    keep: impl Fn(&Subject) -> bool,
    now: Timestamp,
) -> Result<Vec<Rehearsed>, RehearsalError> {
    let namespace = policy.policy.namespace().unwrap_or_default();
    let own = EnforcingPolicy::new(policy)?;
    let enforcing = EnforcingPolicy::beside(policy, all);
    let exemptions = exemptions(cluster, &namespace).await?;
    let concerned = |subject: &Subject| {
        if !keep(subject) {
            return false;
        }
        let is_broken = |workload| breaks_what_can_be_mended(&workload, &own.effective, &exemptions, now);
        subject.workload().is_ok_and(is_broken)
    };
    let mut subjects = find(cluster, Some(&namespace), concerned).await?;
    let services = services(cluster, &namespace).await.map_err(ApplyError::from)?;
    let around = surroundings(cluster, &namespace, services).await.map_err(ApplyError::from)?;
    let around = Surroundings { exemptions: exemptions.clone(), ..around };
    subjects.sort_by_key(|subject| {
        (RolloutOrder::of(subject, &around.claims), subject.kind(), subject.name().to_owned())
    });
    let remediation = policy.policy.spec.remediation.clone().unwrap_or_default().within_limits();
    let notes = notes(cluster).await?;
    let inquiry = Inquiry {
        policies: all,
        enforcing: &enforcing,
        remediation: &remediation,
        surroundings: &around,
        notes: &notes,
    };
    let mut rehearsed = Vec::new();
    for subject in subjects {
        rehearsed.extend(rehearse_one(cluster, &subject, &inquiry, &around, now).await?);
    }
    Ok(rehearsed)
}

/// Returns the exemptions of a Namespace; none without the permission to read it.
async fn exemptions(cluster: &Cluster, namespace: &str) -> Result<AnnotatedExemptions, ApplyError> {
    let mut exemptions = AnnotatedExemptions::default();
    match cluster.namespace_metadata(namespace).await {
        Ok(metadata) => {
            let annotations = metadata.and_then(|metadata| metadata.annotations).unwrap_or_default();
            exemptions.add_namespace(namespace, |key| annotations.get(key).map(String::as_str));
        }
        Err(error) if error.code() == Some(403) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(exemptions)
}

/// Returns the withdrawals that only the ledger knows of; none without the permission to list `ConfigMap`s.
async fn notes(cluster: &Cluster) -> Result<Vec<Note>, ApplyError> {
    match ledger_notes(cluster).await {
        Err(error) if error.code() == Some(403) => {
            warn!(
                "the permission to list ConfigMaps is missing: a workload that only a note in a ConfigMap \
                 {LEDGER_NAME} keeps from another patch is shown as if it were patched"
            );
            Ok(Vec::new())
        }
        read => Ok(read?),
    }
}

/// Rehearses one workload; `None` if it was deleted meanwhile.
async fn rehearse_one(
    cluster: &Cluster,
    subject: &Subject,
    inquiry: &Inquiry<'_>,
    around: &Surroundings,
    now: Timestamp,
) -> Result<Option<Rehearsed>, ApplyError> {
    // The workload's controller updates it often, so conflicts are retried.
    let attempt = async |number| {
        let subject = &*read_again(cluster, subject, number).await?;
        let outcome = outcome(cluster, subject, inquiry, now).await?;
        Ok(Rehearsed {
            workload: subject.reference(),
            pods: RolloutProgress::of(subject).wanted,
            managers: managers(subject),
            around: around.describe(subject),
            outcome,
        })
    };
    match retry_on_conflict(attempt, |error| matches!(error, ApplyError::Stale)).await {
        Err(ApplyError::Gone) => Ok(None),
        rehearsed => rehearsed.map(Some),
    }
}

async fn outcome(
    cluster: &Cluster,
    subject: &Subject,
    inquiry: &Inquiry<'_>,
    now: Timestamp,
) -> Result<RehearsalOutcome, ApplyError> {
    let plan = match appraise(cluster, subject, inquiry, now).await? {
        Appraisal::Skipped { reason, message, plan, .. } => {
            let fix = plan.map(|plan| plan.fix(subject));
            return Ok(RehearsalOutcome::Skipped { reason, message, fix });
        }
        Appraisal::Ready { plan, .. } => plan,
    };
    match rehearse(cluster, subject, &plan.document).await {
        Ok(after) => {
            let settling_seconds = settling(&after, plan.adds.keys()).unsigned_abs().as_secs();
            let (before, after) = (template(subject), template(&after));
            Ok(RehearsalOutcome::Patch { plan, before, after, settling_seconds })
        }
        Err(error @ ApplyError::Gone) => Err(error),
        Err(error) if error.is_passing() => Err(error),
        Err(error) => {
            Ok(RehearsalOutcome::Refused { plan, reason: error.reason(), message: error.to_string() })
        }
    }
}

fn template(subject: &Subject) -> Value {
    subject.object.pointer("/spec/template").cloned().unwrap_or_default()
}

fn managers(subject: &Subject) -> BTreeSet<String> {
    let named =
        subject.managers().filter(|entry| entry.subresource.as_deref().unwrap_or_default().is_empty());
    named
        .filter_map(|entry| {
            Some(format!(
                "{} ({})",
                entry.manager.as_deref()?,
                entry.operation.as_deref().unwrap_or_default()
            ))
        })
        .collect()
}
