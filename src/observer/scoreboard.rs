//! The sums of all pods that are there now, adjusted by what a pod was and now is. Pure: it knows no watch.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::Timestamp;

use crate::governance::{NamespaceReport, Offender, Scope, Score, Tally, evaluate};
use crate::policy::EffectivePolicy;
use crate::workload::Workload;

/// What every pod in scope counts for, summed by namespace and for the cluster.
///
/// Its size follows the pods, namespaces and workloads that are there: what is gone leaves no trace.
#[derive(Debug)]
pub struct Scoreboard {
    policy: EffectivePolicy,
    scope: Scope,
    cluster: Tally,
    namespaces: BTreeMap<Box<str>, Namespace>,
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
            namespaces: BTreeMap::new(),
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
        let offender = penalty.then(|| pod.owner().to_string());
        self.put(namespace, pod.name(), tally, offender);
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
        } else {
            entry.shrink();
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

    /// The score of each namespace that has pods to judge, sorted by name.
    pub fn scores(&self) -> impl Iterator<Item = (&str, Score)> {
        let judged = self.namespaces.iter().filter(|(_, entry)| entry.tally.pods > 0);
        judged.map(|(name, entry)| (&**name, Score::of(&entry.tally, &self.policy)))
    }

    /// The figures of each namespace that has pods to judge, sorted by name.
    pub fn namespaces(&self) -> Vec<NamespaceReport> {
        let judged = self.namespaces.iter().filter(|(_, entry)| entry.tally.pods > 0);
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

    fn put(&mut self, namespace: &str, name: &str, tally: Tally, offender: Option<String>) {
        if !self.namespaces.contains_key(namespace) {
            self.namespaces.insert(namespace.into(), Namespace::default());
        }
        let Some(entry) = self.namespaces.get_mut(namespace) else { return };
        let offender = offender.map(|workload| match entry.offenders.get_key_value(workload.as_str()) {
            Some((known, _)) => Arc::clone(known),
            None => Arc::from(workload),
        });
        let pod = Pod { tally, offender, seen: self.mark };
        self.cluster.add(&pod.tally);
        self.unreadable += pod.unreadable();
        entry.add(&pod);
        let before = match entry.pods.get_mut(name) {
            Some(known) => Some(std::mem::replace(known, pod)),
            None => entry.pods.insert(name.into(), pod),
        };
        if let Some(before) = before {
            entry.subtract(&before);
            self.cluster.remove(&before.tally);
            self.unreadable -= before.unreadable();
        }
    }
}

impl Namespace {
    fn add(&mut self, pod: &Pod) {
        self.tally.add(&pod.tally);
        if let Some(offender) = &pod.offender {
            self.offenders.entry(Arc::clone(offender)).or_default().add(&pod.tally);
        }
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

    /// Gives memory back once most of it is unused; so rarely that an event's cost stays the same.
    fn shrink(&mut self) {
        if self.pods.capacity() > 64 && self.pods.capacity() / 4 > self.pods.len() {
            self.pods.shrink_to(self.pods.len() * 2);
            self.offenders.shrink_to(self.offenders.len() * 2);
        }
    }
}

impl Pod {
    fn unreadable(&self) -> u64 {
        u64::from(self.tally.pods == 0)
    }
}

#[cfg(test)]
mod tests;
