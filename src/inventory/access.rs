//! The fields of RBAC objects and `ServiceAccount`s that rules read.

use serde::Deserialize;

use super::read::selectors;
use crate::workload::{LabelSelector, nullable};

/// A `ServiceAccount`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the fields are the API's")]
pub struct ServiceAccount {
    pub automount_service_account_token: Option<bool>,
    #[serde(default, deserialize_with = "nullable")]
    pub image_pull_secrets: Vec<Named>,
}

/// A reference by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[allow(missing_docs, reason = "the fields are the API's")]
pub struct Named {
    #[serde(default, deserialize_with = "nullable")]
    pub name: String,
}

/// A Role or `ClusterRole`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the fields are the API's")]
pub struct Role {
    #[serde(default, deserialize_with = "nullable")]
    pub rules: Vec<PolicyRule>,
    #[serde(default, deserialize_with = "nullable")]
    pub aggregation_rule: Option<Aggregation>,
}

/// The roles whose rules a `ClusterRole` takes over.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the fields are the API's")]
pub struct Aggregation {
    #[serde(default, deserialize_with = "selectors")]
    pub cluster_role_selectors: Vec<LabelSelector<'static>>,
}

/// A rule of a role.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the fields are the API's")]
pub struct PolicyRule {
    #[serde(default, deserialize_with = "nullable")]
    pub api_groups: Vec<String>,
    #[serde(default, deserialize_with = "nullable")]
    pub resources: Vec<String>,
    #[serde(default, deserialize_with = "nullable")]
    pub verbs: Vec<String>,
    #[serde(default, deserialize_with = "nullable")]
    pub resource_names: Vec<String>,
}

/// A `RoleBinding` or `ClusterRoleBinding`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the fields are the API's")]
pub struct Binding {
    #[serde(default, deserialize_with = "nullable")]
    pub role_ref: RoleRef,
    #[serde(default, deserialize_with = "nullable")]
    pub subjects: Vec<Subject>,
}

/// The role of a binding.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[allow(missing_docs, reason = "the fields are the API's")]
pub struct RoleRef {
    #[serde(default, deserialize_with = "nullable")]
    pub kind: String,
    #[serde(default, deserialize_with = "nullable")]
    pub name: String,
}

/// A subject of a binding.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[allow(missing_docs, reason = "the fields are the API's")]
pub struct Subject {
    #[serde(default, deserialize_with = "nullable")]
    pub kind: String,
    #[serde(default, deserialize_with = "nullable")]
    pub name: String,
    #[serde(default, deserialize_with = "nullable")]
    pub namespace: String,
}

impl PolicyRule {
    /// Returns true if the rule covers an API group.
    pub fn has_group(&self, group: &str) -> bool {
        self.api_groups.iter().any(|one| one == group || one == "*")
    }

    /// Returns true if the rule grants one of these verbs.
    pub fn has_verb(&self, verbs: &[&str]) -> bool {
        self.verbs.iter().any(|one| one == "*" || verbs.contains(&one.as_str()))
    }

    /// Returns true if the rule covers one of these resources, or all.
    pub fn has_resource(&self, resources: &[&str]) -> bool {
        self.resources.iter().any(|one| one == "*" || resources.contains(&one.as_str()))
    }
}
