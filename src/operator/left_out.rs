//! The workloads that enforcement looked at and left as they are: why, until when, and what would mend them. Pure.
//!
//! A memory of the process alone: it spares requests, and what is lost with it is found again by looking.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;

use super::candidates::Candidate;
use crate::policy::SuggestedFix;
use crate::workload::WorkloadKind;

/// The reason of a workload that may be patched, and isn't yet.
pub(super) const WAITING: &str = "Waiting";

/// Why a workload was left as it is.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct LeftOut {
    /// The reason in one word.
    pub(super) reason: &'static str,
    /// The reason in a sentence.
    pub(super) message: String,
    /// When to look again, though nothing that is watched has changed.
    pub(super) until: Timestamp,
    /// The patch for whoever manages the workload.
    pub(super) fix: Option<SuggestedFix>,
}

/// Everything that was left out, by namespace.
#[derive(Debug, Default)]
pub(super) struct LeftOuts {
    namespaces: HashMap<String, BTreeMap<(WorkloadKind, String), Entry>>,
}

#[derive(Debug)]
struct Entry {
    /// What the workload looked like, and which policies wanted what.
    seen: (u64, u64),
    left: LeftOut,
}

impl LeftOuts {
    /// Remembers that a candidate was left out under the policies of which `wanted` is a digest.
    pub(super) fn add(&mut self, namespace: &str, candidate: &Candidate, wanted: u64, left: LeftOut) {
        let entry = Entry { seen: (candidate.seen, wanted), left };
        let key = (candidate.kind, candidate.name.clone());
        self.namespaces.entry(namespace.to_owned()).or_default().insert(key, entry);
    }

    /// Until when a candidate need not be looked at again; `None` when it should be looked at now.
    pub(super) fn until(
        &self,
        namespace: &str,
        candidate: &Candidate,
        wanted: u64,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let entry = self.namespaces.get(namespace)?.get(&(candidate.kind, candidate.name.clone()))?;
        let same = entry.seen == (candidate.seen, wanted) && now < entry.left.until;
        same.then_some(entry.left.until)
    }

    /// Tells whether a candidate may be patched when its turn comes.
    pub(super) fn waits(&self, namespace: &str, candidate: &Candidate) -> bool {
        let entries = self.namespaces.get(namespace);
        let entry = entries.and_then(|all| all.get(&(candidate.kind, candidate.name.clone())));
        entry.is_some_and(|entry| entry.left.reason == WAITING)
    }

    /// Forgets what is no candidate any more.
    pub(super) fn keep(&mut self, namespace: &str, candidates: &[Candidate]) {
        let Some(entries) = self.namespaces.get_mut(namespace) else { return };
        entries.retain(|(kind, name), _| {
            candidates.iter().any(|candidate| candidate.kind == *kind && candidate.name == *name)
        });
        if entries.is_empty() {
            self.namespaces.remove(namespace);
        }
    }

    /// Forgets a namespace.
    pub(super) fn forget(&mut self, namespace: &str) {
        self.namespaces.remove(namespace);
    }

    /// Forgets one workload, which is looked at again.
    pub(super) fn remove(&mut self, namespace: &str, kind: WorkloadKind, name: &str) {
        if let Some(entries) = self.namespaces.get_mut(namespace) {
            entries.remove(&(kind, name.to_owned()));
        }
    }

    /// The patches for those who manage workloads themselves.
    pub(super) fn fixes(&self, namespace: &str) -> Vec<SuggestedFix> {
        let entries = self.namespaces.get(namespace).into_iter().flat_map(BTreeMap::values);
        entries.filter_map(|entry| entry.left.fix.clone()).collect()
    }

    /// How many workloads were left out for each reason, with one workload's sentence as an example.
    pub(super) fn reasons(&self, namespace: &str) -> BTreeMap<&'static str, (usize, String)> {
        let mut reasons: BTreeMap<&'static str, (usize, String)> = BTreeMap::new();
        for ((kind, name), entry) in self.namespaces.get(namespace).into_iter().flatten() {
            let (count, _) = reasons
                .entry(entry.left.reason)
                .or_insert_with(|| (0, format!("{}/{name}: {}", kind.name(), entry.left.message)));
            *count += 1;
        }
        reasons
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn candidate(name: &str, seen: u64) -> Candidate {
        Candidate { kind: WorkloadKind::Deployment, name: name.to_owned(), pods: 1, seen }
    }

    fn left(reason: &'static str, until: i64) -> LeftOut {
        LeftOut { reason, message: format!("is {reason}"), until: at(until), fix: None }
    }

    #[test]
    fn a_workload_is_looked_at_again_when_it_the_policies_or_the_time_have_changed() {
        let mut all = LeftOuts::default();
        all.add("n", &candidate("web", 1), 7, left("Paused", 10));
        assert_eq!(all.until("n", &candidate("web", 1), 7, at(9)), Some(at(10)));
        assert_eq!(all.until("n", &candidate("web", 1), 7, at(10)), None, "its time is up");
        assert_eq!(all.until("n", &candidate("web", 2), 7, at(9)), None, "it changed");
        assert_eq!(all.until("n", &candidate("web", 1), 8, at(9)), None, "the policies changed");
        assert!(!all.waits("n", &candidate("web", 1)));
        all.add("n", &candidate("web", 1), 7, left(WAITING, 10));
        assert!(all.waits("n", &candidate("web", 1)));
        assert_eq!(all.until("m", &candidate("web", 1), 7, at(9)), None, "another namespace");
    }

    #[test]
    fn reasons_are_counted_and_what_is_no_candidate_any_more_is_forgotten() {
        let mut all = LeftOuts::default();
        for name in ["a", "b"] {
            all.add("n", &candidate(name, 1), 7, left("Paused", 10));
        }
        let expected = BTreeMap::from([("Paused", (2, "Deployment/a: is Paused".to_owned()))]);
        assert_eq!(all.reasons("n"), expected);
        all.keep("n", &[candidate("b", 1)]);
        assert_eq!(all.reasons("n")["Paused"].0, 1);
        all.keep("n", &[]);
        assert!(all.namespaces.is_empty());
    }
}
