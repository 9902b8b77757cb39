//! The identity of an object that a finding can be about.

use std::sync::Arc;

use crate::workload::ObjectKind;

/// An object with its place in the input.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    /// The namespace; empty for an object of the cluster.
    pub namespace: Arc<str>,
    /// The name.
    pub name: Arc<str>,
    /// The kind.
    pub kind: ObjectKind,
    /// The workload that manages the object, as `Kind/name`.
    pub owner: Option<Arc<str>>,
    /// The file and the first line; `None` for a live object.
    pub source: Option<(Arc<str>, usize)>,
    /// True if the user asked for the object, by its namespace and its labels.
    pub is_asked: bool,
}
