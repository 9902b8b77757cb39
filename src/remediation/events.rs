//! Events of enforcement on the policy and on the workload. A lost event has no other effect.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::events::{Event, EventType};
use tracing::warn;

use super::apply_error::ApplyError;
use super::enforcer::Enforcer;
use super::withdraw::Remains;
use crate::enforcement::records::kind_of;
use crate::policy::{Remediation, RemediationPhase, RemediationReason};

impl Enforcer<'_> {
    /// Sends the event for a new phase of a remediation.
    pub(super) async fn tell(
        &self,
        record: &Remediation,
        phase: RemediationPhase,
        reason: RemediationReason,
        message: &str,
    ) {
        use EventType::{Normal, Warning};
        let (type_, event) = match phase {
            RemediationPhase::Planned if reason == RemediationReason::Unavailable => {
                (Warning, "PatchDelayed")
            }
            RemediationPhase::Planned | RemediationPhase::Withdrawing => return,
            RemediationPhase::Applied => (Normal, "WorkloadPatched"),
            RemediationPhase::Verified => (Normal, "PatchVerified"),
            RemediationPhase::Withdrawn if reason == RemediationReason::Reverted => (Normal, "PatchReverted"),
            RemediationPhase::Withdrawn => (Warning, "PatchWithdrawn"),
            RemediationPhase::Failed if reason == RemediationReason::CoOwned => {
                (Warning, "PatchNotWithdrawn")
            }
            RemediationPhase::Failed if reason == RemediationReason::TakenOut => (Normal, "PatchTakenOut"),
            RemediationPhase::Failed => (Warning, "PatchFailed"),
        };
        self.publish(record, type_, event, &format!("{reason}: {message}")).await;
    }

    /// Sends an event that names the managers whose settings are removed with a probe.
    pub(super) async fn tell_tuned(&self, record: &Remediation, tuned: &Remains) {
        let each = tuned.iter().map(|(of, managers)| {
            let managers: Vec<&str> = managers.iter().map(String::as_str).collect();
            format!("{of} is withdrawn as a whole, with the settings of {}", managers.join(", "))
        });
        self.publish(record, EventType::Warning, "TuningLost", &each.collect::<Vec<_>>().join("; ")).await;
    }

    /// Sends an event that the API server refuses the withdrawal of a patch.
    pub(super) async fn tell_refused(&self, record: &Remediation, error: &ApplyError) {
        let note = format!("the patch is still in place, and its withdrawal is retried: {error}");
        self.publish(record, EventType::Warning, "WithdrawalRefused", &note).await;
    }

    /// Sends an event about the policy.
    pub(super) async fn tell_policy(&self, type_: EventType, reason: &str, note: &str) {
        self.send(type_, reason, note, &self.policy.object_reference(), None).await;
    }

    /// Sends an event on the policy, unless that is gone, and on the workload.
    async fn publish(&self, record: &Remediation, type_: EventType, reason: &str, note: &str) {
        let about_it = format!("{}: {note}", record.workload());
        let workload = ObjectReference {
            api_version: kind_of(record).map(|kind| kind.api_version().to_owned()),
            kind: Some(record.kind.clone()),
            name: Some(record.name.clone()),
            namespace: Some(self.namespace.clone()),
            uid: record.uid.clone(),
            ..ObjectReference::default()
        };
        // Repeated events are merged, but not those about different workloads.
        let policy = self.home.map(|_| self.policy.object_reference());
        if let Some(policy) = &policy {
            self.send(type_, reason, &about_it, policy, Some(workload.clone())).await;
        }
        self.send(type_, reason, note, &workload, policy).await;
    }

    async fn send(
        &self,
        type_: EventType,
        reason: &str,
        note: &str,
        about: &ObjectReference,
        related: Option<ObjectReference>,
    ) {
        let event = Event {
            type_,
            reason: reason.to_owned(),
            note: Some(note.to_owned()),
            action: "Enforce".to_owned(),
            secondary: related,
        };
        if let Err(error) = self.remediator.events.record(event, about).await {
            warn!(reason, %error, "event not recorded");
        }
    }
}
