//! The operator's record of its actions on each workload, in `status.remediations` of a policy, and the conclusions
//! from it. Pure.
//!
//! A record is written before its action, so the next leader knows which actions may have been done.

use std::borrow::Borrow;
use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::Value;

use super::ports::{declared, parse_declared};
use super::{ContainerField, Field, Fields, Ineligible, Plan, RETRY, Subject, UNDONE};
use crate::policy::{DevOpsPolicy, DevOpsPolicyStatus, Remediation, RemediationPhase, RemediationReason};
use crate::workload::{Owner, WorkloadKind};

/// The maximum number of records of a policy.
pub const KEPT: usize = 500;
/// The maximum size of a policy that takes more records, in bytes of JSON. etcd takes 1.5 MiB, and the rest is for the
/// later phases of the records.
const ROOM: usize = 1024 * 1024;
/// The maximum length of a message in bytes. The API server allows as many characters.
const MESSAGE: usize = 1024;
/// The maximum number of workloads in a status.
const LISTED: usize = 50;

/// Retry interval for a patch refused for a cause that others can remove.
const ONCE_MORE: SignedDuration = SignedDuration::from_hours(1);
/// The maximum number of days between a withdrawal and the next attempt.
const LONGEST_PAUSE: i64 = 30;

/// Returns true if the status of a policy has room for the record of another patch.
pub fn has_room(policy: &DevOpsPolicy) -> bool {
    let records = policy.status.as_ref().map_or(0, |status| status.remediations.len());
    records < KEPT && serde_json::to_vec(policy).is_ok_and(|json| json.len() < ROOM)
}

/// Returns true if `kube-devops undo` removed the fields of a patch: it ran in a later generation than the plan.
pub fn is_undone(record: &Remediation, subject: &Subject) -> bool {
    let undone = subject.annotation(UNDONE).and_then(|generation| generation.parse::<i64>().ok());
    undone.is_some_and(|undone| record.generation.is_none_or(|planned| planned < undone))
}

/// Returns true if the remediation of a workload is not finished.
pub fn is_under_way(record: &Remediation) -> bool {
    use RemediationPhase::{Applied, Planned, Withdrawing};
    matches!(record.phase, Planned | Applied | Withdrawing)
}

/// Returns true if the record says that a patch failed, or is being withdrawn.
pub fn is_withdrawn(record: &Remediation) -> bool {
    use RemediationPhase::{Failed, Withdrawing, Withdrawn};
    matches!(record.phase, Failed | Withdrawing | Withdrawn)
}

/// Returns true if the workload carries the fields of the record's own patch.
pub fn is_in_place(record: &Remediation) -> bool {
    matches!(record.phase, RemediationPhase::Applied | RemediationPhase::Verified)
}

/// Returns true if the workload may carry fields that were set for the policy, by this record's patch or an earlier
/// one.
pub fn has_patches(record: &Remediation) -> bool {
    is_in_place(record) || (!is_under_way(record) && !record.earlier_fields.is_empty())
}

/// Returns true if a finished patch failed: it was refused, or did harm. A patch that was withdrawn with its policy or
/// its port, or that others removed, did not fail.
pub fn is_failure(record: &Remediation) -> bool {
    use RemediationReason::{PortGone, Reverted, TakenOut};
    let wanted = matches!(record.reason, Some(PortGone | Reverted | TakenOut));
    matches!(record.phase, RemediationPhase::Failed | RemediationPhase::Withdrawn) && !wanted
}

/// Returns the kind of a record's workload; `None` for a kind that enforcement never patches.
pub fn kind_of(record: &Remediation) -> Option<WorkloadKind> {
    WorkloadKind::find("apps/v1", &record.kind)
}

/// Returns the fields that a record lists.
pub fn fields_of(record: &Remediation) -> BTreeSet<ContainerField> {
    parsed(&record.fields).collect()
}

fn written(fields: impl IntoIterator<Item = ContainerField>) -> Vec<String> {
    fields.into_iter().map(|of| of.to_string()).collect()
}

