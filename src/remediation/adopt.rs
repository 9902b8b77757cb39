//! Adopts the fields that the webhook gave to new workloads, and answers for them as for its own.

use jiff::Timestamp;
use kube::ResourceExt as _;
use tracing::warn;

use super::apply::fetch;
use super::enforcer::Enforcer;
use super::error::RemediationError;
use crate::enforcement::{IGNORE, KINDS, Plan, Subject, records};
use crate::policy::Remediation;
use crate::workload::WorkloadKind;

/// The maximum number of workloads that are adopted in one step.
const MOST: usize = 30;

impl Enforcer<'_> {
    /// Adopts the fields without an owner that workloads got for this policy. Returns the time of the next step.
    ///
    /// No pod is replaced, so no budget is needed. The rollout that follows the creation is watched like that of a patch.
    pub(super) async fn adopt(&mut self) -> Result<Option<Timestamp>, RemediationError> {
        let mut next = None;
        for (kind, name) in self.adoptable() {
            if !records::has_room(&self.policy) {
                break;
            }
            let subject = match fetch(&self.remediator.cluster, kind, &self.namespace, &name).await {
                Ok(Some(subject)) => subject,
                Ok(None) => continue,
                Err(error) => {
                    self.remediator.errors.with_label_values(&[error.category()]).inc();
                    warn!(workload = name, namespace = self.namespace, %error, "cannot adopt its fields; will retry");
                    next = [next, Some(self.poll())].into_iter().flatten().min();
                    continue;
                }
            };
            let Some(plan) = self.adoption(&subject) else { continue };
            let planned = Remediation {
                // An apply of equal values is no new generation, so the creation counts as the one of the patch.
                generation: subject.metadata().generation.map(|generation| generation - 1),
                // A controller may not have counted the nodes of a DaemonSet yet.
                pods: None,
                ..self.planned(&subject, &plan)
            };
            self.record(planned.clone()).await?;
            let again = self.send_patch(&subject, &plan, planned).await?;
            next = [next, again].into_iter().flatten().min();
        }
        Ok(next)
    }

    /// Returns the workloads to adopt, as the watches show them.
    fn adoptable(&self) -> Vec<(WorkloadKind, String)> {
        let (own, status) = (self.policy.name_any(), self.status());
        let workloads = self.remediator.workloads();
        let objects = workloads.objects(&self.namespace).filter(|object| KINDS.contains(&object.kind));
        let is_adoptable = |kind, name: &str| {
            let trace = workloads.trace(kind, &self.namespace, name);
            trace.and_then(|trace| trace.adoptable.as_ref()).is_some_and(|found| found.policy == own)
        };
        let is_recorded = |object: &crate::workload::Workload<'_>| {
            status.remediations.iter().any(|record| {
                record.workload() == object.owner() && record.uid.as_deref() == object.metadata.uid.as_deref()
            })
        };
        let found = objects.filter(|object| is_adoptable(object.kind, object.name()) && !is_recorded(object));
        found.map(|object| (object.kind, object.name().to_owned())).take(MOST).collect()
    }

    /// Plans the adoption of a workload's fields; `None` if there is nothing to adopt, or if it is to be left alone.
    fn adoption(&self, subject: &Subject) -> Option<Plan> {
        let is_left =
            subject.metadata().deletion_timestamp.is_some() || subject.annotation(IGNORE) == Some("true");
        let plan =
            Plan::adoption(subject).filter(|plan| !is_left && plan.policy == self.policy.name_any())?;
        records::about(&self.status(), subject).is_none().then_some(plan)
    }
}
