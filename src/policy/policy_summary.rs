//! The figures of a policy's status, without its content.

use serde::Serialize;

/// The latest figures that an operator has written into the status of a policy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicySummary {
    /// The namespace of the policy; empty for a cluster policy.
    pub namespace: String,
    /// The name of the policy; for a cluster policy, `cluster/` and its name.
    pub name: String,
    /// The mode: audit or enforce.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// The health score, from 0 to 100; none if no operator has evaluated the policy.
    pub score: Option<u8>,
    /// The number of violations.
    pub violations: Option<u64>,
    /// The number of evaluated pods.
    pub pods: Option<u64>,
    /// The number of namespaces in which a cluster policy is in effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespaces: Option<u64>,
}