fn parsed(fields: &[String]) -> impl Iterator<Item = ContainerField> {
    fields.iter().filter_map(|field| field.parse().ok())
}

/// Returns the fields that a workload's previous record lists as set; a new record keeps them. A record of an earlier
/// workload with the same name does not count.
pub fn set_so_far(status: &DevOpsPolicyStatus, subject: &Subject) -> Vec<String> {
    about(status, subject).map_or_else(Vec::new, |record| written(set_by(record)))
}

/// Returns the record of a workload, but not of an earlier workload with the same name.
pub fn about<'s>(status: &'s DevOpsPolicyStatus, subject: &Subject) -> Option<&'s Remediation> {
    let mut records = status.remediations.iter();
    records.find(|record| is_of(record, subject))
}

/// Returns the fields that a record's patch and earlier patches set, without the withdrawn ones.
pub fn set_by(record: &Remediation) -> BTreeSet<ContainerField> {
    let last = if is_in_place(record) { &record.fields[..] } else { &[] };
    parsed(last).chain(parsed(&record.earlier_fields)).collect()
}

/// Returns the record of the fields to withdraw: those of the last patch, or all fields ever set if the policy was
/// deleted. `None` if others already removed them.
pub fn to_withdraw(record: &Remediation, reason: RemediationReason, owned: &Fields) -> Option<Remediation> {
    match reason {
        RemediationReason::Reverted => {}
        // The API server may have taken them out already.
        RemediationReason::PortGone => return Some(record.clone()),
        _ => return left_of(record, owned),
    }
    let set = set_by(record).into_iter().filter(|of| owned.contains_key(of));
    Some(Remediation { fields: written(set), earlier_fields: Vec::new(), ..record.clone() })
}

/// Returns true if a limit that the record lists is still set.
pub fn sets_limits(record: &Remediation) -> bool {
    set_by(record).iter().any(|of| matches!(of.field, Field::Limit(_)))
}

/// Returns the record reduced to these fields. All others count as set earlier.
pub fn of_fields(record: &Remediation, fields: &BTreeSet<ContainerField>) -> Remediation {
    record_of(record, |of| fields.contains(of))
}

/// Returns the record reduced to the fields that `is` accepts. All others count as set earlier.
fn record_of(record: &Remediation, is: impl Fn(&ContainerField) -> bool) -> Remediation {
    let (fields, rest): (Vec<_>, Vec<_>) = set_by(record).into_iter().partition(|of| is(of));
    Remediation { fields: written(fields), earlier_fields: written(rest), ..record.clone() }
}

/// Returns the record of the probes whose port the workload no longer declares. If none of these probes is ours any
/// longer, returns the record without these ports.
pub fn of_lost_ports(record: &Remediation, subject: &Subject) -> Option<Result<Remediation, Remediation>> {
    let declared = declared(subject.containers());
    let (lost, left): (Vec<String>, Vec<String>) =
        record.declared_ports.iter().cloned().partition(|port| !declared.contains(port));
    if lost.is_empty() {
        return None;
    }
    let owned = subject.owned();
    let is_stranded = |of: &ContainerField| {
        let mut ports = lost.iter().filter_map(|port| parse_declared(port));
        of.field.is_probe()
            && ports.any(|(container, port)| {
                let connects = |probe: &Value| probe["tcpSocket"]["port"].as_i64() == Some(port.into());
                container == of.container && (!subject.has(of) || owned.get(of).is_some_and(connects))
            })
    };
    let record = Remediation { declared_ports: left, ..record.clone() };
    let stranded = record_of(&record, is_stranded);
    Some(if stranded.fields.is_empty() { Err(record) } else { Ok(stranded) })
}

