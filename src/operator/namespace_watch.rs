//! Follows the metadata of the Namespaces, for native admission and for the exemptions that they declare.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Namespace;
use kube::api::{ApiResource, ObjectMeta};
use kube::core::PartialObjectMeta;
use tracing::warn;

use super::Operator;
use crate::cluster::{self, CallError, RawObject, Sink, WatchRequest};
use crate::workload::PolicyRef;

/// Follows the Namespaces. Never returns. `ready` is dropped once all were listed.
///
/// Without native admission, the operator works without the permission to list Namespaces: their annotations exempt
/// nothing then, and no cluster policy is in effect. An operator for chosen namespaces reads these Namespaces alone.
pub(super) async fn follow_namespaces<R>(operator: &Operator, ready: R) {
    if !operator.namespaces.is_empty() && operator.native.is_none() {
        let take = |name: &str, metadata: Option<&ObjectMeta>| note(operator, name, metadata);
        return cluster::poll_namespaces(&operator.cluster, &operator.namespaces, ready, take).await;
    }
    let resource = ApiResource::erase::<Namespace>(&());
    let request = WatchRequest { resource, namespace: None, selector: None, metadata_only: true };
    let mut ready = Some(ready);
    if operator.native.is_none() {
        let refused = |error: &CallError| {
            warn!(
                %error,
                "no permission to read Namespaces: their annotations exempt nothing, and no ClusterDevOpsPolicy is in effect"
            );
            ready = None;
        };
        cluster::wait_until_permitted(&operator.cluster, &request, refused).await;
    }
    let sink = NamespaceSink { operator, known: BTreeSet::new(), listed: BTreeSet::new() };
    cluster::follow(&operator.cluster, request, sink, ready).await;
}

/// Notes the exemptions, the labels and the annotation for cluster policies of a Namespace. One without metadata has none, and is gone.
fn note(operator: &Operator, name: &str, metadata: Option<&ObjectMeta>) {
    let annotation = |key: &str| metadata?.annotations.as_ref()?.get(key).map(String::as_str);
    operator.inventory().apply_namespace(name, annotation);
    let changed = operator.policies.apply_namespace(name, metadata);
    if !changed.is_empty() {
        // A policy can be the first whose rules read a kind, or have been the last.
        operator.note_reads();
    }
    for policy in changed {
        let within = PolicyRef::new(name, policy.name);
        if operator.policies.get(&within).is_none() {
            operator.forget_policy(&within);
        }
        operator.wake_admission(name);
        operator.inventory().note_change(name);
    }
    operator.changed.notify_one();
}

/// Takes Namespaces from the watch.
struct NamespaceSink<'o> {
    operator: &'o Operator,
    known: BTreeSet<String>,
    /// The Namespaces of the list under way.
    listed: BTreeSet<String>,
}

impl Sink for NamespaceSink<'_> {
    fn begin_list(&mut self) {
        self.listed.clear();
    }

    fn list(&mut self, object: &RawObject) -> Result<(), String> {
        self.listed.insert(object.name().to_owned());
        self.apply(object)
    }

    fn apply(&mut self, object: &RawObject) -> Result<(), String> {
        let metadata = metadata(object)?;
        self.known.insert(object.name().to_owned());
        if let Some(native) = &self.operator.native {
            native.note(&metadata);
        }
        note(self.operator, object.name(), Some(&metadata));
        Ok(())
    }

    fn delete(&mut self, object: &RawObject) {
        self.known.remove(object.name());
        if let Some(native) = &self.operator.native {
            native.forget(object.name());
        }
        note(self.operator, object.name(), None);
    }

    fn end_list(&mut self) {
        if let Some(native) = &self.operator.native {
            native.retain(&self.listed);
        }
        let gone: Vec<String> = self.known.difference(&self.listed).cloned().collect();
        for name in &gone {
            note(self.operator, name, None);
        }
        self.known = std::mem::take(&mut self.listed);
        self.operator.set_namespaces_listed();
    }
}

fn metadata(object: &RawObject) -> Result<ObjectMeta, String> {
    let parsed = serde_json::from_str::<PartialObjectMeta<Namespace>>(object.json());
    parsed.map(|object| object.metadata).map_err(|error| error.to_string())
}
