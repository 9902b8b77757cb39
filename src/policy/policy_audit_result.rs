//! The `PolicyAuditResult` custom resource: what a policy found at one moment, kept as an audit trail.
//!
//! The comments on fields are what `kubectl explain` shows.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rules::Severity;

/// What a policy found at one moment.
#[expect(clippy::duplicated_attributes, reason = "each column of a table has a type of its own")]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, CustomResource)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "devops.stochastic.io",
    version = "v1",
    kind = "PolicyAuditResult",
    plural = "policyauditresults",
    shortname = "par",
    namespaced,
    doc = "A PolicyAuditResult is what a DevOpsPolicy found in its namespace at one moment. The operator writes one \
           whenever the violations changed, and keeps the newest of each policy.",
    printcolumn(
        name = "Policy",
        type_ = "string",
        json_path = ".spec.policyName",
        description = "The policy that was judged under"
    ),
    printcolumn(
        name = "Score",
        type_ = "integer",
        json_path = ".spec.healthScore",
        description = "The health score, from 0 to 100"
    ),
    printcolumn(
        name = "Status",
        type_ = "string",
        json_path = ".spec.classification",
        description = "The class of the score"
    ),
    printcolumn(
        name = "Violations",
        type_ = "integer",
        json_path = ".spec.totalViolations",
        description = "How many violations there were, one per container and rule"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
pub struct PolicyAuditResultSpec {
    /// The name of the policy, which is in the same namespace.
    #[schemars(length(min = 1, max = 253))]
    pub policy_name: String,
    /// The name of the cluster, where it was given one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub cluster_name: Option<String>,
    /// When the namespace was judged.
    pub timestamp: Time,
    /// The health score of the namespace under the policy, from 0 to 100.
    #[schemars(with = "i32", range(min = 0, max = 100))]
    pub health_score: u8,
    /// The class of the score: Healthy, Stable, Degraded or Critical.
    #[schemars(length(max = 63))]
    pub classification: String,
    /// How many pods were judged.
    #[schemars(with = "i64", range(min = 0))]
    pub total_pods: u64,
    /// How many violations there were, those that are not listed here too.
    #[schemars(with = "i64", range(min = 0))]
    pub total_violations: u64,
    /// The violations, worst first; as many as fit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 500))]
    pub violations: Vec<AuditedViolation>,
    /// How many patches there are for workloads that are left to whoever manages them, those that are not listed here
    /// too.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<i64>", range(min = 0))]
    pub total_fixes: Option<u64>,
    /// Patches that would mend violations; as many as fit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub fixes: Vec<SuggestedFix>,
}

/// One violation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditedViolation {
    /// The name of a pod that violates the policy.
    #[schemars(length(max = 253))]
    pub pod_name: String,
    /// The name of the container; absent when the violation is the whole pod's.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub container_name: Option<String>,
    /// The id of the rule that is broken, as `kube-devops rules` lists it.
    #[schemars(length(min = 1, max = 63))]
    pub violation_type: String,
    /// How bad the violation is under the policy.
    pub severity: Severity,
    /// What is wrong and what would mend it.
    #[schemars(length(max = 1024))]
    pub message: String,
}

/// A patch that would mend violations of one workload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SuggestedFix {
    /// The workload's kind.
    #[schemars(length(min = 1, max = 63))]
    pub kind: String,
    /// The workload's name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The patch as JSON, for `kubectl patch --type=strategic`.
    #[schemars(length(max = 32768))]
    pub patch: String,
}
