//! The fields of a Service that rules read.

use serde::Deserialize;

use super::read::label_map;
use crate::workload::{LabelSelector, nullable};

/// A Service.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the fields are the API's")]
pub struct Service {
    /// Empty for `ClusterIP`.
    #[serde(default, rename = "type", deserialize_with = "nullable")]
    pub type_: String,
    #[serde(default, rename = "clusterIP", deserialize_with = "nullable")]
    pub cluster_ip: String,
    #[serde(default, deserialize_with = "label_map")]
    pub selector: LabelSelector<'static>,
    #[serde(default, deserialize_with = "nullable")]
    pub publish_not_ready_addresses: bool,
    #[serde(default, deserialize_with = "nullable")]
    pub ports: Vec<ServicePort>,
}

/// A port of a Service.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the fields are the API's")]
pub struct ServicePort {
    #[serde(default, deserialize_with = "nullable")]
    pub name: String,
    #[serde(default, deserialize_with = "nullable")]
    pub port: i64,
    pub target_port: Option<TargetPort>,
    /// Empty for `TCP`.
    #[serde(default, deserialize_with = "nullable")]
    pub protocol: String,
}

/// A port by number or by name.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum TargetPort {
    /// The number. Every pod has it, declared or not.
    Number(i64),
    /// The name of a declared port.
    Name(String),
}

impl Service {
    /// Returns true if the Service stands for a name outside of the cluster.
    pub fn is_external_name(&self) -> bool {
        self.type_ == "ExternalName"
    }

    /// Returns true if the Service selects pods. An empty selector selects nothing.
    pub fn selects_pods(&self) -> bool {
        !self.is_external_name() && !self.selector.is_empty()
    }
}

impl ServicePort {
    /// The protocol, the API server's default included.
    pub fn protocol(&self) -> &str {
        if self.protocol.is_empty() { "TCP" } else { &self.protocol }
    }
}
