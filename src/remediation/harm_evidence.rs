//! Reads the evidence for a suspicion: the events of the pods or of the workload, and the nodes of the pods.

use std::collections::{BTreeMap, BTreeSet};

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
    nodes: &BTreeMap<String, Timestamp>,
) -> Result<Vec<EventSeen>, CallError> {
    let mut found = Vec::new();
    let pods = trouble.pods.iter().filter(|(_, node)| nodes.contains_key(*node));
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

/// Returns the nodes of the troubled pods that have been ready for five minutes, and the time since which they have. If
/// nodes cannot be read, all of them count.
pub(super) async fn steady_nodes(
    cluster: &Cluster,
    trouble: &Trouble,
    now: Timestamp,
) -> Result<BTreeMap<String, Timestamp>, CallError> {
    let names: BTreeSet<&String> = trouble.pods.values().collect();
    let mut steady = BTreeMap::new();
    for name in names {
        match node(cluster, name).await {
            Ok(found) => {
                let since = found.and_then(|node| steady_since(&node)).filter(|since| *since <= now);
                steady.extend(since.map(|since| (name.clone(), since)));
            }
            Err(error) if error.code() == Some(403) => {
                return Ok(trouble.pods.values().map(|name| (name.clone(), Timestamp::MIN)).collect());
            }
            Err(error) => return Err(error),
        }
    }
    Ok(steady)
}

/// Returns the time at which a node has been ready for five minutes; `None` if it is not ready.
fn steady_since(node: &Node) -> Option<Timestamp> {
    let mut conditions = node.status.iter().flat_map(|status| &status.conditions);
    let ready =
        conditions.find(|condition| condition.type_ == "Ready").filter(|ready| ready.status == "True")?;
    let since = ready.last_transition_time.as_ref().map_or(Timestamp::MIN, |time| time.0);
    since.saturating_add(STEADY).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_node_is_steady_five_minutes_after_it_became_ready() {
        let node = |status: &str| {
            let ready =
                json!({ "type": "Ready", "status": status, "lastTransitionTime": "2026-01-02T03:00:00Z" });
            let conditions = json!([{ "type": "MemoryPressure", "status": "False" }, ready]);
            serde_json::from_value::<Node>(json!({ "status": { "conditions": conditions } })).unwrap()
        };
        assert_eq!(steady_since(&node("True")), "2026-01-02T03:05:00Z".parse().ok());
        assert_eq!(steady_since(&node("Unknown")), None);
        assert_eq!(steady_since(&Node::default()), None);
    }
}
