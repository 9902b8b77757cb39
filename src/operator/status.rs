//! The desired status of a policy, and its comparison with the current one. Pure.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::ResourceExt as _;

use super::cluster_evaluations::ConditionState;
use super::{AdmissionState, EvaluationSums, NamespaceEvaluation};
use crate::policy::{ConditionReason, ConditionType, DevOpsPolicy, DevOpsPolicyStatus, PolicyError};
use crate::remediation::EnforcementState;
use crate::workload::count;

/// The result of evaluating a policy: of its namespace, or of the figures of all its namespaces.
#[derive(Debug)]
pub enum EvaluationOutcome<E = NamespaceEvaluation> {
    /// The policy was evaluated.
    Evaluated(E),
    /// It is in a system namespace, in which policies have no effect.
    NoEffect,
    /// The policy is invalid.
    Invalid(Arc<PolicyError>),
}

impl<E> EvaluationOutcome<E> {
    /// The evaluation, if there is one.
    pub fn evaluation(&self) -> Option<&E> {
        if let Self::Evaluated(evaluation) = self { Some(evaluation) } else { None }
    }
}

impl EvaluationOutcome {
    fn sums(&self) -> EvaluationOutcome<EvaluationSums> {
        match self {
            Self::Evaluated(evaluation) => EvaluationOutcome::Evaluated(EvaluationSums::of(evaluation)),
            Self::NoEffect => EvaluationOutcome::NoEffect,
            Self::Invalid(error) => EvaluationOutcome::Invalid(Arc::clone(error)),
        }
    }
}

/// Returns the complete status of a policy, or `None` if the policy already has it.
///
/// A different time of evaluation alone is no change. Times have whole seconds, as the API server stores them.
pub fn next_status(
    policy: &DevOpsPolicy,
    outcome: &EvaluationOutcome,
    enforcement: &EnforcementState,
    admission: &AdmissionState,
    now: Timestamp,
) -> Option<DevOpsPolicyStatus> {
    let next = status_by(policy, &outcome.sums(), enforcement, admission.condition(&policy.name_any()), now);
    (Some(&next) != policy.status.as_ref()).then(|| evaluated_at(next, now))
}

/// Returns a status with the time of its last change.
pub(super) fn evaluated_at(status: DevOpsPolicyStatus, now: Timestamp) -> DevOpsPolicyStatus {
    DevOpsPolicyStatus { last_evaluated: Some(whole_seconds(now)), ..status }
}

fn whole_seconds(now: Timestamp) -> Time {
    Time(Timestamp::from_second(now.as_second()).unwrap_or(now))
}

/// Returns the complete status of a policy by the figures of its evaluation, with the time of its last change.
pub(super) fn status_by(
    policy: &DevOpsPolicy,
    outcome: &EvaluationOutcome<EvaluationSums>,
    enforcement: &EnforcementState,
    admission: Option<ConditionState>,
    now: Timestamp,
) -> DevOpsPolicyStatus {
    let current = policy.status.clone().unwrap_or_default();
    let generation = policy.metadata.generation;
    let sums = outcome.evaluation();
    let conditions = conditions(outcome, enforcement)
        .into_iter()
        .chain(admission_condition(outcome, admission))
        .chain(sums.and_then(exemptions_condition))
        .chain(sums.and_then(complete_condition))
        .map(|condition| condition.into_condition(generation, &current.conditions, &whole_seconds(now)))
        .collect();
    DevOpsPolicyStatus {
        observed_generation: generation,
        healthy: sums.map(|sums| sums.violations() == 0),
        health_score: sums.map(|sums| sums.score().value()),
        classification: sums.map(|sums| sums.score().classification().to_string()),
        violations: sums.map(EvaluationSums::violations),
        pods: sums.map(|sums| sums.pods),
        exempted: sums.map(|sums| sums.exempted).filter(|exempted| *exempted > 0),
        last_evaluated: current.last_evaluated.clone(),
        message: Some(message(outcome)),
        conditions,
        withdrawals_in_a_row: current
            .withdrawals_in_a_row
            .filter(|_| current.observed_generation == generation),
        // The fields of enforcement stay unchanged.
        ..current
    }
}

/// A condition without its times.
struct State {
    type_: ConditionType,
    status: bool,
    reason: ConditionReason,
    message: String,
}

impl State {
    fn into_condition(self, generation: Option<i64>, before: &[Condition], now: &Time) -> Condition {
        let status = if self.status { "True" } else { "False" };
        let same = before.iter().find(|known| known.type_ == self.type_.as_str() && known.status == status);
        Condition {
            type_: self.type_.as_str().to_owned(),
            status: status.to_owned(),
            reason: self.reason.to_string(),
            message: self.message,
            observed_generation: generation,
            last_transition_time: same
                .map_or_else(|| now.clone(), |known| known.last_transition_time.clone()),
        }
    }
}

