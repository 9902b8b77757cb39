//! The status of a `DevOpsPolicy`, as the operator writes it.
//!
//! `kubectl explain` shows the comments on fields.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{RemediationReason, schema};
use crate::workload::Owner;

/// The operator's latest verdict on the namespace, and its patches.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DevOpsPolicyStatus {
    /// The generation of the policy that this status describes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub observed_generation: Option<i64>,
    /// True if nothing violates the policy.
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
    /// The number of violations: one per container and rule, however often a container restarted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<i64>", range(min = 0))]
    pub violations: Option<u64>,
    /// The number of evaluated pods; a template without pods counts as one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<i64>", range(min = 0))]
    pub pods: Option<u64>,
    /// The number of findings that annotations exempt. Neither the score nor the violations have them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<i64>", range(min = 0))]
    pub exempted: Option<u64>,
    /// The time of the last change of this status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_evaluated: Option<Time>,
    /// The status in one sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32768))]
    pub message: Option<String>,
    /// The number of patches applied for the policy since its creation.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<i64>", range(min = 0))]
    pub remediations_applied: Option<u64>,
    /// The number of patches that were refused, or did harm and were withdrawn, since the policy's creation.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<i64>", range(min = 0))]
    pub remediations_failed: Option<u64>,
    /// The number of withdrawals in a row since the policy changed or a patch was verified. Three stop the policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<i32>", range(min = 0))]
    pub withdrawals_in_a_row: Option<u32>,
    /// The workloads that carry a patch of the policy, each as Kind/name, at most 50.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50), inner(length(max = 317)))]
    pub remediated_workloads: Vec<String>,
    /// The operator's record of its patches, one entry per workload.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 500),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["kind", "name"])
    )]
    pub remediations: Vec<Remediation>,
    /// The time at which an operator began to clean up after the deleted policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cleanup_started: Option<Time>,
    /// Ready, Enforcing, Degraded, and if there are any, Admission and Exemptions, each True, False or Unknown, with a reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]),
        transform = schema::bound_conditions
    )]
    pub conditions: Vec<Condition>,
}

/// The maximum number of fields in a record, enough for 36 containers. With so many, the API server can still evaluate
/// the conflict policy within its cost limit.
pub const MOST_FIELDS: usize = 256;

/// The record of one workload's patches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Remediation {
    /// The workload's namespace, in the status of a ClusterDevOpsPolicy.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub namespace: Option<String>,
    /// The workload's kind.
    #[schemars(length(min = 1, max = 63))]
    pub kind: String,
    /// The workload's name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The workload's uid. A new workload of the same name has another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub uid: Option<String>,
    /// The phase: Planned, Applied (and watched), Verified, Withdrawing, Withdrawn, or Failed (and left alone).
    pub phase: RemediationPhase,
    /// A hash of what bears on the failure of a patch: the ports, the command, the arguments and the image of each
    /// container, without the image's tag and digest, and the policy's defaultProbe and defaultResources.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub causes_hash: Option<String>,
    /// The workload's generation at the time of planning.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub generation: Option<i64>,
    /// The time at which the phase was reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<Time>,
    /// The generation of the policy that required the patch.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub policy_generation: Option<i64>,
    /// The reason for the phase, in one word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<RemediationReason>,
    /// The reason for the phase, in one sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub message: Option<String>,
    /// The API server's refusal to withdraw the patch. The withdrawal is tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub withdrawal_refused: Option<String>,
    /// The number of patches that were withdrawn from the workload.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<i32>", range(min = 0))]
    pub withdrawals: Option<u32>,
    /// The time before which the workload is not patched again, because a patch was withdrawn. After each withdrawal
    /// the time is longer: 1, 2, 4, 8, 16 and 30 days.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<Time>,
    /// The fields that this remediation set, each as container/field, such as web/livenessProbe.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = MOST_FIELDS), inner(length(max = 127)))]
    pub fields: Vec<String>,
    /// The fields that earlier remediations set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = MOST_FIELDS), inner(length(max = 127)))]
    pub earlier_fields: Vec<String>,
    /// The declared ports that the operator's probes connect to, each as container/port. If the container no longer
    /// declares such a port, its probes are withdrawn.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = MOST_FIELDS), inner(length(max = 69)))]
    pub declared_ports: Vec<String>,
    /// The number of pods that the workload wanted at the time of the patch. Pods from later scaling are no evidence.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub pods: Option<i32>,
    /// The restarts of a container within an hour that were usual before the patch. As many are no harm.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub usual_restarts: Option<i32>,
}

impl Remediation {
    /// Returns the workload without its namespace.
    pub fn workload(&self) -> Owner<'_> {
        Owner { kind: &self.kind, name: &self.name }
    }
}

/// The phase of a remediation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RemediationPhase {
    /// The patch is planned, but may not have been sent yet.
    Planned,
    /// The workload is patched, and its new pods are watched.
    Applied,
    /// The new pods became available and stayed available.
    Verified,
    /// The patch is being withdrawn.
    Withdrawing,
    /// The patch was withdrawn.
    Withdrawn,
    /// The patch failed. The workload is left alone until what bears on the failure changes.
    Failed,
}
