//! The reports that the API server has, reduced to the digests by which the next write is decided. Pure.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta};

use super::audit::{CONTENT, POLICY_UID};
use super::open_report::Draft;
use super::restorations::{QUIET, Restorations};
use crate::cluster::{ListMark, Store};

/// The field manager of reports.
pub(super) const MANAGER: &str = "kube-devops-reports";

/// The reports, by the uid of the policy and the namespace. A cluster policy has one in each of its namespaces, and one
/// on objects without a namespace, under the empty name.
pub(super) struct KnownReports {
    reports: Store<String, KnownReport>,
    /// The namespaces whose reports are listed; `None` stands for all of them.
    listed: BTreeSet<Option<String>>,
    /// The minimum time between two writes of a report.
    interval: SignedDuration,
    /// The reports, by policy and namespace, that other clients changed or deleted lately.
    interference: BTreeMap<(String, String), Interference>,
}

/// A report of a policy in a namespace.
struct KnownReport {
    seen: SeenReport,
    /// The time of the last write by this replica, and the generation that it made.
    written: Option<(Timestamp, i64)>,
}

/// A report as its metadata describes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct SeenReport {
    /// The digest of its results, as its annotation has it; empty if the report does not have the keys of ours.
    digest: String,
    /// The number of the last change of its content.
    generation: i64,
    /// True if another field manager owns a part of its content.
    is_foreign: bool,
}

/// The next write of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NextWrite {
    /// The time from which it may be written.
    pub(super) at: Timestamp,
    /// True if another client changed or deleted the report.
    pub(super) is_restoration: bool,
}

/// The interference of other clients with a report.
#[derive(Default)]
struct Interference {
    /// The time of the last deletion or restoration.
    last: Timestamp,
    restorations: Restorations,
}

impl SeenReport {
    /// Takes what counts of a report's metadata.
    pub(super) fn of(metadata: &ObjectMeta) -> Self {
        let is_labelled = metadata.labels.as_ref().is_some_and(|labels| labels.contains_key(POLICY_UID));
        let digest = metadata.annotations.as_ref().and_then(|annotations| annotations.get(CONTENT));
        let owns_content = |entry: &ManagedFieldsEntry| {
            let fields = entry.fields_v1.as_ref().and_then(|fields| fields.0.as_object());
            fields.is_some_and(|fields| fields.keys().any(|field| field != "f:metadata"))
        };
        let others = metadata.managed_fields.iter().flatten();
        let mut others = others.filter(|entry| entry.manager.as_deref() != Some(MANAGER));
        Self {
            digest: digest.filter(|_| is_labelled).cloned().unwrap_or_default(),
            generation: metadata.generation.unwrap_or_default(),
            is_foreign: others.any(owns_content),
        }
    }
}

impl KnownReport {
    /// Returns true if another client changed the content. A change before the last write of this replica does not count.
    fn is_edited(&self) -> bool {
        match self.written {
            Some((_, generation)) => self.seen.generation > generation,
            None => self.seen.is_foreign,
        }
    }
}

impl KnownReports {
    /// Knows no reports yet.
    pub(super) fn new(interval: SignedDuration) -> Self {
        Self { reports: Store::default(), listed: BTreeSet::new(), interval, interference: BTreeMap::new() }
    }

    /// Returns the next write of a report; `None` if it is up to date or cannot be written.
    pub(super) fn next_write(&self, uid: &str, draft: &Draft, namespace: &str) -> Option<NextWrite> {
        // Reports on objects without a namespace have a list of their own.
        let is_in_all = !namespace.is_empty() && self.listed.contains(&None);
        if !is_in_all && !self.listed.contains(&Some(namespace.to_owned())) {
            return None;
        }
        let interference = self.interference.get(&(uid.to_owned(), namespace.to_owned()));
        let is_restoration = match self.reports.get(uid, namespace) {
            Some(known) if known.seen.digest == draft.content => {
                if !known.is_edited() {
                    return None;
                }
                true
            }
            Some(known) => {
                let last = known.written.map(|(last, _)| last);
                let after = |last: Timestamp| last.checked_add(self.interval).unwrap_or(Timestamp::MAX);
                return Some(NextWrite { at: last.map_or(Timestamp::MIN, after), is_restoration: false });
            }
            None => interference.is_some(),
        };
        let at = interference.map_or(Timestamp::MIN, |known| known.restorations.next());
        Some(NextWrite { at, is_restoration })
    }

