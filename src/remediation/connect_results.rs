//! The results of connects to pods, which are kept in memory.

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;

use crate::enforcement::{Ends, Ineligible};

/// The last connect for each workload, by its uid.
pub(super) type ConnectResults = HashMap<String, ConnectResult>;

/// A connect to a pod.
#[derive(Debug, Clone)]
pub(super) struct ConnectResult {
    pub(super) ports: BTreeSet<u16>,
    pub(super) pod: String,
    /// The ends of the pod's containers before the connect.
    pub(super) ends: Ends,
    pub(super) at: Timestamp,
    /// The reason why the workload is not patched, once there is one.
    pub(super) verdict: Option<Ineligible>,
}
