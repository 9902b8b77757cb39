//! The objects that enforcement reads besides the workload, reduced to the fields that decisions depend on. The types
//! of complete pods and templates would make up a tenth of the binary.

use k8s_openapi::api::apps::v1::{
    DaemonSetStatus, DaemonSetUpdateStrategy, DeploymentStatus, DeploymentStrategy, StatefulSetOrdinals,
    StatefulSetStatus, StatefulSetUpdateStrategy,
};
use k8s_openapi::api::autoscaling::v2::{CrossVersionObjectReference, MetricSpec};
use k8s_openapi::api::core::v1::{
    LimitRangeSpec, PodStatus, ResourceQuotaSpec, ResourceQuotaStatus, ResourceRequirements,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, Time};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::rules::PartialContainer;

/// An object with the relevant parts of its spec and status.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Object<S, T = IgnoredAny> {
    /// The metadata: name, labels and so on.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// The desired state.
    pub spec: Option<S>,
    /// The actual state.
    pub status: Option<T>,
}

impl<S, T> Object<S, T> {
    /// The object's name.
    pub fn name(&self) -> &str {
        self.metadata.name.as_deref().unwrap_or_default()
    }
}

/// A `Deployment`.
pub type Deployment = Object<DeploymentSpec, DeploymentStatus>;
/// A `StatefulSet`.
pub type StatefulSet = Object<StatefulSetSpec, StatefulSetStatus>;
/// A `DaemonSet`.
pub type DaemonSet = Object<DaemonSetSpec, DaemonSetStatus>;
/// A `Pod`.
pub type Pod = Object<PodSpec, PodStatus>;
/// A `ReplicaSet`; only its metadata is used.
pub type ReplicaSet = Object<IgnoredAny>;
/// A `Node`.
pub type Node = Object<NodeSpec, NodeStatus>;
/// A `PodDisruptionBudget`.
pub type PodDisruptionBudget = Object<PodDisruptionBudgetSpec, PodDisruptionBudgetStatus>;
/// A `HorizontalPodAutoscaler`.
pub type HorizontalPodAutoscaler = Object<HorizontalPodAutoscalerSpec>;
/// A `LimitRange`.
pub type LimitRange = Object<LimitRangeSpec>;
/// A `PersistentVolumeClaim`.
pub type PersistentVolumeClaim = Object<PersistentVolumeClaimSpec>;
/// A `ResourceQuota`.
pub type ResourceQuota = Object<ResourceQuotaSpec, ResourceQuotaStatus>;

/// The relevant fields of a `Deployment`'s spec.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "the fields are the API's")]
pub struct DeploymentSpec {
    pub replicas: Option<i32>,
    pub paused: Option<bool>,
    pub min_ready_seconds: Option<i32>,
    pub strategy: Option<DeploymentStrategy>,
    pub selector: LabelSelector,
    pub template: PodTemplateSpec,
}

/// The relevant fields of a `StatefulSet`'s spec.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "the fields are the API's")]
pub struct StatefulSetSpec {
    pub replicas: Option<i32>,
    pub ordinals: Option<StatefulSetOrdinals>,
    pub min_ready_seconds: Option<i32>,
    pub update_strategy: Option<StatefulSetUpdateStrategy>,
    pub selector: LabelSelector,
    pub template: PodTemplateSpec,
}

/// The relevant fields of a `DaemonSet`'s spec.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "the fields are the API's")]
pub struct DaemonSetSpec {
    pub min_ready_seconds: Option<i32>,
    pub update_strategy: Option<DaemonSetUpdateStrategy>,
    pub selector: LabelSelector,
    pub template: PodTemplateSpec,
}

/// The relevant fields of a pod template.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "the fields are the API's")]
pub struct PodTemplateSpec {
    pub metadata: Option<ObjectMeta>,
    pub spec: Option<TemplatePodSpec>,
}

/// The relevant fields of a template's pod spec.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "the fields are the API's")]
pub struct TemplatePodSpec {
    pub containers: Vec<PartialContainer>,
    pub init_containers: Vec<PartialContainer>,
    pub host_network: Option<bool>,
    pub volumes: Vec<Volume>,
    pub resources: Option<ResourceRequirements>,
    pub termination_grace_period_seconds: Option<i64>,
}

/// The relevant fields of a pod's volume.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "the fields are the API's")]
pub struct Volume {
    pub persistent_volume_claim: Option<ClaimSource>,
}

/// The relevant fields of a volume from a claim.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "the fields are the API's")]
pub struct ClaimSource {
    pub claim_name: String,
}

/// The relevant fields of a `PersistentVolumeClaim`'s spec.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "the fields are the API's")]
pub struct PersistentVolumeClaimSpec {
    pub access_modes: Vec<String>,
}

/// The relevant fields of a `Pod`'s spec.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "the fields are the API's")]
pub struct PodSpec {
    pub node_name: Option<String>,
    pub containers: Vec<PodContainer>,
}

/// The relevant fields of a running container's spec.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "the fields are the API's")]
pub struct PodContainer {
    pub name: String,
    pub resources: Option<ResourceRequirements>,
}

/// The relevant fields of a `Node`'s spec.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "the fields are the API's")]
pub struct NodeSpec {
    pub unschedulable: Option<bool>,
}

/// The relevant fields of a `Node`'s status.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "the fields are the API's")]
pub struct NodeStatus {
    pub conditions: Vec<NodeCondition>,
}

/// The relevant fields of a `Node`'s condition.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "the fields are the API's")]
pub struct NodeCondition {
    #[serde(rename = "type")]
    pub type_: String,
    pub status: String,
    #[serde(rename = "lastTransitionTime")]
    pub last_transition_time: Option<Time>,
}

/// The relevant fields of a `PodDisruptionBudget`'s spec.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "the fields are the API's")]
pub struct PodDisruptionBudgetSpec {
    pub selector: Option<LabelSelector>,
}

/// The relevant fields of a `PodDisruptionBudget`'s status.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "the fields are the API's")]
pub struct PodDisruptionBudgetStatus {
    pub disruptions_allowed: i32,
}

/// The relevant fields of a `HorizontalPodAutoscaler`'s spec.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "the fields are the API's")]
pub struct HorizontalPodAutoscalerSpec {
    pub scale_target_ref: CrossVersionObjectReference,
    pub metrics: Option<Vec<MetricSpec>>,
}

/// The relevant fields of a `ControllerRevision`, which has no spec.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "the fields are the API's")]
pub struct ControllerRevision {
    pub metadata: ObjectMeta,
    pub revision: i64,
}
