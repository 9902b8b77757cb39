//! The evaluations of the cluster policies, namespace by namespace: a change in one namespace evaluates no other. Pure.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::NamespaceEvaluation;
use super::sums::EvaluationSums;
use crate::policy::{ClusterObjects, ConditionReason, NamespaceFigures};
use crate::workload::{PolicyRef, count};

/// The namespace that stands for the objects without one.
pub(super) const CLUSTER: &str = "";

/// The most namespaces in the status of a policy.
const WORST: usize = 10;
/// The most states of native admission that a condition tells.
const STATES: usize = 3;

/// The status of a condition, its reason and its message.
pub(super) type ConditionState = (bool, ConditionReason, String);

/// The evaluations of all cluster policies.
#[derive(Debug, Default)]
pub(super) struct ClusterEvaluations {
    policies: BTreeMap<PolicyRef, PolicyEvaluations>,
    /// The policies that have to be reconciled though none of their namespaces changed.
    woken: BTreeSet<PolicyRef>,
}

/// The evaluations of a cluster policy.
#[derive(Debug, Default)]
struct PolicyEvaluations {
    version: PolicyVersion,
    namespaces: BTreeMap<String, EvaluatedNamespace>,
}

/// The uid and the generation of a policy.
pub(super) type PolicyVersion = (Option<String>, Option<i64>);

/// The evaluation of a namespace.
#[derive(Debug, Clone, Default)]
pub(super) struct EvaluatedNamespace {
    sums: EvaluationSums,
    /// The state of native admission there; `None` without it.
    admission: Option<ConditionState>,
    /// The figures of the objects without a namespace; `None` for a namespace.
    cluster_objects: Option<ClusterObjects>,
    /// The time of the next evaluation.
    next: Option<Timestamp>,
    /// True if the writes for it are done: a step of enforcement, and an audit result if one was due.
    is_written: bool,
    /// True if the namespace has changed since.
    is_stale: bool,
}

/// The figures of all namespaces of a policy.
#[derive(Debug, Default)]
pub(super) struct ClusterTotals {
    pub(super) sums: EvaluationSums,
    pub(super) namespaces: u64,
    /// The namespaces with violations, the worst first.
    pub(super) worst: Vec<NamespaceFigures>,
    pub(super) admission: Option<ConditionState>,
    /// The figures of the objects without a namespace; `None` unless a rule looks at them.
    pub(super) cluster_objects: Option<ClusterObjects>,
    /// The time of the next evaluation.
    pub(super) next: Option<Timestamp>,
}

impl EvaluatedNamespace {
    /// Takes the figures of an evaluation, and the state of native admission in the namespace.
    pub(super) fn new(evaluation: &NamespaceEvaluation, admission: Option<ConditionState>) -> Self {
        let sums = EvaluationSums::of(evaluation);
        Self { sums, admission, next: evaluation.next, ..Self::default() }
    }

    /// Takes the figures of the objects without a namespace.
    pub(super) fn of_cluster(evaluation: &NamespaceEvaluation, figures: ClusterObjects) -> Self {
        Self { cluster_objects: Some(figures), ..Self::new(evaluation, None) }
    }
}

impl ClusterEvaluations {
    /// Returns the namespaces of a policy that have to be evaluated. Evaluations of another version of the policy and
    /// of other namespaces are dropped. If `writes`, those whose writes are not done are evaluated again.
    pub(super) fn due(
        &mut self,
        policy: &PolicyRef,
        version: PolicyVersion,
        selected: &BTreeSet<String>,
        writes: bool,
        now: Timestamp,
    ) -> Vec<String> {
        let known = self.policies.entry(policy.clone()).or_default();
        if known.version != version {
            *known = PolicyEvaluations { version, ..PolicyEvaluations::default() };
        }
        known.namespaces.retain(|namespace, _| selected.contains(namespace));
        let is_due = |namespace: &&String| {
            known.namespaces.get(*namespace).is_none_or(|evaluated| {
                evaluated.is_stale
                    || (writes && !evaluated.is_written)
                    || evaluated.next.is_some_and(|next| next <= now)
            })
        };
        selected.iter().filter(is_due).cloned().collect()
    }

