//! The watch that keeps the cluster policies up to date, and reports each change.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use kube::api::ApiResource;
use kube::core::PartialObjectMeta;
use serde_json::json;
use tracing::warn;

use super::Policies;
use super::change::PolicyChange;
use crate::cluster::{self, CallError, Cluster, RawObject, Sink, WatchRequest};
use crate::policy::ClusterDevOpsPolicy;

/// Follows the cluster policies for ever, and reports each change. `ready` is dropped once all were listed.
///
/// Without the permission to list them, there are none.
pub(super) async fn follow_cluster<R>(
    policies: &Policies,
    cluster: &Cluster,
    unlisted: &AtomicUsize,
    ready: R,
    report: impl FnMut(PolicyChange<'_>) + Send,
) {
    let resource = ApiResource::erase::<ClusterDevOpsPolicy>(&());
    let request = WatchRequest { resource, namespace: None, selector: None, metadata_only: false };
    let mut sink =
        ClusterPolicySink { policies, report, unlisted, is_listed: false, listed: BTreeSet::default() };
    let mut ready = Some(ready);
    cluster::wait_until_permitted(cluster, &request, |error: &CallError| {
        warn!(%error, "no permission to read ClusterDevOpsPolicies, so none is in effect");
        sink.set_listed();
        ready = None;
    })
    .await;
    cluster::follow(cluster, request, sink, ready).await;
}

/// Takes cluster policies from the watch.
struct ClusterPolicySink<'p, F> {
    policies: &'p Policies,
    report: F,
    /// The number of watches whose first list is not complete.
    unlisted: &'p AtomicUsize,
    is_listed: bool,
    /// The policies of the list under way.
    listed: BTreeSet<String>,
}

impl<F: FnMut(PolicyChange<'_>)> ClusterPolicySink<'_, F> {
    fn remove(&mut self, name: &str) {
        let namespaces = self.policies.remove_cluster(name);
        (self.report)(PolicyChange::Cluster { name, namespaces: &namespaces });
    }

    fn set_listed(&mut self) {
        if !std::mem::replace(&mut self.is_listed, true) && self.unlisted.fetch_sub(1, Ordering::Relaxed) == 1
        {
            self.policies.set_listed();
        }
    }
}

/// Reads as much of a deleted policy as its cleanup needs, even if its spec can't be read. It selects nothing.
fn deleted(json: &str) -> Option<ClusterDevOpsPolicy> {
    let read = serde_json::from_str::<PartialObjectMeta<ClusterDevOpsPolicy>>(json).ok()?;
    read.metadata.deletion_timestamp.as_ref()?;
    let nowhere = json!({ "matchExpressions": [{ "key": "none", "operator": "In", "values": [] }] });
    let spec = serde_json::from_value(json!({ "namespaceSelector": nowhere })).ok()?;
    Some(ClusterDevOpsPolicy { metadata: read.metadata, spec, status: None })
}

impl<F: FnMut(PolicyChange<'_>)> Sink for ClusterPolicySink<'_, F> {
    fn begin_list(&mut self) {
        self.listed.clear();
    }

    fn list(&mut self, object: &RawObject) -> Result<(), String> {
        self.listed.insert(object.name().to_owned());
        self.apply(object)
    }

    fn apply(&mut self, object: &RawObject) -> Result<(), String> {
        let read = serde_json::from_str::<ClusterDevOpsPolicy>(object.json());
        let policy = read.or_else(|error| deleted(object.json()).ok_or_else(|| error.to_string()));
        let policy = policy.inspect_err(|_| {
            (self.report)(PolicyChange::Unreadable);
            // The previous version of the policy no longer applies.
            self.remove(object.name());
        })?;
        let namespaces = self.policies.apply_cluster(policy);
        (self.report)(PolicyChange::Cluster { name: object.name(), namespaces: &namespaces });
        Ok(())
    }

    fn delete(&mut self, object: &RawObject) {
        self.remove(object.name());
    }

    fn end_list(&mut self) {
        let listed = std::mem::take(&mut self.listed);
        for name in self.policies.cluster_names() {
            if !listed.contains(&name) {
                self.remove(&name);
            }
        }
        self.set_listed();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::policy::SystemNamespaces;

    fn object(name: &str, selector: &Value) -> RawObject {
        let spec = json!({ "namespaceSelector": selector });
        serde_json::from_value(json!({ "metadata": { "name": name, "uid": name }, "spec": spec })).unwrap()
    }

    #[test]
    fn each_change_is_reported_with_the_namespaces_concerned() {
        let policies = Policies::new(SystemNamespaces::default());
        let labels = serde_json::from_value(json!({ "labels": { "team": "a" } })).unwrap();
        policies.apply_namespace("shop", Some(&labels));
        let mut changes = Vec::new();
        let report = |change: PolicyChange<'_>| {
            changes.push(match change {
                PolicyChange::Cluster { name, namespaces } => format!("{name} {}", namespaces.len()),
                PolicyChange::Unreadable => "unreadable".to_owned(),
                other => format!("{other:?}"),
            });
        };
        let unlisted = AtomicUsize::new(1);
        let mut sink = ClusterPolicySink {
            policies: &policies,
            report,
            unlisted: &unlisted,
            is_listed: false,
            listed: BTreeSet::default(),
        };
        let (all, other) = (json!({}), json!({ "matchLabels": { "team": "b" } }));
        sink.begin_list();
        sink.list(&object("a", &all)).unwrap();
        sink.list(&object("b", &other)).unwrap();
        sink.end_list();
        sink.apply(&object("a", &other)).unwrap();
        sink.begin_list();
        sink.list(&object("b", &all)).unwrap();
        sink.end_list();
        assert!(sink.apply(&object("b", &json!(7))).is_err());
        assert_eq!(changes, ["a 1", "b 0", "a 1", "b 1", "a 0", "unreadable", "b 1"]);
        assert!(policies.is_listed() && policies.cluster_names().is_empty());
    }
}
