//! The progress of a rollout in the ledger, which distinguishes a stalled rollout from a long one.

use jiff::Timestamp;
use tracing::warn;

use super::enforcer::Enforcer;
use crate::policy::Remediation;

impl Enforcer<'_> {
    /// Records in the ledger that a rollout makes progress, unless that was done recently.
    pub(super) async fn note_progress(&self, record: &Remediation, last_ready: Option<Timestamp>) {
        let (Some(uid), Some(last_ready)) = (&record.uid, last_ready) else { return };
        if record.time.as_ref().is_some_and(|patched| last_ready <= patched.0) {
            return;
        }
        if !self.remediator.notes_progress(uid, last_ready) {
            return;
        }
        if let Err(error) =
            self.remediator.ledger.change(|ledger| ledger.note_progress(uid, last_ready)).await
        {
            warn!(%error, workload = %record.workload(), "failed to note the progress of a rollout");
        }
    }
}
