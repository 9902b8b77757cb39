//! Withdraws a patch; then names co-owners and deletes a StatefulSet's stuck pods.

use std::collections::BTreeSet;

use jiff::Timestamp;
use k8s_openapi::api::core::v1;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, Preconditions};
use tracing::{info, warn};

use super::apply_error::ApplyError;
use super::enforcer::Enforcer;
use super::error::RemediationError;
use super::evidence::of_revision;
use super::planning::pause_for_room;
use super::withdraw::{self, Remains, withdraw};
use crate::cluster::CallError;
use crate::enforcement::objects::Pod;
use crate::enforcement::records::{self, fields_of};
use crate::enforcement::{
    BudgetDecision, ContainerField, PATCHED_BY, RolloutProgress, Subject, Typed, is_ready,
};
use crate::policy::{Remediation, RemediationPhase, RemediationReason};

impl Enforcer<'_> {
    /// Withdraws a patch from a workload, and ends its record once no field is left.
    pub(super) async fn take_back(
        &mut self,
        record: &Remediation,
    ) -> Result<Option<Timestamp>, RemediationError> {
        match self.fetch(record).await {
            Ok(Some(subject)) => self.take_out(record.clone(), subject).await,
            Ok(None) => self.drop_record(record).await.map(|()| None),
            Err(error) => Ok(Some(self.unread(record, &error))),
        }
    }

    /// Withdraws a patch from a freshly read workload. Safe to repeat after a crash at any step.
    pub(super) async fn take_out(
        &mut self,
        mut record: Remediation,
        mut subject: Subject,
    ) -> Result<Option<Timestamp>, RemediationError> {
        let taken_out = record.reason == Some(RemediationReason::TakenOut);
        let fields = if taken_out { BTreeSet::new() } else { fields_of(&record) };
        match self.withdraw_fields(&record, &subject, &fields).await {
            Ok(after) => subject = after.unwrap_or(subject),
            Err(ApplyError::Gone) => return self.drop_record(&record).await.map(|()| None),
            Err(error) => {
                if !error.is_passing() {
                    self.note_refusal(&mut record, &error).await?;
                }
                return Ok(Some(self.unread(&record, &error)));
            }
        }
        if record.reason == Some(RemediationReason::OomKilled) {
            // The workload may have changed since it was verified.
            record.causes_hash = Some(self.causes_hash(&subject));
        }
        let remains = fields.iter().filter(|of| subject.has(of));
        let remains: Remains = remains.map(|of| (of.clone(), subject.co_owners(of))).collect();
        if !remains.is_empty() && record.reason != Some(RemediationReason::CoOwned) {
            record = self.co_owned(&record, &remains);
            self.record_if_taken(record.clone()).await?;
        }
        match self.settle(&record, &subject).await {
            Ok(None) => {}
            Ok(again) => return Ok(again),
            Err(error) => {
                let error = ApplyError::from(error);
                if error.is_passing() {
                    return Ok(Some(self.unread(&record, &error)));
                }
                self.note_refusal(&mut record, &error).await?;
                if !self.has_had_its_time(&record) {
                    return Ok(Some(self.unread(&record, &error)));
                }
            }
        }
        let reason = record.reason.unwrap_or(RemediationReason::Other);
        let message = record.message.clone().unwrap_or_default();
        let phase = match reason {
            RemediationReason::CoOwned | RemediationReason::TakenOut => RemediationPhase::Failed,
            _ => RemediationPhase::Withdrawn,
        };
        self.end(&record, phase, reason, &message).await.map(|()| None)
    }

    /// Withdraws the fields that are still ours. Returns the workload afterwards; `None` if nothing was left to do.
    async fn withdraw_fields(
        &self,
        record: &Remediation,
        subject: &Subject,
        fields: &BTreeSet<ContainerField>,
    ) -> Result<Option<Subject>, ApplyError> {
        let owned = subject.owned();
        let ours: BTreeSet<ContainerField> =
            fields.iter().filter(|of| owned.contains_key(of)).cloned().collect();
        // After others removed the fields, only the names of their containers and our annotations are left.
        let only_marked = owned.is_empty() && subject.is_marked();
        if ours.is_empty() && !only_marked {
            return Ok(None);
        }
        // After the withdrawal, the workload no longer shows the owners of these settings.
        let tuned = withdraw::tuned(subject, &ours);
        if !tuned.is_empty() {
            self.tell_tuned(record, &tuned).await;
        }
        let cluster = &self.remediator.cluster;
        let withdrawal = withdraw(cluster, subject, &ours, subject.annotation(PATCHED_BY)).await?;
        info!(workload = %record.workload(), namespace = self.namespace, "patch withdrawn");
        Ok(Some(withdrawal.subject))
    }

    /// Returns the record of a patch that is partly kept because others set the same fields.
    fn co_owned(&self, record: &Remediation, remains: &Remains) -> Remediation {
        let (phase, message) = (RemediationPhase::Withdrawing, remaining(remains));
        records::in_phase(record, phase, RemediationReason::CoOwned, &message, self.now())
    }

    /// Does the remaining work after the fields were removed. Returns `None` once the workload has recovered, or its
    /// time is over.
    async fn settle(&self, record: &Remediation, subject: &Subject) -> Result<Option<Timestamp>, CallError> {
        if self.is_short_of_time() {
            return Ok(None);
        }
        let progress = RolloutProgress::of(subject);
        if record.reason != Some(RemediationReason::Reverted)
            && let (Typed::StatefulSet(_), Some(withdrawn)) = (&*subject.typed, &record.revision)
            && self.frees(subject, &progress, withdrawn, self.has_had_its_time(record)).await?
        {
            return Ok(Some(self.poll()));
        }
        // The next withdrawal waits for this one's rollout, but not forever.
        let waits = !progress.is_complete() && !self.has_had_its_time(record);
        Ok(waits.then(|| self.poll()))
    }

    /// Returns true if a workload had as much time to recover as a verdict may take.
    fn has_had_its_time(&self, record: &Remediation) -> bool {
        record.time.as_ref().is_some_and(|began| self.now().duration_since(began.0) >= self.verify())
    }

    /// Records the refusal of a withdrawal, and sends an event.
    async fn note_refusal(
        &mut self,
        record: &mut Remediation,
        error: &ApplyError,
    ) -> Result<(), RemediationError> {
        let refused = records::refused(record, &error.to_string());
        if refused != *record {
            self.record_if_taken(refused.clone()).await?;
            *record = refused;
        }
        self.tell_refused(record, error).await;
        Ok(())
    }

    /// Deletes pods of a withdrawn revision that block the StatefulSet, one at a time; returns true if more remain.
    /// Once it is `late`, pods that fail to terminate are no longer awaited.
    async fn frees(
        &self,
        subject: &Subject,
        progress: &RolloutProgress,
        withdrawn: &str,
        late: bool,
    ) -> Result<bool, CallError> {
        if !progress.observed {
            return Ok(!late);
        }
        if progress.revision.as_deref() == Some(withdrawn) {
            return Ok(false);
        }
        let pods = of_revision(&self.remediator.cluster, subject, withdrawn).await?;
        let Some(stuck) = pods.iter().find(|pod| !is_ready(pod)) else { return Ok(false) };
        if pods.iter().any(|pod| pod.metadata.deletion_timestamp.is_some()) {
            return Ok(!late);
        }
        self.delete(stuck).await?;
        info!(pod = stuck.name(), namespace = self.namespace, "stuck pod of the withdrawn revision deleted");
        Ok(true)
    }

    /// Deletes exactly the pod that was read.
    async fn delete(&self, pod: &Pod) -> Result<(), CallError> {
        let params = DeleteParams {
            preconditions: Some(Preconditions {
                uid: pod.metadata.uid.clone(),
                resource_version: pod.metadata.resource_version.clone(),
            }),
            ..DeleteParams::default()
        };
        let (client, resource) = (self.remediator.cluster.client.clone(), ApiResource::erase::<v1::Pod>(&()));
        let pods = Api::<DynamicObject>::namespaced_with(client, &self.namespace, &resource);
        let name = pod.name();
        match self.remediator.cluster.call(async |_| pods.delete(name, &params).await).await {
            Ok(_) => Ok(()),
            // The pod was replaced, or became ready.
            Err(error) if matches!(error.code(), Some(404 | 409)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Begins the withdrawal of a verified patch once it has a place among the rollouts; returns when to look again.
    pub(super) async fn begin_late_withdrawal(
        &mut self,
        record: &Remediation,
        reason: RemediationReason,
        message: &str,
    ) -> Result<Option<Timestamp>, RemediationError> {
        match self.remediator.reserve_revert(&self.key, record).await {
            Ok(BudgetDecision::Granted) => {}
            Ok(BudgetDecision::Wait { .. }) => return Ok(Some(self.after(pause_for_room()))),
            // A harmful patch is withdrawn even without the ledger.
            Err(error) => {
                warn!(%error, workload = %record.workload(), "withdrawn without a place in the ledger");
            }
        }
        self.begin_withdrawal(record, reason, message).await
    }
}

/// Names the remaining fields and their other owners.
fn remaining(remains: &Remains) -> String {
    let each = remains.iter().map(|(of, managers)| {
        let managers: Vec<&str> = managers.iter().map(String::as_str).collect();
        match managers[..] {
            [] => format!("{of} was set again by another client or by default"),
            _ => format!("{of} stays, because {} set it too", managers.join(", ")),
        }
    });
    each.collect::<Vec<_>>().join("; ")
}
