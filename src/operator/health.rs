//! The health of pods and rollouts, as the watches show it, to detect a verified patch that does harm. Pure.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::cluster::shrink;
use crate::enforcement::harm::{Restart, UnreadyContainer};
use crate::remediation::PodHealth;
use crate::workload::{Interner, List, Text, WorkloadKind};

/// The time for which restarts are kept.
const KEPT: SignedDuration = SignedDuration::from_hours(1);
/// The maximum number of recorded restarts per pod.
const MOST: usize = 12;

/// The health of the pods, and the workloads whose pods are not created. After a gap in the watch it starts again.
#[derive(Debug, Default)]
pub(super) struct Health {
    pods: HashMap<Arc<str>, HashMap<Text<'static>, Box<PodHealth>>>,
    refused: HashMap<(WorkloadKind, String, String), Timestamp>,
    /// The end of the last gap in each namespace; `None` for all of them.
    resumed: HashMap<Option<String>, Timestamp>,
    /// The namespaces in which a gap has not ended; `None` for all of them.
    gaps: BTreeSet<Option<String>>,
}

/// The relevant parts of a pod.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Pod {
    metadata: Metadata,
    spec: Spec,
    status: PodStatus,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Metadata {
    creation_timestamp: Option<Timestamp>,
    deletion_timestamp: Option<IgnoredAny>,
    labels: Option<Labels>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Labels {
    pod_template_hash: Option<String>,
    controller_revision_hash: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    node_name: Option<String>,
    replicas: Option<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct PodStatus {
    start_time: Option<Timestamp>,
    conditions: Option<Vec<Condition>>,
    container_statuses: Option<Vec<ContainerStatus>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Condition {
    #[serde(rename = "type")]
    type_: String,
    status: String,
    last_transition_time: Option<Timestamp>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ContainerStatus {
    name: String,
    restart_count: u32,
    ready: bool,
    started: Option<bool>,
    state: Option<State>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct State {
    running: Option<Running>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Running {
    started_at: Option<Timestamp>,
}

/// The relevant parts of a workload.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Rollout {
    spec: Spec,
    status: RolloutStatus,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RolloutStatus {
    replicas: Option<i64>,
    current_number_scheduled: Option<i64>,
    desired_number_scheduled: Option<i64>,
    conditions: Option<Vec<Condition>>,
}

impl Health {
    /// Updates a pod; returns true if anything changed. An unreadable pod has no health.
    pub(super) fn apply_pod(
        &mut self,
        (namespace, name): (&str, &Text<'static>),
        json: &str,
        now: Timestamp,
        interner: &mut Interner,
    ) -> bool {
        let Ok(pod) = serde_json::from_str::<Pod>(json) else { return false };
        let pods = self.pods.entry(interner.text(namespace)).or_default();
        let known = pods.get(&**name).map(|known| &**known);
        let next = health_of(pod, known, now, interner);
        let changed = known != Some(&next);
        if changed {
            pods.insert(name.clone(), Box::new(next));
        }
        changed
    }

    /// Updates a workload; returns true if the refusal of its pods started or ended.
    pub(super) fn apply_workload(
        &mut self,
        kind: WorkloadKind,
        (namespace, name): (&str, &str),
        json: &str,
        now: Timestamp,
    ) -> bool {
        let Ok(rollout) = serde_json::from_str::<Rollout>(json) else { return false };
        let key = (kind, namespace.to_owned(), name.to_owned());
        if !is_short(kind, &rollout) {
            return self.refused.remove(&key).is_some();
        }
        let is_new = !self.refused.contains_key(&key);
        self.refused.entry(key).or_insert(now);
        is_new
    }

    /// Removes an object.
    pub(super) fn remove(&mut self, kind: WorkloadKind, namespace: &str, name: &str) {
        if kind != WorkloadKind::Pod {
            self.refused.remove(&(kind, namespace.to_owned(), name.to_owned()));
        } else if let Some(pods) = self.pods.get_mut(namespace) {
            pods.remove(name);
            shrink(pods);
            if pods.is_empty() {
                self.pods.remove(namespace);
            }
        }
    }

    /// Records the start of a gap in one namespace or in all. Restarts before a gap are no evidence.
    pub(super) fn interrupt(&mut self, within: Option<&str>) {
        self.gaps.insert(within.map(str::to_owned));
        let concerned = |namespace: &str| within.is_none_or(|within| within == namespace);
        let pods = self.pods.iter_mut().filter(|(namespace, _)| concerned(namespace));
        for pod in pods.flat_map(|(_, pods)| pods.values_mut()) {
            pod.restarts = Box::default();
            // The time of restarts during the gap is unknown.
            pod.counts = List::default();
        }
    }

    /// Records the end of a gap.
    pub(super) fn resume(&mut self, within: Option<&str>, now: Timestamp) {
        let within = within.map(str::to_owned);
        self.gaps.remove(&within);
        self.resumed.insert(within, now);
    }

    /// Returns the end of the last gap in a namespace; `None` during a gap. Gaps in other namespaces have no part in
    /// it, so a watch that fails again and again ends no evidence elsewhere.
    pub(super) fn since(&self, namespace: &str) -> Option<Timestamp> {
        let scopes = [None, Some(namespace.to_owned())];
        if scopes.iter().any(|scope| self.gaps.contains(scope)) {
            return None;
        }
        scopes.iter().filter_map(|scope| self.resumed.get(scope).copied()).max()
    }

    /// Returns the health of a pod.
    pub(super) fn pod(&self, namespace: &str, name: &str) -> Option<&PodHealth> {
        self.pods.get(namespace)?.get(name).map(|health| &**health)
    }

    /// Returns the time since which the pods of a workload are not created.
    pub(super) fn refused(&self, kind: WorkloadKind, namespace: &str, name: &str) -> Option<Timestamp> {
        self.refused.get(&(kind, namespace.to_owned(), name.to_owned())).copied()
    }
}

fn health_of(pod: Pod, known: Option<&PodHealth>, now: Timestamp, interner: &mut Interner) -> PodHealth {
    let ready = pod.status.conditions.iter().flatten().find(|condition| condition.type_ == "Ready");
    let created = pod.metadata.creation_timestamp.unwrap_or(Timestamp::MIN);
    let (mut counts, mut unready) = (Vec::new(), Vec::new());
    for ContainerStatus { name, restart_count, ready, started, state } in
        pod.status.container_statuses.into_iter().flatten()
    {
        let running = state.and_then(|state| state.running?.started_at).filter(|_| !ready);
        let started = started.unwrap_or(false);
        unready.extend(running.map(|running| UnreadyContainer { name: name.clone(), running, started }));
        counts.push((name, restart_count));
    }
    let mut restarts: Vec<Restart> = known.map_or_else(Vec::new, |known| known.restarts.to_vec());
    restarts.retain(|restart| now.duration_since(restart.at) <= KEPT);
    for (container, count) in &counts {
        let before = known.and_then(|known| known.counts.iter().find(|(name, _)| **name == **container));
        let more = before.map_or(0, |(_, before)| count.saturating_sub(*before));
        let new = (0..more).map(|_| Restart { container: container.clone(), at: now });
        restarts.extend(new.take(MOST));
    }
    let surplus = restarts.len().saturating_sub(MOST);
    restarts.drain(..surplus);
    let labels = pod.metadata.labels.unwrap_or_default();
    let revision = labels.pod_template_hash.or(labels.controller_revision_hash);
    let mut counts = counts.into_iter().map(|(name, count)| (name.into(), count)).collect();
    interner.share_counts(&mut counts);
    PodHealth {
        node: interner.text(&pod.spec.node_name.unwrap_or_default()),
        revision: interner.text(&revision.unwrap_or_default()),
        started: pod.status.start_time,
        ready: ready.is_some_and(|ready| ready.status == "True"),
        since: ready.and_then(|ready| ready.last_transition_time).unwrap_or(created),
        terminating: pod.metadata.deletion_timestamp.is_some(),
        counts,
        restarts: restarts.into(),
        unready: unready.into(),
    }
}

/// Returns true if the controller of a workload cannot create its pods, or has not created them yet.
fn is_short(kind: WorkloadKind, rollout: &Rollout) -> bool {
    let status = &rollout.status;
    let fewer = |made: Option<i64>, wanted: Option<i64>| made.unwrap_or(0) < wanted.unwrap_or(0);
    match kind {
        WorkloadKind::Deployment => {
            let mut conditions = status.conditions.iter().flatten();
            conditions.any(|condition| condition.type_ == "ReplicaFailure" && condition.status == "True")
        }
        WorkloadKind::StatefulSet => fewer(status.replicas, rollout.spec.replicas),
        WorkloadKind::DaemonSet => fewer(status.current_number_scheduled, status.desired_number_scheduled),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn pod(restarts: u32, ready: bool) -> String {
        json!({
            "metadata": { "creationTimestamp": at(0), "labels": { "app": "web", "pod-template-hash": "7f9" } },
            "spec": { "nodeName": "one", "containers": [] },
            "status": {
                "startTime": at(1),
                "conditions": [{ "type": "Ready", "status": if ready { "True" } else { "False" },
                    "lastTransitionTime": at(5) }],
                "containerStatuses": [{ "name": "main", "restartCount": restarts, "ready": ready, "started": true,
                    "state": { "running": { "startedAt": at(2) } } }],
            },
        })
        .to_string()
    }

    fn apply_pod(
        health: &mut Health,
        namespace: &str,
        name: &'static str,
        json: &str,
        now: Timestamp,
    ) -> bool {
        health.apply_pod((namespace, &name.into()), json, now, &mut Interner::default())
    }

    #[test]
    fn restarts_are_those_that_were_seen_since_the_last_gap() {
        let mut health = Health::default();
        let restarts = |health: &Health| {
            let pod = health.pod("n", "a").unwrap();
            pod.restarts.iter().map(|restart| restart.at).collect::<Vec<_>>()
        };
        assert!(apply_pod(&mut health, "n", "a", &pod(7, true), at(10)));
        assert!(restarts(&health).is_empty(), "nobody saw when they happened");
        assert!(!apply_pod(&mut health, "n", "a", &pod(7, true), at(11)), "nothing changed");
        assert!(apply_pod(&mut health, "n", "a", &pod(8, false), at(12)));
        assert!(apply_pod(&mut health, "n", "a", &pod(10, true), at(20)));
        assert_eq!(restarts(&health), [at(12), at(20), at(20)]);
        health.interrupt(None);
        assert_eq!(health.since("n"), None);
        health.resume(None, at(600));
        assert!(restarts(&health).is_empty());
        apply_pod(&mut health, "n", "a", &pod(11, true), at(601));
        assert!(restarts(&health).is_empty(), "it may have been in the gap");
        apply_pod(&mut health, "n", "a", &pod(12, true), at(4300));
        assert_eq!(restarts(&health), [at(4300)], "an hour later");
        apply_pod(&mut health, "n", "a", &pod(500, true), at(4301));
        assert_eq!(restarts(&health).len(), MOST);
        health.remove(WorkloadKind::Pod, "n", "a");
        assert!(health.pod("n", "a").is_none() && health.pods.is_empty());
    }

    #[test]
    fn a_gap_in_one_namespace_blinds_no_other() {
        let mut health = Health::default();
        for namespace in ["m", "n"] {
            health.interrupt(Some(namespace));
            assert_eq!(health.since(namespace), None);
        }
        health.resume(Some("m"), at(10));
        assert_eq!((health.since("m"), health.since("n")), (Some(at(10)), None), "n is not listed yet");
        health.resume(Some("n"), at(20));
        assert_eq!((health.since("m"), health.since("n")), (Some(at(10)), Some(at(20))));
        for restarts in 0..2 {
            apply_pod(&mut health, "m", "a", &pod(restarts, true), at(21));
            apply_pod(&mut health, "n", "a", &pod(restarts, true), at(21));
        }
        health.interrupt(Some("n"));
        assert_eq!((health.since("m"), health.since("n")), (Some(at(10)), None));
        let restarts = |namespace| health.pod(namespace, "a").unwrap().restarts.len();
        assert_eq!((restarts("m"), restarts("n")), (1, 0));
    }

    #[test]
    fn a_watch_that_flaps_in_one_namespace_restarts_the_evidence_of_that_namespace_alone() {
        let mut health = Health::default();
        health.resume(Some("m"), at(0));
        for round in 0..9 {
            health.interrupt(Some("n"));
            health.resume(Some("n"), at(20 * round));
        }
        assert_eq!((health.since("m"), health.since("n")), (Some(at(0)), Some(at(160))));
        assert_eq!(health.since("unwatched"), None);
    }

    #[test]
    fn a_watch_that_resumes_without_a_list_counts_restarts_after_the_next_change() {
        let mut health = Health::default();
        health.resume(None, at(0));
        apply_pod(&mut health, "n", "a", &pod(2, true), at(1));
        health.interrupt(None);
        health.resume(None, at(600));
        let restarts = |health: &Health| {
            let pod = health.pod("n", "a").unwrap();
            pod.restarts.iter().map(|restart| restart.at).collect::<Vec<_>>()
        };
        assert!(health.pod("n", "a").is_some_and(|pod| pod.ready), "an unchanged pod sends no event");
        apply_pod(&mut health, "n", "a", &pod(5, true), at(601));
        assert!(restarts(&health).is_empty(), "three restarts may have been in the gap");
        for second in 602..605 {
            apply_pod(&mut health, "n", "a", &pod(u32::try_from(second - 596).unwrap(), true), at(second));
        }
        assert_eq!(restarts(&health), [at(602), at(603), at(604)]);
    }

    #[test]
    fn the_health_of_a_pod_is_read() {
        let mut health = Health::default();
        apply_pod(&mut health, "n", "a", &pod(0, false), at(10));
        let read = health.pod("n", "a").unwrap();
        assert_eq!((&*read.node, &*read.revision), ("one", "7f9"));
        assert_eq!(
            (read.started, read.since, read.ready, read.terminating),
            (Some(at(1)), at(5), false, false)
        );
        let main = UnreadyContainer { name: "main".to_owned(), running: at(2), started: true };
        assert_eq!(*read.unready, [main]);
        apply_pod(&mut health, "n", "a", &pod(0, true), at(10));
        assert!(health.pod("n", "a").unwrap().unready.is_empty());
        let waiting = r#"{"status":{"containerStatuses":[{"name":"main","state":{"waiting":{}}}]}}"#;
        apply_pod(&mut health, "n", "a", waiting, at(10));
        assert!(health.pod("n", "a").unwrap().unready.is_empty(), "it does not run");
        assert!(!apply_pod(&mut health, "n", "b", "7", at(10)));
        let null = r#"{"metadata":{"labels":null},"status":{"conditions":null,"containerStatuses":null}}"#;
        apply_pod(&mut health, "n", "b", null, at(10));
        assert!(!health.pod("n", "b").unwrap().ready);
    }

    #[test]
    fn pods_are_refused_since_they_were_missed_first() {
        use WorkloadKind::{DaemonSet, Deployment, StatefulSet};
        let failing = json!({ "status": { "conditions": [{ "type": "ReplicaFailure", "status": "True" }] } });
        let short = json!({ "spec": { "replicas": 3 }, "status": { "replicas": 2 } });
        let unscheduled = json!({ "status": { "desiredNumberScheduled": 2, "currentNumberScheduled": 1 } });
        for (kind, object) in [(Deployment, failing), (StatefulSet, short), (DaemonSet, unscheduled)] {
            let mut health = Health::default();
            assert!(health.apply_workload(kind, ("n", "web"), &object.to_string(), at(0)));
            assert!(!health.apply_workload(kind, ("n", "web"), &object.to_string(), at(9)));
            assert_eq!(health.refused(kind, "n", "web"), Some(at(0)), "{kind:?}");
            assert!(health.apply_workload(kind, ("n", "web"), "{}", at(10)));
            assert_eq!(health.refused(kind, "n", "web"), None);
        }
    }
}
