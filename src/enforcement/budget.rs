//! The limits on concurrent rollouts and on patches per hour, across all namespaces and replicas. Pure.
//!
//! It does not know where the ledger is stored. Its times are whole seconds, and it trusts no clock. If the clock is
//! set back, nothing is freed early, and no grant blocks for longer than an hour.

mod kept;
mod notes;

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

pub use self::kept::{KeptPatches, KeptWorkload};
use super::harm::Trial;
use super::note::Note;
use super::records::is_under_way;
use super::totals::Totals;
use crate::policy::{Remediation, RemediationPhase, RemediationReason};
use crate::workload::{PolicyRef, WorkloadRef};

/// Time for which a grant counts.
const HOUR: SignedDuration = SignedDuration::from_hours(1);
/// Time from a grant's whole second until its hour is certainly over. The grant may date from the end of that second.
const UNTIL_FREE: SignedDuration = SignedDuration::from_secs(3601);
/// Minimum age of an open grant before it counts as forgotten by its requester.
const SURELY_RECORDED: SignedDuration = SignedDuration::from_secs(60);

/// The limits of the whole cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The maximum number of concurrent rollouts (`--max-rollouts`).
    pub rollouts: u32,
    /// The maximum number of patches within an hour (`--max-per-hour`).
    pub per_hour: u32,
    /// A rollout that gains no ready pod for this long gives up its place.
    pub stall: SignedDuration,
}

impl Limits {
    /// The time after which a rollout counts as stalled by default.
    pub const STALL: SignedDuration = SignedDuration::from_mins(10);
}

/// The grants: every patch of the last hour, and older ones whose rollout is not over. The totals count all of them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Ledger {
    grants: Vec<Grant>,
    #[serde(default, skip_serializing_if = "Totals::is_empty")]
    totals: Totals,
    /// Notes of the withdrawals that no status records.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    notes: Vec<Note>,
    /// The patches that stay after their policies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    kept: Vec<KeptPatches>,
    /// The last trial in an incident.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trial: Option<Trial>,
    /// The time at which it was rebuilt from the records; `None` if it was never stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
}

/// The permission to patch one workload once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The time of the grant, in whole seconds.
    pub time: Timestamp,
    /// The policy. A policy that is created again under the same name has the same budget.
    pub policy: PolicyRef,
    /// The workload.
    pub workload: WorkloadRef,
    /// The workload's uid.
    pub uid: String,
    /// True if the rollout is over, or the patch was never sent.
    pub done: bool,
    /// True once the patch was made and counted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub made: bool,
    /// The most pods of the rollout that were ready at once, as far as noted.
    #[serde(default)]
    pub ready: usize,
    /// The time at which the last of them became ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Timestamp>,
    /// The time at which the rollout had stalled: it keeps its namespace's turn, but no place among the cluster's rollouts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stalled: Option<Timestamp>,
    /// True for a withdrawal: of a verified patch, or with its policy. It counts as a rollout, but not as a patch of the hour.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub revert: bool,
}

/// A request to patch a workload.
#[derive(Debug, Clone)]
pub struct Request {
    /// The policy.
    pub policy: PolicyRef,
    /// The maximum number of patches of the policy within an hour.
    pub policy_per_hour: u32,
    /// The workload.
    pub workload: WorkloadRef,
    /// The workload's uid. If it is empty, a grant for a workload with this name matches.
    pub uid: String,
}

/// The response to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BudgetDecision {
    /// Granted; the ledger records the rollout.
    Granted,
    /// Not granted now.
    Wait {
        /// The earliest useful time of the next request, if known; `None` if a rollout has to end first, or if the
        /// limit is 0.
        until: Option<Timestamp>,
        /// The obstacle in a sentence.
        reason: String,
    },
}

impl Grant {
    fn is_for(&self, request: &Request) -> bool {
        self.uid == request.uid || request.uid.is_empty() && self.workload == request.workload
    }
}

