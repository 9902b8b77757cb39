//! Chooses the port of a container for a probe, and gives the reason. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use k8s_openapi::api::core::v1::ContainerPort;

use super::services::{Service, TargetPort};
use super::subject::Subject;
use crate::rules::PartialContainer;

/// The ports that Services target, by container.
pub type Served = BTreeMap<String, Vec<ServedPort>>;

/// A port of a container that a Service targets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServedPort {
    /// The number.
    pub port: i32,
    /// The name of the Service.
    pub service: String,
    /// The name of the Service's port; empty if it has none.
    pub name: String,
}

/// A port to probe, and the reason for it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProbePort {
    /// The number.
    pub port: i32,
    /// The reason.
    pub why: PortReason,
}

/// The reason for a port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum PortReason {
    /// The policy names it.
    Policy,
    /// The Service of this name targets it.
    Service(String),
    /// The container declares no other TCP port.
    Only,
    /// It is the first TCP port of the container that is not a side port.
    First,
    /// It was chosen when the workload was created.
    Creation,
}

impl fmt::Display for PortReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Policy => f.write_str("defaultProbe.tcpPort names it"),
            Self::Service(name) => write!(f, "Service {name} targets it"),
            Self::Only => f.write_str("the container declares no other TCP port"),
            Self::Creation => f.write_str("it was chosen when the workload was created"),
            Self::First => {
                write!(
                    f,
                    "it is the first TCP port of the container with a name unlike {}",
                    Side::NAMES.join(", ")
                )
            }
        }
    }
}

/// The reason why a container has no port to probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoPort {
    /// It declares no port.
    #[error(
        "the container declares no TCP port to probe, and no Service targets one: declare one, or name one in \
         defaultProbe.tcpPort"
    )]
    Undeclared,
    /// It declares several ports, and all have names of side ports.
    #[error(
        "the names of all TCP ports of the container are like {}, and no Service targets one: declare the port that it \
         serves, or name one in defaultProbe.tcpPort", Side::NAMES.join(", ")
    )]
    OnlySide,
}

/// A port besides the main one, which may answer when the main port does not.
struct Side;

impl Side {
    const NAMES: [&'static str; 4] = ["metrics", "admin", "debug", "health"];

    fn is_one(name: &str) -> bool {
        Self::NAMES.iter().any(|side| name.contains(side))
    }
}

/// Returns the ports of a workload's containers that Services target.
///
/// A number that no container declares counts for the container only if the pod has no other container.
pub(super) fn served<'s>(subject: &Subject, services: impl IntoIterator<Item = &'s Service>) -> Served {
    let containers = subject.containers();
    let sidecars: Vec<&PartialContainer> = subject.sidecars().collect();
    let mut served = Served::new();
    for service in services.into_iter().filter(|service| service.selects(subject)) {
        for target in &service.targets {
            let port = |container: &&PartialContainer| match &target.port {
                TargetPort::Number(number) => {
                    tcp_ports(container).any(|port| port.container_port == *number).then_some(*number)
                }
                TargetPort::Name(name) => {
                    let mut named = tcp_ports(container).filter(|port| port.name.as_ref() == Some(name));
                    named.next().map(|port| port.container_port)
                }
            };
            let declared =
                containers.iter().chain(sidecars.iter().copied()).find_map(|one| Some((one, port(&one)?)));
            let found = match (declared, &target.port, containers) {
                (None, TargetPort::Number(number), [only]) if sidecars.is_empty() => Some((only, *number)),
                (declared, ..) => declared,
            };
            let Some((container, port)) = found else { continue };
            served.entry(container.name.clone()).or_default().push(ServedPort {
                port,
                service: service.name.clone(),
                name: target.name.clone(),
            });
        }
    }
    served
}

/// Chooses a container's port to probe: the policy's, else one that a Service targets, else the only declared TCP port,
/// else the first that is not a side port.
pub(super) fn choose(
    container: &PartialContainer,
    served: &[ServedPort],
    of_policy: Option<u16>,
) -> Result<ProbePort, NoPort> {
    if let Some(port) = of_policy {
        return Ok(ProbePort { port: port.into(), why: PortReason::Policy });
    }
    let declared: Vec<&ContainerPort> = tcp_ports(container).collect();
    let is_side = |port: &ContainerPort| port.name.as_deref().is_some_and(Side::is_one);
    // Undeclared ports come after declared ones.
    let place = |served: &&ServedPort| {
        let place = declared.iter().position(|port| port.container_port == served.port);
        let is_side = Side::is_one(&served.name) || place.is_some_and(|place| is_side(declared[place]));
        (is_side, place.is_none(), place, served.port)
    };
    if let Some(ServedPort { port, service, .. }) = served.iter().min_by_key(place) {
        return Ok(ProbePort { port: *port, why: PortReason::Service(service.clone()) });
    }
    match &declared[..] {
        [] => Err(NoPort::Undeclared),
        [only] => Ok(ProbePort { port: only.container_port, why: PortReason::Only }),
        several => {
            let first = several.iter().find(|port| !is_side(port)).ok_or(NoPort::OnlySide)?;
            Ok(ProbePort { port: first.container_port, why: PortReason::First })
        }
    }
}

/// Returns the TCP ports that containers declare, each as container/port.
pub(super) fn declared(containers: &[PartialContainer]) -> BTreeSet<String> {
    let ports =
        containers.iter().flat_map(|container| tcp_ports(container).map(move |port| (container, port)));
    ports.map(|(container, port)| format!("{}/{}", container.name, port.container_port)).collect()
}

/// Parses a declared port, as `container/port`.
pub fn parse_declared(text: &str) -> Option<(&str, u16)> {
    let (container, port) = text.split_once('/')?;
    Some((container, port.parse().ok()?))
}

/// Returns the TCP ports that a container declares.
fn tcp_ports(container: &PartialContainer) -> impl Iterator<Item = &ContainerPort> {
    container.ports.iter().flatten().filter(|port| {
        port.protocol.as_deref().is_none_or(|protocol| matches!(protocol, "" | "TCP"))
            && (1..=65535).contains(&port.container_port)
    })
}

#[cfg(test)]
mod tests;
