//! The reports that the API server has, reduced to the digests by which the next write is decided. Pure.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::open_report::Draft;
use crate::cluster::{ListMark, Store};

/// The reports, by the uid of the policy and the namespace. A cluster policy has one in each of its namespaces.
pub(super) struct KnownReports {
    reports: Store<String, KnownReport>,
    /// The namespaces whose reports are listed; `None` stands for all of them.
    listed: BTreeSet<Option<String>>,
    /// The minimum time between two writes of a report.
    interval: SignedDuration,
}

/// A report of a policy in a namespace.
struct KnownReport {
    /// The digest of its results, as its annotation has it.
    digest: String,
    /// The time of the last write by this replica.
    written: Option<Timestamp>,
}

impl KnownReports {
    /// Knows no reports yet.
    pub(super) fn new(interval: SignedDuration) -> Self {
        Self { reports: Store::default(), listed: BTreeSet::new(), interval }
    }

    /// Returns the time of the next write of a report; `None` if it is up to date or cannot be written.
    pub(super) fn next_write(&self, uid: &str, draft: &Draft, namespace: &str) -> Option<Timestamp> {
        if !self.listed.contains(&None) && !self.listed.contains(&Some(namespace.to_owned())) {
            return None;
        }
        let known = self.reports.get(uid, namespace);
        if known.is_some_and(|known| known.digest == draft.content) {
            return None;
        }
        let last = known.and_then(|known| known.written);
        Some(last.map_or(Timestamp::MIN, |last| last.checked_add(self.interval).unwrap_or(Timestamp::MAX)))
    }

    /// Notes a report; `written` is the time at which this replica wrote it, if it did.
    pub(super) fn note(&mut self, uid: &str, namespace: &str, digest: &str, written: Option<Timestamp>) {
        let written = written.or_else(|| self.reports.get(uid, namespace)?.written);
        let report = KnownReport { digest: digest.to_owned(), written };
        self.reports.insert(uid, namespace.to_owned(), report);
    }

    /// Returns the namespaces outside of some with a report of a policy.
    pub(super) fn elsewhere(&self, uid: &str, namespaces: &BTreeSet<String>) -> Vec<String> {
        let all = self.reports.group(uid).map(|(namespace, _)| namespace);
        all.filter(|namespace| !namespaces.contains(*namespace)).cloned().collect()
    }

    /// Removes a report.
    pub(super) fn remove(&mut self, uid: &str, namespace: &str) {
        self.reports.remove(uid, namespace);
    }

    /// Starts a list. Known reports stay until [`KnownReports::end_list`].
    pub(super) fn begin_list(&mut self) -> ListMark {
        self.reports.begin_list()
    }

    /// Ends a list, in one namespace or in all: removes the reports that were neither written nor listed since its start.
    pub(super) fn end_list(&mut self, begun: ListMark, within: Option<&str>) {
        self.reports.end_list(begun, None, |namespace, _| within.is_none_or(|one| namespace == one));
        self.listed.insert(within.map(str::to_owned));
    }

    /// Notes that the API server has no such resource, so that nothing can be written.
    pub(super) fn miss(&mut self, within: Option<&str>) {
        self.listed.remove(&within.map(str::to_owned));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::open_report::tests::{compiled, evaluated};

    const INTERVAL: SignedDuration = SignedDuration::from_secs(10);

    #[test]
    fn a_report_is_due_at_once_and_again_after_the_interval_when_its_content_changes() {
        let policy = compiled("base");
        let draft = |images: &[&str]| Draft::new(&policy, &evaluated(&policy, images)).unwrap();
        let (bad, good) = (draft(&["nginx"]), draft(&["nginx:1"]));
        let mut known = KnownReports::new(INTERVAL);
        let next = |known: &KnownReports, draft: &Draft| known.next_write("u", draft, "n");
        assert_eq!(next(&known, &bad), None, "nothing is listed yet");
        let begun = known.begin_list();
        known.end_list(begun, Some("n"));
        assert_eq!(next(&known, &bad), Some(Timestamp::MIN));
        known.note("u", "n", &bad.content, Some(Timestamp::UNIX_EPOCH));
        assert_eq!(known.elsewhere("u", &BTreeSet::new()), ["n"]);
        assert_eq!(next(&known, &bad), None);
        // The watch reports the same object and knows nothing about the write.
        known.note("u", "n", &bad.content, None);
        assert_eq!(next(&known, &good), Some(Timestamp::UNIX_EPOCH + INTERVAL));
        known.remove("u", "n");
        assert_eq!(next(&known, &good), Some(Timestamp::MIN), "one that is gone is written at once");
        known.miss(Some("n"));
        assert_eq!(next(&known, &good), None, "the CRD is gone");
    }
}
