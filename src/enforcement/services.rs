//! The Services of a namespace, reduced to the pods and ports that they target. Pure.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde::Deserialize;

use super::objects::Object;
use super::subject::Subject;

/// A Service.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Service {
    /// The Service's name.
    pub name: String,
    /// The labels of its pods; empty for a Service without a selector.
    pub selector: BTreeMap<String, String>,
    /// The TCP ports that it targets.
    pub targets: Vec<Target>,
    /// True if clients address each pod: the Service is headless, or publishes the addresses of pods that are not
    /// ready.
    pub is_for_peers: bool,
}

/// A TCP port that a Service targets.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target {
    /// The name of the Service's port; empty if it has none.
    pub name: String,
    /// The port of the pod.
    pub port: TargetPort,
}

/// The target port of a Service.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TargetPort {
    /// A port number.
    Number(i32),
    /// The name of a port that a container declares.
    Name(String),
}

impl Service {
    /// Reads a Service from JSON.
    pub fn read(json: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str::<Object<ServiceSpec>>(json).map(Self::from)
    }

    /// Returns true if the Service selects the pods of a workload.
    pub fn selects(&self, subject: &Subject) -> bool {
        let metadata = subject.template().and_then(|template| template.metadata.as_ref());
        let labels = metadata.and_then(|metadata| metadata.labels.as_ref());
        !self.selector.is_empty()
            && self
                .selector
                .iter()
                .all(|(key, value)| labels.and_then(|labels| labels.get(key)) == Some(value))
    }
}

impl From<Object<ServiceSpec>> for Service {
    fn from(service: Object<ServiceSpec>) -> Self {
        let spec = service.spec.unwrap_or_default();
        // The selector of an `ExternalName` Service has no effect, but the API server keeps it.
        let is_alias = spec.type_.as_deref() == Some("ExternalName");
        let targets = spec.ports.into_iter().filter(ServicePort::is_tcp).map(|port| Target {
            port: match port.target_port {
                Some(IntOrString::Int(number)) => TargetPort::Number(number),
                Some(IntOrString::String(name)) => TargetPort::Name(name),
                None => TargetPort::Number(port.port),
            },
            name: port.name.unwrap_or_default(),
        });
        Self {
            name: service.metadata.name.unwrap_or_default(),
            selector: spec.selector.filter(|_| !is_alias).unwrap_or_default(),
            targets: targets.collect(),
            is_for_peers: spec.cluster_ip.as_deref() == Some("None") || spec.publish_not_ready_addresses,
        }
    }
}

/// The relevant fields of a Service's spec.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServiceSpec {
    #[serde(rename = "type")]
    type_: Option<String>,
    #[serde(rename = "clusterIP")]
    cluster_ip: Option<String>,
    publish_not_ready_addresses: bool,
    selector: Option<BTreeMap<String, String>>,
    ports: Vec<ServicePort>,
}

/// The relevant fields of a Service's port.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ServicePort {
    name: Option<String>,
    port: i32,
    protocol: Option<String>,
    target_port: Option<IntOrString>,
}

impl ServicePort {
    fn is_tcp(&self) -> bool {
        matches!(self.protocol.as_deref(), None | Some("TCP"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::workload::WorkloadKind;

    fn service(spec: &Value) -> Service {
        Service::read(&json!({ "metadata": { "name": "web" }, "spec": spec }).to_string()).unwrap()
    }

    #[test]
    fn a_service_targets_tcp_ports_by_number_by_name_or_by_default() {
        let ports = json!([
            { "port": 80 },
            { "port": 81, "targetPort": 8081, "protocol": "TCP", "name": "a" },
            { "port": 82, "targetPort": "http" },
            { "port": 53, "protocol": "UDP" },
        ]);
        let found = service(&json!({ "ports": ports })).targets;
        let target = |name: &str, port| Target { name: name.to_owned(), port };
        let expected = [
            target("", TargetPort::Number(80)),
            target("a", TargetPort::Number(8081)),
            target("", TargetPort::Name("http".to_owned())),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn services_for_peers_are_headless_or_publish_unready_pods() {
        for (spec, expected) in [
            (json!({}), false),
            (json!({ "clusterIP": "10.0.0.1" }), false),
            (json!({ "clusterIP": "None" }), true),
            (json!({ "clusterIP": "10.0.0.1", "publishNotReadyAddresses": true }), true),
        ] {
            assert_eq!(service(&spec).is_for_peers, expected, "{spec}");
        }
    }

    #[test]
    fn a_service_selects_pods_by_all_labels_of_its_selector() {
        let template = json!({ "metadata": { "labels": { "app": "web", "tier": "front" } } });
        let spec = json!({ "selector": {}, "template": template });
        let object = json!({ "metadata": { "name": "web" }, "spec": spec });
        let subject = Subject::read(WorkloadKind::Deployment, object).unwrap();
        for (spec, expected) in [
            (json!({ "selector": { "app": "web" } }), true),
            (json!({ "selector": { "app": "web", "tier": "front" } }), true),
            (json!({ "selector": { "app": "web", "tier": "back" } }), false),
            (json!({ "selector": { "zone": "a" } }), false),
            (json!({ "selector": {} }), false),
            (json!({}), false),
            (json!({ "selector": { "app": "web" }, "type": "ExternalName" }), false),
        ] {
            assert_eq!(service(&spec).selects(&subject), expected, "{spec}");
        }
    }
}