impl Ledger {
    /// Rebuilds the ledger from the records of the policies. A patch counts from the last write of its record, which is
    /// never before the patch.
    pub fn recall<'r>(
        records: impl Iterator<Item = (&'r PolicyRef, &'r Remediation)>,
        now: Timestamp,
    ) -> Self {
        let grants = records.map(|(policy, record)| Grant {
            time: record.time.as_ref().map_or(now, |time| time.0),
            policy: policy.clone(),
            workload: record.workload().within(&policy.namespace),
            uid: record.uid.clone().unwrap_or_default(),
            done: !is_under_way(record),
            made: record.phase != RemediationPhase::Planned,
            ready: 0,
            progress: None,
            stalled: None,
            revert: record.reason == Some(RemediationReason::Reverted),
        });
        let mut ledger = Self { grants: grants.collect(), since: Some(now), ..Self::default() };
        ledger.forget(now);
        ledger
    }

    /// Returns true if it was never stored. Records are asked only then, because others may write them.
    pub fn is_new(&self) -> bool {
        self.since.is_none()
    }

    /// Returns true if there is neither a patch within the last hour nor an open rollout.
    pub fn is_empty(&self) -> bool {
        self.grants.is_empty()
    }

    /// Grants a patch if the budgets have room.
    ///
    /// A workload keeps its open grant, so a request that is repeated after a crash takes no second place.
    pub fn reserve(&mut self, request: &Request, limits: &Limits, now: Timestamp) -> BudgetDecision {
        let now = self.turn_to(now);
        if self.open().any(|grant| grant.is_for(request)) {
            return BudgetDecision::Granted;
        }
        if let Some((until, reason)) = self.exhausted(request, *limits, now) {
            return BudgetDecision::Wait { until, reason };
        }
        if let Some(other) = self.open().find(|grant| grant.workload.namespace == request.workload.namespace)
        {
            let other = other.workload.local();
            let reason = format!("{other} of the same namespace is rolling out; one at a time a namespace");
            return BudgetDecision::Wait { until: None, reason };
        }
        self.grant(request, false, *limits, now)
    }

    /// Gives the withdrawal of a harmful patch its place, even if no place is free: the next rollouts wait for it.
    /// Incidents set the limit for such withdrawals.
    pub fn take_place(&mut self, request: &Request, limits: &Limits, now: Timestamp) {
        let limits = Limits { rollouts: u32::MAX, ..*limits };
        self.reserve_revert(request, &limits, now);
    }

    /// Grants that a verified patch is withdrawn with its policy or after the trial of an incident: it waits for a
    /// place among the cluster's rollouts, and for nothing else.
    pub fn reserve_revert(&mut self, request: &Request, limits: &Limits, now: Timestamp) -> BudgetDecision {
        let now = self.turn_to(now);
        if self.open().any(|grant| grant.is_for(request)) {
            return BudgetDecision::Granted;
        }
        self.grant(request, true, *limits, now)
    }

    /// Grants the request unless too many rollouts are open.
    fn grant(&mut self, request: &Request, revert: bool, limits: Limits, now: Timestamp) -> BudgetDecision {
        self.note_stalled(limits.stall, now);
        let occupied = self.occupied();
        if occupied >= limits.rollouts as usize {
            let most = limits.rollouts;
            let reason =
                format!("{occupied} workloads of the cluster are rolling out (--max-rollouts {most})");
            return BudgetDecision::Wait { until: None, reason };
        }
        self.forget(now);
        self.grants.push(Grant {
            time: now,
            policy: request.policy.clone(),
            workload: request.workload.clone(),
            uid: request.uid.clone(),
            done: false,
            made: false,
            ready: 0,
            progress: None,
            stalled: None,
            revert,
        });
        BudgetDecision::Granted
    }

    /// Notes how many new pods of a workload's rollout are ready, and since when the last of them is. The rollout is
    /// not stalled while there are more of them than ever before. A pod that becomes ready again and again is no
    /// progress.
    pub fn note_progress(&mut self, uid: &str, ready: usize, at: Timestamp) {
        let open = self.grants.iter_mut().filter(|grant| !grant.done && grant.uid == uid);
        for grant in open.filter(|grant| grant.ready < ready) {
            grant.ready = ready;
            grant.progress = grant.progress.max(Some(at));
        }
    }

    /// Removes stalled rollouts from those that occupy a place, for good: another rollout may have the place by the
    /// time that one continues.
    fn note_stalled(&mut self, stall: SignedDuration, now: Timestamp) {
        for grant in self.grants.iter_mut().filter(|grant| !grant.done) {
            let last = grant.progress.map_or(grant.time, |progress| progress.max(grant.time));
            if grant.stalled.is_none() && now.duration_since(last) >= stall {
                grant.stalled = Some(now);
            }
        }
    }

    /// Returns the number of rollouts that have a place among those of the cluster.
    pub fn occupied(&self) -> usize {
        self.open().filter(|grant| grant.stalled.is_none()).count()
    }

    /// Returns the time of a namespace's last patch, of those that are known.
    pub fn last_grant(&self, namespace: &str) -> Option<Timestamp> {
        self.grants.iter().filter(|grant| grant.workload.namespace == namespace).map(|grant| grant.time).max()
    }

    /// Counts that a workload with an open grant was patched, once.
    pub fn count_made(&mut self, uid: &str) {
        let mut open = self.grants.iter_mut().filter(|grant| !grant.done && grant.uid == uid);
        if let Some(grant) = open.find(|grant| !grant.made && !grant.revert) {
            grant.made = true;
            self.totals.applied = self.totals.applied.saturating_add(1);
        }
    }

    /// Records the end of a workload's rollout, and counts its result if there is one; returns true if it had an open
    /// grant.
    pub fn finish(&mut self, uid: &str, end: Option<(RemediationPhase, RemediationReason)>) -> bool {
        let mut found = false;
        if matches!(end, Some((RemediationPhase::Verified | RemediationPhase::Withdrawn, _))) {
            // The process that sent the patch may have crashed before it counted it.
            self.count_made(uid);
        }
        for grant in self.grants.iter_mut().filter(|grant| !grant.done && grant.uid == uid) {
            grant.done = true;
            found = true;
        }
        if let Some((phase, reason)) = end.filter(|_| found) {
            self.totals.count(phase, reason);
        }
        found
    }

    /// Notes the trial of an incident, unless another has begun since `known` was the last one. Returns true if it is
    /// noted.
    pub fn begin_trial(&mut self, trial: Trial, known: Option<&Trial>) -> bool {
        if self.trial.as_ref() == known {
            self.trial = Some(trial);
            return true;
        }
        self.trial == Some(trial)
    }

    /// Notes that a trial helped, unless another has begun.
    pub fn end_trial(&mut self, helped: &Trial) {
        if let Some(trial) = self.trial.as_mut().filter(|trial| *trial == helped) {
            trial.helped = true;
        }
    }

    /// Returns the last trial in an incident.
    pub fn trial(&self) -> Option<&Trial> {
        self.trial.as_ref()
    }

    /// Returns the numbers of patches and of their ends.
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// Returns the unused grant of a workload.
    pub fn give_back(&mut self, uid: &str) {
        self.grants.retain(|grant| grant.done || grant.uid != uid);
    }

    /// Removes finished grants that no longer count.
    pub fn forget(&mut self, now: Timestamp) {
        let now = self.turn_to(now);
        self.grants.retain(|grant| !grant.done || counts(grant, now));
    }

    /// Returns the grants with open rollouts.
    pub fn open(&self) -> impl Iterator<Item = &Grant> {
        self.grants.iter().filter(|grant| !grant.done)
    }

    /// Closes open grants older than a minute that neither a policy's status nor an unfinished note records, such as
    /// those of a policy deleted during a rollout. A younger grant may not be recorded yet.
    ///
    /// They still count toward the hourly budget, because their patches may have been sent.
    pub fn prune_open(&mut self, is_under_way: impl Fn(&Grant) -> bool, now: Timestamp) {
        let now = self.turn_to(now);
        for grant in &mut self.grants {
            let old = now.duration_since(grant.time) > SURELY_RECORDED;
            let is_noted = self.notes.iter().any(|note| !note.done && note.uid == grant.uid);
            if !grant.done && old && !is_noted && !is_under_way(grant) {
                grant.done = true;
            }
        }
    }

    /// Advances to the current time, and returns its whole second. A grant with a future time (the clock was set back)
    /// gets the current time; otherwise it would count too long.
    fn turn_to(&mut self, now: Timestamp) -> Timestamp {
        let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
        for grant in &mut self.grants {
            grant.time = grant.time.min(now);
            grant.progress = grant.progress.map(|progress| progress.min(now));
        }
        now
    }

    /// Returns the exhausted hourly budget that frees up last, and when.
    fn exhausted(
        &self,
        request: &Request,
        limits: Limits,
        now: Timestamp,
    ) -> Option<(Option<Timestamp>, String)> {
        let of_policy = |grant: &&Grant| grant.policy.is_part_of(&request.policy);
        let policy = format!("policy {}", request.policy);
        let budgets = [
            Budget {
                name: format!("{policy} (maxPerHour {})", request.policy_per_hour),
                limit: request.policy_per_hour,
                used: times(self.grants.iter().filter(of_policy), now),
            },
            Budget {
                name: format!("the cluster (--max-per-hour {})", limits.per_hour),
                limit: limits.per_hour,
                used: times(self.grants.iter(), now),
            },
        ];
        let waits = budgets.iter().filter_map(|budget| Some((budget.free()?, budget.to_string())));
        let (until, reason) = waits.max_by_key(|(until, _)| *until)?;
        Some(((until < Timestamp::MAX).then_some(until), reason))
    }
}

