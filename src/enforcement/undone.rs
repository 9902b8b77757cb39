//! The outcome of an undo for one workload: the fields that went, and those that others keep. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::ContainerField;
use crate::workload::WorkloadRef;

/// Fields, each with the field managers that have a part in it.
pub type FieldOwners = BTreeMap<ContainerField, BTreeSet<String>>;

/// The outcome of an undo for one workload.
#[derive(Debug)]
pub struct Undone {
    /// The workload.
    pub workload: WorkloadRef,
    /// True for a preview, in which nothing was changed.
    pub is_preview: bool,
    /// True if enforcement owned no field, and only an empty patch was removed.
    pub is_rest: bool,
    /// The fields that went.
    pub gone: Vec<ContainerField>,
    /// The probes among them that others had tuned; these settings went too.
    pub tuned: FieldOwners,
    /// The fields that stay, because others set the same value.
    pub stays: FieldOwners,
    /// The pods that were not ready before, of a `StatefulSet`, which replaces none of them by itself.
    pub stuck: Vec<String>,
}
