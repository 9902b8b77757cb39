//! Enforces one policy step by step.
//!
//! Each step continues open remediations and may then start one. Every action is recorded in status before it is taken,
//! so a restarted operator can continue, and a stale one fails with a conflict.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;
use tracing::{info, warn};

use super::apply;
use super::apply_error::ApplyError;
use super::candidates::has_all;
use super::enforcement_state::EnforcementState;
use super::error::RemediationError;
use super::remediator::Remediator;
use super::status_home::StatusHome;
use crate::enforcement::records::{self, fields_of, in_phase, is_under_way, kind_of};
use crate::enforcement::{ContainerField, Subject};
use crate::policy::{
    CompiledPolicy, DevOpsPolicy, DevOpsPolicyStatus, EffectivePolicy, PolicyError, Remediation,
    RemediationPhase, RemediationReason, RemediationSpec,
};
use crate::workload::PolicyRef;

/// Pause before a failed action is retried.
const RETRY: SignedDuration = SignedDuration::from_secs(5);
/// Pause before the retry of an action that a user has to unblock first.
const REFUSED: SignedDuration = SignedDuration::from_secs(30);

/// Time for which the failed patch of a deleted workload is remembered.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(30 * 24);

/// The message of a record whose fields another client removed.
pub(super) const TAKEN_OUT: &str =
    "another client removed the fields: they are not set again until the policy changes";
/// The message of a record whose fields `kube-devops undo` removed.
const UNDONE: &str =
    "the patch was undone by kube-devops undo: its fields are not set again until the policy changes";

/// The enforcement of one policy.
pub struct Enforcer<'r> {
    pub(super) remediator: &'r Remediator,
    /// The place of the policy's status; `None` for orphaned patches, whose policy is gone.
    pub(super) home: Option<StatusHome<'r>>,
    /// The policy as last read or written.
    pub(super) policy: DevOpsPolicy,
    /// Its rules, or the reason why it is invalid.
    pub(super) effective: Result<Arc<EffectivePolicy>, Arc<PolicyError>>,
    pub(super) namespace: String,
    pub(super) key: PolicyRef,
}

impl<'r> Enforcer<'r> {
    /// Creates the enforcer of a policy in its namespace.
    pub fn new(remediator: &'r Remediator, home: StatusHome<'r>, compiled: &CompiledPolicy) -> Self {
        Self::with(remediator, Some(home), compiled.clone())
    }

    /// Creates the enforcer of a policy; without `home`, its status is kept in memory alone.
    pub(super) fn with(
        remediator: &'r Remediator,
        home: Option<StatusHome<'r>>,
        compiled: CompiledPolicy,
    ) -> Self {
        let CompiledPolicy { policy, effective } = compiled;
        let policy = Arc::unwrap_or_clone(policy);
        let key = policy.reference();
        Self { remediator, home, policy, effective, namespace: key.namespace.clone(), key }
    }

    /// Returns the policy as last read or written.
    pub fn policy(&self) -> &DevOpsPolicy {
        &self.policy
    }

    /// Runs one step, and returns the time of the next. Starts no remediation if the policy could not be evaluated.
    pub async fn step(&mut self, evaluated: bool) -> Result<Option<Timestamp>, RemediationError> {
        let yields_again = self.remediator.conflict_policy.ensure().await;
        let begins = evaluated && self.begins();
        if !begins {
            self.remediator.skips().forget(&self.key);
        }
        if !begins && self.records().is_empty() {
            return Ok(None);
        }
        self.remediator.recall().await;
        let turn = self.remediator.turn(&self.namespace);
        let _turn = turn.lock().await;
        let next = self.go_on().await?;
        // The step above may have stopped the policy.
        if !begins || !self.begins() {
            return Ok(next);
        }
        let adopted = self.adopt().await?;
        let begun = self.begin().await?;
        Ok([next, adopted, begun, Some(yields_again)].into_iter().flatten().min())
    }

    /// Returns the state of enforcement for the status.
    pub async fn enforcement_state(&self) -> EnforcementState {
        let (skipped, held_up_by) = {
            let all = self.remediator.skips();
            (all.reasons(&self.key), all.held_up_by(&self.key))
        };
        let conflict_policy = self.remediator.conflict_policy.state().await;
        let obstacle = held_up_by.as_deref();
        let state = EnforcementState::of(&self.policy, &skipped, obstacle, conflict_policy.as_ref());
        EnforcementState { incident: self.remediator.incident(&self.key), ..state }
    }

