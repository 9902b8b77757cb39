//! The sums of all pods that are there now, adjusted by what a pod was and now is. Pure: it knows no watch.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use jiff::Timestamp;

use crate::governance::{NamespaceReport, Offender, Scope, Score, Tally, evaluate};
use crate::policy::EffectivePolicy;
use crate::workload::{Owner, Workload};

/// What every pod in scope counts for, summed by namespace and for the cluster.
///
/// Its size follows the pods, namespaces and workloads that are there: what is gone leaves no trace.
#[derive(Debug)]
pub struct Scoreboard {
    policy: EffectivePolicy,
    scope: Scope,
    cluster: Tally,
    namespaces: HashMap<Box<str>, Namespace>,
    unreadable: u64,
    mark: Mark,
}

/// When a pod was seen last, in lists begun.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark(u64);

#[derive(Debug, Default)]
struct Namespace {
    tally: Tally,
    pods: HashMap<Box<str>, Pod>,
    /// The workloads with violations, by `Kind/name`.
    offenders: HashMap<Arc<str>, Tally>,
}

#[derive(Debug)]
struct Pod {
    /// All zeros for a pod that can't be read.
    tally: Tally,
    /// The workload that the penalty counts for; `None` when there is no penalty.
    offender: Option<Arc<str>>,
    seen: Mark,
}

/// A workload with its penalty in half points: namespace, workload and tally.
type Ranked<'b> = (u64, &'b str, &'b str, &'b Tally);

impl Scoreboard {
    /// Makes an empty scoreboard; the label selector of the scope is left to the API server.
    pub fn new(policy: EffectivePolicy, scope: Scope) -> Self {
        Self {
            policy,
            scope,
            cluster: Tally::default(),
            namespaces: HashMap::new(),
            unreadable: 0,
            mark: Mark::default(),
        }
    }

    /// Counts a pod as it is at the time `now`, in place of what it was.
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

    /// Notes a pod that is there and can't be judged, in place of what it was.
    pub fn apply_unreadable(&mut self, namespace: &str, name: &str) {
        if !self.leaves_out(namespace) {
            self.put(namespace, name, Tally::default(), None);
        }
    }

    /// Forgets a pod.
    pub fn delete(&mut self, namespace: &str, name: &str) {
        let Some(entry) = self.namespaces.get_mut(namespace) else { return };
        let Some(pod) = entry.pods.remove(name) else { return };
        entry.subtract(&pod);
        self.cluster.remove(&pod.tally);
        self.unreadable -= pod.unreadable();
        if entry.pods.is_empty() {
            self.namespaces.remove(namespace);
            shrink(&mut self.namespaces);
        } else {
            shrink(&mut entry.pods);
            shrink(&mut entry.offenders);
        }
    }

    /// Begins to hear of every pod anew; what was known counts until the list has ended.
    pub fn begin_list(&mut self) -> Mark {
        self.mark.0 += 1;
        self.mark
    }

    /// Ends a list of one namespace, or of all: what was not seen since its beginning is gone.
    pub fn end_list(&mut self, namespace: Option<&str>, begun: Mark) {
        let mut gone: Vec<(Box<str>, Box<str>)> = Vec::new();
        for (name, entry) in &self.namespaces {
            if namespace.is_none_or(|only| only == &**name) {
                let unseen = entry.pods.iter().filter(|(_, pod)| pod.seen < begun);
                gone.extend(unseen.map(|(pod, _)| (name.clone(), pod.clone())));
            }
        }
        for (namespace, pod) in gone {
            self.delete(&namespace, &pod);
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

    /// Tells whether a namespace has any pod that runs or would run.
    pub fn has_pods_in(&self, namespace: &str) -> bool {
        self.namespaces.contains_key(namespace)
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
            .map(|(name, (workload, tally))| (tally.half_points(&self.policy), &**name, &**workload, tally))
            .collect();
        let order = |a: &Ranked<'_>, b: &Ranked<'_>| b.0.cmp(&a.0).then_with(|| (a.1, a.2).cmp(&(b.1, b.2)));
        if limit < all.len() {
            all.select_nth_unstable_by(limit, order);
            all.truncate(limit);
        }
        all.sort_unstable_by(order);
        all.into_iter()
            .map(|(_, name, workload, tally)| Offender::new(name, workload, tally, &self.policy))
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

    /// Makes a pod count for something else; false when it is unknown, or counts for another workload.
    fn adjust(&mut self, namespace: &str, name: &str, tally: Tally, offender: Option<Owner<'_>>) -> bool {
        let Some(entry) = self.namespaces.get_mut(namespace) else { return false };
        let Some(pod) = entry.pods.get_mut(name).filter(|pod| pod.is_of(offender)) else { return false };
        self.unreadable -= pod.unreadable();
        let mut change = tally;
        change.remove(&pod.tally);
        pod.tally = tally;
        pod.seen = self.mark;
        self.unreadable += pod.unreadable();
        self.cluster.add(&change);
        entry.tally.add(&change);
        if let Some(sum) = pod.offender.as_ref().and_then(|offender| entry.offenders.get_mut(offender)) {
            sum.add(&change);
        }
        true
    }

    fn insert(&mut self, namespace: &str, name: &str, tally: Tally, offender: Option<Owner<'_>>) {
        let entry = self.namespaces.entry(namespace.into()).or_default();
        let offender = offender.map(|owner| entry.count_against(owner, &tally));
        let pod = Pod { tally, offender, seen: self.mark };
        entry.tally.add(&tally);
        self.cluster.add(&tally);
        self.unreadable += pod.unreadable();
        entry.pods.insert(name.into(), pod);
    }

    /// The namespaces that have pods to judge, sorted by name.
    fn judged(&self) -> Vec<(&str, &Namespace)> {
        let judged = self.namespaces.iter().filter(|(_, entry)| entry.tally.pods > 0);
        let mut judged: Vec<_> = judged.map(|(name, entry)| (&**name, entry)).collect();
        judged.sort_unstable_by_key(|(name, _)| *name);
        judged
    }
}

impl Namespace {
    /// Counts a pod against a workload, and returns the workload's name.
    fn count_against(&mut self, owner: Owner<'_>, tally: &Tally) -> Arc<str> {
        let name = owner.to_string();
        let known = self.offenders.get_key_value(name.as_str());
        let name = known.map_or_else(|| Arc::from(name.as_str()), |(known, _)| Arc::clone(known));
        self.offenders.entry(Arc::clone(&name)).or_default().add(tally);
        name
    }

    fn subtract(&mut self, pod: &Pod) {
        self.tally.remove(&pod.tally);
        let Some(offender) = &pod.offender else { return };
        if let Some(tally) = self.offenders.get_mut(offender) {
            tally.remove(&pod.tally);
            if tally.pods == 0 {
                self.offenders.remove(offender);
            }
        }
    }
}

/// Gives memory back once most of it is unused; so rarely that an event's cost stays the same.
fn shrink<K: Eq + Hash, V>(map: &mut HashMap<K, V>) {
    if map.capacity() > 64 && map.capacity() / 4 > map.len() {
        map.shrink_to(map.len() * 2);
    }
}

impl Pod {
    /// Whether its penalty counts for this workload.
    fn is_of(&self, offender: Option<Owner<'_>>) -> bool {
        match (&self.offender, offender) {
            (Some(known), Some(owner)) => known.split_once('/') == Some((owner.kind, owner.name)),
            (known, owner) => known.is_none() && owner.is_none(),
        }
    }

    fn unreadable(&self) -> u64 {
        u64::from(self.tally.pods == 0)
    }
}

#[cfg(test)]
mod tests;
