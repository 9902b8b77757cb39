//! The `ClusterDevOpsPolicy` custom resource: a policy for all namespaces with some labels.
//!
//! `kubectl explain` shows the comments on fields.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::{CustomResource, ResourceExt as _};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{DevOpsPolicy, DevOpsPolicySpec, DevOpsPolicyStatus, schema};
use crate::workload::PolicyRef;

/// The namespaces of the policy, and its checks. An absent field turns its check off.
#[expect(clippy::duplicated_attributes, reason = "each column of a table has a type of its own")]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, CustomResource)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "devops.stochastic.io",
    version = "v1",
    kind = "ClusterDevOpsPolicy",
    plural = "clusterdevopspolicies",
    shortname = "cdop",
    status = "ClusterDevOpsPolicyStatus",
    doc = "A ClusterDevOpsPolicy says what kube-devops asks of the workloads in the namespaces with some labels. \
           Otherwise it is a DevOpsPolicy. It has no effect in system namespaces.",
    printcolumn(
        name = "Mode",
        type_ = "string",
        json_path = ".spec.enforcementMode",
        description = "Whether violations are only reported (audit), or denied at admission too (enforce)"
    ),
    printcolumn(
        name = "Namespaces",
        type_ = "integer",
        json_path = ".status.namespaces",
        description = "The number of namespaces in which the policy is in effect"
    ),
    printcolumn(
        name = "Score",
        type_ = "integer",
        json_path = ".status.healthScore",
        description = "The health score of all these namespaces, from 0 to 100"
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
pub struct ClusterDevOpsPolicySpec {
    /// The labels of the namespaces in which the policy is in effect. An empty selector matches all namespaces.
    #[schemars(transform = schema::bound_selector)]
    pub namespace_selector: LabelSelector,
    /// The checks and settings of a `DevOpsPolicy`.
    #[serde(flatten)]
    pub policy: DevOpsPolicySpec,
}

/// The operator's latest evaluation of all namespaces of the policy.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = schema::without_remediations)]
pub struct ClusterDevOpsPolicyStatus {
    /// The figures of all namespaces together.
    #[serde(flatten)]
    pub totals: DevOpsPolicyStatus,
    /// The number of namespaces in which the policy is in effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<i64>", range(min = 0))]
    pub namespaces: Option<u64>,
    /// The namespaces with violations that have the lowest scores, the worst first, at most 10.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10), extend("x-kubernetes-list-type" = "atomic"))]
    pub worst_namespaces: Vec<NamespaceFigures>,
}

/// The figures of one namespace under a cluster policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceFigures {
    /// The name of the namespace.
    #[schemars(length(min = 1, max = 63))]
    pub namespace: String,
    /// The health score of the namespace, from 0 to 100.
    #[schemars(with = "i32", range(min = 0, max = 100))]
    pub health_score: u8,
    /// The number of violations in the namespace.
    #[schemars(with = "i64", range(min = 0))]
    pub violations: u64,
    /// The number of evaluated pods in the namespace.
    #[schemars(with = "i64", range(min = 0))]
    pub pods: u64,
}

impl ClusterDevOpsPolicy {
    /// Returns the identity of the policy.
    pub fn reference(&self) -> PolicyRef {
        PolicyRef::cluster(&self.name_any())
    }

    /// Returns the policy as it is in effect in one namespace, or without a namespace, in all of them together: a
    /// `DevOpsPolicy` named `cluster/<name>`.
    pub fn within(&self, namespace: Option<&str>) -> DevOpsPolicy {
        let mut policy = DevOpsPolicy::new(&self.reference().name, self.spec.policy.clone());
        policy.metadata.namespace = namespace.map(str::to_owned);
        policy.metadata.uid.clone_from(&self.metadata.uid);
        policy.metadata.generation = self.metadata.generation;
        policy.metadata.creation_timestamp.clone_from(&self.metadata.creation_timestamp);
        policy.metadata.deletion_timestamp.clone_from(&self.metadata.deletion_timestamp);
        policy.metadata.finalizers.clone_from(&self.metadata.finalizers);
        policy.status = self.status.as_ref().map(|status| status.totals.clone());
        policy
    }
}