    /// Notes a report as it was seen. Returns true if another client changed it.
    pub(super) fn see(&mut self, uid: &str, namespace: &str, seen: SeenReport) -> bool {
        let written = self.reports.get(uid, namespace).and_then(|known| known.written);
        let report = KnownReport { seen, written };
        let is_edited = report.is_edited();
        self.reports.insert(uid, namespace.to_owned(), report);
        is_edited
    }

    /// Notes a report that this replica wrote.
    pub(super) fn note_write(&mut self, uid: &str, namespace: &str, write: NextWrite, seen: SeenReport) {
        let written = Some((write.at, seen.generation));
        self.reports.insert(uid, namespace.to_owned(), KnownReport { seen, written });
        if write.is_restoration {
            let known = self.interfere(uid, namespace, write.at);
            known.restorations.note(write.at);
        }
    }

    /// Notes that another client deleted a report, if it is known.
    pub(super) fn note_deletion(&mut self, uid: &str, namespace: &str, now: Timestamp) {
        if self.reports.remove(uid, namespace).is_some() {
            self.interfere(uid, namespace, now);
        }
    }

    /// Notes an interference with a report, and forgets those of long ago.
    fn interfere(&mut self, uid: &str, namespace: &str, now: Timestamp) -> &mut Interference {
        self.interference.retain(|_, known| now.duration_since(known.last) <= QUIET);
        let known = self.interference.entry((uid.to_owned(), namespace.to_owned())).or_default();
        known.last = now;
        known
    }

    /// Returns the namespaces outside of some with a report of a policy.
    pub(super) fn elsewhere(&self, uid: &str, namespaces: &BTreeSet<String>) -> Vec<String> {
        let all = self.reports.group(uid).map(|(namespace, _)| namespace);
        all.filter(|namespace| !namespaces.contains(*namespace)).cloned().collect()
    }

    /// Removes a report that the operator deleted.
    pub(super) fn remove(&mut self, uid: &str, namespace: &str) {
        self.reports.remove(uid, namespace);
    }

    /// Starts a list. Known reports stay until [`KnownReports::end_list`].
    pub(super) fn begin_list(&mut self) -> ListMark {
        self.reports.begin_list()
    }

    /// Ends a list, in one namespace or in all, or of the reports without one: removes the reports that were neither
    /// written nor listed since its start.
    pub(super) fn end_list(&mut self, begun: ListMark, within: Option<&str>) {
        self.reports.end_list(begun, None, |namespace, _| {
            within.map_or(!namespace.is_empty(), |one| namespace == one)
        });
        self.listed.insert(within.map(str::to_owned));
    }

