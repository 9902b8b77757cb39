//! The `DevOpsPolicy` custom resource: the API that users write. What it means is in `effective`.
//!
//! The comments on fields are what `kubectl explain` shows.

use std::collections::BTreeMap;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Amount, DevOpsPolicyStatus, schema};
use crate::rules::{Severity, Value};

/// What is asked of the workloads of the policy's namespace. An absent field means that its check is off.
#[expect(clippy::duplicated_attributes, reason = "each column of a table has a type of its own")]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema, CustomResource)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = schema::check_turned_on_once)]
#[kube(
    group = "devops.stochastic.io",
    version = "v1",
    kind = "DevOpsPolicy",
    plural = "devopspolicies",
    shortname = "dop",
    namespaced,
    status = "DevOpsPolicyStatus",
    doc = "A DevOpsPolicy says what kube-devops asks of the workloads in the policy's namespace, how much each \
           violation counts, and whether violations are only reported or mended too.",
    printcolumn(
        name = "Mode",
        type_ = "string",
        json_path = ".spec.enforcementMode",
        description = "Whether violations are only reported (audit), or mended too (enforce)"
    ),
    printcolumn(
        name = "Score",
        type_ = "integer",
        json_path = ".status.healthScore",
        description = "The health score, from 0 to 100"
    ),
    printcolumn(
        name = "Status",
        type_ = "string",
        json_path = ".status.classification",
        description = "The class of the score"
    ),
    printcolumn(
        name = "Violations",
        type_ = "integer",
        json_path = ".status.violations",
        description = "How many violations there are, one per container and rule"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
pub struct DevOpsPolicySpec {
    /// Whether an image with the tag latest, or with neither tag nor digest, is a violation (rule latest-tag).
    pub forbid_latest_tag: Option<bool>,
    /// Whether a container without a liveness probe is a violation (rule missing-liveness).
    pub require_liveness_probe: Option<bool>,
    /// Whether a container without a readiness probe is a violation (rule missing-readiness).
    pub require_readiness_probe: Option<bool>,
    /// How many restarts of a container are still fine; more are a violation (rule high-restarts).
    #[schemars(with = "Option<i32>", range(min = 0, max = i32::MAX))]
    pub max_restart_count: Option<u32>,
    /// How many seconds after its creation a pod may still be Pending; longer is a violation (rule pending).
    #[schemars(with = "Option<i32>", range(min = 0, max = i32::MAX))]
    pub forbid_pending_duration: Option<u32>,
    /// Whether a container without a CPU request, a memory request or a memory limit is a violation (rule
    /// missing-resources). When absent, defaultResources turns the rule on; false keeps it off.
    pub require_resources: Option<bool>,
    /// More rules to turn on, each by its id and at most once. A rule that has a field of its own above, such as
    /// forbidLatestTag, is turned on there or here, not by both.
    #[schemars(
        length(max = 64),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["id"])
    )]
    pub rules: Option<Vec<RuleSelection>>,
    /// Severities that differ from the rules' own. A severity that is named here also multiplies what a violation of the
    /// rule costs the score: critical by 3, high by 2, medium by 1 and low by 1/2.
    pub severity_overrides: Option<SeverityOverrides>,
    /// Whether violations are only reported (audit), or mended too where a rule has a fix (enforce).
    #[serde(default)]
    pub enforcement_mode: EnforcementMode,
    /// The probe that enforcement gives to containers without one.
    pub default_probe: Option<DefaultProbe>,
    /// The requests and limits that enforcement gives to containers without them. No request may be above its limit.
    pub default_resources: Option<DefaultResources>,
    /// How enforcement goes about its patches.
    pub remediation: Option<RemediationSpec>,
    /// What the admission webhook does with new and changed workloads.
    pub admission: Option<AdmissionSpec>,
}

/// A rule turned on by its id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = schema::check_parameters)]
pub struct RuleSelection {
    /// The rule's id, as `kube-devops rules` lists it.
    #[schemars(schema_with = "schema::rule_id")]
    pub id: String,
    /// The severity of the rule's violations, where it differs from the rule's own. It changes reports and not the score.
    pub severity: Option<Severity>,
    /// The rule's parameters, as `kube-devops explain` lists them.
    #[schemars(with = "Option<schema::RuleParameters>")]
    pub params: Option<BTreeMap<String, Value>>,
}

/// Severities that differ from the rules' own.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SeverityOverrides {
    /// The severity of rule latest-tag.
    pub latest_tag: Option<Severity>,
    /// The severity of rule missing-liveness.
    pub missing_liveness: Option<Severity>,
    /// The severity of rule missing-readiness.
    pub missing_readiness: Option<Severity>,
    /// The severity of rule high-restarts.
    pub high_restarts: Option<Severity>,
    /// The severity of rule pending.
    pub pending: Option<Severity>,
    /// The severity of rule missing-resources.
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
    /// The TCP port to connect to, from 1 to 65535. When absent, the container's first declared TCP port is taken; a
    /// container that declares none gets no probe.
    #[schemars(with = "Option<i32>", range(min = 1, max = 65535))]
    pub tcp_port: Option<u16>,
    /// How many seconds after the container's start the first probe comes. When absent, Kubernetes' own default holds, 0.
    #[schemars(with = "Option<i32>", range(min = 0, max = 86400))]
    pub initial_delay_seconds: Option<u32>,
    /// How many seconds lie between two probes, at least 1. When absent, Kubernetes' own default holds, 10.
    #[schemars(with = "Option<i32>", range(min = 1, max = 86400))]
    pub period_seconds: Option<u32>,
}

/// The requests and limits that enforcement gives to containers without them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = schema::check_requests)]
pub struct DefaultResources {
    /// The CPU request, such as 100m.
    pub cpu_request: Option<Amount>,
    /// The CPU limit, such as "1". Setting it makes rule missing-resources ask for a CPU limit too.
    pub cpu_limit: Option<Amount>,
    /// The memory request, such as 128Mi.
    pub memory_request: Option<Amount>,
    /// The memory limit, such as 256Mi.
    pub memory_limit: Option<Amount>,
}

/// How enforcement goes about its patches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RemediationSpec {
    /// The most workloads that this policy has patched in an hour; 0 stops it.
    #[schemars(with = "i32", range(min = 0, max = 10_000))]
    pub max_per_hour: u32,
    /// How many seconds a patched workload has to get a new pod ready before the patch is withdrawn, from 30 to 86400.
    #[schemars(with = "i32", range(min = 30, max = 86400))]
    pub verify_seconds: u32,
    /// What happens to workloads that a GitOps tool manages: report leaves them alone and reports the patch for their
    /// source, patch treats them like any other.
    pub gitops: GitOpsMode,
    /// What happens to the patches when the policy is deleted: keep leaves them, revert withdraws them.
    pub on_delete: OnDelete,
}

impl Default for RemediationSpec {
    fn default() -> Self {
        Self {
            max_per_hour: 10,
            verify_seconds: 300,
            gitops: GitOpsMode::default(),
            on_delete: OnDelete::default(),
        }
    }
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AdmissionSpec {
    /// The severity from which a workload is denied when enforcementMode is enforce; lesser violations are warnings.
    pub deny_at: Severity,
    /// Whether new workloads get defaultProbe and defaultResources when they are created.
    pub mutate: bool,
}

impl Default for AdmissionSpec {
    fn default() -> Self {
        Self { deny_at: Severity::Critical, mutate: false }
    }
}
