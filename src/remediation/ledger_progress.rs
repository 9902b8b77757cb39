//! The progress of a rollout in the ledger, which distinguishes a stalled rollout from a long one.

use jiff::Timestamp;
use tracing::warn;

use super::enforcer::Enforcer;
use crate::policy::Remediation;

impl Enforcer<'_> {
    /// Records in the ledger that a rollout makes progress, unless that was done recently. `ready` is the number of its
    /// ready pods, with the time at which the last of them became ready.
    pub(super) async fn note_progress(&self, record: &Remediation, ready: Option<(usize, Timestamp)>) {
        let (Some(uid), Some((ready, last_ready))) = (&record.uid, ready) else { return };
        if record.time.as_ref().is_some_and(|patched| last_ready <= patched.0) {
            return;
        }
        if !self.remediator.notes_progress(uid, ready, last_ready) {
            return;
        }
        if let Err(error) =
            self.remediator.ledger.change(|ledger| ledger.note_progress(uid, ready, last_ready)).await
        {
            warn!(%error, workload = %record.workload(), "failed to note the progress of a rollout");
        }
    }
}
