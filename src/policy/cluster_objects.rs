//! The part of a cluster policy's status about objects without a namespace.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rules::Severity;

/// The violations in objects without a namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterObjects {
    /// The number of violations in these objects.
    #[schemars(with = "i64", range(min = 0))]
    pub violations: u64,
    /// The violations of the highest severity, the worst first, at most 10.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10), extend("x-kubernetes-list-type" = "atomic"))]
    pub worst: Vec<ClusterObjectViolation>,
}

/// A violation in an object without a namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterObjectViolation {
    /// The object's kind.
    #[schemars(length(min = 1, max = 63))]
    pub kind: String,
    /// The object's name.
    #[schemars(length(max = 253))]
    pub name: String,
    /// The id of the broken rule, as listed by `kube-devops rules`.
    #[schemars(length(min = 1, max = 63))]
    pub rule: String,
    /// The severity of the violation under the policy.
    pub severity: Severity,
    /// The problem and its remedy.
    #[schemars(length(max = 512))]
    pub message: String,
}
