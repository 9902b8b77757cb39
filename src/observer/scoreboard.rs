//! The sums over all pods that exist, adjusted by each pod's change. Pure: it knows no watch.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::cluster::{Mark, Store, shrink};
use crate::governance::{NamespaceReport, Offender, Scope, Score, Tally, evaluate};
use crate::policy::EffectivePolicy;
use crate::workload::{Owner, Workload};

/// The tally of every pod in scope, summed by namespace and for the cluster.
///
/// Its size follows the pods, namespaces and workloads that exist. Deleted ones leave no trace.
#[derive(Debug)]
pub struct Scoreboard {
    policy: EffectivePolicy,
    scope: Scope,
    /// The pods by namespace and name.
    pods: Store<Box<str>, Pod>,
    cluster: Tally,
    /// The sums of each namespace that has pods.
    namespaces: HashMap<Box<str>, Sums>,
    unreadable: u64,
}

#[derive(Debug, Default)]
struct Sums {
    tally: Tally,
    /// The workloads with violations.
    offenders: HashMap<Arc<OffenderRef>, Tally>,
}

/// A workload with violations within a namespace. Its pods share it.
#[derive(Debug, PartialEq, Eq, Hash)]
struct OffenderRef {
    kind: Box<str>,
    name: Box<str>,
}

#[derive(Debug)]
struct Pod {
    /// All zeros for a pod that can't be read.
    tally: Tally,
    /// The workload that the penalty counts for; `None` when there is no penalty.
    offender: Option<Arc<OffenderRef>>,
}

/// A workload with its penalty in half points: namespace, workload and tally.
type Ranked<'b> = (u64, &'b str, Owner<'b>, &'b Tally);

impl Scoreboard {
    /// Makes an empty scoreboard. The API server applies the label selector of the scope.
    pub fn new(policy: EffectivePolicy, scope: Scope) -> Self {
        Self {
            policy,
            scope,
            pods: Store::default(),
            cluster: Tally::default(),
            namespaces: HashMap::new(),
            unreadable: 0,
        }
    }

    /// Counts a pod as it is at the time `now`, instead of what it was before.
    pub fn apply(&mut self, pod: &Workload<'_>, now: Timestamp) {
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        if self.leaves_out(namespace) {
            return;
        }
        if pod.is_terminal() {
            self.delete(namespace, pod.name());
            return;
        }
        let tally = evaluate(&self.policy, pod, now, false).tally;
        let penalty = tally.half_points(&self.policy) > 0;
        self.put(namespace, pod.name(), tally, penalty.then(|| pod.owner()));
    }

    /// Counts a pod that exists but can't be read, instead of what it was before.
    pub fn apply_unreadable(&mut self, namespace: &str, name: &str) {
        if !self.leaves_out(namespace) {
            self.put(namespace, name, Tally::default(), None);
        }
    }

    /// Removes a pod.
    pub fn delete(&mut self, namespace: &str, name: &str) {
        if let Some(pod) = self.pods.remove(namespace, name) {
            self.subtract(namespace, &pod);
        }
    }

    /// Begins a list of pods. What was known counts until [`Scoreboard::end_list`].
    pub fn begin_list(&mut self) -> Mark {
        self.pods.begin_list()
    }

    /// Ends a list of one namespace, or of all: removes the pods that were not seen since its beginning.
    pub fn end_list(&mut self, namespace: Option<&str>, begun: Mark) {
        for (namespace, _, pod) in self.pods.end_list(begun, namespace, |_| true) {
            self.subtract(&namespace, &pod);
        }
    }

    /// The policy under which pods are judged.
    pub fn policy(&self) -> &EffectivePolicy {
        &self.policy
    }

    /// The score of all pods; none when there are pods and not one of them can be read.
    pub fn cluster_score(&self) -> Option<Score> {
        (self.cluster.pods > 0 || self.unreadable == 0).then(|| Score::of(&self.cluster, &self.policy))
    }

    /// The sum of all pods.
    pub fn cluster(&self) -> &Tally {
        &self.cluster
    }

    /// The pods that are there and can't be judged.
    pub fn unreadable(&self) -> u64 {
        self.unreadable
    }

    /// Returns whether a namespace has any pod that has not ended.
    pub fn has_pods_in(&self, namespace: &str) -> bool {
        self.pods.contains_group(namespace)
    }

    /// The score of each namespace that has pods to judge, sorted by name.
    pub fn scores(&self) -> impl Iterator<Item = (&str, Score)> {
        self.judged().into_iter().map(|(name, entry)| (name, Score::of(&entry.tally, &self.policy)))
    }

    /// The figures of each namespace that has pods to judge, sorted by name.
    pub fn namespaces(&self) -> Vec<NamespaceReport> {
        let judged = self.judged().into_iter();
        judged.map(|(name, entry)| NamespaceReport::new(name, &entry.tally, &self.policy)).collect()
    }