    /// Continues the open remediations, and returns the time of the next step.
    pub(super) async fn go_on(&mut self) -> Result<Option<Timestamp>, RemediationError> {
        RemediationError::unless_refused(self.forget_gone().await)?;
        RemediationError::unless_refused(self.notice_lost_ports().await)?;
        RemediationError::unless_refused(self.notice_taken_out().await)?;
        RemediationError::unless_refused(self.carry_over().await)?;
        let mut next = self.notice_harm().await?;
        for record in &self.records() {
            if let Some(again) = self.go_on_noted(record).await {
                next = [next, again?].into_iter().flatten().min();
                continue;
            }
            if !is_under_way(record) {
                continue;
            }
            let again = match record.phase {
                RemediationPhase::Planned => self.resume(record).await?,
                RemediationPhase::Applied => self.watch(record).await?,
                _ => self.take_back(record).await?,
            };
            next = [next, again].into_iter().flatten().min();
        }
        Ok(next)
    }

    pub(super) fn records(&self) -> Vec<Remediation> {
        self.policy.status.as_ref().map_or_else(Vec::new, |status| status.remediations.clone())
    }

    pub(super) fn remediation(&self) -> RemediationSpec {
        self.policy.spec.remediation.clone().unwrap_or_default()
    }

    pub(super) fn status(&self) -> DevOpsPolicyStatus {
        self.policy.status.clone().unwrap_or_default()
    }

    pub(super) fn now(&self) -> Timestamp {
        self.remediator.now()
    }

    pub(super) fn after(&self, pause: SignedDuration) -> Timestamp {
        self.now().saturating_add(pause).unwrap_or(Timestamp::MAX)
    }

    /// Returns the time of the next check of new pods. It is sooner if `verifySeconds` is short.
    pub(super) fn poll(&self) -> Timestamp {
        self.after(SignedDuration::from_secs((self.verify().as_secs() / 60).clamp(1, 5)))
    }

    /// Returns the digest of the inputs that decide if a patch of this policy fails.
    pub(super) fn causes_hash(&self, subject: &Subject) -> String {
        subject.causes_hash(&self.policy.spec.fix_defaults())
    }

    /// Returns the time within which new pods must become ready.
    pub(super) fn verify(&self) -> SignedDuration {
        SignedDuration::from_secs(self.remediation().verify_seconds.into())
    }

    /// Writes the status, and keeps the written policy.
    pub(super) async fn write(&mut self, status: DevOpsPolicyStatus) -> Result<(), RemediationError> {
        match self.home {
            Some(home) => {
                self.policy = home.write(&self.remediator.cluster, &self.policy, status).await?;
            }
            None => self.policy.status = Some(status),
        }
        Ok(())
    }

    /// Writes a record into the status.
    pub(super) async fn record(&mut self, record: Remediation) -> Result<(), RemediationError> {
        let status = records::with(&self.status(), record);
        self.write(status).await
    }

    /// Drops a planned patch that was not sent; the record of earlier patches remains.
    pub(super) async fn give_up(&mut self, planned: &Remediation) -> Result<(), RemediationError> {
        let Some(before) = records::before(planned, self.now()) else {
            return self.drop_record(planned).await;
        };
        self.record(before).await?;
        self.release(planned, None).await;
        Ok(())
    }

    /// Removes the record of a workload that was deleted, or was never patched.
    pub(super) async fn drop_record(&mut self, record: &Remediation) -> Result<(), RemediationError> {
        let status = records::without(&self.status(), record.workload());
        self.write(status).await?;
        self.release(record, None).await;
        Ok(())
    }

    /// Returns a rollout's place to the cluster's budget, and counts its result. If that fails, the ledger is corrected
    /// later.
    pub(super) async fn release(
        &self,
        record: &Remediation,
        end: Option<(RemediationPhase, RemediationReason)>,
    ) {
        let Some(uid) = &record.uid else { return };
        if let Err(error) = self.remediator.ledger.change(|ledger| ledger.finish(uid, end)).await {
            warn!(%error, workload = %record.workload(), "failed to release the rollout's place; will retry");
        }
    }