    /// Notes that the API server has no such resource, so that nothing can be written.
    pub(super) fn miss(&mut self, within: Option<&str>) {
        self.listed.remove(&within.map(str::to_owned));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::operator::open_report::tests::{compiled, evaluated};

    const INTERVAL: SignedDuration = SignedDuration::from_secs(10);
    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn seen(digest: &str, generation: i64) -> SeenReport {
        SeenReport { digest: digest.to_owned(), generation, is_foreign: false }
    }

    fn write(at: Timestamp) -> NextWrite {
        NextWrite { at, is_restoration: false }
    }

    fn listed() -> KnownReports {
        let mut known = KnownReports::new(INTERVAL);
        let begun = known.begin_list();
        known.end_list(begun, Some("n"));
        known
    }

    fn draft(images: &[&str]) -> Draft {
        let policy = compiled("base");
        Draft::new(&policy, &evaluated(&policy, images)).unwrap()
    }

    #[test]
    fn a_report_is_due_at_once_and_again_after_the_interval_when_its_content_changes() {
        let (bad, good) = (draft(&["nginx"]), draft(&["nginx:1"]));
        let next = |known: &KnownReports, draft: &Draft| known.next_write("u", draft, "n");
        assert_eq!(next(&KnownReports::new(INTERVAL), &bad), None, "nothing is listed yet");
        let mut known = listed();
        assert_eq!(next(&known, &bad), Some(write(Timestamp::MIN)));
        known.note_write("u", "n", write(NOW), seen(&bad.content, 1));
        assert_eq!(known.elsewhere("u", &BTreeSet::new()), ["n"]);
        assert_eq!(next(&known, &bad), None);
        // The watch reports the same object and knows nothing about the write.
        assert!(!known.see("u", "n", seen(&bad.content, 1)));
        assert_eq!(next(&known, &good), Some(write(NOW + INTERVAL)));
        known.miss(Some("n"));
        assert_eq!(next(&known, &good), None, "the CRD is gone");
    }

    #[test]
    fn a_report_that_another_client_changes_or_deletes_is_restored_with_growing_pauses() {
        let draft = draft(&["nginx"]);
        let mut known = listed();
        known.note_write("u", "n", write(NOW), seen(&draft.content, 1));
        let mut now = NOW;
        for (generation, pause) in [(2, 0), (4, 1), (6, 2)] {
            assert!(known.see("u", "n", seen(&draft.content, generation)), "edited");
            let next = known.next_write("u", &draft, "n").unwrap();
            assert!(next.is_restoration && next.at <= now + SignedDuration::from_secs(pause), "{next:?}");
            now = next.at.max(now);
            known.note_write("u", "n", NextWrite { at: now, ..next }, seen(&draft.content, generation + 1));
            assert_eq!(known.next_write("u", &draft, "n"), None);
        }
        known.note_deletion("u", "n", now);
        let next = known.next_write("u", &draft, "n").unwrap();
        assert_eq!((next.is_restoration, next.at.duration_since(now).as_secs()), (true, 4));
        let later = now + QUIET + SignedDuration::from_secs(1);
        known.note_deletion("u", "other", later);
        known.see("u", "other", seen("", 1));
        known.note_deletion("u", "other", later);
        assert_eq!(known.interference.len(), 1, "the former one is forgotten");
    }

    #[test]
    fn a_change_while_no_operator_ran_shows_in_the_managed_fields() {
        let metadata = |manager: &str, fields: serde_json::Value| -> ObjectMeta {
            serde_json::from_value(json!({
                "labels": { POLICY_UID: "u" }, "annotations": { CONTENT: "d" }, "generation": 3,
                "managedFields": [
                    { "manager": MANAGER, "operation": "Apply", "fieldsV1": { "f:summary": {} } },
                    { "manager": manager, "operation": "Update", "fieldsV1": fields },
                ],
            }))
            .unwrap()
        };
        let edited = SeenReport::of(&metadata("kubectl-edit", json!({ "f:summary": { "f:fail": {} } })));
        assert_eq!(edited, SeenReport { is_foreign: true, ..seen("d", 3) });
        let labelled =
            SeenReport::of(&metadata("kubectl-label", json!({ "f:metadata": { "f:labels": {} } })));
        assert_eq!(labelled, seen("d", 3));
        let mut known = listed();
        assert!(known.see("u", "n", edited) && !known.see("u", "n", labelled));
    }

    #[test]
    fn reports_without_a_namespace_have_a_list_of_their_own() {
        let policy = compiled("base");
        let draft = || Draft::new(&policy, &evaluated(&policy, &["nginx"])).unwrap();
        let mut known = KnownReports::new(INTERVAL);
        let begun = known.begin_list();
        known.end_list(begun, None);
        assert!(known.next_write("u", &draft(), "n").is_some());
        assert!(known.next_write("u", &draft(), "").is_none(), "not listed yet");
        let begun = known.begin_list();
        known.see("u", "", seen("", 1));
        known.see("u", "n", seen("", 1));
        known.end_list(begun, Some(""));
        assert!(known.next_write("u", &draft(), "").is_some());
        let begun = known.begin_list();
        known.end_list(begun, None);
        assert_eq!(known.elsewhere("u", &BTreeSet::new()), [""]);
        let begun = known.begin_list();
        known.end_list(begun, Some(""));
        assert!(known.elsewhere("u", &BTreeSet::new()).is_empty());
    }
}
