//! The `DevOpsPolicy` custom resource: the API that users write. `effective` has its meaning.
//!
//! `kubectl explain` shows the comments on fields.

use std::collections::BTreeMap;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Amount, CustomRuleSpec, DevOpsPolicyStatus, SeverityOverrides, schema};
use crate::rules::{Severity, Value};

/// The most rules that a policy can turn on by their ids; more than there are.
const MOST_RULES: usize = 100;

/// The checks for the workloads of the policy's namespace. An absent field turns its check off.
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
           violation counts, and whether violations are only reported or fixed too.",
    printcolumn(
        name = "Mode",
        type_ = "string",
        json_path = ".spec.enforcementMode",
        description = "Whether violations are only reported (audit), or fixed too (enforce)"
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
    printcolumn(
        name = "Pods",
        type_ = "integer",
        json_path = ".status.pods",
        description = "The number of evaluated pods",
        priority = 1
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
pub struct DevOpsPolicySpec {
    /// Report images with the tag latest, or with neither tag nor digest (rule latest-tag).
    pub forbid_latest_tag: Option<bool>,
    /// Report containers without a liveness probe (rule missing-liveness).
    pub require_liveness_probe: Option<bool>,
    /// Report containers without a readiness probe (rule missing-readiness).
    pub require_readiness_probe: Option<bool>,
    /// The number of restarts that a container may have. More restarts are a violation (rule high-restarts).
    #[schemars(with = "Option<i32>", range(min = 0, max = i32::MAX))]
    pub max_restart_count: Option<u32>,
    /// The number of seconds after its creation that a pod may stay Pending. After that it is a violation (rule
    /// pending).
    #[schemars(with = "Option<i32>", range(min = 0, max = i32::MAX))]
    pub forbid_pending_duration: Option<u32>,
    /// Report containers without a CPU request, a memory request or a memory limit (rule missing-resources). If absent,
    /// defaultResources turns the rule on; false keeps it off.
    pub require_resources: Option<bool>,
    /// More rules to turn on, each by its id and at most once. A rule with its own field above, such as
    /// forbidLatestTag, may be turned on there or here, but not in both places.
    #[schemars(
        length(max = MOST_RULES),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["id"])
    )]
    pub rules: Option<Vec<RuleSelection>>,
    /// Rules of the policy's own, in CEL.
    #[schemars(
        length(max = 32),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["id"])
    )]
    pub custom_rules: Option<Vec<CustomRuleSpec>>,
    /// Severities that replace those of the rules, by id. A severity in this list also multiplies the score penalty of
    /// its rule: critical by 3, high by 2, medium by 1 and low by 1/2.
    pub severity_overrides: Option<SeverityOverrides>,
    /// The mode: audit only reports violations; enforce also patches workloads if the rule has a fix.
    #[serde(default)]
    pub enforcement_mode: EnforcementMode,
    /// The probe that enforcement adds to containers without one.
    pub default_probe: Option<DefaultProbe>,
    /// The requests and limits that enforcement adds to containers without them. A request may not exceed its limit.
    pub default_resources: Option<DefaultResources>,
    /// Settings for patches in enforce mode.
    pub remediation: Option<RemediationSpec>,
    /// Settings for admission: objects are evaluated before the API server stores them.
    pub admission: Option<AdmissionSpec>,
    /// The objects whose annotation devops.stochastic.io/exempt exempts from rules: none; namespace for Namespaces; or
    /// workload for Namespaces and workloads. If absent, workload in mode audit and namespace in mode enforce.
    pub exemptions: Option<ExemptionLevel>,
}

impl DevOpsPolicySpec {
    /// Returns the objects that may exempt from the rules of the policy, unless a rule says otherwise.
    pub fn exemption_level(&self) -> ExemptionLevel {
        self.exemptions.unwrap_or(match self.enforcement_mode {
            EnforcementMode::Audit => ExemptionLevel::Workload,
            EnforcementMode::Enforce => ExemptionLevel::Namespace,
        })
    }
}

/// The objects whose annotations may exempt from a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ExemptionLevel {
    /// Annotations exempt nothing.
    None,
    /// The annotations of a Namespace exempt the objects in it.
    Namespace,
    /// The annotations of a Namespace and of a workload exempt.
    Workload,
}

/// A rule turned on by its id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = schema::check_parameters)]
pub struct RuleSelection {
    /// The rule's id, as listed by `kube-devops rules`.
    #[schemars(schema_with = "schema::rule_id")]
    pub id: String,
    /// A severity that replaces the rule's own. It changes reports, but not the score.
    pub severity: Option<Severity>,
    /// The rule's parameters, as listed by `kube-devops explain`.
    #[schemars(with = "Option<schema::RuleParameters>")]
    pub params: Option<BTreeMap<String, Value>>,
    /// The objects that may exempt from this rule, in place of the exemptions of the policy.
    pub exemptions: Option<ExemptionLevel>,
}

