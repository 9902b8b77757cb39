//! Withdrawals that no status records, because it has no room or the policy is gone. The ledger has a note of each
//! instead.

use jiff::{SignedDuration, Timestamp};
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
        let note = Note { fields: record.fields.clone(), ..note };
        let (workload, namespace) = (&note.name, &note.namespace);
        match self.remediator.ledger.change(|ledger| ledger.note(note.clone())).await {
            Ok(true) => {}
            Ok(false) => warn!(workload, namespace, "the ledger has no room for a note"),
            Err(error) => warn!(%error, workload, namespace, "failed to write the withdrawal note"),
        }
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
        let is_recorded = self.home.is_some()
            && record.time.as_ref().is_some_and(|time| time.0 >= note.time)
            && !records::is_in_place(record);
        if is_recorded {
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
        let record = Remediation { causes_hash: Some(note.causes_hash.clone()), ..part };
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