/// The declared ports to which the probes of a plan connect, beside those of the patches before it.
pub fn declared_ports(status: &DevOpsPolicyStatus, subject: &Subject, plan: &Plan) -> Vec<String> {
    let declared = declared(subject.containers());
    let earlier = about(status, subject).map_or(&[][..], |record| &record.declared_ports);
    let of_plan = plan.ports.iter().map(|(of, port)| format!("{}/{}", of.container, port.port));
    let ports: BTreeSet<String> = of_plan.chain(earlier.iter().cloned()).collect();
    ports.into_iter().filter(|port| declared.contains(port)).collect()
}

/// Moves fields that others removed to `earlier_fields`, so that they stay removed. `None` if no field is left.
pub fn left_of(record: &Remediation, owned: &Fields) -> Option<Remediation> {
    let (left, gone): (Vec<_>, Vec<_>) = fields_of(record).into_iter().partition(|of| owned.contains_key(of));
    let earlier: BTreeSet<_> = gone.into_iter().chain(parsed(&record.earlier_fields)).collect();
    (!left.is_empty()).then(|| Remediation {
        fields: written(left),
        earlier_fields: written(earlier),
        ..record.clone()
    })
}

/// Returns true if a planned patch was sent: its fields are set, its apply left an entry in the managed fields, or the
/// spec was written twice since then without another writer, as by the patch and `undo`.
pub fn was_sent(planned: &Remediation, subject: &Subject) -> bool {
    let owned = subject.owned();
    let Some(planned_at) = planned.time.as_ref().map(|time| time.0) else { return false };
    let written = planned.generation.zip(subject.metadata().generation).map(|(then, now)| now - then);
    fields_of(planned).iter().all(|of| owned.contains_key(of))
        || subject.owned_since().is_some_and(|at| at >= planned_at)
        || (written.is_some_and(|times| times >= 2) && !subject.others_wrote_after(planned_at))
}

/// Returns the record of the earlier patches, after a planned patch is dropped; `None` if there were neither patches
/// nor withdrawals.
pub fn before(planned: &Remediation, now: Timestamp) -> Option<Remediation> {
    let record =
        Remediation { fields: planned.earlier_fields.clone(), earlier_fields: Vec::new(), ..planned.clone() };
    if !record.fields.is_empty() {
        let words = "an earlier patch; a later patch was not sent";
        let (phase, reason) = (RemediationPhase::Verified, RemediationReason::Verified);
        return Some(in_phase(&record, phase, reason, words, now));
    }
    let words = "an earlier patch was withdrawn; a later patch was not sent";
    let (phase, reason) = (RemediationPhase::Withdrawn, RemediationReason::NoVerdict);
    record.withdrawals.map(|_| in_phase(&record, phase, reason, words, now))
}

/// Returns a record in its next phase.
pub fn in_phase(
    record: &Remediation,
    phase: RemediationPhase,
    reason: RemediationReason,
    message: &str,
    now: Timestamp,
) -> Remediation {
    Remediation {
        phase,
        reason: Some(reason),
        withdrawal_refused: None,
        message: Some(cut(message)),
        time: Some(whole(now)),
        ..record.clone()
    }
}

/// Returns a record with another reason for its phase.
pub fn with_reason(record: &Remediation, reason: RemediationReason, message: &str) -> Remediation {
    let message = Some(cut(message));
    Remediation { reason: Some(reason), message, ..record.clone() }
}

/// Returns the record of a patch whose withdrawal was refused, with the message of the refusal.
pub fn refused(record: &Remediation, why: &str) -> Remediation {
    Remediation { withdrawal_refused: Some(cut(why)), ..record.clone() }
}

/// The beginning of a message, cut between two characters.
fn cut(message: &str) -> String {
    let mut message = message.to_owned();
    message.truncate(message.floor_char_boundary(MESSAGE));
    message
}

/// Returns a time in whole seconds, as the API server stores it.
fn whole(time: Timestamp) -> Time {
    Time(Timestamp::from_second(time.as_second()).unwrap_or(time))
}