/// The mode of a policy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum EnforcementMode {
    /// Violations are reported. Nothing is changed.
    #[default]
    Audit,
    /// Violations are reported, and workloads are patched if the rule has a fix.
    Enforce,
}

/// The probe that enforcement adds to containers without one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DefaultProbe {
    /// The TCP port to connect to, from 1 to 65535, in every container. If absent, the port that a Service targets in
    /// the container, else its only declared TCP port, else the first with a name unlike metrics, admin, debug and
    /// health. A container without such a port gets no probe.
    #[schemars(with = "Option<i32>", range(min = 1, max = 65535))]
    pub tcp_port: Option<u16>,
    /// Seconds from the container's start to the first probe. If absent, the Kubernetes default of 0.
    #[schemars(with = "Option<i32>", range(min = 0, max = 86400))]
    pub initial_delay_seconds: Option<u32>,
    /// Seconds between two probes, at least 1. If absent, the Kubernetes default of 10.
    #[schemars(with = "Option<i32>", range(min = 1, max = 86400))]
    pub period_seconds: Option<u32>,
}

/// The requests and limits that enforcement adds to containers without them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = schema::check_requests)]
pub struct DefaultResources {
    /// The CPU request, such as 100m.
    pub cpu_request: Option<Amount>,
    /// The CPU limit, such as "1". If set, rule missing-resources requires a CPU limit too.
    pub cpu_limit: Option<Amount>,
    /// The memory request, such as 128Mi.
    pub memory_request: Option<Amount>,
    /// The memory limit, such as 256Mi.
    pub memory_limit: Option<Amount>,
}

/// Settings for patches in enforce mode.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RemediationSpec {
    /// The maximum number of workloads that are patched for this policy in an hour; 0 stops it.
    #[schemars(with = "i32", range(min = 0, max = 10_000))]
    pub max_per_hour: u32,
    /// Seconds within which a patched workload must get a new pod ready, from 30 to 3600. After that, the patch is
    /// withdrawn.
    #[schemars(with = "i32", range(min = 30, max = 3600))]
    pub verify_seconds: u32,
    /// The treatment of workloads that a GitOps tool manages: report leaves them alone and reports a patch for their
    /// source; patch treats them like all others.
    pub gitops: GitOpsMode,
    /// The treatment of patches when the policy is deleted: keep leaves them in place; revert withdraws them.
    pub on_delete: OnDelete,
    /// Also patch workloads that replace one pod at a time while others stay available, such as a StatefulSet with two
    /// pods. The operator first connects to the probe's port on one pod. Also set readiness and startup probes on a
    /// StatefulSet, and on a workload behind a headless Service.
    pub allow_unavailable: bool,
    /// Patch also workloads that a rollout may leave without an available pod, such as a Deployment without surge. A
    /// faulty patch takes such a workload down until the patch is withdrawn.
    pub allow_downtime: bool,
}

impl RemediationSpec {
    /// The longest time to verify a patch, in seconds. A value that was stored before the CRD had this limit is longer.
    pub const LONGEST_VERIFY_SECONDS: u32 = 3600;

    /// Returns the settings within their limits.
    #[must_use]
    pub fn within_limits(self) -> Self {
        Self { verify_seconds: self.verify_seconds.min(Self::LONGEST_VERIFY_SECONDS), ..self }
    }
}

impl Default for RemediationSpec {
    fn default() -> Self {
        Self {
            max_per_hour: 10,
            verify_seconds: 300,
            gitops: GitOpsMode::default(),
            on_delete: OnDelete::default(),
            allow_unavailable: false,
            allow_downtime: false,
        }
    }
}

/// The treatment of workloads that a GitOps tool manages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum GitOpsMode {
    /// They are left alone, and a patch for their source is reported.
    #[default]
    Report,
    /// They are patched like all others.
    Patch,
}

/// The treatment of patches when the policy is deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnDelete {
    /// They stay.
    #[default]
    Keep,
    /// They are withdrawn.
    Revert,
}

/// Settings for admission.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AdmissionSpec {
    /// The severity from which a workload is denied when enforcementMode is enforce; lesser violations are warnings.
    pub deny_at: Severity,
    /// Add probes and defaultResources to new workloads when enforcementMode is enforce, as enforcement would later. The
    /// webhook has to be installed.
    pub mutate: bool,
}

impl Default for AdmissionSpec {
    fn default() -> Self {
        Self { deny_at: Severity::Critical, mutate: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_can_turn_on_every_rule() {
        assert!(crate::rules::RULES.len() <= MOST_RULES);
    }

    #[test]
    fn a_stored_time_to_verify_is_cut_to_an_hour() {
        let within = |verify_seconds| {
            RemediationSpec { verify_seconds, ..RemediationSpec::default() }.within_limits().verify_seconds
        };
        assert_eq!((within(30), within(3600), within(86400)), (30, 3600, 3600));
    }
}
