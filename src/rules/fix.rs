//! Fixes of rules: the fields that a container lacks, with values from defaults that are passed in. This module knows
//! neither the source of the defaults nor the code that sets the fields.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ContainerPort, Probe, ResourceRequirements, TCPSocketAction};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde::{Deserialize, Serialize};

/// The fix of a rule's violations.
#[derive(Debug)]
pub struct Fix {
    /// The fields that it sets, in one line without a full stop.
    pub summary: &'static str,
    /// The field of a container that the rule requires, or the one that holds what it requires.
    pub field: &'static str,
    /// Finds the fields that a container lacks.
    pub compute: fn(&FixInput<'_>) -> FixOutcome,
}

/// A container that breaks a rule, and the defaults to fix it with.
#[derive(Debug, Clone, Copy)]
pub struct FixInput<'a> {
    /// The container.
    pub container: &'a PartialContainer,
    /// True where the pod as a whole has requests or limits.
    pub pod_has_resources: bool,
    /// The values to set.
    pub defaults: &'a Defaults,
    /// The TCP port to probe, or the reason why there is none, in a sentence without a full stop.
    pub port: Result<i32, &'a str>,
}

/// The fields of a container that fixes read or set, as the API has them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "the fields are the API's")]
pub struct PartialContainer {
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restart_policy: Option<String>,
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

/// The values for containers without their own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Defaults {
    /// The probe.
    pub probe: ProbeDefaults,
    /// Requests and limits; `None` sets none.
    pub resources: Option<ResourceDefaults>,
}

/// The probe for containers without one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ProbeDefaults {
    /// The TCP port to connect to. It goes before every other.
    pub tcp_port: Option<u16>,
    /// Seconds from the container's start to the first probe; 0 by default.
    pub initial_delay_seconds: Option<i32>,
    /// Seconds between two probes; 10 by default.
    pub period_seconds: Option<i32>,
}

/// Amounts for containers without their own, as Kubernetes quantities by the resource's name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ResourceDefaults {
    /// The requests.
    pub requests: BTreeMap<&'static str, String>,
    /// The limits.
    pub limits: BTreeMap<&'static str, String>,
}

/// The fix of a container, as far as it can be fixed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FixOutcome {
    /// The fields to set, and nothing else; even the name is empty.
    pub sets: PartialContainer,
    /// Reasons for not setting more, in sentences without a full stop.
    pub reasons: Vec<String>,
}

impl FixOutcome {
    /// Sets nothing, for a reason.
    pub(super) fn nothing(reason: impl Into<String>) -> Self {
        Self { reasons: vec![reason.into()], ..Self::default() }
    }
}

/// Default seconds between two probes.
const PERIOD_SECONDS: i32 = 10;
/// Failures in a row until a probe counts as failed; the API server's default.
const FAILURES: i32 = 3;
/// Seconds between two startup probes: nothing is ready before one succeeds, so each is waited for.
const STARTUP_PERIOD_SECONDS: i32 = 1;
/// Failures that a starting container may have; with the period above, five minutes.
const STARTUP_FAILURES: i32 = 300;

/// Returns the liveness or readiness probe for a container; an error gives the reason for none.
pub(super) fn probe(input: &FixInput<'_>) -> Result<Probe, String> {
    let defaults = &input.defaults.probe;
    let period = defaults.period_seconds.unwrap_or(PERIOD_SECONDS);
    Ok(Probe {
        // The API server drops a zero, so an applied zero would seem to be missing forever.
        initial_delay_seconds: defaults.initial_delay_seconds.filter(|seconds| *seconds > 0),
        ..connect(input.port?, period, FAILURES)
    })
}

/// Returns the startup probe that belongs to a probe.
pub(super) fn startup(probe: &Probe) -> Probe {
    Probe {
        initial_delay_seconds: None,
        period_seconds: Some(STARTUP_PERIOD_SECONDS),
        failure_threshold: Some(STARTUP_FAILURES),
        ..probe.clone()
    }
}

/// Sets every field that the API server would default, so that the whole probe has one owner.
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