/// Replaces the workload's record in a status, and updates the counts.
pub fn with(status: &DevOpsPolicyStatus, record: Remediation) -> DevOpsPolicyStatus {
    use RemediationPhase::{Applied, Failed, Verified, Withdrawn};
    use RemediationReason::{ChangedMeanwhile, CoOwned, Incident, NoVerdict, Unschedulable, Unwatched};
    let mut next = status.clone();
    let known = next.remediations.iter().position(|known| known.workload() == record.workload());
    let before = known.map(|index| next.remediations.remove(index));
    let was = |phase| before.as_ref().is_some_and(|before| before.phase == phase);
    let entered = |phase| record.phase == phase && !was(phase);
    let counts = |count: &mut Option<u64>| *count = Some(count.unwrap_or_default() + 1);
    let of_this_policy = record.policy_generation == next.observed_generation;
    let reason = record.reason;
    if entered(Applied) {
        counts(&mut next.remediations_applied);
    // A plan that was given up leaves the record of what was withdrawn before.
    } else if (entered(Failed) || entered(Withdrawn) && !was(RemediationPhase::Planned))
        && is_failure(&record)
    {
        counts(&mut next.remediations_failed);
        let did_harm = match record.phase {
            Withdrawn => match reason {
                Some(ChangedMeanwhile | Incident | NoVerdict | Unwatched) => false,
                // A cluster without room for another pod is no evidence against a probe.
                Some(Unschedulable) => fields_of(&record)
                    .iter()
                    .any(|of| matches!(of.field, Field::Request(_) | Field::Limit(_))),
                _ => true,
            },
            _ => reason == Some(CoOwned),
        };
        if did_harm && of_this_policy {
            next.withdrawals_in_a_row = Some(next.withdrawals_in_a_row.unwrap_or_default() + 1);
        }
    } else if record.phase == Verified && of_this_policy && was(Applied) {
        next.withdrawals_in_a_row = None;
    }
    next.remediations.push(record);
    listed(next)
}

/// Returns the status without the record of a workload.
pub fn without(status: &DevOpsPolicyStatus, workload: Owner<'_>) -> DevOpsPolicyStatus {
    let mut next = status.clone();
    next.remediations.retain(|record| record.workload() != workload);
    listed(next)
}

fn listed(mut status: DevOpsPolicyStatus) -> DevOpsPolicyStatus {
    status.remediations.sort_by(|a, b| (&a.kind, &a.name).cmp(&(&b.kind, &b.name)));
    let patched = status.remediations.iter().filter(|record| has_patches(record)).take(LISTED);
    status.remediated_workloads = patched.map(|record| record.workload().to_string()).collect();
    status
}

/// Returns true if a record is about this workload, not an earlier one with the same name.
fn is_of(record: &Remediation, subject: &Subject) -> bool {
    record.workload() == subject.local() && record.uid.as_deref() == Some(subject.uid())
}

/// Returns the records of a namespace's policies about this workload, if the policy has not changed since.
fn current<'p>(
    policies: &'p [impl Borrow<DevOpsPolicy>],
    subject: &Subject,
) -> impl Iterator<Item = &'p Remediation> {
    policies.iter().map(Borrow::borrow).flat_map(move |policy| {
        let generation = policy.metadata.generation;
        let records = policy.status.iter().flat_map(|status| &status.remediations);
        records.filter(move |record| is_of(record, subject) && record.policy_generation == generation)
    })
}

