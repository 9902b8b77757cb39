//! Decides if a workload may be patched now, and with which fields.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::apply_error::ApplyError;
use super::evidence::{can_tell_new_pods, pods};
use crate::cluster::Cluster;
use crate::enforcement::{
    EnforcingPolicy, Ineligible, Note, Plan, Subject, Surroundings, Terms, ineligible, plan_within, records,
    usual_restarts,
};
use crate::policy::{CompiledPolicy, RemediationSpec, SkipReason};

/// The inputs of the decision.
#[derive(Debug, Clone, Copy)]
pub(super) struct Inquiry<'a> {
    /// All policies of the namespace, whose records list earlier patches.
    pub(super) policies: &'a [CompiledPolicy],
    /// The enforcing policies, in order of precedence.
    pub(super) enforcing: &'a [EnforcingPolicy],
    /// The policy's settings for patches.
    pub(super) remediation: &'a RemediationSpec,
    /// The objects of the namespace that constrain patches.
    pub(super) surroundings: &'a Surroundings,
    /// The withdrawals that only the ledger knows of.
    pub(super) notes: &'a [Note],
}

/// The decision about a workload.
#[derive(Debug)]
pub(super) enum Appraisal {
    /// It may be patched.
    Ready {
        /// The fields to set.
        plan: Plan,
        /// The restarts of its containers within an hour, before the patch; `None` if unknown.
        usual_restarts: Option<i32>,
    },
    /// It is skipped.
    Skipped {
        /// The reason.
        reason: SkipReason,
        /// The reason in a sentence.
        message: String,
        /// True if the obstacle may disappear by itself.
        passing: bool,
        /// The patch for the manager of the workload.
        plan: Option<Plan>,
    },
}

/// Checks a freshly fetched workload. Lists its pods only if no other reason rules out a patch.
pub(super) async fn appraise(
    cluster: &Cluster,
    subject: &Subject,
    inquiry: &Inquiry<'_>,
    now: Timestamp,
) -> Result<Appraisal, ApplyError> {
    if let Some(found) = records::left_alone(inquiry.policies, subject, now) {
        return Ok(skipped(found.reason(), found.to_string(), found.passing()));
    }
    let causes = |policy: &CompiledPolicy| subject.causes_hash(&policy.policy.spec.fix_defaults());
    let causes: Vec<String> = inquiry.policies.iter().map(causes).collect();
    let is_unchanged = |note: &&Note| causes.iter().any(|causes| note.is_about(subject, causes));
    if let Some(note) = inquiry.notes.iter().find(is_unchanged) {
        let message =
            format!("an earlier patch failed, and its template did not change since: {}", note.message);
        return Ok(skipped(SkipReason::FailedBefore, message, false));
    }
    let (remediation, claims) = (inquiry.remediation, &inquiry.surroundings.claims);
    let mut managed = None;
    match ineligible(subject, &[], remediation, claims, now) {
        Some(found @ Ineligible::Managed(_)) => managed = Some(found),
        Some(found) => return Ok(skipped(found.reason(), found.to_string(), found.passing())),
        None => {}
    }
    let terms = Terms {
        enforcing: inquiry.enforcing,
        remediation,
        surroundings: inquiry.surroundings,
        barred: &records::taken_out(inquiry.policies, subject),
    };
    let plan = plan_within(subject, &terms, now)?;
    if plan.is_empty() {
        let reasons: BTreeSet<&str> = plan.unfixed.iter().map(|unfixed| unfixed.reason.as_str()).collect();
        let reasons: Vec<&str> = reasons.into_iter().collect();
        return Ok(skipped(SkipReason::NoFix, reasons.join("; "), false));
    }
    if let Some(managed) = managed {
        let (reason, message) = (managed.reason(), managed.to_string());
        return Ok(Appraisal::Skipped { reason, message, passing: false, plan: Some(plan) });
    }
    if let Some(message) = inquiry.surroundings.blocks_rollout(&subject.with(&plan.adds)) {
        return Ok(skipped(SkipReason::QuotaExceeded, message, true));
    }
    if let Some(budget) = inquiry.surroundings.blocked_by(subject) {
        let message = format!("PodDisruptionBudget {budget} allows no disruption now");
        return Ok(skipped(SkipReason::DisruptionBudget, message, true));
    }
    can_tell_new_pods(cluster, subject).await?;
    let pods = pods(cluster, subject).await?;
    if let Some(found) = ineligible(subject, &pods, remediation, claims, now) {
        return Ok(skipped(found.reason(), found.to_string(), found.passing()));
    }
    Ok(Appraisal::Ready { plan, usual_restarts: usual_restarts(&pods) })
}

fn skipped(reason: SkipReason, message: String, passing: bool) -> Appraisal {
    Appraisal::Skipped { reason, message, passing, plan: None }
}
