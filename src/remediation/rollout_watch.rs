//! Watches the rollout of a patch until there is a verdict.

use jiff::{SignedDuration, Timestamp};

use super::apply_error::ApplyError;
use super::enforcer::{Enforcer, TAKEN_OUT, is_watched};
use super::error::RemediationError;
use super::evidence;
use crate::enforcement::records::{self, fields_of};
use crate::enforcement::{self, AppliedPatch, RolloutVerdict};
use crate::policy::{Remediation, RemediationPhase, RemediationReason};

impl Enforcer<'_> {
    /// Evaluates the new pods of a patched workload.
    pub(super) async fn watch(
        &mut self,
        record: &Remediation,
    ) -> Result<Option<Timestamp>, RemediationError> {
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
        let patched = AppliedPatch { at, pods: record.pods, fields, settling, usual_restarts };
        let verify_seconds = self.remediation().verify_seconds;
        let verdict = enforcement::verify(&patched, &evidence, verify_seconds, self.now());
        let patience = enforcement::patience(&evidence.progress, verify_seconds).saturating_add(settling);
        // After downtime, the current state counts, with a full waiting time.
        let is_overdue = self.now().duration_since(at.max(self.remediator.started)) > patience;
        match verdict {
            RolloutVerdict::Wait { until, against } if !is_overdue => {
                self.note_progress(record, enforcement::ready_pods(&evidence.pods)).await;
                self.say_unschedulable(record, against).await?;
                Ok(Some(until.min(self.poll())))
            }
            verdict => {
                let changed = subject.others_changed_template(record.generation, at);
                // The current workload failed, so it is skipped from now on.
                let causes_hash = Some(self.causes_hash(&subject));
                let record = Remediation { causes_hash, ..record.clone() };
                self.end_watch(&record, verdict, changed, patience).await
            }
        }
    }

    /// Ends the watch over a patch by its verdict. `changed` is true if others changed the template after the patch.
    async fn end_watch(
        &mut self,
        record: &Remediation,
        verdict: RolloutVerdict,
        changed: bool,
        patience: SignedDuration,
    ) -> Result<Option<Timestamp>, RemediationError> {
        let (reason, message) = match verdict {
            RolloutVerdict::Verified => {
                let message = "the new pods are available, and stayed so";
                let reason = RemediationReason::Verified;
                return self.end(record, RemediationPhase::Verified, reason, message).await.map(|()| None);
            }
            // Pods that keep changing, or a held rollout, must not occupy the namespace's turn forever.
            RolloutVerdict::Wait { against, .. } => {
                let (reason, against) = match against {
                    Some((reason, words)) => (reason, format!(": {words}")),
                    None => (RemediationReason::NoVerdict, String::new()),
                };
                (reason, format!("no verdict within {} s{against}", patience.as_secs()))
            }
            // Without running pods a withdrawal does no harm, and there would be no evidence for a verdict.
            RolloutVerdict::Idle => {
                let message = "no pods are desired: it was scaled to 0 before a verdict";
                (RemediationReason::NoVerdict, message.to_owned())
            }
            RolloutVerdict::Failed { reason, message } if changed => (
                RemediationReason::ChangedMeanwhile,
                format!("{reason}, after another client changed the template too: {message}"),
            ),
            RolloutVerdict::Failed { reason, message } => (reason, message),
        };
        self.begin_withdrawal(record, reason, &message).await
    }

    /// Retries a failed read of evidence. Without evidence by the deadline, the reason is Unwatched.
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

    /// Records that no node has room for a new pod, until there is room.
    async fn say_unschedulable(
        &mut self,
        record: &Remediation,
        against: Option<(RemediationReason, String)>,
    ) -> Result<(), RemediationError> {
        let unschedulable = against.filter(|(reason, _)| *reason == RemediationReason::Unschedulable);
        let (reason, message) =
            unschedulable.unwrap_or_else(|| (RemediationReason::Patched, is_watched(&record.fields)));
        // The scheduler's message changes with the nodes, so it is not compared.
        if record.reason == Some(reason) {
            return Ok(());
        }
        RemediationError::unless_refused(self.record(records::with_reason(record, reason, &message)).await)
    }
}