    /// Begins the evaluation of a namespace. A change from now on makes it due again.
    pub(super) fn begin(&mut self, policy: &PolicyRef, namespace: &str) {
        let known = self.policies.get_mut(policy).and_then(|known| known.namespaces.get_mut(namespace));
        if let Some(evaluated) = known {
            evaluated.is_stale = false;
        }
    }

    /// Sets the evaluation of a namespace. A change since its begin still counts.
    pub(super) fn set(&mut self, policy: &PolicyRef, namespace: &str, evaluated: EvaluatedNamespace) {
        let Some(known) = self.policies.get_mut(policy) else { return };
        let is_stale = known.namespaces.get(namespace).is_some_and(|before| before.is_stale);
        known.namespaces.insert(namespace.to_owned(), EvaluatedNamespace { is_stale, ..evaluated });
    }

    /// Records that the writes for a namespace are done, and when the next ones are due.
    pub(super) fn set_written(&mut self, policy: &PolicyRef, namespace: &str, due: Option<Timestamp>) {
        let known = self.policies.get_mut(policy).and_then(|known| known.namespaces.get_mut(namespace));
        if let Some(evaluated) = known {
            evaluated.is_written = true;
            evaluated.next = [evaluated.next, due].into_iter().flatten().min();
        }
    }

    /// Makes a namespace due, because it could not be evaluated.
    pub(super) fn drop_namespace(&mut self, policy: &PolicyRef, namespace: &str) {
        if let Some(known) = self.policies.get_mut(policy) {
            known.namespaces.remove(namespace);
        }
    }

    /// Begins to note changes for a policy. From now on they wake it, even before its first evaluation.
    pub(super) fn follow(&mut self, policy: &PolicyRef) {
        self.policies.entry(policy.clone()).or_default();
    }

    /// Makes a policy due for a reconcile. One that was never reconciled is about to be.
    pub(super) fn wake(&mut self, policy: &PolicyRef) {
        if self.policies.contains_key(policy) {
            self.woken.insert(policy.clone());
        }
    }

    /// Notes that namespaces changed. Returns the policies that are in effect in one of them, or were, and those that were
    /// woken.
    pub(super) fn note_changed(
        &mut self,
        changed: &BTreeSet<String>,
        is_in_effect: impl Fn(&PolicyRef) -> bool,
    ) -> Vec<PolicyRef> {
        let woken = std::mem::take(&mut self.woken);
        let mut concerned = Vec::new();
        for (policy, known) in &mut self.policies {
            let mut is_concerned = woken.contains(policy);
            for namespace in changed {
                if let Some(evaluated) = known.namespaces.get_mut(namespace) {
                    evaluated.is_stale = true;
                    is_concerned = true;
                } else {
                    is_concerned |= is_in_effect(&PolicyRef::new(namespace, &*policy.name));
                }
            }
            if is_concerned {
                concerned.push(policy.clone());
            }
        }
        concerned
    }

    /// Forgets a policy.
    pub(super) fn forget(&mut self, policy: &PolicyRef) {
        self.policies.remove(policy);
    }