/// An hourly limit, and the times of the patches that count, in order.
struct Budget {
    name: String,
    limit: u32,
    used: Vec<Timestamp>,
}

impl Budget {
    /// Returns the time at which the budget has room: the maximum time if never, `None` if it has room now.
    fn free(&self) -> Option<Timestamp> {
        let limit = self.limit as usize;
        if limit == 0 {
            return Some(Timestamp::MAX);
        }
        // There is room once this grant expires.
        let last = self.used.len().checked_sub(limit)?;
        let time = self.used.get(last)?;
        Some(time.checked_add(UNTIL_FREE).unwrap_or(Timestamp::MAX))
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.limit {
            0 => write!(f, "no patch is allowed by {}", self.name),
            _ => write!(f, "{} patches within the last hour by {}", self.used.len(), self.name),
        }
    }
}

fn times<'a>(grants: impl Iterator<Item = &'a Grant>, now: Timestamp) -> Vec<Timestamp> {
    let mut times: Vec<_> = grants.filter(|grant| counts(grant, now)).map(|grant| grant.time).collect();
    times.sort_unstable();
    times
}

/// Returns true if a grant is a patch of the last hour.
fn counts(grant: &Grant, now: Timestamp) -> bool {
    !grant.revert && now.duration_since(grant.time) <= HOUR
}

#[cfg(test)]
mod tests;
