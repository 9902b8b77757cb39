//! The policies that a watch has listed.

use std::sync::{Arc, OnceLock};

use kube::ResourceExt as _;
use kube::runtime::reflector::Store;

use crate::policy::{DevOpsPolicy, SystemNamespaces};

/// The policies of the cluster, and the namespaces in which they have no effect.
pub struct Policies {
    system: SystemNamespaces,
    store: OnceLock<Store<DevOpsPolicy>>,
}

impl Policies {
    /// Knows no policy yet.
    pub fn new(system: SystemNamespaces) -> Self {
        Self { system, store: OnceLock::new() }
    }

    /// Sets the store that a watch keeps up to date.
    pub fn follow(&self, store: Store<DevOpsPolicy>) {
        // There is one watch; a second call would set the same store.
        let _ = self.store.set(store);
    }

    /// Returns every policy.
    pub fn all(&self) -> Vec<Arc<DevOpsPolicy>> {
        self.store.get().map_or_else(Vec::new, Store::state)
    }

    /// Returns the policies of a namespace.
    pub fn in_namespace(&self, namespace: &str) -> Vec<DevOpsPolicy> {
        let all = self.all().into_iter();
        let found = all.filter(|policy| policy.namespace().as_deref() == Some(namespace));
        found.map(Arc::unwrap_or_clone).collect()
    }

    /// Tells whether policies have no effect in a namespace.
    pub fn is_system(&self, namespace: &str) -> bool {
        self.system.contains(namespace)
    }

    /// Tells whether a policy is in force, in a namespace where policies have an effect.
    pub fn enforces(&self, policy: &DevOpsPolicy) -> bool {
        policy.is_in_force() && !self.is_system(&policy.namespace().unwrap_or_default())
    }
}
