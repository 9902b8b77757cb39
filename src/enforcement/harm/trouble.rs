//! Trouble of a workload, as the watches show it. Pure.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::workload::WorkloadRef;

/// The number of restarts of a container within [`WINDOW`] that raises a suspicion.
pub(super) const RESTARTS: usize = 3;
/// The time within which restarts count together.
pub(super) const WINDOW: SignedDuration = SignedDuration::from_hours(1);
/// The time for which missing or unready pods do not count, because rollouts and restarts take as long.
pub(super) const PASSING: SignedDuration = SignedDuration::from_secs(30);
/// The time for which the end of a container for want of memory counts. API servers keep events for an hour; after
/// that, nothing tells such an end from one by a node that ran out of memory.
pub(super) const REMEMBERED: SignedDuration = SignedDuration::from_mins(45);
/// The time by which the same cause can show later in another workload. Without it, the first workload in an incident
/// would be evaluated before the others show any trouble.
const SPREAD: SignedDuration = SignedDuration::from_secs(15);

/// An observed restart of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restart {
    /// The container.
    pub container: String,
    /// The time of the observation.
    pub at: Timestamp,
}

/// A container that runs and is not ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadyContainer {
    /// Its name.
    pub name: String,
    /// The time since which it runs.
    pub running: Timestamp,
    /// True if its startup probe has succeeded, or if it has none.
    pub started: bool,
}

/// A pod as the watches show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodSeen {
    /// The pod's name.
    pub name: String,
    /// The pod's node; empty until it is scheduled.
    pub node: String,
    /// The revision of its template, from its labels.
    pub revision: String,
    /// The time at which its node accepted it.
    pub started: Option<Timestamp>,
    /// True if it is ready.
    pub ready: bool,
    /// The time of its last change between ready and not ready.
    pub since: Timestamp,
    /// The restarts of its containers since the last gap in the watch.
    pub restarts: Vec<Restart>,
    /// Its containers that run and are not ready.
    pub unready: Vec<UnreadyContainer>,
    /// Its containers whose last end was for want of memory, with the time of that end.
    pub out_of_memory: Vec<Restart>,
    /// True if it is being deleted.
    pub terminating: bool,
    /// True if it has the fields that enforcement set.
    pub patched: bool,
}

/// A workload as the watches show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkloadSeen {
    /// The workload.
    pub workload: WorkloadRef,
    /// True if it has fields that enforcement set.
    pub patched: bool,
    /// The time within which its pods must become ready.
    pub verify: SignedDuration,
    /// Its pods.
    pub pods: Vec<PodSeen>,
    /// The time since which its controller cannot create pods, if it cannot.
    pub refused: Option<Timestamp>,
}

/// A sort of trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum TroubleKind {
    /// A container ran out of memory.
    OutOfMemory,
    /// A container terminates repeatedly.
    Restarts,
    /// No pod of a revision is ready.
    Unready,
    /// Pods are refused.
    Refused,
}

/// Trouble of one workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// The workload.
    pub workload: WorkloadRef,
    /// True if the workload has fields that enforcement set.
    pub patched: bool,
    /// The sort of trouble.
    pub kind: TroubleKind,
    /// The start of the trouble.
    pub since: Timestamp,
    /// True if it has lasted long enough to raise a suspicion.
    pub suspicious: bool,
    /// The pods that show it, with their nodes.
    pub pods: BTreeMap<String, String>,
}

impl PodSeen {
    /// Returns true if the pod counts: it is scheduled, started and not being deleted.
    fn counts(&self) -> bool {
        !self.node.is_empty() && self.started.is_some() && !self.terminating
    }

    /// Returns the recent ends of its containers for want of memory.
    pub(super) fn out_of_memory_lately(&self, now: Timestamp) -> impl Iterator<Item = &Restart> {
        self.out_of_memory.iter().filter(move |end| now.duration_since(end.at) <= REMEMBERED)
    }

    /// Returns the containers that restarted often enough since a time, and the first of these restarts.
    pub(super) fn restarting(&self, least: usize, since: Timestamp) -> Option<(BTreeSet<&str>, Timestamp)> {
        let mut times: BTreeMap<&str, Vec<Timestamp>> = BTreeMap::new();
        for restart in self.restarts.iter().filter(|restart| restart.at >= since) {
            times.entry(&restart.container).or_default().push(restart.at);
        }
        times.retain(|_, times| times.len() >= least);
        let first = times.values().flatten().min().copied()?;
        Some((times.into_keys().collect(), first))
    }
}

