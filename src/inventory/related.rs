//! An object that is no workload, with the fields that rules read.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::autoscaler::AutoscalerSpec;
use super::cluster_state::{Phase, StorageClass};
use super::configuration::{ConfigMap, Secret, SecretSource};
use super::{
    Autoscaler, Binding, DisruptionBudget, EndpointSlice, Ingress, Keys, LimitRange, NetworkPolicy, Node,
    PodUsage, Role, Service, ServiceAccount, VolumeClaim,
};
use crate::workload::{Fields, Kind, Metadata, OtherObject};

/// An object that is no workload.
#[derive(Debug, Clone, PartialEq)]
pub struct Related {
    /// The kind.
    pub kind: Kind,
    /// The metadata.
    pub metadata: Metadata<'static>,
    /// The fields that rules read.
    pub content: Content,
}

/// The fields of an object that rules read.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// An object that is only there.
    Present,
    /// A Service.
    Service(Service),
    /// An Ingress.
    Ingress(Box<Ingress>),
    /// A `NetworkPolicy`.
    NetworkPolicy(Box<NetworkPolicy>),
    /// A `ServiceAccount`.
    ServiceAccount(ServiceAccount),
    /// The keys of a `ConfigMap` or Secret.
    Keys(Keys),
    /// The name of a Secret that a controller makes.
    MadeSecret(String),
    /// A `PodDisruptionBudget`.
    DisruptionBudget(Box<DisruptionBudget>),
    /// An autoscaler.
    Autoscaler(Autoscaler),
    /// A Role or `ClusterRole`.
    Role(Role),
    /// A `RoleBinding` or `ClusterRoleBinding`.
    Binding(Binding),
    /// A Node.
    Node(Node),
    /// A `PersistentVolumeClaim`.
    VolumeClaim(VolumeClaim),
    /// A `PersistentVolume`.
    Volume {
        /// The phase; empty in a manifest.
        phase: String,
    },
    /// A `StorageClass`.
    StorageClass {
        /// True if a claim waits for its first pod.
        waits: bool,
    },
    /// The endpoints of a Service, or a part of them.
    EndpointSlice(EndpointSlice),
    /// The use of resources by a pod.
    PodUsage(PodUsage),
    /// A `LimitRange`.
    LimitRange(LimitRange),
}

impl Related {
    /// Reads an object. The error names the part that can't be read.
    pub fn read(object: &OtherObject) -> Result<Self, String> {
        Fields::All.within(|| Self::read_all(object))
    }

    fn read_all(object: &OtherObject) -> Result<Self, String> {
        let fields = &object.content;
        let metadata: Metadata<'static> = part(fields, "metadata")?;
        let content = match object.kind {
            Kind::Service => Content::Service(part(fields, "spec")?),
            Kind::Ingress => Content::Ingress(part(fields, "spec")?),
            Kind::NetworkPolicy => Content::NetworkPolicy(part(fields, "spec")?),
            Kind::ServiceAccount => Content::ServiceAccount(whole(fields)?),
            Kind::ConfigMap => Content::Keys(whole::<ConfigMap>(fields)?.into_keys()),
            Kind::Secret => Content::Keys(whole::<Secret>(fields)?.into_keys()),
            Kind::SecretSource => {
                let name = metadata.name.as_deref().unwrap_or_default();
                Content::MadeSecret(part::<SecretSource>(fields, "spec")?.secret(name))
            }
            Kind::PodDisruptionBudget => Content::DisruptionBudget(part(fields, "spec")?),
            Kind::HorizontalPodAutoscaler | Kind::ScaledObject => {
                Content::Autoscaler(part::<AutoscalerSpec>(fields, "spec")?.of(object.kind))
            }
            Kind::Role | Kind::ClusterRole => Content::Role(whole(fields)?),
            Kind::RoleBinding | Kind::ClusterRoleBinding => Content::Binding(whole(fields)?),
            Kind::Node => Content::Node(part(fields, "status")?),
            Kind::PersistentVolumeClaim => {
                let (spec, status) = (part(fields, "spec")?, part(fields, "status")?);
                Content::VolumeClaim(VolumeClaim::of(&metadata, spec, status))
            }
            Kind::PersistentVolume => Content::Volume { phase: part::<Phase>(fields, "status")?.phase },
            Kind::StorageClass => Content::StorageClass { waits: whole::<StorageClass>(fields)?.waits() },
            Kind::EndpointSlice => Content::EndpointSlice(EndpointSlice::of(&metadata, fields)?),
            Kind::PodMetrics => Content::PodUsage(whole(fields)?),
            Kind::LimitRange => Content::LimitRange(part(fields, "spec")?),
            Kind::Pod | Kind::Template | Kind::ForeignNetworkPolicy | Kind::Namespace => Content::Present,
        };
        Ok(Self { kind: object.kind, metadata, content })
    }

    /// The object's name, or the prefix of its future name.
    pub fn name(&self) -> &str {
        let Metadata { name, generate_name, .. } = &self.metadata;
        name.as_deref().or(generate_name.as_deref()).unwrap_or_default()
    }
}

/// Reads a field of the object. An absent one is its default, and so is null.
fn part<T: Deserialize<'static> + Default>(fields: &Map<String, Value>, name: &str) -> Result<T, String> {
    let Some(value) = fields.get(name) else { return Ok(T::default()) };
    let read = Option::<T>::deserialize(value.clone()).map_err(|error| format!("{name}: {error}"))?;
    Ok(read.unwrap_or_default())
}

/// Reads the object itself.
fn whole<T: Deserialize<'static>>(fields: &Map<String, Value>) -> Result<T, String> {
    T::deserialize(Value::Object(fields.clone())).map_err(|error| error.to_string())
}
