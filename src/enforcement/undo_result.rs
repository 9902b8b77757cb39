//! The result of an undo for one workload: the removed fields, and those that other managers keep. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::ContainerField;
use crate::workload::WorkloadRef;

/// Fields, each with the managers that own some of it.
pub type FieldOwners = BTreeMap<ContainerField, BTreeSet<String>>;

/// The result of an undo for one workload.
#[derive(Debug)]
pub struct UndoResult {
    /// The workload.
    pub workload: WorkloadRef,
    /// True for a preview, which changes nothing.
    pub is_preview: bool,
    /// True if enforcement owned no field and only its annotations were removed.
    pub is_rest: bool,
    /// The removed fields.
    pub gone: Vec<ContainerField>,
    /// The removed probes that had settings of other managers; those settings are removed too.
    pub tuned: FieldOwners,
    /// The remaining fields, which other managers set to the same value.
    pub stays: FieldOwners,
    /// Pods of a `StatefulSet` that were not ready; its controller does not replace them.
    pub stuck: Vec<String>,
}
