//! The `ClusterDevOpsPolicy` custom resource: a policy for all namespaces with some labels.
//!
//! `kubectl explain` shows the comments on fields.

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::{CustomResource, ResourceExt as _};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ClusterObjects, DevOpsPolicy, DevOpsPolicySpec, DevOpsPolicyStatus, Remediation, schema};
use crate::workload::PolicyRef;

/// The most workloads in a status.
const LISTED: usize = 50;

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
        description = "Whether violations are only reported (audit), or fixed too (enforce)"
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
#[schemars(transform = schema::remediations_by_namespace)]
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
    /// The violations in objects without a namespace, such as nodes and cluster roles, which `violations` counts, too.
    /// Absent unless a rule looks at such objects.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_objects: Option<ClusterObjects>,
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
        policy.status = self.status.as_ref().map(|status| match namespace {
            Some(namespace) => status.within(namespace),
            None => status.totals.clone(),
        });
        policy
    }

    /// Returns the namespaces with records of patches.
    pub fn recorded_namespaces(&self) -> BTreeSet<&str> {
        let records = self.status.iter().flat_map(|status| &status.totals.remediations);
        records.filter_map(|record| record.namespace.as_deref()).collect()
    }
}

impl ClusterDevOpsPolicyStatus {
    /// Returns the status with the records of one namespace, as a policy of that namespace has them.
    fn within(&self, namespace: &str) -> DevOpsPolicyStatus {
        let (own, _) = self.split(namespace);
        let prefix = format!("{namespace}/");
        let workloads = self.totals.remediated_workloads.iter();
        DevOpsPolicyStatus {
            remediations: own.into_iter().map(|record| Remediation { namespace: None, ..record }).collect(),
            remediated_workloads: workloads
                .filter_map(|workload| workload.strip_prefix(&prefix).map(str::to_owned))
                .collect(),
            ..self.totals.clone()
        }
    }

    /// Takes the status of one namespace over, as a policy of that namespace has it. The records of others stay.
    #[must_use]
    pub fn with_namespace(self, namespace: &str, status: DevOpsPolicyStatus) -> Self {
        let (_, mut remediations) = self.split(namespace);
        let named = |record| Remediation { namespace: Some(namespace.to_owned()), ..record };
        remediations.extend(status.remediations.iter().cloned().map(named));
        let place =
            |record: &Remediation| (record.namespace.clone(), record.kind.clone(), record.name.clone());
        remediations.sort_by_cached_key(place);
        let prefix = format!("{namespace}/");
        let others = self.totals.remediated_workloads.into_iter();
        let mut workloads: Vec<String> = others.filter(|workload| !workload.starts_with(&prefix)).collect();
        workloads.extend(status.remediated_workloads.iter().map(|workload| format!("{prefix}{workload}")));
        workloads.sort_unstable();
        workloads.truncate(LISTED);
        let totals = DevOpsPolicyStatus { remediations, remediated_workloads: workloads, ..status };
        Self { totals, ..self }
    }

    /// Splits the records into those of a namespace and the others.
    fn split(&self, namespace: &str) -> (Vec<Remediation>, Vec<Remediation>) {
        let records = self.totals.remediations.iter().cloned();
        records.partition(|record| record.namespace.as_deref() == Some(namespace))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn policy(remediations: &Value) -> ClusterDevOpsPolicy {
        serde_json::from_value(json!({
            "metadata": { "name": "base", "uid": "u", "generation": 4, "finalizers": ["f"] },
            "spec": { "namespaceSelector": {}, "maxRestartCount": 3 },
            "status": { "namespaces": 2, "remediations": remediations, "remediatedWorkloads": ["a/Deployment/web"] },
        }))
        .unwrap()
    }

    fn record(namespace: Option<&str>, name: &str) -> Value {
        let mut record = json!({ "kind": "Deployment", "name": name, "phase": "Verified" });
        if let Some(namespace) = namespace {
            record["namespace"] = namespace.into();
        }
        record
    }

    #[test]
    fn within_a_namespace_it_is_a_policy_with_the_records_of_that_namespace() {
        let whole = policy(&json!([record(Some("a"), "web"), record(Some("b"), "api")]));
        let within = whole.within(Some("a"));
        assert_eq!(within.reference().to_string(), "a/cluster/base");
        let metadata = &within.metadata;
        assert_eq!((metadata.uid.as_deref(), metadata.generation), (Some("u"), Some(4)));
        let status = within.status.unwrap();
        assert_eq!(json!(status.remediations), json!([record(None, "web")]));
        assert_eq!(status.remediated_workloads, ["Deployment/web"]);
        assert_eq!(whole.recorded_namespaces(), BTreeSet::from(["a", "b"]));
        assert_eq!(whole.within(None).status.unwrap().remediations.len(), 2);
    }

    #[test]
    fn a_write_of_one_namespace_keeps_the_records_of_the_others() {
        let whole = policy(&json!([record(Some("a"), "web"), record(Some("b"), "api")]));
        let mut status = whole.within(Some("b")).status.unwrap();
        status.remediations = serde_json::from_value(json!([record(None, "new")])).unwrap();
        status.remediated_workloads = vec!["Deployment/new".to_owned()];
        status.remediations_applied = Some(2);
        let next = whole.status.unwrap().with_namespace("b", status);
        let expected = json!([record(Some("a"), "web"), record(Some("b"), "new")]);
        assert_eq!(json!(next.totals.remediations), expected);
        assert_eq!(next.totals.remediated_workloads, ["a/Deployment/web", "b/Deployment/new"]);
        assert_eq!((next.totals.remediations_applied, next.namespaces), (Some(2), Some(2)));
    }
}
