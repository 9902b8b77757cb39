//! Reading what a decision about one workload needs: its pods, its new revision, and what stands around it.
//!
//! These are small lists in one namespace, made only when a patch is planned or watched.

use std::collections::BTreeSet;

use k8s_openapi::api::apps::v1::{ControllerRevision, ReplicaSet};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::{LimitRange, Node, Pod, ResourceQuota};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::{Metadata, NamespaceResourceScope};
use kube::api::{Api, ApiResource, DynamicObject, ListParams};
use kube::core::{GroupVersionKind, Selector};
use kube::{Resource, ResourceExt as _};
use serde::de::DeserializeOwned;

use super::symptoms::is_ready;
use super::{Evidence, Progress, Subject, Surroundings, Typed};
use crate::cluster::{CallError, Cluster};

/// The annotation by which a Deployment and its `ReplicaSet`s tell which is the current one.
const REVISION: &str = "deployment.kubernetes.io/revision";
const POD_TEMPLATE_HASH: &str = "pod-template-hash";
const CONTROLLER_REVISION_HASH: &str = "controller-revision-hash";

/// Returns the pods that a workload manages, of whatever revision.
pub async fn pods(cluster: &Cluster, subject: &Subject) -> Result<Vec<Pod>, CallError> {
    list(cluster, subject.namespace(), &selector_of(subject)).await
}

/// Returns the pods of the revision that the workload has now, how far the rollout is, and which nodes are away.
pub async fn evidence(cluster: &Cluster, subject: &Subject) -> Result<Evidence, CallError> {
    let progress = Progress::of(subject);
    let revision = if progress.observed { revision(cluster, subject).await? } else { None };
    let pods = match &revision {
        Some(revision) => of_revision(cluster, subject, revision).await?,
        None => Vec::new(),
    };
    let nodes_away = nodes_away(cluster, &pods).await?;
    Ok(Evidence { progress, revision, pods, nodes_away })
}

/// Returns the pods of one revision of a workload.
pub async fn of_revision(
    cluster: &Cluster,
    subject: &Subject,
    revision: &str,
) -> Result<Vec<Pod>, CallError> {
    let label = match *subject.typed {
        Typed::Deployment(_) => POD_TEMPLATE_HASH,
        Typed::StatefulSet(_) | Typed::DaemonSet(_) => CONTROLLER_REVISION_HASH,
    };
    let mut pods = pods(cluster, subject).await?;
    pods.retain(|pod| pod.labels().get(label).is_some_and(|hash| hash == revision));
    Ok(pods)
}

/// Returns what around the workloads of a namespace bears on patches.
pub async fn surroundings(cluster: &Cluster, namespace: &str) -> Result<Surroundings, CallError> {
    let all = ListParams::default();
    Ok(Surroundings {
        budgets: list::<PodDisruptionBudget>(cluster, namespace, &all).await?,
        autoscalers: list::<HorizontalPodAutoscaler>(cluster, namespace, &all).await?,
        vertical: vertical_autoscalers(cluster, namespace).await?,
        limit_ranges: list::<LimitRange>(cluster, namespace, &all).await?,
        quotas: list::<ResourceQuota>(cluster, namespace, &all).await?,
    })
}

async fn vertical_autoscalers(
    cluster: &Cluster,
    namespace: &str,
) -> Result<Vec<serde_json::Value>, CallError> {
    let kind = GroupVersionKind::gvk("autoscaling.k8s.io", "v1", "VerticalPodAutoscaler");
    let resource = ApiResource::from_gvk(&kind);
    let api = Api::<DynamicObject>::namespaced_with(cluster.client.clone(), namespace, &resource);
    match cluster.call(async |_| api.list(&ListParams::default()).await).await {
        Ok(found) => {
            Ok(found.items.into_iter().filter_map(|found| serde_json::to_value(found).ok()).collect())
        }
        // The autoscaler is an add-on: without its CRD there is none.
        Err(error) if error.code() == Some(404) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// The hash in the labels of the pods that the workload makes now; `None` while its controller has not got to it.
async fn revision(cluster: &Cluster, subject: &Subject) -> Result<Option<String>, CallError> {
    let selector = selector_of(subject);
    let owned = |metadata: &ObjectMeta| {
        let mut owners = metadata.owner_references.iter().flatten();
        owners.any(|owner| owner.controller == Some(true) && owner.uid == subject.uid())
    };
    match &*subject.typed {
        Typed::Deployment(deployment) => {
            let current = deployment.annotations().get(REVISION);
            let sets: Vec<ReplicaSet> = list(cluster, subject.namespace(), &selector).await?;
            let new = sets.iter().find(|set| {
                owned(&set.metadata) && current.is_some() && set.annotations().get(REVISION) == current
            });
            Ok(new.and_then(|set| set.labels().get(POD_TEMPLATE_HASH).cloned()))
        }
        Typed::StatefulSet(set) => Ok(set.status.as_ref().and_then(|status| status.update_revision.clone())),
        Typed::DaemonSet(_) => {
            let mut revisions: Vec<ControllerRevision> =
                list(cluster, subject.namespace(), &selector).await?;
            revisions.retain(|revision| owned(&revision.metadata));
            let newest = revisions.into_iter().max_by_key(|revision| revision.revision);
            Ok(newest.and_then(|revision| revision.labels().get(CONTROLLER_REVISION_HASH).cloned()))
        }
    }
}

/// The nodes of pods that aren't ready which are cordoned, not ready or gone; none where nodes can't be read.
async fn nodes_away(cluster: &Cluster, pods: &[Pod]) -> Result<BTreeSet<String>, CallError> {
    let unready = pods.iter().filter(|pod| !is_ready(pod));
    let names: BTreeSet<&String> = unready.filter_map(|pod| pod.spec.as_ref()?.node_name.as_ref()).collect();
    let nodes = Api::<Node>::all(cluster.client.clone());
    let mut away = BTreeSet::new();
    for name in names {
        match cluster.call(async |_| nodes.get_opt(name).await).await {
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

fn is_away(node: &Node) -> bool {
    let cordoned = node.spec.as_ref().is_some_and(|spec| spec.unschedulable == Some(true));
    let mut conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
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

async fn list<K>(cluster: &Cluster, namespace: &str, params: &ListParams) -> Result<Vec<K>, CallError>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Metadata<Ty = ObjectMeta>
        + Clone
        + DeserializeOwned
        + std::fmt::Debug,
{
    let api = Api::<K>::namespaced(cluster.client.clone(), namespace);
    Ok(cluster.call(async |_| api.list(params).await).await?.items)
}
