//! The `PolicyAuditResult` custom resource: the findings of a policy at one moment, kept as an audit trail.
//!
//! The comments on fields are what `kubectl explain` shows.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rules::Severity;
use crate::workload::Owner;

/// The findings of a policy at one moment.
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
    doc = "A PolicyAuditResult holds the findings of a policy in one namespace at one moment. The operator \
           writes one when the violations change, and keeps the newest ones of each policy.",
    printcolumn(
        name = "Policy",
        type_ = "string",
        json_path = ".spec.policyName",
        description = "The evaluated policy"
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
        description = "The number of violations, one per pod, container and rule"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
pub struct PolicyAuditResultSpec {
    /// The name of the policy, which is in the same namespace. That of a ClusterDevOpsPolicy begins with cluster/.
    #[schemars(length(min = 1, max = 261))]
    pub policy_name: String,
    /// The name of the cluster, if one was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub cluster_name: Option<String>,
    /// The time of the evaluation.
    pub timestamp: Time,
    /// The health score of the namespace under the policy, from 0 to 100.
    #[schemars(with = "i32", range(min = 0, max = 100))]
    pub health_score: u8,
    /// The class of the score: Healthy, Stable, Degraded or Critical.
    #[schemars(length(max = 63))]
    pub classification: String,
    /// The number of evaluated pods; a template without pods counts as one.
    #[schemars(with = "i64", range(min = 0))]
    pub total_pods: u64,
    /// The number of violations, one per pod, container and rule. It includes those that are not listed here.
    #[schemars(with = "i64", range(min = 0))]
    pub total_violations: u64,
    /// The number of findings that annotations exempt. No other figure has them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<i64>", range(min = 0))]
    pub total_exempted: Option<u64>,
    /// The exemptions by annotations, each with its findings or the day on which it ended; as many as fit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50), inner(length(max = 4096)))]
    pub exempted: Vec<String>,
    /// The violations, one entry per workload, container and rule, the worst first; as many as fit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 500))]
    pub violations: Vec<AuditedViolation>,
    /// The number of patches for workloads that another tool manages. It includes those that are not listed here.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<i64>", range(min = 0))]
    pub total_fixes: Option<u64>,
    /// Patches that would fix violations; as many as fit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub fixes: Vec<SuggestedFix>,
}

/// A violation of one container of a workload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditedViolation {
    /// The kind of the workload or other object that violates the policy; Pod for a pod without an owner.
    #[schemars(length(min = 1, max = 63))]
    pub kind: String,
    /// The name of the workload or other object.
    #[schemars(length(max = 253))]
    pub name: String,
    /// The number of its pods with this violation; 1 for a template without pods, and for an object that is no workload.
    #[schemars(with = "i64", range(min = 1))]
    pub pods: u64,
    /// The name of the container; absent for a violation of the whole pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub container_name: Option<String>,
    /// The id of the broken rule, as listed by `kube-devops rules`.
    #[schemars(length(min = 1, max = 63))]
    pub violation_type: String,
    /// The severity of the violation under the policy.
    pub severity: Severity,
    /// The problem and its remedy, as one of the pods has it.
    #[schemars(length(max = 1024))]
    pub message: String,
}

/// A patch that would fix violations of one workload.
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
    /// The reasons for values of the patch, such as the port of a probe, in sentences.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(max = 512)))]
    pub reasons: Vec<String>,
}

impl SuggestedFix {
    /// Returns the workload, which is in the namespace of the policy.
    pub fn workload(&self) -> Owner<'_> {
        Owner { kind: &self.kind, name: &self.name }
    }
}
