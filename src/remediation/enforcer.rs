//! Enforcement of one policy, a step at a time: what is under way goes on, and then something new may begin.
//!
//! Every act is written into the policy's status before it is done, over the version that was read: whoever comes
//! too late is refused, and whoever comes after a crash knows what may have been done.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;
use kube::api::Api;
use tracing::{info, warn};

use super::apply;
use super::apply_error::ApplyError;
use super::candidates::has_all;
use super::error::RemediationError;
use super::evidence;
use super::remediator::Remediator;
use super::standing::Standing;
use crate::enforcement::records::{self, fields_of, in_phase, is_under_way, kind_of};
use crate::enforcement::{self, ContainerField, Finding, Patched, Subject};
use crate::policies::write_status;
use crate::policy::{
    CompiledPolicy, DevOpsPolicy, DevOpsPolicyStatus, EffectivePolicy, PolicyError, Remediation,
    RemediationPhase, RemediationReason, RemediationSpec,
};
use crate::workload::PolicyRef;

/// Pause before a failed action is retried.
const RETRY: SignedDuration = SignedDuration::from_secs(5);
/// Pause before an action is retried that somebody has to unblock first.
const REFUSED: SignedDuration = SignedDuration::from_secs(30);

/// The message of a record whose fields somebody else took out.
const TAKEN_OUT: &str =
    "what was set was taken out, by undo or by somebody else: it is not set again until the policy changes";

/// The enforcement of one policy.
pub struct Enforcer<'r> {
    pub(super) remediator: &'r Remediator,
    pub(super) policies: &'r Api<DevOpsPolicy>,
    /// The policy as it was read or written last.
    pub(super) policy: DevOpsPolicy,
    /// Its rules, or the reason why it can't be followed.
    pub(super) effective: Result<Arc<EffectivePolicy>, Arc<PolicyError>>,
    pub(super) namespace: String,
    pub(super) key: PolicyRef,
}

impl<'r> Enforcer<'r> {
    /// Enforces a policy, which is written through `policies`.
    pub fn new(
        remediator: &'r Remediator,
        policies: &'r Api<DevOpsPolicy>,
        compiled: &CompiledPolicy,
    ) -> Self {
        let CompiledPolicy { policy, effective } = compiled.clone();
        let policy = Arc::unwrap_or_clone(policy);
        let key = policy.reference();
        Self { remediator, policies, policy, effective, namespace: key.namespace.clone(), key }
    }

    /// Returns the policy as it was read or written last.
    pub fn policy(&self) -> &DevOpsPolicy {
        &self.policy
    }

    /// Goes one step, and returns when to look again. Nothing new begins unless the policy could be judged.
    pub async fn step(&mut self, judged: bool) -> Result<Option<Timestamp>, RemediationError> {
        let yields_again = self.remediator.conflict_policy.ensure().await;
        let begins = judged && self.begins();
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
        let begun = self.begin().await?;
        Ok([next, begun, Some(yields_again)].into_iter().flatten().min())
    }

    /// Returns the state of enforcement, in words.
    pub async fn standing(&self) -> Standing {
        let (left_out, held_up_by) = {
            let all = self.remediator.skips();
            (all.reasons(&self.key), all.held_up_by(&self.key))
        };
        let conflict_policy = self.remediator.conflict_policy.state().await;
        let standing = Standing::of(&self.policy, &left_out, held_up_by.as_deref(), conflict_policy.as_ref());
        Standing { incident: self.remediator.incident(&self.key), ..standing }
    }

