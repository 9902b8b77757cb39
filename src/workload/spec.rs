//! The fields of a workload's spec beside its pod template.

use serde::Deserialize;

use super::fields::nullable;
use super::object_only::object_only;
use super::{LabelSelector, Text};

object_only!(Strategy<'a>);

/// The fields of a workload's spec beside its pod template. They are read only where rules read details.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are the API's")]
pub struct WorkloadSpec<'a> {
    pub replicas: Option<i64>,
    /// The selector of pods. A `ReplicationController` writes its labels directly.
    pub selector: Option<LabelSelector<'a>>,
    /// `strategy` or `updateStrategy`.
    pub strategy: Option<Strategy<'a>>,
    pub service_name: Text<'a>,
    pub starting_deadline_seconds: Option<i64>,
    pub ttl_seconds_after_finished: Option<i64>,
    pub manual_selector: bool,
    pub suspend: bool,
    /// True if every pod has claims of its own.
    pub has_claim_templates: bool,
}

/// The way in which pods are replaced.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(remote = "Self", expecting = "a strategy")]
#[allow(missing_docs, reason = "the fields are the API's")]
pub struct Strategy<'a> {
    #[serde(borrow, default, rename = "type", deserialize_with = "nullable")]
    pub type_: Text<'a>,
}
