//! The state of Nodes, volumes and endpoints, as rules read it.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::workload::{Metadata, Quantity, nullable};

/// The label of an `EndpointSlice` that names its Service.
const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// A Node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Node {
    /// The conditions of its status.
    #[serde(default, deserialize_with = "nullable")]
    pub conditions: Vec<NodeCondition>,
}

/// A condition of a Node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the fields are the API's")]
pub struct NodeCondition {
    #[serde(default, rename = "type", deserialize_with = "nullable")]
    pub type_: String,
    #[serde(default, deserialize_with = "nullable")]
    pub status: String,
    #[serde(default, deserialize_with = "nullable")]
    pub reason: String,
    pub last_transition_time: Option<Timestamp>,
}

/// A `PersistentVolumeClaim`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VolumeClaim {
    /// The phase; empty in a manifest.
    pub phase: String,
    /// The storage class; empty for a claim without one.
    pub class: String,
    /// The time at which it was made.
    pub created: Option<Timestamp>,
}

/// The endpoints of a Service, or a part of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EndpointSlice {
    /// The name of the Service.
    pub service: Option<String>,
    /// True if an endpoint takes connections.
    pub has_ready: bool,
}

/// The use of resources by a pod.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct PodUsage {
    /// The use by each container.
    #[serde(default, deserialize_with = "nullable")]
    pub containers: Vec<ContainerUsage>,
}

/// The use of resources by a container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct ContainerUsage {
    /// The container.
    #[serde(default, deserialize_with = "nullable")]
    pub name: String,
    /// The amounts.
    #[serde(default, deserialize_with = "nullable")]
    pub usage: Usage,
}

/// Amounts in use.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[allow(missing_docs, reason = "the fields are the API's")]
pub struct Usage {
    pub cpu: Option<Quantity>,
    pub memory: Option<Quantity>,
}

/// The phase in the status of a claim or a volume.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Phase {
    #[serde(default, deserialize_with = "nullable")]
    pub(super) phase: String,
}

/// The class in the spec of a claim.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ClaimSpec {
    #[serde(default, deserialize_with = "nullable")]
    storage_class_name: String,
}

/// The fields of a `StorageClass`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StorageClass {
    #[serde(default, deserialize_with = "nullable")]
    volume_binding_mode: String,
}

#[derive(Debug, Deserialize)]
struct Endpoint {
    #[serde(default, deserialize_with = "nullable")]
    conditions: EndpointConditions,
}

/// An absent condition counts as true, says the API, except that `serving` is then that of `ready`.
#[derive(Debug, Default, Deserialize)]
struct EndpointConditions {
    ready: Option<bool>,
    serving: Option<bool>,
}

impl VolumeClaim {
    pub(super) fn of(metadata: &Metadata<'_>, spec: ClaimSpec, status: Phase) -> Self {
        Self { phase: status.phase, class: spec.storage_class_name, created: metadata.creation_timestamp }
    }
}

impl StorageClass {
    /// Returns true if a claim waits for its first pod.
    pub(super) fn waits(&self) -> bool {
        self.volume_binding_mode == "WaitForFirstConsumer"
    }
}

impl EndpointSlice {
    pub(super) fn of(metadata: &Metadata<'_>, fields: &Map<String, Value>) -> Result<Self, String> {
        let endpoints = fields.get("endpoints").cloned().unwrap_or_default();
        let endpoints: Option<Vec<Endpoint>> =
            Option::deserialize(endpoints).map_err(|error| format!("endpoints: {error}"))?;
        let takes_connections = |endpoint: &Endpoint| {
            let EndpointConditions { ready, serving } = endpoint.conditions;
            ready.unwrap_or(true) || serving == Some(true)
        };
        Ok(Self {
            service: metadata.label(SERVICE_NAME).map(str::to_owned),
            has_ready: endpoints.iter().flatten().any(takes_connections),
        })
    }
}
