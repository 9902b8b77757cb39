//! The scope of an analysis: the objects to evaluate.

use super::Selector;
use crate::policy::SystemNamespaces;
use crate::workload::{Labels, Workload};

/// The objects to evaluate: by namespace, and by label unless the source has selected already.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// The requested namespaces; empty for all except system namespaces.
    pub namespaces: Vec<String>,
    /// Includes system namespaces in all namespaces.
    pub include_system: bool,
    /// The system namespaces.
    pub system: SystemNamespaces,
    /// Leaves out every object with a namespace.
    pub only_cluster: bool,
    /// The labels that a pod must have.
    pub selector: Option<Selector>,
}

impl Scope {
    /// The namespace of an object that names none: the requested one, else `default`, as kubectl would apply it.
    pub fn default_namespace(&self) -> &str {
        match self.namespaces.as_slice() {
            [only] => only,
            _ => "default",
        }
    }

    /// Returns true if the namespace was requested, system or not.
    pub fn asks_for(&self, namespace: &str) -> bool {
        if self.only_cluster {
            return namespace.is_empty();
        }
        self.namespaces.is_empty() || self.namespaces.iter().any(|named| named == namespace)
    }

    /// Returns true if a namespace is left out only because it is a system namespace.
    pub fn leaves_out(&self, namespace: &str) -> bool {
        self.namespaces.is_empty() && !self.include_system && self.system.contains(namespace)
    }

    /// Returns true if a workload has the requested labels.
    pub fn selects(&self, workload: &Workload<'_>) -> bool {
        self.selects_labels(workload.labels())
    }

    /// Returns true if labels are those that were requested.
    pub fn selects_labels(&self, labels: Option<&Labels<'_>>) -> bool {
        self.selector
            .as_ref()
            .is_none_or(|selector| selector.matches(|key| labels?.get(key).map(|value| &**value)))
    }
}
