//! What mends a broken rule: the fields that a container lacks, with values from defaults that are passed in. It knows
//! neither where the defaults come from nor who sets the fields.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ContainerPort, Probe, ResourceRequirements, TCPSocketAction};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde::{Deserialize, Serialize};

/// How a rule's violation is mended.
#[derive(Debug)]
pub struct Fix {
    /// What is set, in one line without a full stop.
    pub summary: &'static str,
    /// Works out what a container lacks.
    pub mend: fn(&Broken<'_>) -> Mend,
}

/// A container that breaks a rule, and what it may be given.
#[derive(Debug, Clone, Copy)]
pub struct Broken<'a> {
    /// The container.
    pub container: &'a PartialContainer,
    /// Whether the pod as a whole has requests or limits.
    pub pod_has_resources: bool,
    /// The values to give it.
    pub defaults: &'a Defaults,
}

/// The fields of a container that fixes read or set, as the API has them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "the fields are the API's")]
pub struct PartialContainer {
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ports: Option<Vec<ContainerPort>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub liveness_probe: Option<Probe>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub readiness_probe: Option<Probe>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub startup_probe: Option<Probe>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourceRequirements>,
}

/// The values that containers without their own are given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Defaults {
    /// The probe.
    pub probe: ProbeDefaults,
    /// Requests and limits; without them no container is given any.
    pub resources: Option<ResourceDefaults>,
}

/// The probe that containers without one are given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProbeDefaults {
    /// The TCP port to connect to; else the container's first declared one is taken.
    pub tcp_port: Option<u16>,
    /// Seconds from the container's start to the first probe; else 0.
    pub initial_delay_seconds: Option<i32>,
    /// Seconds between two probes; else 10.
    pub period_seconds: Option<i32>,
}

/// The amounts, as Kubernetes quantities by the resource's name, that containers without their own are given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResourceDefaults {
    /// What is requested.
    pub requests: BTreeMap<&'static str, String>,
    /// What it is limited to.
    pub limits: BTreeMap<&'static str, String>,
}

/// What mends a container, as far as that can be done.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Mend {
    /// The fields to set, and no other; even the name is left empty.
    pub sets: PartialContainer,
    /// Why more is not set, in sentences without a full stop.
    pub reasons: Vec<String>,
}

impl Mend {
    /// Sets nothing, for a reason.
    pub(super) fn nothing(reason: impl Into<String>) -> Self {
        Self { reasons: vec![reason.into()], ..Self::default() }
    }
}

/// Seconds between two probes where nobody says otherwise.
const PERIOD_SECONDS: i32 = 10;
/// The failures in a row that count, as the API server has them by default.
const FAILURES: i32 = 3;
/// The failures that a starting container may have: with the period above it has five minutes.
const STARTUP_FAILURES: i32 = 30;

/// Returns the liveness or readiness probe that a container is given; an error says why it gets none.
pub(super) fn probe(broken: &Broken<'_>) -> Result<Probe, String> {
    let defaults = &broken.defaults.probe;
    let period = defaults.period_seconds.unwrap_or(PERIOD_SECONDS);
    Ok(Probe {
        // The API server keeps no zero, so that whoever applies one seems to lack it for ever.
        initial_delay_seconds: defaults.initial_delay_seconds.filter(|seconds| *seconds > 0),
        ..connect(port(broken)?, period, FAILURES)
    })
}

/// Returns the startup probe that goes with a probe.
pub(super) fn startup(probe: &Probe) -> Probe {
    Probe {
        initial_delay_seconds: None,
        period_seconds: Some(PERIOD_SECONDS),
        failure_threshold: Some(STARTUP_FAILURES),
        ..probe.clone()
    }
}

/// Every field that the API server would fill in is written, so that the whole probe has one owner.
fn connect(port: i32, period: i32, failures: i32) -> Probe {
    Probe {
        tcp_socket: Some(TCPSocketAction { host: None, port: IntOrString::Int(port) }),
        period_seconds: Some(period),
        timeout_seconds: Some(1),
        success_threshold: Some(1),
        failure_threshold: Some(failures),
        ..Probe::default()
    }
}

fn port(broken: &Broken<'_>) -> Result<i32, String> {
    let tcp = |port: &&ContainerPort| {
        port.protocol.as_deref().is_none_or(|protocol| matches!(protocol, "" | "TCP"))
            && (1..=65535).contains(&port.container_port)
    };
    let declared = || broken.container.ports.iter().flatten().find(tcp).map(|port| port.container_port);
    broken.defaults.probe.tcp_port.map(i32::from).or_else(declared).ok_or_else(|| {
        "the container declares no TCP port to probe: declare one, or name one in defaultProbe.tcpPort"
            .to_owned()
    })
}