/// Returns the reason why a workload is skipped after an earlier patch, if there is one.
///
/// While the causes are unchanged, a patch would fail again. If the withdrawal is no evidence against the patch, or the
/// causes have changed, the next attempt still waits for its time. A refused patch is retried after an hour if others
/// can remove the cause. A user may request another attempt at once.
pub fn left_alone(
    policies: &[impl Borrow<DevOpsPolicy>],
    subject: &Subject,
    now: Timestamp,
) -> Option<Ineligible> {
    let asked = subject.annotation(RETRY).and_then(|at| at.parse::<Timestamp>().ok()).filter(|at| *at <= now);
    let mut found = None;
    for policy in policies.iter().map(Borrow::borrow) {
        let Some(record) = policy.status.as_ref().and_then(|status| about(status, subject)) else { continue };
        let ended = record.time.as_ref().map(|time| time.0);
        // The time of a record has whole seconds. A request is used up by an attempt that fails within its second.
        let is_later = |(asked, ended): (Timestamp, Timestamp)| asked.as_second() > ended.as_second();
        if !is_closed(record) || asked.zip(ended).is_some_and(is_later) {
            continue;
        }
        let hash = subject.causes_hash(&policy.spec.fix_defaults());
        let why = || {
            let reason = record.reason.map(RemediationReason::as_str);
            record.message.as_deref().or(reason).unwrap_or_default().to_owned()
        };
        let workload = || format!("{}/{}", record.kind.to_lowercase(), record.name);
        if record.causes_hash.as_ref() == Some(&hash) && !is_open_again(record, policy, now) {
            return Some(Ineligible::FailedBefore { why: why(), workload: workload() });
        }
        let until = record.retry_after.as_ref().map(|time| time.0).filter(|until| *until > now);
        found =
            found.or(until.map(|until| Ineligible::BackingOff { until, why: why(), workload: workload() }));
    }
    found
}

/// Returns true if the record's patch failed or was withdrawn.
pub fn is_closed(record: &Remediation) -> bool {
    matches!(record.phase, RemediationPhase::Failed | RemediationPhase::Withdrawn)
}

/// Returns true if a patch that ended may be tried again although nothing that bears on its end has changed.
fn is_open_again(record: &Remediation, policy: &DevOpsPolicy, now: Timestamp) -> bool {
    use RemediationReason::{ChangedMeanwhile, NoVerdict, PortGone, TakenOut, Unschedulable, Unwatched};
    match (record.phase, record.reason) {
        // Nothing of this speaks against the patch.
        (
            RemediationPhase::Withdrawn,
            Some(ChangedMeanwhile | NoVerdict | PortGone | Unschedulable | Unwatched),
        ) => true,
        (RemediationPhase::Failed, Some(TakenOut)) => record.policy_generation != policy.metadata.generation,
        (RemediationPhase::Failed, Some(reason)) => {
            let refused = record.time.as_ref().map(|refused| now.duration_since(refused.0));
            reason.is_mended_elsewhere() && refused.is_some_and(|since| since >= ONCE_MORE)
        }
        _ => false,
    }
}

/// Returns the record of a withdrawal that starts, with the earliest time of the next attempt. A patch that is
/// withdrawn with its policy, or that others removed, needs no pause.
pub fn backing_off(record: Remediation, now: Timestamp) -> Remediation {
    if matches!(record.reason, Some(RemediationReason::Reverted | RemediationReason::TakenOut)) {
        return record;
    }
    let before = record.withdrawals.unwrap_or_default();
    let days = 1_i64.checked_shl(before).map_or(LONGEST_PAUSE, |days| days.clamp(1, LONGEST_PAUSE));
    let until = now.saturating_add(SignedDuration::from_hours(24 * days)).unwrap_or(Timestamp::MAX);
    Remediation { withdrawals: Some(before.saturating_add(1)), retry_after: Some(whole(until)), ..record }
}

/// Returns the fields that were set once and that others removed since, on purpose.
pub fn taken_out(policies: &[impl Borrow<DevOpsPolicy>], subject: &Subject) -> BTreeSet<ContainerField> {
    let owned = subject.owned();
    let records = current(policies, subject);
    let set = records.flat_map(|record| {
        let there = is_in_place(record) || record.reason == Some(RemediationReason::TakenOut);
        let last = if there { fields_of(record) } else { BTreeSet::new() };
        last.into_iter().chain(parsed(&record.earlier_fields))
    });
    set.filter(|of| !owned.contains_key(of)).collect()
}

#[cfg(test)]
mod tests;
