//! Withdrawals that no status records, because it has no room or the policy is gone. The ledger has a note of each
//! instead.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use tracing::warn;

use super::enforcer::Enforcer;
use super::error::RemediationError;
use crate::enforcement::records::{self, in_phase};
use crate::enforcement::{Note, Subject};
use crate::policy::{Remediation, RemediationPhase, RemediationReason};

/// Pause before a finished withdrawal is recorded again.
const AGAIN: SignedDuration = SignedDuration::from_mins(5);

impl Enforcer<'_> {
    /// Writes a record into the status. Returns false if the API server refuses it, or if the policy is gone.
    pub(super) async fn record_if_taken(&mut self, record: Remediation) -> Result<bool, RemediationError> {
        let workload = record.workload().to_string();
        match self.record(record).await {
            Ok(()) => Ok(self.home.is_some()),
            Err(error) if error.is_refused() => {
                warn!(workload, namespace = self.namespace, %error, "the API server refused the status update");
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Writes a note of a withdrawal that the status cannot record. The withdrawal continues without the note if that
    /// fails.
    pub(super) async fn note(&self, record: &Remediation, subject: &Subject) {
        let (reason, message) = (record.reason.unwrap_or(RemediationReason::Other), &record.message);
        let note = Note::new(
            subject,
            self.causes_hash(subject),
            reason,
            message.as_deref().unwrap_or_default(),
            self.now(),
        );
        let note = Note {
            fields: record.fields.clone(),
            withdrawals: record.withdrawals,
            retry_after: record.retry_after.as_ref().map(|time| time.0),
            ..note
        };
        let (workload, namespace) = (&note.name, &note.namespace);
        match self.remediator.ledger.change(|ledger| ledger.note(note.clone())).await {
            Ok(true) => {}
            Ok(false) => warn!(workload, namespace, "the ledger has no room for a note"),
            Err(error) => warn!(%error, workload, namespace, "failed to write the withdrawal note"),
        }
    }

    /// Returns the number of a workload's withdrawals so far, by its record and by its note.
    pub(super) fn withdrawals_of(&self, record: &Remediation) -> Option<u32> {
        let note = record.uid.as_deref().and_then(|uid| self.remediator.ledger.note_of(uid));
        record.withdrawals.max(note.and_then(|note| note.withdrawals))
    }

    /// Returns true if a withdrawal of the workload's fields is under way that only the ledger records.
    pub(super) fn is_withdrawn_by_note(&self, record: &Remediation) -> bool {
        let note = record.uid.as_deref().and_then(|uid| self.remediator.ledger.note_of(uid));
        note.is_some_and(|note| !note.done)
    }

    /// Notes the end of a withdrawal that the status does not record.
    pub(super) async fn note_done(&self, record: &Remediation) {
        let Some(uid) = &record.uid else { return };
        if let Err(error) = self.remediator.ledger.change(|ledger| ledger.note_done(uid)).await {
            warn!(%error, workload = %record.workload(), namespace = self.namespace, "the note is not up to date");
        }
    }

    /// Removes the note of a withdrawal that the status now records.
    pub(super) async fn drop_note(&self, record: &Remediation) {
        let Some(uid) = record.uid.as_ref().filter(|uid| self.remediator.ledger.note_of(uid).is_some())
        else {
            return;
        };
        if let Err(error) = self.remediator.ledger.change(|ledger| ledger.drop_note(uid)).await {
            warn!(%error, workload = %record.workload(), namespace = self.namespace, "the note is not dropped yet");
        }
    }

    /// Continues a withdrawal that only the ledger records; `None` if the ledger has no note of the workload.
    pub(super) async fn go_on_noted(
        &mut self,
        record: &Remediation,
    ) -> Option<Result<Option<Timestamp>, RemediationError>> {
        let note = self.remediator.ledger.note_of(record.uid.as_deref()?)?;
        // Orphaned patches have their records in memory alone.
        if self.home.is_some() && is_after(record, &note) {
            self.drop_note(record).await;
            return None;
        }
        Some(self.resume_noted(record, &note).await)
    }

    async fn resume_noted(
        &mut self,
        record: &Remediation,
        note: &Note,
    ) -> Result<Option<Timestamp>, RemediationError> {
        let part = if note.fields.is_empty() || !records::is_in_place(record) {
            record.clone()
        } else {
            records::of_fields(record, &note.fields.iter().filter_map(|field| field.parse().ok()).collect())
        };
        let record = Remediation {
            causes_hash: Some(note.causes_hash.clone()),
            withdrawals: note.withdrawals,
            retry_after: note.retry_after.map(Time),
            ..part
        };
        if !note.done {
            let phase = RemediationPhase::Withdrawing;
            let record = in_phase(&record, phase, note.reason, &note.message, note.time);
            return self.take_back(&record).await;
        }
        let record = in_phase(&record, RemediationPhase::Withdrawn, note.reason, &note.message, self.now());
        if !self.record_if_taken(record.clone()).await? {
            return Ok(Some(self.after(AGAIN)));
        }
        self.drop_note(&record).await;
        Ok(None)
    }
}

/// Returns true if a record is later than the withdrawal of a note: it records its end, or another patch, which a user
/// requested.
fn is_after(record: &Remediation, note: &Note) -> bool {
    record
        .time
        .as_ref()
        .is_some_and(|time| time.0 > note.time || time.0 == note.time && !records::is_in_place(record))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::workload::WorkloadKind;

    #[test]
    fn a_record_outlives_a_note_if_it_is_of_the_end_or_of_a_later_patch() {
        let at = |second: i64| Timestamp::from_second(1_800_000_000 + second).unwrap();
        let object = json!({
            "metadata": { "name": "web", "namespace": "n", "uid": "u" },
            "spec": { "selector": {}, "template": { "spec": { "containers": [] } } },
        });
        let subject = Subject::read(WorkloadKind::Deployment, object).unwrap();
        let note = Note::new(&subject, String::new(), RemediationReason::NotReady, "", at(10));
        for (phase, second, expected) in [
            ("Applied", 9, false),
            ("Applied", 10, false),
            ("Applied", 11, true),
            ("Planned", 11, true),
            ("Withdrawing", 9, false),
            ("Withdrawing", 10, true),
            ("Withdrawn", 20, true),
        ] {
            let record: Remediation = serde_json::from_value(json!({
                "kind": "Deployment", "name": "web", "uid": "u", "phase": phase, "time": at(second),
            }))
            .unwrap();
            assert_eq!(is_after(&record, &note), expected, "{phase} at {second}");
        }
    }
}
