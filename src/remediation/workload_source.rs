//! The interface through which remediation reads the watches of the cluster.

use std::sync::Arc;

use jiff::Timestamp;

use crate::enforcement::harm::{Restart, UnreadyContainer};
use crate::enforcement::{Service, Trace};
use crate::governance::AnnotatedExemptions;
use crate::workload::{List, Text, Workload, WorkloadKind};

/// The health of a pod, as a watch shows it. There is one for each pod, so equal texts and counts are shared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodHealth {
    /// The pod's node; empty until it is scheduled.
    pub node: Arc<str>,
    /// The revision of its template, as its labels name it.
    pub revision: Arc<str>,
    /// The time at which its node accepted it.
    pub started: Option<Timestamp>,
    /// True if it is ready.
    pub ready: bool,
    /// The time since when it is ready, or isn't.
    pub since: Timestamp,
    /// True if it is being deleted.
    pub terminating: bool,
    /// The restarts of each container since its creation.
    pub counts: List<(Text<'static>, u32)>,
    /// The restarts of the last hour that were seen since the last gap.
    pub restarts: Box<[Restart]>,
    /// The containers that run and are not ready.
    pub unready: Box<[UnreadyContainer]>,
}

/// The objects of the cluster, as watches keep them up to date.
pub trait WorkloadSource: Send {
    /// Returns the objects of a namespace, unordered.
    fn objects<'w>(&'w self, namespace: &'w str) -> Box<dyn Iterator<Item = &'w Workload<'static>> + 'w>;

    /// Returns the object of this kind and name.
    fn get(&self, kind: WorkloadKind, namespace: &str, name: &str) -> Option<&Workload<'static>>;

    /// Returns the trace of enforcement on a workload; `None` if there is none.
    fn trace(&self, kind: WorkloadKind, namespace: &str, name: &str) -> Option<&Trace>;

    /// Returns the exemptions that a Namespace declares.
    fn exemptions(&self, namespace: &str) -> AnnotatedExemptions;

    /// Returns the Services of a namespace, by name.
    fn services(&self, namespace: &str) -> Vec<Service>;

    /// Returns the namespaces with objects.
    fn namespaces(&self) -> Vec<String>;

    /// Returns the health of a pod.
    fn health(&self, namespace: &str, name: &str) -> Option<&PodHealth>;

    /// Returns the time since when the pods of a workload are not created.
    fn refused(&self, kind: WorkloadKind, namespace: &str, name: &str) -> Option<Timestamp>;

    /// Returns the time since which everything in a namespace is seen; `None` during a gap in it.
    fn seen_since(&self, namespace: &str) -> Option<Timestamp>;
}