/// Returns the time since which restarts count together.
pub(super) fn window(now: Timestamp) -> Timestamp {
    now.saturating_sub(WINDOW).unwrap_or(Timestamp::MIN)
}

/// Returns the trouble of a workload. Observations before `seen_since`, the end of the last gap in the watches, do not
/// count.
pub fn troubles(seen: &WorkloadSeen, seen_since: Timestamp, now: Timestamp) -> Vec<Trouble> {
    let trouble = |kind, since: Timestamp, suspicious, pods| Trouble {
        workload: seen.workload.clone(),
        patched: seen.patched,
        kind,
        since,
        suspicious: suspicious && seen.patched,
        pods,
    };
    let mut found = Vec::new();
    for pod in seen.pods.iter().filter(|pod| pod.counts() && (pod.patched || !seen.patched)) {
        let Some(since) = pod.out_of_memory_lately(now).map(|end| end.at).max() else { continue };
        let pods = BTreeMap::from([(pod.name.clone(), pod.node.clone())]);
        found.push(trouble(TroubleKind::OutOfMemory, since, now.duration_since(since) >= SPREAD, pods));
    }
    // One restart fewer is enough to resemble the trouble of another workload.
    let restarting = seen.pods.iter().filter(|pod| pod.counts() && (pod.patched || !seen.patched));
    for pod in restarting {
        let Some((_, since)) = pod.restarting(RESTARTS - 1, window(now)) else { continue };
        let is_enough = pod.restarting(RESTARTS, window(now)).is_some();
        let pods = BTreeMap::from([(pod.name.clone(), pod.node.clone())]);
        found.push(trouble(TroubleKind::Restarts, since, is_enough, pods));
    }
    let mut revisions: BTreeMap<&str, Vec<&PodSeen>> = BTreeMap::new();
    for pod in seen.pods.iter().filter(|pod| pod.counts()) {
        revisions.entry(&pod.revision).or_default().push(pod);
    }
    for pods in revisions.into_values() {
        let Some(since) = unready_since(&pods, seen.patched) else { continue };
        let lasted = now.duration_since(since.max(seen_since));
        if lasted >= PASSING {
            let names = pods.iter().map(|pod| (pod.name.clone(), pod.node.clone())).collect();
            let suspicious = lasted >= suspicion(seen.verify);
            found.push(trouble(TroubleKind::Unready, since, suspicious, names));
        }
    }
    if let Some(since) = seen.refused
        && now.duration_since(since.max(seen_since)) >= PASSING
    {
        found.push(trouble(TroubleKind::Refused, since, true, BTreeMap::new()));
    }
    found
}

/// Returns the time for which no pod may be ready before that is suspicious.
fn suspicion(verify: SignedDuration) -> SignedDuration {
    verify.max(PASSING.saturating_add(SPREAD))
}

/// Returns the time since which no pod of a revision is ready. `None` if a pod is ready, or if the revision lacks our
/// fields although the workload has them.
fn unready_since(pods: &[&PodSeen], patched: bool) -> Option<Timestamp> {
    let concerned = !patched || pods.iter().any(|pod| pod.patched);
    let none_is_ready = pods.iter().all(|pod| !pod.ready);
    let since = pods.iter().filter_map(|pod| Some(pod.since.max(pod.started?))).max();
    since.filter(|_| concerned && none_is_ready)
}

/// Returns the time at which a workload may become suspicious without a change; `None` if it takes a change.
pub fn next_look(seen: &WorkloadSeen, seen_since: Timestamp, now: Timestamp) -> Option<Timestamp> {
    if !seen.patched {
        return None;
    }
    let due = |since: Timestamp, after| since.max(seen_since).checked_add(after).ok();
    let unready = seen.pods.iter().filter(|pod| pod.counts() && !pod.ready && pod.patched);
    let unready = unready.filter_map(|pod| due(pod.since.max(pod.started?), suspicion(seen.verify)));
    let refused = seen.refused.and_then(|since| due(since, PASSING));
    let ends = seen.pods.iter().filter(|pod| pod.counts() && pod.patched).flat_map(|pod| &pod.out_of_memory);
    let ends = ends.filter_map(|end| end.at.checked_add(SPREAD).ok());
    unready.chain(refused).chain(ends).filter(|at| *at > now).min()
}
