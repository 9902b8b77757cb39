//! Taking a patch back, and what has to follow: a co-owner is named, and a StatefulSet's stuck pod goes.

use std::collections::{BTreeMap, BTreeSet};

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
use crate::enforcement::records::{self, fields_of, is_under_way, kind_of};
use crate::enforcement::{
    Compute, ContainerField, Decision, Field, PATCHED_BY, Progress, Subject, Typed, is_ready,
};
use crate::policy::{Remediation, RemediationPhase, RemediationReason};

impl Enforcer<'_> {
    /// Takes a patch out of a workload, and ends its record once nothing of it is left.
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

    /// Takes a patch out of a workload as it was just read. Whoever was killed between any two steps begins anew, so
    /// each of them finds by itself what there is to do and to tell.
    pub(super) async fn take_out(
        &mut self,
        mut record: Remediation,
        mut subject: Subject,
    ) -> Result<Option<Timestamp>, RemediationError> {
        let owned = subject.owned();
        let taken_out = record.reason == Some(RemediationReason::TakenOut);
        let fields = if taken_out { BTreeSet::new() } else { fields_of(&record) };
        let ours: BTreeSet<ContainerField> =
            fields.iter().filter(|of| owned.contains_key(of)).cloned().collect();
        // If others took the fields out, the names of their containers and our annotations are left.
        let only_marked = owned.is_empty() && subject.is_marked();
        if !ours.is_empty() || only_marked {
            // Afterwards nothing on the workload tells whose it was.
            let tuned = withdraw::tuned(&subject, &ours);
            if !tuned.is_empty() {
                self.tell_tuned(&record, &tuned).await;
            }
            let cluster = &self.remediator.cluster;
            match withdraw(cluster, &subject, &ours, subject.annotation(PATCHED_BY)).await {
                Ok(withdrawal) => {
                    info!(workload = %record.workload(), namespace = self.namespace, "patch withdrawn");
                    subject = withdrawal.subject;
                }
                Err(ApplyError::Gone) => return self.drop_record(&record).await.map(|()| None),
                Err(error) => {
                    if !error.is_passing() {
                        self.note_refusal(&mut record, &error).await?;
                    }
                    return Ok(Some(self.unread(&record, &error)));
                }
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

    /// The record of a patch of which something stays, because others want it too.
    fn co_owned(&self, record: &Remediation, remains: &Remains) -> Remediation {
        let (phase, message) = (RemediationPhase::Withdrawing, remaining(remains));
        records::in_phase(record, phase, RemediationReason::CoOwned, &message, self.now())
    }

    /// Does the rest after the fields are out. Returns `None` when the workload is back, or its time is over.
    async fn settle(&self, record: &Remediation, subject: &Subject) -> Result<Option<Timestamp>, CallError> {
        if self.is_short_of_time() {
            return Ok(None);
        }
        let progress = Progress::of(subject);
        if record.reason != Some(RemediationReason::Reverted)
            && let (Typed::StatefulSet(_), Some(withdrawn)) = (&*subject.typed, &record.revision)
            && self.frees(subject, &progress, withdrawn, self.has_had_its_time(record)).await?
        {
            return Ok(Some(self.poll()));
        }
        // The next one waits for this one's rollout, but not for ever.
        let waits = !progress.is_complete() && !self.has_had_its_time(record);
        Ok(waits.then(|| self.poll()))
    }

    /// Returns true if a workload had as long to come back as a verdict may take.
    fn has_had_its_time(&self, record: &Remediation) -> bool {
        record.time.as_ref().is_some_and(|began| self.now().duration_since(began.0) >= self.verify())
    }

    /// Writes down and tells what keeps a patch from being taken back.
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

    /// Frees a `StatefulSet` of the pods that its controller waits for, though they will never be ready and their
    /// revision is gone, one at a time; returns whether there is more of that to do. Once it is `late`, nobody waits for a
    /// pod that is being deleted and doesn't go.
    async fn frees(
        &self,
        subject: &Subject,
        progress: &Progress,
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

    /// Deletes a pod as it was read, and no other.
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
            // It is another pod by now, or has become ready.
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
            Ok(Decision::Granted) => {}
            Ok(Decision::Wait { .. }) => return Ok(Some(self.after(pause_for_room()))),
            // What does harm doesn't wait for a ledger.
            Err(error) => {
                warn!(%error, workload = %record.workload(), "withdrawn without a place in the ledger");
            }
        }
        self.begin_withdrawal(record, reason, message).await
    }

    /// Withdraws the memory limits under which containers have run out of memory; all else that was set stays.
    pub(super) async fn notice_low_limits(&mut self) -> Result<Option<Timestamp>, RemediationError> {
        let mut next = None;
        for record in self.records() {
            let Some(since) = record.time.as_ref().map(|time| time.0) else { continue };
            // If only the latest patch was refused or withdrawn, earlier ones stay.
            if is_under_way(&record) {
                continue;
            }
            let mut killed = self.out_of_memory(&record, since);
            if killed.is_empty() {
                continue;
            }
            // A workload that cannot be read now is read again later. A limit that somebody changed since then is
            // theirs.
            let Ok(Some(subject)) = self.fetch(&record).await else { continue };
            let owned = subject.owned();
            killed.retain(|container, _| {
                owned.contains_key(&ContainerField::new(container, Field::Limit(Compute::Memory)))
            });
            let Some(message) = killed.values().next() else { continue };
            let limits = records::of_memory_limits(&record, &killed.keys().cloned().collect());
            let again = self.begin_late_withdrawal(&limits, RemediationReason::OomKilled, message).await?;
            next = [next, again].into_iter().flatten().min();
        }
        Ok(next)
    }

    /// The containers with a memory limit of ours that ran out of memory, each with that in words.
    fn out_of_memory(&self, record: &Remediation, since: Timestamp) -> BTreeMap<String, String> {
        let limited = records::with_memory_limit(record);
        let Some(kind) = kind_of(record).filter(|_| !limited.is_empty()) else { return BTreeMap::new() };
        let workloads = self.remediator.workloads();
        let pods = workloads.objects(&self.namespace).filter(|object| {
            let owner = object.owner();
            object.is_pod() && owner.kind == kind.name() && owner.name == record.name
        });
        pods.flat_map(|pod| {
            let statuses = pod.status.iter().flat_map(|status| &status.container_statuses);
            let killed = statuses.filter(|status| {
                limited.contains(&*status.name) && status.oom_killed.is_some_and(|at| at >= since)
            });
            killed.map(|status| {
                let words = format!("container {} of pod {} ran out of memory", &*status.name, pod.name());
                (status.name.to_string(), words)
            })
        })
        .collect()
    }
}

/// Names what is still there, and who wants it.
fn remaining(remains: &Remains) -> String {
    let each = remains.iter().map(|(of, managers)| {
        let managers: Vec<&str> = managers.iter().map(String::as_str).collect();
        match managers[..] {
            [] => format!("{of} stays, because something sets it whenever it is not there"),
            _ => format!("{of} stays, because {} set it too", managers.join(", ")),
        }
    });
    each.collect::<Vec<_>>().join("; ")
}
