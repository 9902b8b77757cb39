//! Reads the evidence for a suspicion: the events about one object, and the nodes of the pods in trouble.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::events::v1::Event;
use kube::Api;
use kube::api::ListParams;

use super::evidence::node;
use crate::cluster::{CallError, Cluster};
use crate::enforcement::harm::EventSeen;
use crate::enforcement::objects::Node;

/// The time for which a node must have been ready.
const STEADY: SignedDuration = SignedDuration::from_mins(5);
/// The maximum number of nodes that are read at one look.
const NODES: usize = 3;
/// The namespace of events about nodes.
const OF_NODES: &str = "default";

/// Returns the events about a node. Without the permission to list events, it returns none.
pub(super) async fn node_events(cluster: &Cluster, name: &str) -> Result<Vec<EventSeen>, CallError> {
    events(cluster, OF_NODES, "Node", name).await
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

/// A pod whose node has been ready for five minutes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SteadyPod {
    pub(super) name: String,
    pub(super) node: String,
    /// The time since which the node's pods are evidence.
    pub(super) since: Timestamp,
}

/// Returns the first of these pods, each with its node, whose node has been ready for five minutes. It reads three
/// nodes at most. If nodes cannot be read, all of them count.
pub(super) async fn steady_pod(
    cluster: &Cluster,
    pods: &[(&str, &str)],
    now: Timestamp,
) -> Result<Option<SteadyPod>, CallError> {
    let mut known = Vec::new();
    for &(name, on) in pods {
        if known.contains(&on) {
            continue;
        }
        if known.len() == NODES {
            break;
        }
        known.push(on);
        let since = match node(cluster, on).await {
            Ok(found) => found.and_then(|node| steady_since(&node)).filter(|since| *since <= now),
            Err(error) if error.code() == Some(403) => Some(Timestamp::MIN),
            Err(error) => return Err(error),
        };
        if let Some(since) = since {
            return Ok(Some(SteadyPod { name: name.to_owned(), node: on.to_owned(), since }));
        }
    }
    Ok(None)
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
