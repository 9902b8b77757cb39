//! The key of a workload within a namespace.

use crate::workload::Owner;

/// A workload within a namespace. Its pods share it.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct OwnerKey {
    kind: Box<str>,
    name: Box<str>,
}

impl OwnerKey {
    /// Names a workload.
    pub(super) fn new(owner: Owner<'_>) -> Self {
        Self { kind: owner.kind.into(), name: owner.name.into() }
    }

    /// Returns the workload.
    pub(super) fn owner(&self) -> Owner<'_> {
        Owner { kind: &self.kind, name: &self.name }
    }
}