    /// Goes on with all that is under way, and returns when to look again.
    pub(super) async fn go_on(&mut self) -> Result<Option<Timestamp>, RemediationError> {
        RemediationError::unless_refused(self.forget_gone().await)?;
        RemediationError::unless_refused(self.notice_lost_ports().await)?;
        RemediationError::unless_refused(self.notice_taken_out().await)?;
        RemediationError::unless_refused(self.carry_over().await)?;
        let limits = self.notice_low_limits().await?;
        let mut next = [limits, self.notice_harm().await?].into_iter().flatten().min();
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

    /// Returns the time of the next look at new pods. It is sooner if `verifySeconds` is short.
    pub(super) fn poll(&self) -> Timestamp {
        self.after(SignedDuration::from_secs((self.verify().as_secs() / 60).clamp(1, 5)))
    }

    /// Returns the hash of what bears on the failure of a patch of this policy.
    pub(super) fn causes_hash(&self, subject: &Subject) -> String {
        subject.causes_hash(&self.policy.spec.fix_defaults())
    }

    /// Returns the time within which new pods must get ready.
    pub(super) fn verify(&self) -> SignedDuration {
        SignedDuration::from_secs(self.remediation().verify_seconds.into())
    }

    /// Writes the status, which is that of the policy from then on.
    pub(super) async fn write(&mut self, status: DevOpsPolicyStatus) -> Result<(), RemediationError> {
        self.policy = write_status(&self.remediator.cluster, self.policies, &self.policy, &status).await?;
        Ok(())
    }

    /// Writes a record into the status.
    pub(super) async fn record(&mut self, record: Remediation) -> Result<(), RemediationError> {
        let status = records::with(&self.status(), record);
        self.write(status).await
    }

    /// Gives up a patch that was planned and not made: what is left is the record of earlier ones.
    pub(super) async fn give_up(&mut self, planned: &Remediation) -> Result<(), RemediationError> {
        let Some(before) = records::before(planned, self.now()) else {
            return self.drop_record(planned).await;
        };
        self.record(before).await?;
        self.release(planned, None).await;
        Ok(())
    }

    /// Drops the record of a workload that is gone, or was never patched.
    pub(super) async fn drop_record(&mut self, record: &Remediation) -> Result<(), RemediationError> {
        let status = records::without(&self.status(), record.workload());
        self.write(status).await?;
        self.release(record, None).await;
        Ok(())
    }

    /// Gives a rollout's place in the cluster's budget back, and counts its end. Where that fails, the ledger finds out by
    /// itself later.
    pub(super) async fn release(
        &self,
        record: &Remediation,
        end: Option<(RemediationPhase, RemediationReason)>,
    ) {
        let Some(uid) = &record.uid else { return };
        if let Err(error) = self.remediator.ledger.change(|ledger| ledger.finish(uid, end)).await {
            warn!(%error, workload = %record.workload(), "the rollout's place in the budget is not given back yet");
        }
    }

    /// Ends a remediation: its record first, then its place in the budget, then the news.
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

    /// Fetches the workload of a record; `Ok(None)` when it is gone, or another one has its name.
    pub(super) async fn fetch(&self, record: &Remediation) -> Result<Option<Subject>, ApplyError> {
        let Some(kind) = kind_of(record) else { return Ok(None) };
        let found = apply::fetch(&self.remediator.cluster, kind, &self.namespace, &record.name).await?;
        Ok(found.filter(|subject| record.uid.as_deref() == Some(subject.uid())))
    }

    /// Forgets what happened to workloads that are no more, whatever has their names now.
    async fn forget_gone(&mut self) -> Result<(), RemediationError> {
        let gone: Vec<Remediation> = {
            let workloads = self.remediator.workloads();
            let there = |record: &Remediation| {
                let workload =
                    kind_of(record).and_then(|kind| workloads.get(kind, &self.namespace, &record.name));
                workload.is_some_and(|workload| workload.metadata.uid.as_deref() == record.uid.as_deref())
            };
            self.records().into_iter().filter(|record| !is_under_way(record) && !there(record)).collect()
        };
        if gone.is_empty() {
            return Ok(());
        }
        let forget = |status, record: &Remediation| records::without(&status, record.workload());
        let status = gone.iter().fold(self.status(), forget);
        self.write(status).await
    }

    /// Writes down what somebody took out of workloads that were verified.
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
            // A workload that cannot be read now is read again later.
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

    /// Takes the patches that are there into the policy as it is now: what is taken out from now on stays out, and what
    /// was taken out of them before may be set again.
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

    /// A patch that was decided on: was it sent?
    async fn resume(&mut self, record: &Remediation) -> Result<Option<Timestamp>, RemediationError> {
        let subject = match self.fetch(record).await {
            Ok(Some(subject)) => subject,
            Ok(None) => return self.drop_record(record).await.map(|()| None),
            Err(error) => return Ok(Some(self.unread(record, &error))),
        };
        if records::was_sent(record, &subject) {
            // Fields that were taken out since then are noticed as with any other patch.
            self.applied(record, subject.owned_since().unwrap_or_else(|| self.now())).await?;
            return Ok(Some(self.poll()));
        }
        self.plan_again(record).await
    }

    /// Writes down that the workload is patched, and tells of it.
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
            warn!(%error, workload = %record.workload(), "the patch is counted at its end");
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

    /// Waits for what can't be read about a patch under watch; what stays refused for the time of a verdict has none.
    async fn unwatched(
        &mut self,
        record: &Remediation,
        error: &ApplyError,
    ) -> Result<Option<Timestamp>, RemediationError> {
        let since =
            record.time.as_ref().map_or_else(|| self.now(), |time| time.0.max(self.remediator.started));
        if error.is_passing() || self.now().duration_since(since) < self.verify() {
            return Ok(Some(self.unread(record, error)));
        }
        let message = format!("its new pods can't be watched: {error}");
        self.begin_withdrawal(record, RemediationReason::Unwatched, &message).await
    }

    /// A patched workload: how are its new pods?
    async fn watch(&mut self, record: &Remediation) -> Result<Option<Timestamp>, RemediationError> {
        let subject = match self.fetch(record).await {
            Ok(Some(subject)) => subject,
            Ok(None) => return self.drop_record(record).await.map(|()| None),
            Err(error) => return Ok(Some(self.unread(record, &error))),
        };
        let (owned, fields) = (subject.owned(), fields_of(record));
        if !fields.iter().any(|of| owned.contains_key(of)) {
            return self.begin_withdrawal(record, RemediationReason::TakenOut, TAKEN_OUT).await;
        }
        let evidence = match evidence::evidence(&self.remediator.cluster, &subject).await {
            Ok(evidence) => evidence,
            Err(error) => return self.unwatched(record, &error.into()).await,
        };
        let at = record.time.as_ref().map_or_else(|| self.now(), |time| time.0);
        let settling = enforcement::settling(&subject, &fields);
        let settling = self.remediator.settings.most_settling.map_or(settling, |most| settling.min(most));
        let usual_restarts = record.usual_restarts.unwrap_or(0);
        let patched = Patched { at, pods: record.pods, fields, settling, usual_restarts };
        let verify_seconds = self.remediation().verify_seconds;
        let finding = enforcement::verify(&patched, &evidence, verify_seconds, self.now());
        let patience = enforcement::patience(&evidence.progress, verify_seconds).saturating_add(settling);
        // An operator that was away judges what it finds, and gives that its time.
        let watched_since = at.max(self.remediator.started);
        let last_ready = enforcement::last_ready(&evidence.pods);
        let changed = subject.others_changed_template(record.generation, at);
        let causes_hash = Some(self.causes_hash(&subject));
        let as_patched = record;
        // What the workload is now is what fails, and is left alone from then on.
        let record = Remediation { causes_hash, revision: evidence.revision, ..record.clone() };
        match finding {
            // Pods that come and go, or a rollout that somebody holds, must not keep the namespace's turn for ever.
            Finding::Wait { against, .. } if self.now().duration_since(watched_since) > patience => {
                let (reason, against) = match against {
                    Some((reason, words)) => (reason, format!(": {words}")),
                    None => (RemediationReason::NoVerdict, String::new()),
                };
                let message = format!("no verdict within {} s{against}", patience.as_secs());
                self.begin_withdrawal(&record, reason, &message).await
            }
            Finding::Wait { until, against } => {
                self.note_progress(as_patched, last_ready).await;
                self.say_unschedulable(as_patched, against).await?;
                Ok(Some(until.min(self.poll())))
            }
            Finding::Verified => {
                let message = "the new pods are available, and stayed so";
                self.end(&record, RemediationPhase::Verified, RemediationReason::Verified, message)
                    .await
                    .map(|()| None)
            }
            // Without running pods a withdrawal hurts nobody, and nothing could judge a patch that stays.
            Finding::Idle => {
                let message = "no pods are wanted any more: it was scaled to 0 before there was a verdict";
                self.begin_withdrawal(&record, RemediationReason::NoVerdict, message).await
            }
            Finding::Failed { reason, message } if changed => {
                let message = format!("{reason}, after somebody changed the template too: {message}");
                self.begin_withdrawal(&record, RemediationReason::ChangedMeanwhile, &message).await
            }
            Finding::Failed { reason, message } => self.begin_withdrawal(&record, reason, &message).await,
        }
    }

    /// Writes down that no node has room for a new pod, until that is over.
    async fn say_unschedulable(
        &mut self,
        record: &Remediation,
        against: Option<(RemediationReason, String)>,
    ) -> Result<(), RemediationError> {
        let unschedulable = against.filter(|(reason, _)| *reason == RemediationReason::Unschedulable);
        let (reason, message) =
            unschedulable.unwrap_or_else(|| (RemediationReason::Patched, is_watched(&record.fields)));
        // The words of the scheduler change with every node that comes or goes.
        if record.reason == Some(reason) {
            return Ok(());
        }
        RemediationError::unless_refused(self.record(records::with_reason(record, reason, &message)).await)
    }

    /// Says what is wrong with a patch, and takes back what is ours of it.
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

    /// Logs and counts that a workload could not be asked after, and returns when to try again.
    pub(super) fn unread(&self, record: &Remediation, error: &ApplyError) -> Timestamp {
        self.remediator.errors.with_label_values(&[error.category()]).inc();
        warn!(workload = %record.workload(), namespace = self.namespace, %error, "tried again later");
        match error {
            ApplyError::Stale => self.after(SignedDuration::from_millis(200)),
            // The longer it has been so, the longer it may go on.
            error if error.is_passing() => {
                let since = record.time.as_ref().map_or(RETRY, |time| self.now().duration_since(time.0));
                self.after(since.clamp(RETRY, REFUSED))
            }
            _ => self.after(REFUSED),
        }
    }
}

/// Says that a patch is watched.
fn is_watched(fields: &[String]) -> String {
    format!("set {}; the new pods are watched", fields.join(", "))
}
