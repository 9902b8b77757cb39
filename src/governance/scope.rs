//! The scope of an analysis: the objects to judge.

use super::Selector;
use crate::policy::SystemNamespaces;
use crate::workload::Workload;

/// The objects to judge: by namespace, and by label unless the source has selected already.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// The namespaces that were asked for by name; empty for all except system namespaces.
    pub namespaces: Vec<String>,
    /// Includes system namespaces in all namespaces.
    pub include_system: bool,
    /// The system namespaces.
    pub system: SystemNamespaces,
    /// The labels that a pod must have.
    pub selector: Option<Selector>,
}

impl Scope {
    /// The namespace of an object that names none: the one asked for, else `default`, as kubectl would apply it.
    pub fn default_namespace(&self) -> &str {
        match self.namespaces.as_slice() {
            [only] => only,
            _ => "default",
        }
    }

    /// Tells whether the namespace was asked for, system or not.
    pub fn asks_for(&self, namespace: &str) -> bool {
        self.namespaces.is_empty() || self.namespaces.iter().any(|named| named == namespace)
    }

    /// Tells whether a namespace is left out only because it is a system namespace.
    pub fn leaves_out(&self, namespace: &str) -> bool {
        self.namespaces.is_empty() && !self.include_system && self.system.contains(namespace)
    }

    /// Tells whether a workload has the labels that were asked for.
    pub fn selects(&self, workload: &Workload<'_>) -> bool {
        self.selector
            .as_ref()
            .is_none_or(|selector| selector.matches(|key| workload.labels()?.get(key).map(|value| &**value)))
    }
}