    /// Ends a remediation: writes its record, frees its place in the budget, and sends the event, in this order.
    pub(super) async fn end(
        &mut self,
        record: &Remediation,
        phase: RemediationPhase,
        reason: RemediationReason,
        message: &str,
    ) -> Result<(), RemediationError> {
        let ended = in_phase(record, phase, reason, message, self.now());
        if self.record_if_taken(ended).await? {
            self.drop_note(record).await;
        } else {
            self.note_done(record).await;
        }
        self.release(record, Some((phase, reason))).await;
        info!(
            policy = self.policy.name_any(),
            namespace = self.namespace,
            workload = %record.workload(),
            ?phase,
            %reason,
            message,
            "remediation ended"
        );
        self.tell(record, phase, reason, message).await;
        Ok(())
    }

    /// Fetches the workload of a record; `Ok(None)` if it was deleted or replaced by one with the same name.
    pub(super) async fn fetch(&self, record: &Remediation) -> Result<Option<Subject>, ApplyError> {
        let Some(kind) = kind_of(record) else { return Ok(None) };
        let found = apply::fetch(&self.remediator.cluster, kind, &self.namespace, &record.name).await?;
        Ok(found.filter(|subject| record.uid.as_deref() == Some(subject.uid())))
    }

    /// Removes the records of deleted workloads, even if others now have their names.
    async fn forget_gone(&mut self) -> Result<(), RemediationError> {
        let gone: Vec<Remediation> = {
            let workloads = self.remediator.workloads();
            let there = |record: &Remediation| {
                let workload =
                    kind_of(record).and_then(|kind| workloads.get(kind, &self.namespace, &record.name));
                workload.is_some_and(|workload| workload.metadata.uid.as_deref() == record.uid.as_deref())
            };
            let is_gone =
                |record: &Remediation| !is_under_way(record) && !there(record) && !self.remembers(record);
            self.records().into_iter().filter(is_gone).collect()
        };
        if gone.is_empty() {
            return Ok(());
        }
        let forget = |status, record: &Remediation| records::without(&status, record.workload());
        let status = gone.iter().fold(self.status(), forget);
        self.write(status).await
    }

    /// Returns true if the record of a deleted workload stays: a workload of that name must not get the fields again when
    /// it is created anew.
    fn remembers(&self, record: &Remediation) -> bool {
        let ended = record.time.as_ref().map_or(Timestamp::MIN, |time| time.0);
        self.policy.mutates()
            && records::is_failure(record)
            && record.earlier_fields.is_empty()
            && self.now().duration_since(ended) < REMEMBERED
            && self.records().len() <= records::KEPT / 2
    }

