//! The cache of skipped workloads: reason, time of the next check, and suggested fix. Pure.
//!
//! It is kept in memory; after a restart the workloads are checked again.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;

use super::candidates::Candidate;
use crate::enforcement::RolloutOrder;
use crate::policy::{SkipReason, SuggestedFix};
use crate::workload::{PolicyRef, WorkloadKind};

/// A skipped workload's reason.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Skip {
    /// The reason.
    pub(super) reason: SkipReason,
    /// The reason in a sentence.
    pub(super) message: String,
    /// The time of the next check, even without a change.
    pub(super) until: Timestamp,
    /// The patch for the manager of the workload.
    pub(super) fix: Option<SuggestedFix>,
    /// The workload's place among the eligible ones; `None` if it is not eligible.
    pub(super) order: Option<RolloutOrder>,
}

/// All skipped workloads, by policy.
#[derive(Debug, Default)]
pub(super) struct SkipCache {
    policies: HashMap<PolicyRef, PolicySkips>,
}

/// The skipped workloads of one policy.
#[derive(Debug, Default)]
struct PolicySkips {
    entries: BTreeMap<(WorkloadKind, String), Entry>,
    /// True if every candidate was checked.
    complete: bool,
    /// The obstacle for eligible workloads; empty if they only wait for their turn.
    held_up_by: String,
}

#[derive(Debug)]
struct Entry {
    /// Digests of the workload and of the policies' requirements.
    seen: (u64, u64),
    skip: Skip,
}

impl SkipCache {
    /// Records that a candidate was skipped; `wanted` is a digest of the policies' requirements.
    pub(super) fn add(&mut self, policy: &PolicyRef, candidate: &Candidate, wanted: u64, skip: Skip) {
        let entry = Entry { seen: (candidate.seen, wanted), skip };
        let entries = &mut self.policies.entry(policy.clone()).or_default().entries;
        entries.insert((candidate.kind, candidate.name.clone()), entry);
    }

    /// Returns the time of a candidate's next check; `None` if it should be checked now.
    pub(super) fn until(
        &self,
        policy: &PolicyRef,
        candidate: &Candidate,
        wanted: u64,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let entry = self.entry(policy, candidate)?;
        let same = entry.seen == (candidate.seen, wanted) && now < entry.skip.until;
        same.then_some(entry.skip.until)
    }

