//! The room in the ledger: notes of withdrawals come before all else. Pure.
//!
//! A `ConfigMap` has room for 1 MiB. New patches and the settings of deleted policies take at most three quarters of it, so
//! that a withdrawal can be noted when nothing else fits any longer.

use super::Ledger;
use crate::enforcement::note::Note;

/// The maximum length of a ledger in bytes. The API server counts the values of a `ConfigMap` alone.
const MOST: usize = 1023 * 1024;
/// The maximum length of a ledger to which something else than a note is added, in bytes.
const ROOM: usize = 768 * 1024;
/// The room that a patch without a note may need for one, in bytes. A long list of containers needs more.
const NOTE: usize = 768;

impl Ledger {
    /// Returns true if a patch may begin: each patch that only the ledger knows still has room for a note, and so has this
    /// one.
    pub fn has_room(&self) -> bool {
        let kept: usize = self.kept().iter().map(|patches| patches.workloads.len()).sum();
        self.size() + (self.open().count() + kept + 1) * NOTE < ROOM
    }

    /// Returns true if it is short enough for more than notes.
    pub(super) fn is_short(&self) -> bool {
        self.size() < ROOM
    }

    /// Adds the note of a withdrawal in place of an earlier one of that workload.
    ///
    /// If it does not fit, older content makes room: first the messages of withdrawals that are done, then the settings
    /// of deleted policies, whose patches then have the defaults, then the notes of withdrawals that are done. Returns false
    /// and changes nothing if it is full of withdrawals under way.
    pub fn note(&mut self, note: Note) -> bool {
        let mut next = self.clone();
        next.notes.retain(|known| known.uid != note.uid && !known.is_old(note.time));
        next.notes.push(note);
        let has_room = next.make_room();
        if has_room {
            *self = next;
        }
        has_room
    }

    fn make_room(&mut self) -> bool {
        if self.excess() > 0 {
            self.notes.iter_mut().filter(|note| note.done).for_each(|note| note.message.clear());
        }
        let mut excess = self.excess();
        self.kept.retain(|patches| !give_up(patches, &mut excess));
        let mut excess = self.excess();
        self.notes.retain(|note| !note.done || !give_up(note, &mut excess));
        self.excess() == 0
    }

    /// Returns the number of bytes beyond the maximum length.
    fn excess(&self) -> usize {
        self.size().saturating_sub(MOST)
    }

    fn size(&self) -> usize {
        size(self)
    }

    /// Notes that a withdrawal is done.
    pub fn note_done(&mut self, uid: &str) {
        self.notes.iter_mut().filter(|note| note.uid == uid).for_each(|note| note.done = true);
    }

    /// Drops the note of a withdrawal.
    pub fn drop_note(&mut self, uid: &str) {
        self.notes.retain(|note| note.uid != uid);
    }

    /// Returns the notes of withdrawals.
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }
}

/// Returns true as long as there is an excess, and reduces it by the length of the item.
fn give_up(item: &impl serde::Serialize, excess: &mut usize) -> bool {
    let is_needed = *excess > 0;
    *excess = excess.saturating_sub(size(item));
    is_needed
}

/// Returns the length of an item as JSON, in bytes.
fn size(item: &impl serde::Serialize) -> usize {
    serde_json::to_string(item).map_or(usize::MAX, |text| text.len())
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::enforcement::{KeptPatches, KeptWorkload};
    use crate::policy::{DevOpsPolicySpec, RemediationReason};
    use crate::workload::PolicyRef;

    fn note(number: usize, done: bool) -> Note {
        Note {
            namespace: "shop".to_owned(),
            kind: "Deployment".to_owned(),
            name: format!("web-{number}"),
            uid: format!("{number:036}"),
            fields: vec!["main/livenessProbe".to_owned()],
            causes_hash: "a".repeat(64),
            time: Timestamp::UNIX_EPOCH,
            reason: RemediationReason::NotReady,
            message: "a".repeat(256),
            withdrawals: None,
            retry_after: None,
            done,
        }
    }

    /// The patches of a policy with so many workloads.
    fn kept(policy: usize, workloads: usize) -> KeptPatches {
        let workload = |number| (format!("{policy}-{number:036}"), KeptWorkload::default());
        KeptPatches {
            policy: PolicyRef::new("shop", format!("p{policy}")),
            spec: DevOpsPolicySpec::default(),
            workloads: (0..workloads).map(workload).collect(),
        }
    }

    #[test]
    fn a_ledger_that_takes_no_patch_takes_notes_of_withdrawals() {
        let mut ledger = Ledger::default();
        let policies = (0..99).take_while(|policy| ledger.keep(&kept(*policy, 500))).count();
        assert!(policies > 5 && !ledger.has_room() && ledger.is_short());
        // Each addition computes the length, so most notes are put directly.
        ledger.notes = (0..600).map(|number| note(number, false)).collect();
        for number in 600..605 {
            assert!(ledger.note(note(number, false)), "{number}");
        }
        assert_eq!(ledger.notes().len(), 605);
        assert!(size(&ledger) <= MOST && ledger.kept().len() > 5);
        assert_ne!(ledger.kept()[0].policy.name, "p0", "the oldest makes room");
    }

    #[test]
    fn a_patch_begins_only_with_room_for_its_note_and_those_of_patches_without_a_policy() {
        let mut ledger = Ledger::default();
        assert!(ledger.has_room());
        assert!(ledger.keep(&kept(0, 700)) && ledger.has_room());
        assert!(ledger.keep(&kept(1, 700)) && !ledger.has_room() && size(&ledger) < ROOM / 2);
    }

    #[test]
    fn only_a_ledger_full_of_withdrawals_under_way_refuses_a_note() {
        let notes = (0..2_000).map(|number| note(number, true)).collect();
        let mut ledger = Ledger { notes, ..Ledger::default() };
        assert!(ledger.note(note(9_999, false)));
        assert_eq!(ledger.notes().len(), 2_001, "messages are enough");
        ledger.notes.extend((2_000..4_000).map(|number| note(number, true)));
        assert!(ledger.note(note(9_998, false)) && size(&ledger) <= MOST);
        let uids: Vec<_> = ledger.notes().iter().map(|note| note.name.as_str()).collect();
        assert!(uids.contains(&"web-9999") && uids.contains(&"web-3999") && !uids.contains(&"web-0"));
    }

    #[test]
    fn a_refused_addition_changes_nothing() {
        let mut ledger = Ledger::default();
        assert!(ledger.keep(&kept(0, 1)));
        let mut notes: Vec<_> = (0..2_500).map(|number| note(number, false)).collect();
        notes[7].done = true;
        ledger.notes = notes;
        let before = ledger.clone();
        assert!(!ledger.note(note(9_999, false)));
        assert!(
            !ledger.note(Note { message: "b".repeat(256), ..note(8, false) }),
            "in place of an earlier one"
        );
        assert!(!ledger.keep(&kept(0, 2)), "settings that replace earlier ones");
        assert!(ledger == before);
    }
}
