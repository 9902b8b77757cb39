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

/// An object as it is read, before anything of it is kept.
#[derive(Debug, Clone, Copy)]
pub struct NewObject<'a> {
    /// The namespace; empty for an object of the cluster.
    pub namespace: &'a str,
    /// The name.
    pub name: &'a str,
    /// The kind.
    pub kind: ObjectKind,
    /// The file and the first line; `None` for a live object.
    pub source: Option<(&'a str, usize)>,
    /// True if the user asked for the object, by its namespace and its labels.
    pub is_asked: bool,
}

/// The order of pods that are alike: one that was asked for comes first, then by name and source.
type Order<'a> = (bool, &'a str, Option<(&'a str, usize)>);

impl Identity {
    /// Returns the order among pods that are alike.
    pub(super) fn order(&self) -> Order<'_> {
        (!self.is_asked, &self.name, self.source.as_ref().map(|(source, line)| (&**source, *line)))
    }
}

impl NewObject<'_> {
    /// Returns the order among pods that are alike.
    pub(super) fn order(&self) -> Order<'_> {
        (!self.is_asked, self.name, self.source)
    }
}
