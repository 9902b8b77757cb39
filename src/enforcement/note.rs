//! Notes in the ledger of withdrawals that no status records, because it has no room or the policy was deleted. Pure.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::eligibility::Ineligible;
use super::records::{is_evidence, is_requested_since};
use super::subject::Subject;
use crate::policy::RemediationReason;

/// The maximum length of a note's message in bytes.
const MESSAGE: usize = 256;
/// The time after which a note is dropped.
const KEPT: SignedDuration = SignedDuration::from_hours(30 * 24);

/// The note of one withdrawal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// The workload's namespace.
    pub namespace: String,
    /// The workload's kind.
    pub kind: String,
    /// The workload's name.
    pub name: String,
    /// The workload's uid.
    pub uid: String,
    /// The withdrawn fields; all fields of the record if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<String>,
    /// The digest of the inputs that decide if the patch fails.
    pub causes_hash: String,
    /// The time of the withdrawal.
    pub time: Timestamp,
    /// The reason for it.
    pub reason: RemediationReason,
    /// The reason in a truncated sentence.
    pub message: String,
    /// The number of withdrawals so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdrawals: Option<u32>,
    /// The earliest time of the next attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<Timestamp>,
    /// True once the withdrawal is done.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub done: bool,
}

impl Note {
    /// Creates the note of a withdrawal that starts, in whole seconds.
    pub fn new(
        subject: &Subject,
        causes_hash: String,
        reason: RemediationReason,
        message: &str,
        now: Timestamp,
    ) -> Self {
        let mut message = message.to_owned();
        message.truncate(message.floor_char_boundary(MESSAGE));
        Self {
            namespace: subject.namespace().to_owned(),
            kind: subject.kind().name().to_owned(),
            name: subject.name().to_owned(),
            uid: subject.uid().to_owned(),
            fields: Vec::new(),
            causes_hash,
            time: Timestamp::from_second(now.as_second()).unwrap_or(now),
            reason,
            message,
            withdrawals: None,
            retry_after: None,
            done: false,
        }
    }

    /// Returns the reason why the workload of the note is skipped, if there is one. It is the same as for a record in a
    /// status. `causes_hashes` are the digests of its inputs under each policy of the namespace.
    pub fn leaves_alone(
        &self,
        subject: &Subject,
        causes_hashes: &[String],
        now: Timestamp,
    ) -> Option<Ineligible> {
        // A withdrawal that is under way comes before another attempt.
        if self.uid != subject.uid() || self.done && is_requested_since(subject, self.time, now) {
            return None;
        }
        let (why, workload) = (self.message.clone(), format!("{}/{}", self.kind.to_lowercase(), self.name));
        if !self.done || causes_hashes.contains(&self.causes_hash) && is_evidence(self.reason) {
            return Some(Ineligible::FailedBefore { why, workload });
        }
        let until = self.retry_after.filter(|until| *until > now)?;
        Some(Ineligible::BackingOff { until, why, workload })
    }

    /// Returns true if the note has expired.
    pub(super) fn is_old(&self, now: Timestamp) -> bool {
        now.duration_since(self.time) > KEPT
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::enforcement::RETRY;
    use crate::policy::SkipReason;
    use crate::workload::WorkloadKind;

    fn subject(annotations: &serde_json::Value) -> Subject {
        let object = json!({
            "metadata": { "name": "web", "namespace": "n", "uid": "u", "annotations": annotations },
            "spec": { "selector": {}, "template": { "spec": { "containers": [{ "name": "a", "image": "x" }] } } },
        });
        Subject::read(WorkloadKind::Deployment, object).unwrap()
    }

    #[test]
    fn the_size_of_a_note_is_bounded_and_so_is_its_time() {
        let now = Timestamp::from_millisecond(1_800_000_000_500).unwrap();
        let subject = subject(&json!({}));
        let note = Note::new(&subject, "h".to_owned(), RemediationReason::NotReady, &"ä".repeat(10_000), now);
        assert!(serde_json::to_string(&note).unwrap().len() < 600);
        assert_eq!(note.time.subsec_nanosecond(), 0);
        let ends = note.time + KEPT;
        assert!(!note.is_old(ends) && note.is_old(ends + SignedDuration::from_secs(1)));
    }
    #[test]
    fn a_workload_with_a_note_is_left_alone_as_with_a_record() {
        use SkipReason::{BackingOff, FailedBefore};
        let at = |hours: i64| Timestamp::from_second(1_800_000_000 + hours * 3600).unwrap();
        let note = |reason, done| Note {
            withdrawals: Some(1),
            retry_after: Some(at(24)),
            done,
            ..Note::new(&subject(&json!({})), "h".to_owned(), reason, "why", at(0))
        };
        let (harm, none) = (RemediationReason::NotReady, RemediationReason::NoVerdict);
        for (what, reason, done, asked, hash, hours, expected) in [
            ("unchanged", harm, true, None, "h", 1, Some(FailedBefore)),
            ("unchanged for long", harm, true, None, "h", 900, Some(FailedBefore)),
            ("changed", harm, true, None, "i", 23, Some(BackingOff)),
            ("changed, and its time has come", harm, true, None, "i", 24, None),
            ("no evidence", none, true, None, "h", 23, Some(BackingOff)),
            ("no evidence, and its time has come", none, true, None, "h", 24, None),
            ("requested again", harm, true, Some(1), "h", 2, None),
            ("requested before", harm, true, Some(-1), "h", 2, Some(FailedBefore)),
            ("requested in the future", harm, true, Some(3), "h", 2, Some(FailedBefore)),
            ("requested while it is under way", harm, false, Some(1), "i", 2, Some(FailedBefore)),
        ] {
            let asked = asked.map(|hours| json!({ RETRY: at(hours).to_string() })).unwrap_or_default();
            let left = note(reason, done).leaves_alone(&subject(&asked), &[hash.to_owned()], at(hours));
            assert_eq!(left.map(|left| left.reason()), expected, "{what}");
        }
        let other = Note { uid: "v".to_owned(), ..note(harm, true) };
        assert_eq!(other.leaves_alone(&subject(&json!({})), &["h".to_owned()], at(1)), None);
    }
}