    /// At most `limit` workloads with violations, the largest penalty first.
    pub fn offenders(&self, limit: usize) -> Vec<Offender> {
        let mut all: Vec<Ranked<'_>> = self
            .namespaces
            .iter()
            .flat_map(|(name, entry)| entry.offenders.iter().map(move |found| (name, found)))
            .map(|(name, (workload, tally))| {
                (tally.half_points(&self.policy), &**name, workload.owner(), tally)
            })
            .collect();
        let order = |a: &Ranked<'_>, b: &Ranked<'_>| b.0.cmp(&a.0).then_with(|| (a.1, a.2).cmp(&(b.1, b.2)));
        if limit < all.len() {
            all.select_nth_unstable_by(limit, order);
            all.truncate(limit);
        }
        all.sort_unstable_by(order);
        all.into_iter()
            .map(|(_, name, workload, tally)| Offender::new(name, &workload.to_string(), tally, &self.policy))
            .collect()
    }

    fn leaves_out(&self, namespace: &str) -> bool {
        self.scope.leaves_out(namespace) || !self.scope.asks_for(namespace)
    }

    fn put(&mut self, namespace: &str, name: &str, tally: Tally, offender: Option<Owner<'_>>) {
        if !self.adjust(namespace, name, tally, offender) {
            self.delete(namespace, name);
            self.insert(namespace, name, tally, offender);
        }
    }

    /// Changes the tally of a pod; returns false if the pod is unknown or counts for another workload.
    fn adjust(&mut self, namespace: &str, name: &str, tally: Tally, offender: Option<Owner<'_>>) -> bool {
        let Some(pod) = self.pods.see(namespace, name).filter(|pod| pod.is_of(offender)) else {
            return false;
        };
        self.unreadable -= pod.unreadable();
        let mut change = tally;
        change.remove(&pod.tally);
        pod.tally = tally;
        self.unreadable += pod.unreadable();
        self.cluster.add(&change);
        if let Some(sums) = self.namespaces.get_mut(namespace) {
            sums.tally.add(&change);
            if let Some(sum) = pod.offender.as_ref().and_then(|offender| sums.offenders.get_mut(offender)) {
                sum.add(&change);
            }
        }
        true
    }

    fn insert(&mut self, namespace: &str, name: &str, tally: Tally, offender: Option<Owner<'_>>) {
        let sums = self.namespaces.entry(namespace.into()).or_default();
        let offender = offender.map(|owner| sums.count_against(owner, &tally));
        sums.tally.add(&tally);
        self.cluster.add(&tally);
        let pod = Pod { tally, offender };
        self.unreadable += pod.unreadable();
        self.pods.insert(namespace, name.into(), pod);
    }

    /// Takes a removed pod out of all sums.
    fn subtract(&mut self, namespace: &str, pod: &Pod) {
        self.cluster.remove(&pod.tally);
        self.unreadable -= pod.unreadable();
        if !self.pods.contains_group(namespace) {
            self.namespaces.remove(namespace);
            shrink(&mut self.namespaces);
        } else if let Some(sums) = self.namespaces.get_mut(namespace) {
            sums.subtract(pod);
        }
    }

    /// The namespaces that have pods to judge, sorted by name.
    fn judged(&self) -> Vec<(&str, &Sums)> {
        let judged = self.namespaces.iter().filter(|(_, entry)| entry.tally.pods > 0);
        let mut judged: Vec<_> = judged.map(|(name, entry)| (&**name, entry)).collect();
        judged.sort_unstable_by_key(|(name, _)| *name);
        judged
    }
}

impl Sums {
    /// Counts a pod against a workload, and returns the workload.
    fn count_against(&mut self, owner: Owner<'_>, tally: &Tally) -> Arc<OffenderRef> {
        let offender = OffenderRef { kind: owner.kind.into(), name: owner.name.into() };
        let known = self.offenders.get_key_value(&offender).map(|(known, _)| Arc::clone(known));
        let offender = known.unwrap_or_else(|| Arc::new(offender));
        self.offenders.entry(Arc::clone(&offender)).or_default().add(tally);
        offender
    }

    fn subtract(&mut self, pod: &Pod) {
        self.tally.remove(&pod.tally);
        let Some(offender) = &pod.offender else { return };
        if let Some(tally) = self.offenders.get_mut(offender) {
            tally.remove(&pod.tally);
            if tally.pods == 0 {
                self.offenders.remove(offender);
                shrink(&mut self.offenders);
            }
        }
    }
}

impl OffenderRef {
    fn owner(&self) -> Owner<'_> {
        Owner { kind: &self.kind, name: &self.name }
    }
}

impl Pod {
    /// Returns whether its penalty counts for this workload.
    fn is_of(&self, offender: Option<Owner<'_>>) -> bool {
        self.offender.as_ref().map(|known| known.owner()) == offender
    }

    fn unreadable(&self) -> u64 {
        u64::from(self.tally.pods == 0)
    }
}

#[cfg(test)]
mod tests;
