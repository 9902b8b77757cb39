//! Notes in the ledger of withdrawals that no status records, because it has no room or the policy was deleted. Pure.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

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
            done: false,
        }
    }

    /// Returns true if the inputs that decide about a failure are unchanged for this workload.
    pub fn is_about(&self, subject: &Subject, causes_hash: &str) -> bool {
        self.uid == subject.uid() && self.causes_hash == causes_hash
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
    use crate::workload::WorkloadKind;

    fn subject() -> Subject {
        let object = json!({
            "metadata": { "name": "web", "namespace": "n", "uid": "u" },
            "spec": { "selector": {}, "template": { "spec": { "containers": [{ "name": "a", "image": "x" }] } } },
        });
        Subject::read(WorkloadKind::Deployment, object).unwrap()
    }

    #[test]
    fn a_note_is_about_the_causes_of_the_failure_and_its_size_is_bounded() {
        let now = Timestamp::from_millisecond(1_800_000_000_500).unwrap();
        let subject = subject();
        let note = Note::new(&subject, "h".to_owned(), RemediationReason::NotReady, &"ä".repeat(10_000), now);
        assert!(note.is_about(&subject, "h") && !note.is_about(&subject, "i"));
        assert!(serde_json::to_string(&note).unwrap().len() < 600);
        assert_eq!(note.time.subsec_nanosecond(), 0);
        let ends = note.time + KEPT;
        assert!(!note.is_old(ends) && note.is_old(ends + SignedDuration::from_secs(1)));
    }
}