fn conditions(outcome: &EvaluationOutcome<EvaluationSums>, enforcement: &EnforcementState) -> [State; 3] {
    let state = |type_, status, reason, message: String| State { type_, status, reason, message };
    let ready = match outcome {
        EvaluationOutcome::Evaluated(_) => {
            state(ConditionType::Ready, true, ConditionReason::Evaluated, message(outcome))
        }
        EvaluationOutcome::NoEffect => {
            state(ConditionType::Ready, false, ConditionReason::SystemNamespace, message(outcome))
        }
        EvaluationOutcome::Invalid(_) => {
            state(ConditionType::Ready, false, ConditionReason::InvalidSpec, message(outcome))
        }
    };
    let enforcing = match outcome {
        EvaluationOutcome::Evaluated(_) => state(
            ConditionType::Enforcing,
            enforcement.enforcing,
            enforcement.reason,
            enforcement.message.clone(),
        ),
        EvaluationOutcome::NoEffect => {
            state(ConditionType::Enforcing, false, ConditionReason::SystemNamespace, message(outcome))
        }
        EvaluationOutcome::Invalid(_) => {
            state(ConditionType::Enforcing, false, ConditionReason::InvalidSpec, message(outcome))
        }
    };
    let degraded = match (outcome, enforcement.stopped.as_ref().or(enforcement.incident.as_ref())) {
        (EvaluationOutcome::Invalid(error), _) => {
            state(ConditionType::Degraded, true, ConditionReason::InvalidSpec, error.to_string())
        }
        (EvaluationOutcome::Evaluated(_), Some(why)) => {
            let reason = if enforcement.stopped.is_some() {
                ConditionReason::Withdrawals
            } else {
                ConditionReason::Incident
            };
            state(ConditionType::Degraded, true, reason, why.clone())
        }
        _ => state(ConditionType::Degraded, false, ConditionReason::AsExpected, String::new()),
    };
    [ready, enforcing, degraded]
}

/// Returns the condition of native admission; `None` without it.
fn admission_condition(
    outcome: &EvaluationOutcome<EvaluationSums>,
    admission: Option<ConditionState>,
) -> Option<State> {
    let (status, reason, text) = admission?;
    let state = |status, reason, message| State { type_: ConditionType::Admission, status, reason, message };
    Some(match outcome {
        EvaluationOutcome::Evaluated(_) => state(status, reason, text),
        EvaluationOutcome::NoEffect => state(false, ConditionReason::SystemNamespace, message(outcome)),
        EvaluationOutcome::Invalid(_) => state(false, ConditionReason::InvalidSpec, message(outcome)),
    })
}

/// Returns the condition about exemptions by annotations; `None` without any.
fn exemptions_condition(sums: &EvaluationSums) -> Option<State> {
    let message = sums.exemptions.text()?;
    let is_valid = sums.exemptions.refused.is_empty();
    let reason = if is_valid { ConditionReason::Exempt } else { ConditionReason::Refused };
    Some(State { type_: ConditionType::Exemptions, status: is_valid, reason, message })
}

/// Returns the condition about the objects that rules read; `None` if the rules look at pods and workloads alone.
fn complete_condition(sums: &EvaluationSums) -> Option<State> {
    let unread = sums.unread.as_ref()?;
    let reason = if unread.is_empty() {
        ConditionReason::Evaluated
    } else if unread.iter().any(|kind| kind.is_refused) {
        ConditionReason::NoPermission
    } else {
        ConditionReason::Unread
    };
    let message = unread.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    Some(State { type_: ConditionType::Complete, status: unread.is_empty(), reason, message })
}

fn message(outcome: &EvaluationOutcome<EvaluationSums>) -> String {
    match outcome {
        EvaluationOutcome::NoEffect => {
            "no effect: this is a system namespace, and policies leave those alone".to_owned()
        }
        EvaluationOutcome::Invalid(error) => format!("not evaluated: {error}"),
        EvaluationOutcome::Evaluated(sums) if sums.violations() == 0 => {
            with_unknown(format!("nothing in {} violates the policy", count(sums.pods, "pod", "pods")), sums)
        }
        EvaluationOutcome::Evaluated(sums) => {
            let rules: Vec<String> =
                sums.by_rule.iter().map(|(rule, count)| format!("{count} x {rule}")).collect();
            let violations = count(sums.violations(), "violation", "violations");
            let found = format!("{violations} in {}: {}", count(sums.pods, "pod", "pods"), rules.join(", "));
            with_unknown(found, sums)
        }
    }
}

/// Adds the rules that can't tell to the result of an evaluation.
fn with_unknown(found: String, sums: &EvaluationSums) -> String {
    [found].into_iter().chain(sums.unknown.iter().cloned()).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests;
