//! The `DevOpsPolicy` custom resource: the API that users write. What it means is in `effective`.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rules::{Severity, Value};

/// What a namespace asks of its workloads. An absent field means that its check is off.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema, CustomResource)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "devops.stochastic.io",
    version = "v1",
    kind = "DevOpsPolicy",
    plural = "devopspolicies",
    shortname = "dop",
    namespaced
)]
pub struct DevOpsPolicySpec {
    /// Whether images with the tag latest, or with no tag, are violations (rule latest-tag).
    pub forbid_latest_tag: Option<bool>,
    /// Whether containers need a liveness probe (rule missing-liveness).
    pub require_liveness_probe: Option<bool>,
    /// Whether containers need a readiness probe (rule missing-readiness).
    pub require_readiness_probe: Option<bool>,
    /// Restarts of a container that are still fine (rule high-restarts).
    pub max_restart_count: Option<u32>,
    /// Seconds from a pod's creation in which it may be Pending (rule pending).
    pub forbid_pending_duration: Option<u32>,
    /// Whether containers need requests and a memory limit (rule missing-resources); defaultResources turns it on.
    pub require_resources: Option<bool>,
    /// Rules turned on by their id.
    pub rules: Option<Vec<RuleSelection>>,
    /// Severities that differ from the rules' own; a severity named here also scales the rule's weight.
    pub severity_overrides: Option<SeverityOverrides>,
    /// Whether violations are only reported, or mended too.
    pub enforcement_mode: Option<EnforcementMode>,
    /// The probe that enforcement gives to containers without one.
    pub default_probe: Option<DefaultProbe>,
    /// The requests and limits that enforcement gives to containers without them.
    pub default_resources: Option<DefaultResources>,
    /// How enforcement goes about its patches.
    pub remediation: Option<RemediationSpec>,
    /// What the admission webhook does.
    pub admission: Option<AdmissionSpec>,
}

/// A rule turned on by its id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RuleSelection {
    /// The rule's id, as `kube-devops rules` lists it.
    pub id: String,
    /// The severity of its violations, where it differs from the rule's own.
    pub severity: Option<Severity>,
    /// The rule's parameters by name, as `kube-devops explain` lists them.
    #[schemars(with = "Option<BTreeMap<String, serde_json::Value>>")]
    pub params: Option<BTreeMap<String, Value>>,
}

/// Severities that differ from the rules' own.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SeverityOverrides {
    /// Of rule latest-tag.
    pub latest_tag: Option<Severity>,
    /// Of rule missing-liveness.
    pub missing_liveness: Option<Severity>,
    /// Of rule missing-readiness.
    pub missing_readiness: Option<Severity>,
    /// Of rule high-restarts.
    pub high_restarts: Option<Severity>,
    /// Of rule pending.
    pub pending: Option<Severity>,
    /// Of rule missing-resources.
    pub missing_resources: Option<Severity>,
}

/// Whether violations are only reported, or mended too.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum EnforcementMode {
    /// Nothing is changed.
    #[default]
    Audit,
    /// Workloads are patched where a rule has a fix.
    Enforce,
}

/// The probe that enforcement gives to containers without one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DefaultProbe {
    /// The TCP port; the container's first declared one when absent.
    pub tcp_port: Option<u16>,
    /// Seconds before the first probe.
    pub initial_delay_seconds: Option<u32>,
    /// Seconds between probes.
    pub period_seconds: Option<u32>,
}

/// The requests and limits that enforcement gives to containers without them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DefaultResources {
    /// The CPU request.
    pub cpu_request: Option<IntOrString>,
    /// The CPU limit; setting it makes rule missing-resources ask for one.
    pub cpu_limit: Option<IntOrString>,
    /// The memory request.
    pub memory_request: Option<IntOrString>,
    /// The memory limit.
    pub memory_limit: Option<IntOrString>,
}

/// How enforcement goes about its patches.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RemediationSpec {
    /// The most patches an hour; 10 when absent.
    pub max_per_hour: Option<u32>,
    /// Seconds in which a patched workload must make progress; 300 when absent.
    pub verify_seconds: Option<u32>,
    /// What happens to workloads that a GitOps tool manages.
    pub gitops: Option<GitOpsMode>,
    /// What happens to the patches when the policy is deleted.
    pub on_delete: Option<OnDelete>,
}

/// What happens to workloads that a GitOps tool manages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum GitOpsMode {
    /// They are left alone, and the patch for their source is reported.
    #[default]
    Report,
    /// They are patched like any other.
    Patch,
}

/// What happens to the patches when the policy is deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnDelete {
    /// They stay.
    #[default]
    Keep,
    /// They are withdrawn.
    Revert,
}

/// What the admission webhook does.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AdmissionSpec {
    /// The severity from which objects are denied in mode enforce; critical when absent.
    pub deny_at: Option<Severity>,
    /// Whether new objects get enforcement's defaults.
    pub mutate: Option<bool>,
}
