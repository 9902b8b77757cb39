//! The sums over all existing pods, adjusted by each pod's change. Pure: it doesn't depend on the watch.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::cluster::{ListMark, Store, shrink};
use crate::governance::{Compliance, Evaluation, NamespaceReport, Offender, Scope, Score, Tally, evaluate};
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
    /// The workloads with evaluated pods.
    workloads: HashMap<Arc<OwnerKey>, WorkloadSum>,
}

/// A workload within a namespace. Its pods share it.
#[derive(Debug, PartialEq, Eq, Hash)]
struct OwnerKey {
    kind: Box<str>,
    name: Box<str>,
}

/// The sum of a workload's pods.
#[derive(Debug, Default)]
struct WorkloadSum {
    pods: u32,
    /// The pods with a violation that makes the workload non-compliant.
    in_breach: u32,
    /// The counts of the pods with a penalty; `None` without any.
    tally: Option<Box<Tally>>,
}

#[derive(Debug)]
struct Pod {
    /// All zeros for a pod that can't be read.
    tally: Tally,
    is_in_breach: bool,
    /// The workload that the pod counts for; `None` for a pod that can't be read.
    workload: Option<Arc<OwnerKey>>,
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
        let evaluation = evaluate(&self.policy, pod, now, false);
        self.put(namespace, pod.name(), &evaluation, Some(pod.owner()));
    }

    /// Counts a pod that exists but can't be read, instead of what it was before.
    pub fn apply_unreadable(&mut self, namespace: &str, name: &str) {
        if !self.leaves_out(namespace) {
            self.put(namespace, name, &Evaluation::default(), None);
        }
    }

    /// Removes a pod.
    pub fn delete(&mut self, namespace: &str, name: &str) {
        if let Some(pod) = self.pods.remove(namespace, name) {
            self.subtract(namespace, &pod);
        }
    }

    /// Begins a list of pods. Pods known before count until [`Scoreboard::end_list`].
    pub fn begin_list(&mut self) -> ListMark {
        self.pods.begin_list()
    }

    /// Ends a list of one namespace, or of all. Removes the pods that were not seen since its beginning.
    pub fn end_list(&mut self, namespace: Option<&str>, begun: ListMark) {
        for (namespace, _, pod) in self.pods.end_list(begun, namespace, |_, _| true) {
            self.subtract(&namespace, &pod);
        }
    }

    /// Returns the policy by which pods are evaluated.
    pub fn policy(&self) -> &EffectivePolicy {
        &self.policy
    }

    /// Returns the score of all pods; `None` if there are pods and none of them can be read.
    pub fn cluster_score(&self) -> Option<Score> {
        (self.cluster.pods > 0 || self.unreadable == 0).then(|| Score::of(&self.cluster, &self.policy))
    }

    /// Returns the compliance of all workloads; `None` if there are pods and none of them can be read.
    pub fn cluster_compliance(&self) -> Option<Compliance> {
        let mut all = Compliance::default();
        self.namespaces.values().for_each(|sums| all.merge(sums.compliance()));
        (self.cluster.pods > 0 || self.unreadable == 0).then_some(all)
    }

    /// Returns the compliance of each namespace with evaluated pods, sorted by name.
    pub fn compliances(&self) -> impl Iterator<Item = (&str, Compliance)> {
        self.evaluated().into_iter().map(|(name, sums)| (name, sums.compliance()))
    }

    /// Returns the sum of all pods.
    pub fn cluster(&self) -> &Tally {
        &self.cluster
    }

    /// Returns the number of pods that can't be read.
    pub fn unreadable(&self) -> u64 {
        self.unreadable
    }

    /// Returns true if a namespace has any pod that has not ended.
    pub fn has_pods_in(&self, namespace: &str) -> bool {
        self.pods.contains_group(namespace)
    }

    /// Returns the score of each namespace with readable pods, sorted by name.
    pub fn scores(&self) -> impl Iterator<Item = (&str, Score)> {
        self.evaluated().into_iter().map(|(name, entry)| (name, Score::of(&entry.tally, &self.policy)))
    }

    /// Returns the figures of each namespace with readable pods, sorted by name.
    pub fn namespaces(&self) -> Vec<NamespaceReport> {
        let evaluated = self.evaluated().into_iter();
        evaluated
            .map(|(name, sums)| NamespaceReport::new(name, &sums.tally, sums.compliance(), &self.policy))
            .collect()
    }

    /// Returns at most `limit` workloads with violations, the largest penalty first.
    pub fn offenders(&self, limit: usize) -> Vec<Offender> {
        let mut all: Vec<Ranked<'_>> = self
            .namespaces
            .iter()
            .flat_map(|(name, sums)| sums.workloads.iter().map(move |found| (name, found)))
            .filter_map(|(name, (workload, sum))| {
                let tally = sum.tally.as_deref()?;
                Some((tally.half_points(&self.policy), &**name, workload.owner(), tally))
            })
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

    fn put(&mut self, namespace: &str, name: &str, evaluation: &Evaluation, workload: Option<Owner<'_>>) {
        if !self.adjust(namespace, name, evaluation, workload) {
            self.delete(namespace, name);
            self.insert(namespace, name, evaluation, workload);
        }
    }

    /// Changes the counts of a pod; returns false if the pod is unknown or counts for another workload.
    fn adjust(
        &mut self,
        namespace: &str,
        name: &str,
        evaluation: &Evaluation,
        workload: Option<Owner<'_>>,
    ) -> bool {
        let Some(pod) = self.pods.see(namespace, name).filter(|pod| pod.is_of(workload)) else {
            return false;
        };
        self.unreadable -= pod.unreadable();
        let mut change = evaluation.tally.clone();
        change.remove(&pod.tally);
        self.cluster.add(&change);
        if let Some(sums) = self.namespaces.get_mut(namespace) {
            sums.tally.add(&change);
            if let Some(sum) = pod.workload.as_ref().and_then(|workload| sums.workloads.get_mut(workload)) {
                sum.remove(pod.is_in_breach, &pod.tally, &self.policy);
                sum.add(evaluation.is_in_breach, &evaluation.tally, &self.policy);
            }
        }
        pod.tally = evaluation.tally.clone();
        pod.is_in_breach = evaluation.is_in_breach;
        self.unreadable += pod.unreadable();
        true
    }

    fn insert(&mut self, namespace: &str, name: &str, evaluation: &Evaluation, workload: Option<Owner<'_>>) {
        let sums = self.namespaces.entry(namespace.into()).or_default();
        let workload = workload.map(|owner| sums.count_for(owner, evaluation, &self.policy));
        sums.tally.add(&evaluation.tally);
        self.cluster.add(&evaluation.tally);
        let pod = Pod { tally: evaluation.tally.clone(), is_in_breach: evaluation.is_in_breach, workload };
        self.unreadable += pod.unreadable();
        self.pods.insert(namespace, name.into(), pod);
    }

    /// Subtracts a removed pod from all sums.
    fn subtract(&mut self, namespace: &str, pod: &Pod) {
        self.cluster.remove(&pod.tally);
        self.unreadable -= pod.unreadable();
        if !self.pods.contains_group(namespace) {
            self.namespaces.remove(namespace);
            shrink(&mut self.namespaces);
        } else if let Some(sums) = self.namespaces.get_mut(namespace) {
            sums.subtract(pod, &self.policy);
        }
    }

    /// Returns the namespaces with readable pods, sorted by name.
    fn evaluated(&self) -> Vec<(&str, &Sums)> {
        let evaluated = self.namespaces.iter().filter(|(_, entry)| entry.tally.pods > 0);
        let mut evaluated: Vec<_> = evaluated.map(|(name, entry)| (&**name, entry)).collect();
        evaluated.sort_unstable_by_key(|(name, _)| *name);
        evaluated
    }
}

