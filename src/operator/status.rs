//! The desired status of a policy, and its comparison with the current one. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::ResourceExt as _;

use super::{AdmissionState, NamespaceEvaluation};
use crate::governance::ReportedViolation;
use crate::policy::{ConditionReason, ConditionType, DevOpsPolicy, DevOpsPolicyStatus, PolicyError};
use crate::remediation::EnforcementState;
use crate::workload::count;

/// The result of evaluating a policy's namespace.
#[derive(Debug)]
pub enum EvaluationOutcome {
    /// The namespace was evaluated.
    Evaluated(NamespaceEvaluation),
    /// It is a system namespace, in which policies have no effect.
    NoEffect,
    /// The policy is invalid.
    Invalid(Arc<PolicyError>),
}

impl EvaluationOutcome {
    /// The evaluation, if there is one.
    pub fn evaluation(&self) -> Option<&NamespaceEvaluation> {
        if let Self::Evaluated(evaluation) = self { Some(evaluation) } else { None }
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
    let now = Time(Timestamp::from_second(now.as_second()).unwrap_or(now));
    let current = policy.status.clone().unwrap_or_default();
    let generation = policy.metadata.generation;
    let evaluation = outcome.evaluation();
    let conditions = conditions(outcome, enforcement)
        .into_iter()
        .chain(admission_condition(&policy.name_any(), outcome, admission))
        .chain(evaluation.and_then(exemptions_condition))
        .chain(evaluation.and_then(complete_condition))
        .map(|condition| condition.into_condition(generation, &current.conditions, &now))
        .collect();
    let next = DevOpsPolicyStatus {
        observed_generation: generation,
        healthy: evaluation.map(|evaluation| evaluation.violations.is_empty()),
        health_score: evaluation.map(|evaluation| evaluation.score.value()),
        classification: evaluation.map(|evaluation| evaluation.score.classification().to_string()),
        violations: evaluation.map(|evaluation| evaluation.violations.len() as u64),
        pods: evaluation.map(|evaluation| evaluation.pods),
        exempted: evaluation.map(|evaluation| evaluation.exempted).filter(|exempted| *exempted > 0),
        last_evaluated: current.last_evaluated.clone(),
        message: Some(message(outcome)),
        conditions,
        withdrawals_in_a_row: current
            .withdrawals_in_a_row
            .filter(|_| current.observed_generation == generation),
        // The fields of enforcement stay unchanged.
        ..current.clone()
    };
    (next != current).then_some(DevOpsPolicyStatus { last_evaluated: Some(now), ..next })
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

fn conditions(outcome: &EvaluationOutcome, enforcement: &EnforcementState) -> [State; 3] {
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
    policy: &str,
    outcome: &EvaluationOutcome,
    admission: &AdmissionState,
) -> Option<State> {
    let (status, reason, text) = admission.condition(policy)?;
    let state = |status, reason, message| State { type_: ConditionType::Admission, status, reason, message };
    Some(match outcome {
        EvaluationOutcome::Evaluated(_) => state(status, reason, text),
        EvaluationOutcome::NoEffect => state(false, ConditionReason::SystemNamespace, message(outcome)),
        EvaluationOutcome::Invalid(_) => state(false, ConditionReason::InvalidSpec, message(outcome)),
    })
}

/// The most exemptions that the condition lists.
const LISTED: usize = 20;

/// Returns the condition about exemptions by annotations; `None` without any.
fn exemptions_condition(evaluation: &NamespaceEvaluation) -> Option<State> {
    let NamespaceEvaluation { exempt, refused, .. } = evaluation;
    if exempt.is_empty() && refused.is_empty() {
        return None;
    }
    let lines = refused.iter().cloned().chain(exempt.iter().map(ToString::to_string));
    let more = (exempt.len() + refused.len()).saturating_sub(LISTED);
    let more = (more > 0).then(|| format!("and {more} more"));
    let message = lines.take(LISTED).chain(more).collect::<Vec<_>>().join("; ");
    let is_valid = refused.is_empty();
    let reason = if is_valid { ConditionReason::Exempt } else { ConditionReason::Refused };
    Some(State { type_: ConditionType::Exemptions, status: is_valid, reason, message })
}

/// Returns the condition about the objects that rules read; `None` if the rules look at pods and workloads alone.
fn complete_condition(evaluation: &NamespaceEvaluation) -> Option<State> {
    let unread = evaluation.unread.as_ref()?;
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

fn message(outcome: &EvaluationOutcome) -> String {
    match outcome {
        EvaluationOutcome::NoEffect => {
            "no effect: this is a system namespace, and policies leave those alone".to_owned()
        }
        EvaluationOutcome::Invalid(error) => format!("not evaluated: {error}"),
        EvaluationOutcome::Evaluated(evaluation) if evaluation.violations.is_empty() => {
            let found = format!("nothing in {} violates the policy", count(evaluation.pods, "pod", "pods"));
            with_unknown(found, evaluation)
        }
        EvaluationOutcome::Evaluated(evaluation) => {
            let rules: Vec<String> = by_rule(&evaluation.violations)
                .into_iter()
                .map(|(rule, count)| format!("{count} x {rule}"))
                .collect();
            let violations = count(evaluation.violations.len() as u64, "violation", "violations");
            let found =
                format!("{violations} in {}: {}", count(evaluation.pods, "pod", "pods"), rules.join(", "));
            with_unknown(found, evaluation)
        }
    }
}

/// Adds the rules that can't tell to the result of an evaluation.
fn with_unknown(found: String, evaluation: &NamespaceEvaluation) -> String {
    [found].into_iter().chain(evaluation.unknown.iter().cloned()).collect::<Vec<_>>().join("; ")
}

fn by_rule(violations: &[ReportedViolation]) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    for violation in violations {
        *counts.entry(violation.rule.as_str()).or_default() += 1;
    }
    counts
}

#[cfg(test)]
mod tests;
