//! Reads the data for a decision about one workload: its pods, its new revision, and the objects that constrain it.
//!
//! These are small lists in one namespace, made only when a patch is planned or watched.

use std::collections::BTreeSet;

use k8s_openapi::api::apps::v1::{ControllerRevision, ReplicaSet};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core;
use k8s_openapi::api::core::v1::{LimitRange, Node, PersistentVolumeClaim, Pod, ResourceQuota};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use kube::Resource;
use kube::api::{ApiResource, DynamicObject, GetParams, ListParams};
use kube::core::{GroupVersionKind, Request, Selector};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::cluster::{CallError, Cluster};
use crate::enforcement::{
    CONTROLLER_REVISION_HASH, Claims, Evidence, RolloutProgress, Service, ServiceSpec, Subject, Surroundings,
    Typed, is_ready, objects,
};
use crate::governance::AnnotatedExemptions;

/// The annotation with which a Deployment and its `ReplicaSet`s mark the current revision.
const REVISION: &str = "deployment.kubernetes.io/revision";
const POD_TEMPLATE_HASH: &str = "pod-template-hash";

/// Returns the pods that a workload manages, of any revision.
pub async fn pods(cluster: &Cluster, subject: &Subject) -> Result<Vec<objects::Pod>, CallError> {
    list(cluster, &kind::<Pod>(), subject.namespace(), &selector_of(subject)).await
}

/// Returns the pods of the workload's current revision and of earlier ones, the progress of the rollout, and the nodes
/// that are cordoned or not ready.
pub(super) async fn evidence(cluster: &Cluster, subject: &Subject) -> Result<Evidence, CallError> {
    let progress = RolloutProgress::of(subject);
    let revision = if progress.observed { revision(cluster, subject).await? } else { None };
    let (pods, former) = match &revision {
        Some(revision) => {
            let all = pods(cluster, subject).await?;
            all.into_iter().partition(|pod| is_of_revision(pod, subject, revision))
        }
        None => (Vec::new(), Vec::new()),
    };
    let missing = i32::try_from(pods.len()).is_ok_and(|made| made < progress.wanted);
    let former = if missing { former } else { Vec::new() };
    let nodes_away = nodes_away(cluster, pods.iter().chain(&former)).await?;
    Ok(Evidence { progress, revision, pods, former, nodes_away })
}

fn is_of_revision(pod: &objects::Pod, subject: &Subject, revision: &str) -> bool {
    let label = match *subject.typed {
        Typed::Deployment(_) => POD_TEMPLATE_HASH,
        Typed::StatefulSet(_) | Typed::DaemonSet(_) => CONTROLLER_REVISION_HASH,
    };
    label_of(&pod.metadata, label).as_deref() == Some(revision)
}

/// Returns the Services of a namespace.
pub(super) async fn services(cluster: &Cluster, namespace: &str) -> Result<Vec<Service>, CallError> {
    let listed: Vec<objects::Object<ServiceSpec>> =
        list(cluster, &kind::<core::v1::Service>(), namespace, &ListParams::default()).await?;
    Ok(listed.into_iter().map(Service::from).collect())
}

/// Returns the objects that constrain patches in a namespace with these Services.
pub(super) async fn surroundings(
    cluster: &Cluster,
    namespace: &str,
    services: Vec<Service>,
) -> Result<Surroundings, CallError> {
    let all = ListParams::default();
    let (vertical, vertical_unread) = match vertical_autoscalers(cluster, namespace).await {
        Ok(found) => (found, None),
        Err(error) if error.code() == Some(403) => (Vec::new(), Some(error.to_string())),
        Err(error) => return Err(error),
    };
    Ok(Surroundings {
        budgets: list(cluster, &kind::<PodDisruptionBudget>(), namespace, &all).await?,
        autoscalers: list(cluster, &kind::<HorizontalPodAutoscaler>(), namespace, &all).await?,
        vertical,
        vertical_unread,
        limit_ranges: list(cluster, &kind::<LimitRange>(), namespace, &all).await?,
        quotas: list(cluster, &kind::<ResourceQuota>(), namespace, &all).await?,
        claims: claims(cluster, namespace).await?,
        services,
        exemptions: AnnotatedExemptions::default(),
    })
}

/// Returns the access modes of a namespace's claims; none if claims may not be read.
async fn claims(cluster: &Cluster, namespace: &str) -> Result<Claims, CallError> {
    let kind = kind::<PersistentVolumeClaim>();
    let claims: Vec<objects::PersistentVolumeClaim> =
        match list(cluster, &kind, namespace, &ListParams::default()).await {
            Err(error) if error.code() == Some(403) => Vec::new(),
            listed => listed?,
        };
    let modes = claims.into_iter().filter_map(|claim| {
        Some((claim.metadata.name?, claim.spec.map(|spec| spec.access_modes).unwrap_or_default()))
    });
    Ok(modes.collect())
}

async fn vertical_autoscalers(
    cluster: &Cluster,
    namespace: &str,
) -> Result<Vec<serde_json::Value>, CallError> {
    let kind = GroupVersionKind::gvk("autoscaling.k8s.io", "v1", "VerticalPodAutoscaler");
    let resource = ApiResource::from_gvk(&kind);
    match list(cluster, &resource, namespace, &ListParams::default()).await {
        Ok(found) => Ok(found),
        // The autoscaler is an add-on; without its CRD there are no objects.
        Err(error) if error.code() == Some(404) => Ok(Vec::new()),
        // The API server checks the permission before the existence of the kind.
        Err(error) if error.code() == Some(403) => {
            let served = cluster.serves(&resource.api_version, &[&resource.plural]).await?;
            if served == [true] { Err(error) } else { Ok(Vec::new()) }
        }
        Err(error) => Err(error),
    }
}