    /// Returns the figures of all evaluated namespaces of a policy.
    pub(super) fn totals(&self, policy: &PolicyRef) -> ClusterTotals {
        let mut totals = ClusterTotals::default();
        let mut states: BTreeMap<&ConditionState, u64> = BTreeMap::new();
        for (namespace, evaluated) in
            self.policies.get(policy).into_iter().flat_map(|known| &known.namespaces)
        {
            totals.sums.add(&evaluated.sums);
            totals.next = [totals.next, evaluated.next].into_iter().flatten().min();
            if namespace == CLUSTER {
                totals.cluster_objects.clone_from(&evaluated.cluster_objects);
                continue;
            }
            totals.namespaces += 1;
            if let Some(state) = &evaluated.admission {
                *states.entry(state).or_default() += 1;
            }
            let violations = evaluated.sums.violations();
            if violations > 0 {
                totals.worst.push(NamespaceFigures {
                    namespace: namespace.clone(),
                    health_score: evaluated.sums.score().value(),
                    violations,
                    pods: evaluated.sums.pods,
                });
            }
        }
        totals.worst.sort_by_key(|figures| (figures.health_score, Reverse(figures.violations)));
        totals.worst.truncate(WORST);
        totals.admission = summary(&states);
        totals
    }
}

/// Returns the state of native admission in all namespaces together; those without it come first.
fn summary(states: &BTreeMap<&ConditionState, u64>) -> Option<ConditionState> {
    let (&worst, _) = states.first_key_value()?;
    if states.len() == 1 {
        return Some(worst.clone());
    }
    let told = states.iter().take(STATES).map(|((_, _, text), namespaces)| {
        format!("in {}: {text}", count(*namespaces, "namespace", "namespaces"))
    });
    let more = states.len().saturating_sub(STATES);
    let more = (more > 0).then(|| format!("and {more} other states"));
    Some((worst.0, worst.1, told.chain(more).collect::<Vec<_>>().join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(generation: i64) -> PolicyVersion {
        (Some("u".to_owned()), Some(generation))
    }

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn evaluated(violations: u64) -> EvaluatedNamespace {
        let by_rule = BTreeMap::from([("latest-tag", violations)]);
        let sums =
            EvaluationSums { pods: 10, half_points: violations * 20, by_rule, ..EvaluationSums::default() };
        EvaluatedNamespace { sums, ..EvaluatedNamespace::default() }
    }

    #[test]
    fn only_what_changed_is_due_and_a_new_version_makes_everything_due() {
        let (mut all, policy) = (ClusterEvaluations::default(), PolicyRef::cluster("p"));
        let at = |second| Timestamp::from_second(second).unwrap();
        let selected = names(&["a", "b"]);
        let due = |all: &mut ClusterEvaluations, generation, audits, now| {
            all.due(&policy, version(generation), &selected, audits, at(now)).join(" ")
        };
        assert_eq!(due(&mut all, 1, false, 0), "a b");
        all.set(&policy, "a", evaluated(1));
        all.set(&policy, "b", EvaluatedNamespace { next: Some(at(5)), ..evaluated(0) });
        assert_eq!(due(&mut all, 1, false, 0), "");
        assert_eq!(due(&mut all, 1, true, 0), "a b", "a new leader writes");
        all.set_written(&policy, "a", Some(at(9)));
        all.set_written(&policy, "b", None);
        assert_eq!(due(&mut all, 1, true, 5), "b");
        assert_eq!(all.totals(&policy).next, Some(at(5)));
        let whole = |changed: &[&str], all: &mut ClusterEvaluations| {
            all.note_changed(&names(changed), |within| within.to_string() == "new/cluster/p").len()
        };
        assert_eq!((whole(&["c"], &mut all), whole(&["new"], &mut all), whole(&["a"], &mut all)), (0, 1, 1));
        assert_eq!(due(&mut all, 1, true, 0), "a");
        assert_eq!(due(&mut all, 2, true, 0), "a b");
        let fewer = all.due(&policy, version(2), &names(&["b"]), true, at(0));
        assert_eq!((fewer.len(), all.totals(&policy).namespaces), (1, 0));
    }

    #[test]
    fn a_change_during_an_evaluation_makes_the_namespace_due_again() {
        let (mut all, policy) = (ClusterEvaluations::default(), PolicyRef::cluster("p"));
        let due = |all: &mut ClusterEvaluations| {
            all.due(&policy, version(1), &names(&["a"]), false, Timestamp::UNIX_EPOCH).len()
        };
        assert_eq!(due(&mut all), 1);
        all.set(&policy, "a", evaluated(0));
        all.note_changed(&names(&["a"]), |_| true);
        assert_eq!(due(&mut all), 1);
        all.begin(&policy, "a");
        all.set(&policy, "a", evaluated(0));
        assert_eq!(due(&mut all), 0);
        all.begin(&policy, "a");
        all.note_changed(&names(&["a"]), |_| true);
        all.set(&policy, "a", evaluated(0));
        assert_eq!(due(&mut all), 1);
    }

    #[test]
    fn a_change_wakes_a_policy_that_was_never_evaluated() {
        let (mut all, policy) = (ClusterEvaluations::default(), PolicyRef::cluster("p"));
        let woken = |all: &mut ClusterEvaluations| all.note_changed(&names(&["a"]), |_| true);
        assert_eq!(woken(&mut all), []);
        all.follow(&policy);
        assert_eq!(woken(&mut all), std::slice::from_ref(&policy));
        let due = all.due(&policy, version(1), &names(&["a", "b"]), true, Timestamp::UNIX_EPOCH);
        assert_eq!(due, ["a", "b"]);
    }

    #[test]
    fn the_ten_worst_namespaces_are_told_and_all_count() {
        let (mut all, policy) = (ClusterEvaluations::default(), PolicyRef::cluster("p"));
        let selected: BTreeSet<String> = (0..15).map(|number| format!("n{number:02}")).collect();
        all.due(&policy, version(1), &selected, false, Timestamp::UNIX_EPOCH);
        for (violations, namespace) in selected.iter().enumerate() {
            all.set(&policy, namespace, evaluated(violations as u64));
        }
        let totals = all.totals(&policy);
        assert_eq!((totals.namespaces, totals.sums.pods, totals.sums.violations()), (15, 150, 105));
        assert_eq!(totals.worst.len(), 10);
        let worst = &totals.worst[0];
        assert_eq!((&*worst.namespace, worst.violations, worst.health_score), ("n14", 14, 86));
    }

    #[test]
    fn objects_without_a_namespace_count_and_are_no_namespace() {
        let (mut all, policy) = (ClusterEvaluations::default(), PolicyRef::cluster("p"));
        all.due(&policy, version(1), &names(&["", "a"]), false, Timestamp::UNIX_EPOCH);
        all.set(&policy, "a", evaluated(1));
        let figures = ClusterObjects { violations: 2, worst: Vec::new() };
        let cluster_objects = Some(figures.clone());
        let sums =
            EvaluationSums { by_rule: BTreeMap::from([("wildcard-rule", 2)]), ..EvaluationSums::default() };
        all.set(
            &policy,
            CLUSTER,
            EvaluatedNamespace { sums, cluster_objects, ..EvaluatedNamespace::default() },
        );
        let totals = all.totals(&policy);
        assert_eq!((totals.namespaces, totals.sums.pods, totals.sums.violations()), (1, 10, 3));
        assert_eq!((totals.worst.len(), totals.cluster_objects), (1, Some(figures)));
    }

    #[test]
    fn the_state_of_admission_tells_the_namespaces_without_it_first() {
        let held = (true, ConditionReason::Native, "denies: latest-tag".to_owned());
        let pending = (false, ConditionReason::Pending, "not written".to_owned());
        let one = summary(&[(&held, 3)].into());
        assert_eq!(one, Some(held.clone()));
        let both = summary(&[(&held, 3), (&pending, 1)].into()).unwrap();
        let text = "in 1 namespace: not written; in 3 namespaces: denies: latest-tag";
        assert_eq!(both, (false, ConditionReason::Pending, text.to_owned()));
        assert_eq!(summary(&BTreeMap::new()), None);
    }
}
