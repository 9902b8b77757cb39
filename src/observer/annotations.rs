//! Follows the annotations of the workloads and Namespaces above the pods. They may exempt from rules.

use std::collections::HashSet;

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::{Namespace, ReplicationController};
use kube::api::{ApiResource, ObjectMeta};
use serde::Deserialize;
use tracing::warn;

use super::Observer;
use crate::cluster::{self, CallError, Cluster, RawObject, Sink, WatchRequest};
use crate::workload::{EXEMPT, Metadata, Owner, WorkloadKey};

/// Returns the watches of the metadata of everything that can own a pod, and of the Namespaces if all are observed.
pub fn annotation_requests(namespaces: &[Option<String>]) -> Vec<WatchRequest> {
    let request =
        |resource, namespace| WatchRequest { resource, namespace, selector: None, metadata_only: true };
    let owners = [
        ApiResource::erase::<Deployment>(&()),
        ApiResource::erase::<StatefulSet>(&()),
        ApiResource::erase::<DaemonSet>(&()),
        ApiResource::erase::<ReplicaSet>(&()),
        ApiResource::erase::<ReplicationController>(&()),
        ApiResource::erase::<Job>(&()),
        ApiResource::erase::<CronJob>(&()),
    ];
    let each = |resource: ApiResource| {
        namespaces.iter().map(move |namespace| request(resource.clone(), namespace.clone()))
    };
    let is_all = namespaces.iter().any(Option::is_none);
    let all = is_all.then(|| request(ApiResource::erase::<Namespace>(&()), None));
    owners.into_iter().flat_map(each).chain(all).collect()
}

/// Follows the metadata of a kind forever. `ready` is dropped after the first list, or when the API server refuses it:
/// without the permission, the annotations exempt nothing.
pub async fn observe_annotations<S>(observer: &Observer, cluster: &Cluster, request: WatchRequest, ready: S) {
    let (kind, within, mut ready) = (request.resource.kind.clone(), request.namespace.clone(), Some(ready));
    let refused = |error: &CallError| {
        warn!(watch = %request, %error, "no permission to read annotations, so they exempt nothing");
        ready = None;
    };
    cluster::wait_until_permitted(cluster, &request, refused).await;
    let sink = AnnotationSink { observer, kind, within, listed: HashSet::new() };
    cluster::follow(cluster, request, sink, ready).await;
}

/// Follows the annotations of some Namespaces, by reading them once a minute. Never returns.
pub async fn observe_namespaces<R>(observer: &Observer, cluster: &Cluster, names: &[String], ready: R) {
    let take = |name: &str, metadata: Option<&ObjectMeta>| {
        let annotation = |key: &str| metadata?.annotations.as_ref()?.get(key).map(String::as_str);
        observer.exempt(|exemptions| exemptions.add_namespace(name, annotation));
    };
    cluster::poll_namespaces(cluster, names, ready, take).await;
}

/// Takes the annotations of one kind from a watch.
struct AnnotationSink<'o> {
    observer: &'o Observer,
    kind: String,
    /// The namespace that is followed; `None` for all.
    within: Option<String>,
    /// The objects of the list under way that ask for an exemption; a Namespace has an empty namespace.
    listed: HashSet<(String, String)>,
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    metadata: Metadata<'a>,
}

impl AnnotationSink<'_> {
    fn is_namespace(&self) -> bool {
        self.kind == "Namespace"
    }

    /// Takes the annotations of an object. Returns true if they ask for an exemption.
    fn take(&self, object: &RawObject) -> Result<bool, String> {
        let Head { metadata } = serde_json::from_str(object.json()).map_err(|error| error.to_string())?;
        let is_namespace = self.is_namespace();
        self.observer.exempt(|exemptions| {
            if is_namespace {
                exemptions.add_namespace(object.name(), |key| metadata.annotation(key));
            } else {
                let named = Owner { kind: &self.kind, name: object.name() };
                exemptions.remove_object(object.namespace(), named);
                exemptions.add_object(object.namespace(), named, &metadata);
            }
        });
        Ok(metadata.annotation(EXEMPT).is_some())
    }
}

impl Sink for AnnotationSink<'_> {
    fn begin_list(&mut self) {
        self.listed.clear();
    }

    fn list(&mut self, object: &RawObject) -> Result<(), String> {
        if self.take(object)? {
            self.listed.insert((object.namespace().to_owned(), object.name().to_owned()));
        }
        Ok(())
    }

    fn apply(&mut self, object: &RawObject) -> Result<(), String> {
        self.take(object).map(|_| ())
    }

    fn delete(&mut self, object: &RawObject) {
        let is_namespace = self.is_namespace();
        self.observer.exempt(|exemptions| {
            if is_namespace {
                exemptions.remove_namespace(object.name());
            } else {
                let named = Owner { kind: &self.kind, name: object.name() };
                exemptions.remove_object(object.namespace(), named);
            }
        });
    }

    fn end_list(&mut self) {
        let listed = std::mem::take(&mut self.listed);
        let is_there =
            |namespace: &str, name: &str| listed.contains(&(namespace.to_owned(), name.to_owned()));
        let is_namespace = self.is_namespace();
        self.observer.exempt(|exemptions| {
            if is_namespace {
                exemptions.retain_namespaces(|name| is_there("", name));
            } else {
                let is_other = |key: &WorkloadKey| {
                    key.local().kind != self.kind
                        || self.within.as_deref().is_some_and(|within| within != key.namespace())
                };
                exemptions.retain_objects(|key| is_other(key) || is_there(key.namespace(), key.local().name));
            }
        });
    }
}