    /// Records fields that others removed from verified workloads.
    async fn notice_taken_out(&mut self) -> Result<(), RemediationError> {
        let incomplete: Vec<Remediation> = {
            let workloads = self.remediator.workloads();
            let lacks = |record: &Remediation| {
                let workload =
                    kind_of(record).and_then(|kind| workloads.get(kind, &self.namespace, &record.name));
                workload.is_some_and(|workload| !has_all(workload, &fields_of(record)))
            };
            let is_noted = |record: &Remediation| {
                record.uid.as_ref().is_some_and(|uid| self.remediator.ledger.note_of(uid).is_some())
            };
            let verified =
                |record: &Remediation| record.phase == RemediationPhase::Verified && !is_noted(record);
            self.records().into_iter().filter(|record| verified(record) && lacks(record)).collect()
        };
        for record in incomplete {
            // An unreadable workload is read again later.
            let Ok(Some(subject)) = self.fetch(&record).await else { continue };
            match records::left_of(&record, &subject.owned()) {
                None => {
                    self.begin_withdrawal(&record, RemediationReason::TakenOut, TAKEN_OUT).await?;
                }
                Some(left) if left != record => self.record(left).await?,
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// After a policy change, moves existing patches to the new generation. Fields removed before may be set again;
    /// fields removed from now on stay removed.
    async fn carry_over(&mut self) -> Result<(), RemediationError> {
        let generation = self.policy.metadata.generation;
        let mut status = self.status();
        let mut carried = false;
        {
            let workloads = self.remediator.workloads();
            let has = |record: &Remediation, fields: &BTreeSet<ContainerField>| {
                let workload =
                    kind_of(record).and_then(|kind| workloads.get(kind, &self.namespace, &record.name));
                workload.is_some_and(|workload| has_all(workload, fields))
            };
            let verified = |record: &&mut Remediation| record.phase == RemediationPhase::Verified;
            for record in status.remediations.iter_mut().filter(verified) {
                if record.policy_generation != generation && has(record, &fields_of(record)) {
                    let mut earlier = std::mem::take(&mut record.earlier_fields);
                    earlier.retain(|of| of.parse().is_ok_and(|of| has(record, &BTreeSet::from([of]))));
                    record.earlier_fields = earlier;
                    record.policy_generation = generation;
                    carried = true;
                }
            }
        }
        if carried { self.write(status).await } else { Ok(()) }
    }

    /// Resumes a planned patch: detects if it was sent.
    async fn resume(&mut self, record: &Remediation) -> Result<Option<Timestamp>, RemediationError> {
        let subject = match self.fetch(record).await {
            Ok(Some(subject)) => subject,
            Ok(None) => return self.drop_record(record).await.map(|()| None),
            Err(error) => return Ok(Some(self.unread(record, &error))),
        };
        if records::was_sent(record, &subject) {
            // Fields that others removed since are detected as for any other patch.
            self.applied(record, subject.owned_since().unwrap_or_else(|| self.now())).await?;
            return Ok(Some(self.poll()));
        }
        self.plan_again(record).await
    }

    /// Records that the workload is patched, and sends an event.
    pub(super) async fn applied(
        &mut self,
        record: &Remediation,
        at: Timestamp,
    ) -> Result<(), RemediationError> {
        let message = is_watched(&record.fields);
        let applied = in_phase(record, RemediationPhase::Applied, RemediationReason::Patched, &message, at);
        self.record(applied).await?;
        if let Some(uid) = &record.uid
            && let Err(error) = self.remediator.ledger.change(|ledger| ledger.count_made(uid)).await
        {
            warn!(%error, workload = %record.workload(), "failed to count the patch in the ledger; its end will count it");
        }
        info!(
            policy = self.policy.name_any(),
            namespace = self.namespace,
            workload = %record.workload(),
            fields = record.fields.join(","),
            "patched"
        );
        self.tell(record, RemediationPhase::Applied, RemediationReason::Patched, &message).await;
        Ok(())
    }

    /// Records the failure and withdraws our fields.
    pub(super) async fn begin_withdrawal(
        &mut self,
        record: &Remediation,
        reason: RemediationReason,
        message: &str,
    ) -> Result<Option<Timestamp>, RemediationError> {
        let subject = match self.fetch(record).await {
            Ok(Some(subject)) => subject,
            Ok(None) => return self.drop_record(record).await.map(|()| None),
            Err(error) => return Ok(Some(self.unread(record, &error))),
        };
        let (record, reason, message) = match records::to_withdraw(record, reason, &subject.owned()) {
            Some(ours) => (ours, reason, message),
            None => (record.clone(), RemediationReason::TakenOut, TAKEN_OUT),
        };
        let is_undone = reason == RemediationReason::TakenOut && records::is_undone(&record, &subject);
        let message = if is_undone { UNDONE } else { message };
        let record = in_phase(&record, RemediationPhase::Withdrawing, reason, message, self.now());
        let record = records::backing_off(record, self.now());
        if !self.record_if_taken(record.clone()).await? {
            if reason == RemediationReason::TakenOut {
                // Nothing is left to do but to record it.
                return Ok(Some(self.after(REFUSED)));
            }
            self.note(&record, &subject).await;
        }
        self.take_out(record, subject).await
    }

    /// Logs and counts a failed read, and returns the retry time.
    pub(super) fn unread(&self, record: &Remediation, error: &ApplyError) -> Timestamp {
        self.remediator.errors.with_label_values(&[error.category()]).inc();
        warn!(workload = %record.workload(), namespace = self.namespace, %error, "failed to read the workload; will retry");
        match error {
            ApplyError::Stale => self.after(SignedDuration::from_millis(200)),
            // The pause grows with the duration of the failure.
            error if error.is_passing() => {
                let since = record.time.as_ref().map_or(RETRY, |time| self.now().duration_since(time.0));
                self.after(since.clamp(RETRY, REFUSED))
            }
            _ => self.after(REFUSED),
        }
    }
}

/// Returns the message of a patch under watch.
pub(super) fn is_watched(fields: &[String]) -> String {
    format!("set {}; the new pods are watched", fields.join(", "))
}
