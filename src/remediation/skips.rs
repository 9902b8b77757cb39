//! The workloads that enforcement looked at and left as they are: why, until when, and what would mend them. Pure.
//!
//! A memory of the process alone: it spares requests, and what is lost with it is found again by looking.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;

use super::candidates::Candidate;
use crate::enforcement::RolloutOrder;
use crate::policy::SuggestedFix;
use crate::workload::{PolicyRef, WorkloadKind};

/// The reason of a workload that may be patched, and isn't yet.
pub(super) const WAITING: &str = "Waiting";

/// The reason why a workload was skipped.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Skip {
    /// The reason in one word.
    pub(super) reason: &'static str,
    /// The reason in a sentence.
    pub(super) message: String,
    /// The time of the next look, even if nothing watched has changed.
    pub(super) until: Timestamp,
    /// The patch for whoever manages the workload.
    pub(super) fix: Option<SuggestedFix>,
    /// The workload's place among those that may be patched; `None` where it may not be.
    pub(super) order: Option<RolloutOrder>,
}

/// Everything that was left out, by policy.
#[derive(Debug, Default)]
pub(super) struct SkipCache {
    policies: HashMap<PolicyRef, Looks>,
}

/// The results of a policy's looks at its workloads.
#[derive(Debug, Default)]
struct Looks {
    entries: BTreeMap<(WorkloadKind, String), Entry>,
    /// True if every candidate was looked at.
    complete: bool,
    /// The obstacle for workloads that are next; empty if they only wait for their turn.
    held_up_by: String,
}

#[derive(Debug)]
struct Entry {
    /// Digests of the workload, and of the policies' requirements.
    seen: (u64, u64),
    left: Skip,
}

impl SkipCache {
    /// Remembers that a candidate was left out under the policies of which `wanted` is a digest.
    pub(super) fn add(&mut self, policy: &PolicyRef, candidate: &Candidate, wanted: u64, left: Skip) {
        let entry = Entry { seen: (candidate.seen, wanted), left };
        let entries = &mut self.policies.entry(policy.clone()).or_default().entries;
        entries.insert((candidate.kind, candidate.name.clone()), entry);
    }

    /// Until when a candidate need not be looked at again; `None` when it should be looked at now.
    pub(super) fn until(
        &self,
        policy: &PolicyRef,
        candidate: &Candidate,
        wanted: u64,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let entry = self.entry(policy, candidate)?;
        let same = entry.seen == (candidate.seen, wanted) && now < entry.left.until;
        same.then_some(entry.left.until)
    }