impl Sums {
    /// Counts a pod for its workload, and returns the workload.
    fn count_for(
        &mut self,
        owner: Owner<'_>,
        evaluation: &Evaluation,
        policy: &EffectivePolicy,
    ) -> Arc<OwnerKey> {
        let key = OwnerKey { kind: owner.kind.into(), name: owner.name.into() };
        let known = self.workloads.get_key_value(&key).map(|(known, _)| Arc::clone(known));
        let key = known.unwrap_or_else(|| Arc::new(key));
        let sum = self.workloads.entry(Arc::clone(&key)).or_default();
        sum.add(evaluation.is_in_breach, &evaluation.tally, policy);
        key
    }

    fn subtract(&mut self, pod: &Pod, policy: &EffectivePolicy) {
        self.tally.remove(&pod.tally);
        let Some(workload) = &pod.workload else { return };
        if let Some(sum) = self.workloads.get_mut(workload) {
            sum.remove(pod.is_in_breach, &pod.tally, policy);
            if sum.pods == 0 {
                self.workloads.remove(workload);
                shrink(&mut self.workloads);
            }
        }
    }

    fn compliance(&self) -> Compliance {
        let mut compliance = Compliance::default();
        self.workloads.values().for_each(|sum| compliance.add(sum.in_breach == 0));
        compliance
    }
}

impl WorkloadSum {
    fn add(&mut self, is_in_breach: bool, tally: &Tally, policy: &EffectivePolicy) {
        self.pods += 1;
        self.in_breach += u32::from(is_in_breach);
        if tally.half_points(policy) > 0 {
            self.tally.get_or_insert_default().add(tally);
        }
    }

    /// Subtracts a pod that was added before.
    fn remove(&mut self, is_in_breach: bool, tally: &Tally, policy: &EffectivePolicy) {
        self.pods -= 1;
        self.in_breach -= u32::from(is_in_breach);
        if let Some(sum) = self.tally.as_mut().filter(|_| tally.half_points(policy) > 0) {
            sum.remove(tally);
            if sum.pods == 0 {
                self.tally = None;
            }
        }
    }
}

impl OwnerKey {
    fn owner(&self) -> Owner<'_> {
        Owner { kind: &self.kind, name: &self.name }
    }
}

impl Pod {
    /// Returns true if the pod counts for this workload.
    fn is_of(&self, workload: Option<Owner<'_>>) -> bool {
        self.workload.as_ref().map(|known| known.owner()) == workload
    }

    fn unreadable(&self) -> u64 {
        u64::from(self.tally.pods == 0)
    }
}

#[cfg(test)]
mod tests;
