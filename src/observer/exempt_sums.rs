//! The exempt part of the sums of a scoreboard. Few workloads are exempt, so it is small.

use std::collections::HashMap;
use std::sync::Arc;

use super::owner_key::OwnerKey;
use crate::governance::Tally;

/// The exempt findings of a cluster.
#[derive(Debug, Default)]
pub(super) struct ExemptSums {
    /// All of them.
    pub(super) total: Tally,
    namespaces: HashMap<Box<str>, ExemptNamespace>,
}

/// The exempt findings of a namespace.
#[derive(Debug, Default)]
pub(super) struct ExemptNamespace {
    /// All of them.
    pub(super) tally: Tally,
    /// The workloads that are compliant only because they are exempt.
    pub(super) newly_compliant: u64,
    workloads: HashMap<Arc<OwnerKey>, Tally>,
}

impl ExemptSums {
    /// Adds the exempt findings of a workload.
    pub(super) fn add(
        &mut self,
        namespace: &str,
        workload: &Arc<OwnerKey>,
        exempt: &Tally,
        is_compliant: bool,
    ) {
        self.total.add(exempt);
        let within = self.namespaces.entry(namespace.into()).or_default();
        within.tally.add(exempt);
        within.newly_compliant += u64::from(is_compliant);
        within.workloads.insert(Arc::clone(workload), exempt.clone());
    }

    /// Returns the exempt findings of a namespace.
    pub(super) fn within(&self, namespace: &str) -> Option<&ExemptNamespace> {
        self.namespaces.get(namespace)
    }

    /// Returns the exempt findings of a workload.
    pub(super) fn of(&self, namespace: &str, workload: &OwnerKey) -> Option<&Tally> {
        self.namespaces.get(namespace)?.workloads.get(workload)
    }
}