    /// Returns the candidate that is patched next, of those that may be.
    pub(super) fn next<'c>(&self, policy: &PolicyRef, candidates: &'c [Candidate]) -> Option<&'c Candidate> {
        let orders = candidates
            .iter()
            .filter_map(|candidate| Some((self.entry(policy, candidate)?.left.order?, candidate)));
        // The first of equals.
        orders.min_by_key(|(order, _)| *order).map(|(_, candidate)| candidate)
    }

    /// The patch that a candidate's last look showed.
    pub(super) fn fix_of(&self, policy: &PolicyRef, candidate: &Candidate) -> Option<SuggestedFix> {
        self.entry(policy, candidate)?.left.fix.clone()
    }

    fn entry(&self, policy: &PolicyRef, candidate: &Candidate) -> Option<&Entry> {
        self.policies.get(policy)?.entries.get(&(candidate.kind, candidate.name.clone()))
    }

    /// Says that each candidate was looked at.
    pub(super) fn complete(&mut self, policy: &PolicyRef) {
        self.policies.entry(policy.clone()).or_default().complete = true;
    }

    /// Says what those that may be patched wait for; nothing but their turn where it is empty.
    pub(super) fn hold_up(&mut self, policy: &PolicyRef, by: &str) {
        by.clone_into(&mut self.policies.entry(policy.clone()).or_default().held_up_by);
    }

    /// Returns the obstacle for workloads that may be patched, besides their turn.
    pub(super) fn held_up_by(&self, policy: &PolicyRef) -> Option<String> {
        self.policies.get(policy).map(|looks| looks.held_up_by.clone()).filter(|by| !by.is_empty())
    }

    /// Forgets what is no candidate any more.
    pub(super) fn keep(&mut self, policy: &PolicyRef, candidates: &[Candidate]) {
        let Some(looks) = self.policies.get_mut(policy) else { return };
        looks.entries.retain(|(kind, name), _| {
            candidates.iter().any(|candidate| candidate.kind == *kind && candidate.name == *name)
        });
        if looks.entries.is_empty() {
            self.policies.remove(policy);
        }
    }

    /// Forgets a policy.
    pub(super) fn forget(&mut self, policy: &PolicyRef) {
        self.policies.remove(policy);
    }

    /// Forgets all other policies than these.
    pub(super) fn keep_policies(&mut self, there: &BTreeSet<PolicyRef>) {
        self.policies.retain(|policy, _| there.contains(policy));
    }

    /// Forgets one workload, which is looked at again.
    pub(super) fn remove(&mut self, policy: &PolicyRef, kind: WorkloadKind, name: &str) {
        if let Some(looks) = self.policies.get_mut(policy) {
            looks.entries.remove(&(kind, name.to_owned()));
        }
    }

    /// The patches for those who manage workloads themselves; none before each candidate was looked at.
    pub(super) fn fixes(&self, policy: &PolicyRef) -> Vec<SuggestedFix> {
        let looks = self.policies.get(policy).filter(|looks| looks.complete);
        let entries = looks.into_iter().flat_map(|looks| looks.entries.values());
        entries.filter_map(|entry| entry.left.fix.clone()).collect()
    }

    /// Returns the number of skipped workloads by reason, with one workload's sentence as an example.
    pub(super) fn reasons(&self, policy: &PolicyRef) -> BTreeMap<&'static str, (usize, String)> {
        let mut reasons: BTreeMap<&'static str, (usize, String)> = BTreeMap::new();
        let entries = self.policies.get(policy).into_iter().flat_map(|looks| &looks.entries);
        for ((kind, name), entry) in entries {
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
    use serde_json::json;

    use super::*;
    use crate::enforcement::{Claims, Subject};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn policy(name: &str) -> PolicyRef {
        PolicyRef::new("shop", name)
    }

    fn candidate(name: &str, seen: u64) -> Candidate {
        Candidate { kind: WorkloadKind::Deployment, name: name.to_owned(), pods: 1, seen }
    }

    fn left(reason: &'static str, until: i64) -> Skip {
        Skip { reason, message: format!("is {reason}"), until: at(until), fix: None, order: None }
    }

    #[test]
    fn a_workload_is_looked_at_again_when_it_the_policies_or_the_time_have_changed() {
        let mut all = SkipCache::default();
        all.add(&policy("n"), &candidate("web", 1), 7, left("Paused", 10));
        assert_eq!(all.until(&policy("n"), &candidate("web", 1), 7, at(9)), Some(at(10)));
        assert_eq!(all.until(&policy("n"), &candidate("web", 1), 7, at(10)), None, "its time is up");
        assert_eq!(all.until(&policy("n"), &candidate("web", 2), 7, at(9)), None, "it changed");
        assert_eq!(all.until(&policy("n"), &candidate("web", 1), 8, at(9)), None, "the policies changed");
        assert_eq!(all.until(&policy("m"), &candidate("web", 1), 7, at(9)), None, "another policy");
    }

    #[test]
    fn the_next_workload_is_the_first_by_order_of_those_that_may_be_patched() {
        let order = |replicas: i32| {
            let spec = json!({ "replicas": replicas, "selector": {}, "template": {} });
            let status = json!({ "availableReplicas": replicas });
            let object = json!({ "metadata": {}, "spec": spec, "status": status });
            Some(RolloutOrder::of(&Subject::read(WorkloadKind::Deployment, object).unwrap(), &Claims::new()))
        };
        let mut all = SkipCache::default();
        let candidates = ["a", "b", "c", "d", "e"].map(|name| candidate(name, 1));
        assert_eq!(all.next(&policy("n"), &candidates), None);
        for (candidate, order) in candidates.iter().zip([None, order(1), order(3), order(2), order(2)]) {
            all.add(&policy("n"), candidate, 7, Skip { order, ..left(WAITING, 10) });
        }
        assert_eq!(all.next(&policy("n"), &candidates).map(|next| &*next.name), Some("d"));
    }

    #[test]
    fn reasons_are_counted_and_what_is_no_candidate_any_more_is_forgotten() {
        let mut all = SkipCache::default();
        for name in ["a", "b"] {
            all.add(&policy("n"), &candidate(name, 1), 7, left("Paused", 10));
        }
        let expected = BTreeMap::from([("Paused", (2, "Deployment/a: is Paused".to_owned()))]);
        assert_eq!(all.reasons(&policy("n")), expected);
        all.keep(&policy("n"), &[candidate("b", 1)]);
        assert_eq!(all.reasons(&policy("n"))["Paused"].0, 1);
        all.keep(&policy("n"), &[]);
        assert!(all.policies.is_empty());
    }

    #[test]
    fn fixes_are_told_once_every_candidate_was_looked_at() {
        let mut all = SkipCache::default();
        let fix = SuggestedFix {
            kind: "Deployment".into(),
            name: "web".into(),
            patch: "{}".into(),
            reasons: Vec::new(),
        };
        all.add(
            &policy("n"),
            &candidate("web", 1),
            7,
            Skip { fix: Some(fix.clone()), ..left("Managed", 10) },
        );
        assert!(all.fixes(&policy("n")).is_empty());
        all.complete(&policy("n"));
        assert_eq!(all.fixes(&policy("n")), [fix]);
        all.keep_policies(&BTreeSet::from([policy("m")]));
        assert!(all.policies.is_empty());
    }
}
