//! Reads the evidence for a suspicion: the events of the pods or of the workload, and the nodes of the pods.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::events::v1::Event;
use kube::Api;
use kube::api::ListParams;

use super::evidence::node;
use crate::cluster::{CallError, Cluster};
use crate::enforcement::harm::{EventSeen, Trouble};
use crate::enforcement::objects::Node;

/// The time for which a node must have been ready.
const STEADY: SignedDuration = SignedDuration::from_mins(5);
/// The maximum number of pods whose events are read.
const PODS: usize = 3;

/// Returns the events about the pods in trouble on these nodes.
pub(super) async fn pod_events(
    cluster: &Cluster,
    trouble: &Trouble,
    nodes: &BTreeSet<String>,
) -> Result<Vec<EventSeen>, CallError> {
    let mut found = Vec::new();
    let pods = trouble.pods.iter().filter(|(_, node)| nodes.contains(*node));
    for (pod, _) in pods.take(PODS) {
        found.extend(events(cluster, &trouble.workload.namespace, "Pod", pod).await?);
    }
    Ok(found)
}

/// Returns the events about an object. Without the permission to list events, it returns none.
pub(super) async fn events(
    cluster: &Cluster,
    namespace: &str,
    kind: &str,
    name: &str,
) -> Result<Vec<EventSeen>, CallError> {
    let params = ListParams::default().fields(&format!("regarding.kind={kind},regarding.name={name}"));
    let list = async |client| Api::<Event>::namespaced(client, namespace).list(&params).await;
    match cluster.call(list).await {
        Ok(listed) => Ok(listed.items.into_iter().map(seen).collect()),
        Err(error) if error.code() == Some(403) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn seen(event: Event) -> EventSeen {
    let about = event.regarding.unwrap_or_default();
    // The kubelet writes events in the older form.
    let time = event.event_time.map(|time| time.0);
    let series = event.series.map(|series| (series.count, series.last_observed_time.0));
    let last = series.as_ref().map(|(_, last)| *last);
    let count = series.map(|(count, _)| count).or(event.deprecated_count).unwrap_or(1);
    EventSeen {
        name: about.name.unwrap_or_default(),
        field_path: about.field_path.unwrap_or_default(),
        reason: event.reason.unwrap_or_default(),
        note: event.note.unwrap_or_default(),
        count: u32::try_from(count).unwrap_or(1),
        first: event.deprecated_first_timestamp.map(|time| time.0).or(time),
        last: last.or(event.deprecated_last_timestamp.map(|time| time.0)).or(time),
    }
}

/// Returns the nodes of the troubled pods that have been ready for five minutes. If nodes cannot be read, all of them
/// count.
pub(super) async fn steady_nodes(
    cluster: &Cluster,
    trouble: &Trouble,
    now: Timestamp,
) -> Result<BTreeSet<String>, CallError> {
    let names: BTreeSet<&String> = trouble.pods.values().collect();
    let mut steady = BTreeSet::new();
    for name in names {
        match node(cluster, name).await {
            Ok(found) => {
                if found.is_some_and(|node| is_steady(&node, now)) {
                    steady.insert(name.clone());
                }
            }
            Err(error) if error.code() == Some(403) => return Ok(trouble.pods.values().cloned().collect()),
            Err(error) => return Err(error),
        }
    }
    Ok(steady)
}

fn is_steady(node: &Node, now: Timestamp) -> bool {
    let mut conditions = node.status.iter().flat_map(|status| &status.conditions);
    conditions.find(|condition| condition.type_ == "Ready").is_some_and(|ready| {
        let since = ready.last_transition_time.as_ref().map_or(Timestamp::MIN, |time| time.0);
        ready.status == "True" && now.duration_since(since) >= STEADY
    })
}
