//! The status of a `DevOpsPolicy`: what the operator says about it.
//!
//! The comments on fields are what `kubectl explain` shows.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{RemediationReason, schema};

/// What the operator found when it last judged the namespace, and what it did about it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DevOpsPolicyStatus {
    /// The generation of the policy that this status is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub observed_generation: Option<i64>,
    /// Whether nothing violates the policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthy: Option<bool>,
    /// The health score of the namespace under the policy, from 0 to 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<i32>", range(min = 0, max = 100))]
    pub health_score: Option<u8>,
    /// The class of the score: Healthy, Stable, Degraded or Critical.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub classification: Option<String>,
    /// How many violations there are: one per container and rule, however often a container restarted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<i64>", range(min = 0))]
    pub violations: Option<u64>,
    /// When this status last changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_evaluated: Option<Time>,
    /// The status in a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32768))]
    pub message: Option<String>,
    /// How many patches were applied for the policy since it was created.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<i64>", range(min = 0))]
    pub remediations_applied: Option<u64>,
    /// How many patches for the policy were refused, or did harm and were withdrawn, since it was created.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<i64>", range(min = 0))]
    pub remediations_failed: Option<u64>,
    /// How many patches in a row had to be withdrawn, one way or the other, since the policy changed or one held; three stop
    /// the policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<i32>", range(min = 0))]
    pub withdrawals_in_a_row: Option<u32>,
    /// The workloads that carry a patch of the policy, each as Kind/name; at most 50 of them are listed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50), inner(length(max = 317)))]
    pub remediated_workloads: Vec<String>,
    /// The operator's own record of what it did to each workload.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 500),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["kind", "name"])
    )]
    pub remediations: Vec<Remediation>,
    /// Ready, Enforcing and Degraded, each True, False or Unknown, with a reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]),
        transform = schema::bound_conditions
    )]
    pub conditions: Vec<Condition>,
}

/// How many fields of a workload a record has room for, such as those of 36 containers: for so many the API server
/// evaluates in time whether they have to yield.
pub const MOST_FIELDS: usize = 256;

/// What the operator did to one workload.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Remediation {
    /// The workload's kind.
    #[schemars(length(min = 1, max = 63))]
    pub kind: String,
    /// The workload's name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The workload's uid: another workload of the same name is another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub uid: Option<String>,
    /// How far the remediation is: Planned, Applied (and watched), Verified, Withdrawing, Withdrawn, or Failed (and left
    /// alone).
    pub phase: RemediationPhase,
    /// A hash of the workload's pod template without the operator's fields, to tell when somebody changed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub template_hash: Option<String>,
    /// The workload's generation when the patch was planned.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub generation: Option<i64>,
    /// When the phase was reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<Time>,
    /// The generation of the policy that asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub policy_generation: Option<i64>,
    /// Why the workload is in this phase, in one word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<RemediationReason>,
    /// Why the workload is in this phase, in a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub message: Option<String>,
    /// Why the API server refused to withdraw the patch. The withdrawal is tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub withdrawal_refused: Option<String>,
    /// The fields that the remediation set, each as container/field, such as web/livenessProbe.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = MOST_FIELDS), inner(length(max = 127)))]
    pub fields: Vec<String>,
    /// The fields that remediations before this one set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = MOST_FIELDS), inner(length(max = 127)))]
    pub earlier_fields: Vec<String>,
    /// How many pods the workload wanted when it was patched: those that came by scaling are no evidence.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub pods: Option<i32>,
    /// The revision that the patch made: the pod-template-hash or controller-revision-hash of its pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub revision: Option<String>,
}

/// How far a remediation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RemediationPhase {
    /// The patch is decided on and not sent yet.
    Planned,
    /// The workload is patched, and its new pods are watched.
    Applied,
    /// The new pods are available and stayed so.
    Verified,
    /// The patch is being taken back.
    Withdrawing,
    /// The patch was taken back.
    Withdrawn,
    /// The patch failed: the workload is left alone until its template or the policy changes.
    Failed,
}
