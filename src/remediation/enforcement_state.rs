//! The state of a policy's enforcement, as its status shows it. Pure.

use std::collections::BTreeMap;

use super::conflict_policy::ConflictPolicyState;
use crate::enforcement::NOT_EVALUATED;
use crate::enforcement::records::{self, KEPT, has_patches, has_room, is_under_way};
use crate::manifests::CONFLICT_POLICY;
use crate::policy::{ConditionReason, DevOpsPolicy, EnforcementMode, Remediation, SkipReason};

/// Enforcement's part of the conditions Enforcing and Degraded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnforcementState {
    /// True if violations are repaired.
    pub enforcing: bool,
    /// The reason.
    pub reason: ConditionReason,
    /// The reason in a sentence.
    pub message: String,
    /// The reason why the policy stopped itself, if it did.
    pub stopped: Option<String>,
    /// The incident that many workloads are in, if there is one.
    pub incident: Option<String>,
}

impl Default for EnforcementState {
    /// The policy does not enforce.
    fn default() -> Self {
        let message = "the policy asks for no changes".to_owned();
        Self { enforcing: false, reason: ConditionReason::AuditMode, message, stopped: None, incident: None }
    }
}

impl EnforcementState {
    /// Describes the state of enforcement. `skipped` counts skipped workloads by reason; `held_up_by` is what eligible
    /// workloads wait for.
    pub(super) fn of(
        policy: &DevOpsPolicy,
        skipped: &BTreeMap<SkipReason, (usize, String)>,
        held_up_by: Option<&str>,
        conflict_policy: Option<&ConflictPolicyState>,
    ) -> Self {
        let records: Vec<&Remediation> =
            policy.status.iter().flat_map(|status| &status.remediations).collect();
        // A user has to act on these, even if the policy has changed since.
        let refused = refused(&records);
        let with_refused = |message: &str| match &refused {
            Some(refused) => format!("{message}; {refused}"),
            None => message.to_owned(),
        };
        if policy.spec.enforcement_mode == EnforcementMode::Audit {
            let audits = Self::default();
            return Self { message: with_refused(&audits.message), ..audits };
        }
        if policy.is_stopped() {
            let message =
                "the last three patches had to be withdrawn: nothing is patched until the policy changes";
            return Self {
                enforcing: false,
                reason: ConditionReason::Stopped,
                message: with_refused(message),
                stopped: Some(message.to_owned()),
                incident: None,
            };
        }
        let parts = progress(policy, &records, refused, skipped, held_up_by, conflict_policy);
        Self {
            enforcing: true,
            reason: ConditionReason::Enforcing,
            message: parts.join("; "),
            stopped: None,
            incident: None,
        }
    }
}

/// Describes the progress of a policy that enforces: its patches, skipped workloads, and what holds it up.
fn progress(
    policy: &DevOpsPolicy,
    records: &[&Remediation],
    refused: Option<String>,
    skipped: &BTreeMap<SkipReason, (usize, String)>,
    held_up_by: Option<&str>,
    conflict_policy: Option<&ConflictPolicyState>,
) -> Vec<String> {
    let count = |is: fn(&Remediation) -> bool| records.iter().filter(|record| is(record)).count();
    let mut parts = vec![format!(
        "{} patched, {} under way",
        count(|record| has_patches(record) && !is_under_way(record)),
        count(is_under_way)
    )];
    if records.iter().any(|record| records::sets_limits(record)) {
        parts.push(NOT_EVALUATED.to_owned());
    }
    parts.extend(refused);
    parts.extend(skipped.iter().map(|(reason, (count, example))| match reason {
        SkipReason::Waiting => {
            let held_up = held_up_by.map(|by| format!(" ({by})")).unwrap_or_default();
            format!("{count} waiting for their turn{held_up}")
        }
        _ => format!("{count} skipped ({reason}), such as {example}"),
    }));
    if records.len() >= KEPT {
        parts.push(format!("no further workload can be patched: a policy keeps at most {KEPT} records"));
    } else if !has_room(policy) {
        parts.push("no further workload can be patched: the policy is larger than 1 MiB".to_owned());
    }
    if let Some(ConflictPolicyState::Unavailable(why)) = conflict_policy {
        parts.push(format!(
            "conflicting writes by other clients may be refused: {CONFLICT_POLICY} is not in effect: {why}"
        ));
    }
    parts
}

/// Returns a sentence about refused withdrawals, with one workload's refusal as an example.
fn refused(records: &[&Remediation]) -> Option<String> {
    let mut refused =
        records.iter().filter_map(|record| Some((record, record.withdrawal_refused.as_deref()?)));
    let (first, why) = refused.next()?;
    let count = 1 + refused.count();
    Some(format!("withdrawals refused: {count}, such as {}: {why}", first.workload()))
}