/// Checks, before a patch, that the workload's new pods will be distinguishable from the old ones.
pub(super) async fn can_tell_new_pods(cluster: &Cluster, subject: &Subject) -> Result<(), CallError> {
    revision(cluster, subject).await.map(|_| ())
}

/// Returns the hash in the labels of the workload's newest pods; `None` until its controller has created the revision.
async fn revision(cluster: &Cluster, subject: &Subject) -> Result<Option<String>, CallError> {
    let selector = selector_of(subject);
    let owned = |metadata: &ObjectMeta| {
        let mut owners = metadata.owner_references.iter().flatten();
        owners.any(|owner| owner.controller == Some(true) && owner.uid == subject.uid())
    };
    match &*subject.typed {
        Typed::Deployment(deployment) => {
            let revision = |of: &ObjectMeta| of.annotations.as_ref()?.get(REVISION).cloned();
            let Some(current) = revision(&deployment.metadata) else { return Ok(None) };
            let sets: Vec<objects::ReplicaSet> =
                list(cluster, &kind::<ReplicaSet>(), subject.namespace(), &selector).await?;
            let new = sets
                .iter()
                .find(|set| owned(&set.metadata) && revision(&set.metadata).as_ref() == Some(&current));
            Ok(new.and_then(|set| label_of(&set.metadata, POD_TEMPLATE_HASH)))
        }
        Typed::StatefulSet(set) => Ok(set.status.as_ref().and_then(|status| status.update_revision.clone())),
        Typed::DaemonSet(_) => {
            let mut revisions: Vec<objects::ControllerRevision> =
                list(cluster, &kind::<ControllerRevision>(), subject.namespace(), &selector).await?;
            revisions.retain(|revision| owned(&revision.metadata));
            let newest = revisions.into_iter().max_by_key(|revision| revision.revision);
            Ok(newest.and_then(|revision| label_of(&revision.metadata, CONTROLLER_REVISION_HASH)))
        }
    }
}

/// Returns the nodes with unready or terminating pods that are cordoned, not ready or gone; none if nodes
/// cannot be read.
async fn nodes_away<'p>(
    cluster: &Cluster,
    pods: impl Iterator<Item = &'p objects::Pod>,
) -> Result<BTreeSet<String>, CallError> {
    let hampered = pods.filter(|pod| !is_ready(pod) || pod.metadata.deletion_timestamp.is_some());
    let names: BTreeSet<&String> = hampered.filter_map(|pod| pod.spec.as_ref()?.node_name.as_ref()).collect();
    let mut away = BTreeSet::new();
    for name in names {
        match node(cluster, name).await {
            Ok(node) if node.as_ref().is_none_or(is_away) => {
                away.insert(name.clone());
            }
            Ok(_) => {}
            Err(error) if error.code() == Some(403) => return Ok(BTreeSet::new()),
            Err(error) => return Err(error),
        }
    }
    Ok(away)
}

pub(super) async fn node(cluster: &Cluster, name: &str) -> Result<Option<objects::Node>, CallError> {
    let request = || {
        let path = DynamicObject::url_path(&kind::<Node>(), None);
        Request::new(path).get(name, &GetParams::default()).map_err(kube::Error::BuildRequest)
    };
    match cluster.call(async |client| client.request(request()?).await).await {
        Ok(node) => Ok(Some(node)),
        Err(error) if error.code() == Some(404) => Ok(None),
        Err(error) => Err(error),
    }
}

fn is_away(node: &objects::Node) -> bool {
    let cordoned = node.spec.as_ref().is_some_and(|spec| spec.unschedulable == Some(true));
    let mut conditions = node.status.iter().flat_map(|status| &status.conditions);
    cordoned || conditions.any(|condition| condition.type_ == "Ready" && condition.status != "True")
}

fn selector_of(subject: &Subject) -> ListParams {
    let selector: Option<&LabelSelector> = match &*subject.typed {
        Typed::Deployment(deployment) => deployment.spec.as_ref().map(|spec| &spec.selector),
        Typed::StatefulSet(set) => set.spec.as_ref().map(|spec| &spec.selector),
        Typed::DaemonSet(set) => set.spec.as_ref().map(|spec| &spec.selector),
    };
    let selector = selector.and_then(|selector| Selector::try_from(selector.clone()).ok());
    selector.map_or_else(ListParams::default, |selector| ListParams::default().labels_from(&selector))
}

fn label_of(metadata: &ObjectMeta, key: &str) -> Option<String> {
    metadata.labels.as_ref()?.get(key).cloned()
}

fn kind<K: Resource<DynamicType = ()>>() -> ApiResource {
    ApiResource::erase::<K>(&())
}

/// Lists the objects of a kind in a namespace, reduced to the fields of `T`.
async fn list<T: DeserializeOwned>(
    cluster: &Cluster,
    kind: &ApiResource,
    namespace: &str,
    params: &ListParams,
) -> Result<Vec<T>, CallError> {
    #[derive(Deserialize)]
    struct List<T> {
        items: Option<Vec<T>>,
    }
    let request = || {
        let path = DynamicObject::url_path(kind, Some(namespace));
        Request::new(path).list(params).map_err(kube::Error::BuildRequest)
    };
    let list: List<T> = cluster.call(async |client| client.request(request()?).await).await?;
    Ok(list.items.unwrap_or_default())
}
