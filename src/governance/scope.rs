//! Which objects an analysis is about.

use super::Selector;
use crate::policy::SystemNamespaces;
use crate::workload::Workload;

/// Which objects an analysis is about: by namespace, and by label where the source has not selected already.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// The namespaces asked for by name; none asks for all but system namespaces.
    pub namespaces: Vec<String>,
    /// Whether system namespaces are part of all.
    pub include_system: bool,
    /// What counts as a system namespace.
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
