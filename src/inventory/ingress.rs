//! The fields of an Ingress that rules read.

use serde::Deserialize;

use super::service::TargetPort;
use crate::workload::{Present, nullable};

/// An Ingress.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the fields are the API's")]
pub struct Ingress {
    #[serde(default, deserialize_with = "nullable")]
    pub ingress_class_name: String,
    #[serde(default, deserialize_with = "nullable")]
    pub tls: Vec<Tls>,
    /// `backend` in the former versions.
    #[serde(default, alias = "backend", deserialize_with = "nullable")]
    pub default_backend: Option<Backend>,
    #[serde(default, deserialize_with = "nullable")]
    pub rules: Vec<IngressRule>,
}

/// The hosts of a certificate.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[allow(missing_docs, reason = "the fields are the API's")]
pub struct Tls {
    #[serde(default, deserialize_with = "nullable")]
    pub hosts: Vec<String>,
}

/// The paths of a host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[allow(missing_docs, reason = "the fields are the API's")]
pub struct IngressRule {
    #[serde(default, deserialize_with = "nullable")]
    pub host: String,
    #[serde(default, deserialize_with = "nullable")]
    pub http: Http,
}

/// The paths of a host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[allow(missing_docs, reason = "the fields are the API's")]
pub struct Http {
    #[serde(default, deserialize_with = "nullable")]
    pub paths: Vec<IngressPath>,
}

/// A path of a host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[allow(missing_docs, reason = "the fields are the API's")]
pub struct IngressPath {
    #[serde(default, deserialize_with = "nullable")]
    pub backend: Backend,
}

/// The target of a path.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the fields are the API's")]
pub struct Backend {
    service: Option<BackendService>,
    resource: Option<Present>,
    /// In the former versions.
    service_name: Option<String>,
    service_port: Option<TargetPort>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
struct BackendService {
    #[serde(default, deserialize_with = "nullable")]
    name: String,
    #[serde(default, deserialize_with = "nullable")]
    port: WrittenPort,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
struct WrittenPort {
    name: Option<String>,
    number: Option<i64>,
}

/// The port of a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackendPort<'a> {
    /// The name of a port of the Service.
    Name(&'a str),
    /// The number of a port of the Service.
    Number(i64),
    /// No port is named.
    Absent,
}

impl Ingress {
    /// Iterates over the backends, each with its path in the object.
    pub fn backends(&self) -> impl Iterator<Item = (String, &Backend)> {
        let default = self.default_backend.iter().map(|backend| ("spec.defaultBackend".to_owned(), backend));
        let rules = self.rules.iter().enumerate().flat_map(|(rule, host)| {
            host.http.paths.iter().enumerate().map(move |(path, target)| {
                (format!("spec.rules[{rule}].http.paths[{path}].backend"), &target.backend)
            })
        });
        default.chain(rules)
    }
}

impl Backend {
    /// Returns the Service and its port; `None` for a backend of another kind.
    pub fn service(&self) -> Option<(&str, BackendPort<'_>)> {
        if self.resource.is_some() {
            return None;
        }
        let (name, port) = match (&self.service, &self.service_name) {
            (Some(service), _) => match (&service.port.name, service.port.number) {
                (Some(name), _) if !name.is_empty() => (&service.name, BackendPort::Name(name)),
                (_, Some(number)) => (&service.name, BackendPort::Number(number)),
                _ => (&service.name, BackendPort::Absent),
            },
            (None, Some(name)) => match &self.service_port {
                Some(TargetPort::Name(port)) => (name, BackendPort::Name(port)),
                Some(TargetPort::Number(port)) => (name, BackendPort::Number(*port)),
                None => (name, BackendPort::Absent),
            },
            (None, None) => return None,
        };
        (!name.is_empty()).then_some((name, port))
    }
}