    /// Returns the eligible candidate to patch next.
    pub(super) fn next<'c>(&self, policy: &PolicyRef, candidates: &'c [Candidate]) -> Option<&'c Candidate> {
        let orders = candidates
            .iter()
            .filter_map(|candidate| Some((self.entry(policy, candidate)?.skip.order?, candidate)));
        // `min_by_key` returns the first of several equal ones.
        orders.min_by_key(|(order, _)| *order).map(|(_, candidate)| candidate)
    }

    /// Returns the suggested patch from a candidate's last check.
    pub(super) fn fix_of(&self, policy: &PolicyRef, candidate: &Candidate) -> Option<SuggestedFix> {
        self.entry(policy, candidate)?.skip.fix.clone()
    }

    fn entry(&self, policy: &PolicyRef, candidate: &Candidate) -> Option<&Entry> {
        self.policies.get(policy)?.entries.get(&(candidate.kind, candidate.name.clone()))
    }

    /// Records that every candidate was checked.
    pub(super) fn complete(&mut self, policy: &PolicyRef) {
        self.policies.entry(policy.clone()).or_default().complete = true;
    }

    /// Sets the obstacle for eligible workloads; empty if they only wait for their turn.
    pub(super) fn hold_up(&mut self, policy: &PolicyRef, by: &str) {
        by.clone_into(&mut self.policies.entry(policy.clone()).or_default().held_up_by);
    }

    /// Returns the obstacle for eligible workloads, besides their turn.
    pub(super) fn held_up_by(&self, policy: &PolicyRef) -> Option<String> {
        self.policies.get(policy).map(|skips| skips.held_up_by.clone()).filter(|by| !by.is_empty())
    }

    /// Removes workloads that are no longer candidates.
    pub(super) fn keep(&mut self, policy: &PolicyRef, candidates: &[Candidate]) {
        let Some(skips) = self.policies.get_mut(policy) else { return };
        skips.entries.retain(|(kind, name), _| {
            candidates.iter().any(|candidate| candidate.kind == *kind && candidate.name == *name)
        });
        if skips.entries.is_empty() {
            self.policies.remove(policy);
        }
    }

    /// Removes a policy.
    pub(super) fn forget(&mut self, policy: &PolicyRef) {
        self.policies.remove(policy);
    }

    /// Removes all policies but these.
    pub(super) fn keep_policies(&mut self, there: &BTreeSet<PolicyRef>) {
        self.policies.retain(|policy, _| there.contains(policy));
    }

    /// Removes a workload, so that it is checked again.
    pub(super) fn remove(&mut self, policy: &PolicyRef, kind: WorkloadKind, name: &str) {
        if let Some(skips) = self.policies.get_mut(policy) {
            skips.entries.remove(&(kind, name.to_owned()));
        }
    }

    /// Returns the patches for managers of workloads; empty until every candidate was checked.
    pub(super) fn fixes(&self, policy: &PolicyRef) -> Vec<SuggestedFix> {
        let skips = self.policies.get(policy).filter(|skips| skips.complete);
        let entries = skips.into_iter().flat_map(|skips| skips.entries.values());
        entries.filter_map(|entry| entry.skip.fix.clone()).collect()
    }

    /// Returns the number of skipped workloads by reason, each with the message of one workload as an example.
    pub(super) fn reasons(&self, policy: &PolicyRef) -> BTreeMap<SkipReason, (usize, String)> {
        let mut reasons: BTreeMap<SkipReason, (usize, String)> = BTreeMap::new();
        let entries = self.policies.get(policy).into_iter().flat_map(|skips| &skips.entries);
        for ((kind, name), entry) in entries {
            let (count, _) = reasons
                .entry(entry.skip.reason)
                .or_insert_with(|| (0, format!("{}/{name}: {}", kind.name(), entry.skip.message)));
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

    fn skip(reason: SkipReason, until: i64) -> Skip {
        Skip { reason, message: format!("is {reason}"), until: at(until), fix: None, order: None }
    }

    #[test]
    fn a_workload_is_checked_again_after_a_change_or_when_its_time_is_up() {
        let mut all = SkipCache::default();
        all.add(&policy("n"), &candidate("web", 1), 7, skip(SkipReason::Paused, 10));
        assert_eq!(all.until(&policy("n"), &candidate("web", 1), 7, at(9)), Some(at(10)));
        assert_eq!(all.until(&policy("n"), &candidate("web", 1), 7, at(10)), None, "its time is up");
        assert_eq!(all.until(&policy("n"), &candidate("web", 2), 7, at(9)), None, "it changed");
        assert_eq!(all.until(&policy("n"), &candidate("web", 1), 8, at(9)), None, "the policies changed");
        assert_eq!(all.until(&policy("m"), &candidate("web", 1), 7, at(9)), None, "another policy");
    }

    #[test]
    fn the_next_workload_is_the_first_eligible_one() {
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
            all.add(&policy("n"), candidate, 7, Skip { order, ..skip(SkipReason::Waiting, 10) });
        }
        assert_eq!(all.next(&policy("n"), &candidates).map(|next| &*next.name), Some("d"));
    }

    #[test]
    fn reasons_are_counted_and_former_candidates_are_removed() {
        let mut all = SkipCache::default();
        for name in ["a", "b"] {
            all.add(&policy("n"), &candidate(name, 1), 7, skip(SkipReason::Paused, 10));
        }
        let expected = BTreeMap::from([(SkipReason::Paused, (2, "Deployment/a: is Paused".to_owned()))]);
        assert_eq!(all.reasons(&policy("n")), expected);
        all.keep(&policy("n"), &[candidate("b", 1)]);
        assert_eq!(all.reasons(&policy("n"))[&SkipReason::Paused].0, 1);
        all.keep(&policy("n"), &[]);
        assert!(all.policies.is_empty());
    }

    #[test]
    fn fixes_are_returned_once_every_candidate_was_checked() {
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
            Skip { fix: Some(fix.clone()), ..skip(SkipReason::ManagedByGitOps, 10) },
        );
        assert!(all.fixes(&policy("n")).is_empty());
        all.complete(&policy("n"));
        assert_eq!(all.fixes(&policy("n")), [fix]);
        all.keep_policies(&BTreeSet::from([policy("m")]));
        assert!(all.policies.is_empty());
    }
}
