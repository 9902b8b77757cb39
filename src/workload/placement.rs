//! The fields of a pod spec that say where pods run.

use serde::Deserialize;

use super::fields::nullable;
use super::object_only::object_only;
use super::{LabelSelector, Present, Text};

object_only!(SpreadConstraint<'a>, Affinity, Os<'a>);

/// A topology spread constraint.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase", expecting = "a topology spread constraint")]
#[allow(missing_docs, reason = "the fields are the API's")]
pub struct SpreadConstraint<'a> {
    #[serde(borrow, default, deserialize_with = "nullable")]
    pub topology_key: Text<'a>,
    pub max_skew: Option<i64>,
    pub min_domains: Option<i64>,
    #[serde(borrow)]
    pub label_selector: Option<LabelSelector<'a>>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    pub when_unsatisfiable: Text<'a>,
}

/// The affinity of a pod; only the presence of its parts matters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase", expecting = "an affinity")]
#[allow(missing_docs, reason = "the fields are the API's")]
pub struct Affinity {
    pub pod_anti_affinity: Option<Present>,
}

/// The operating system of a pod.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(remote = "Self", expecting = "an operating system")]
#[allow(missing_docs, reason = "the fields are the API's")]
pub struct Os<'a> {
    #[serde(borrow, default, deserialize_with = "nullable")]
    pub name: Text<'a>,
}
