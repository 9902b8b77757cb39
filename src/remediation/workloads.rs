//! The questions of remediation to a watch over the workloads of the cluster.

use crate::enforcement::Service;
use crate::workload::{Workload, WorkloadKind};

/// The workloads of the cluster, as a watch keeps them up to date.
pub trait Workloads: Send {
    /// Returns the objects of a namespace, in no order.
    fn objects<'w>(&'w self, namespace: &'w str) -> Box<dyn Iterator<Item = &'w Workload<'static>> + 'w>;

    /// Returns the object of this kind and name.
    fn get(&self, kind: WorkloadKind, namespace: &str, name: &str) -> Option<&Workload<'static>>;

    /// Returns the Services of a namespace, by name.
    fn services(&self, namespace: &str) -> Vec<Service>;
}
