//! Leader election on a `coordination.k8s.io/v1` Lease, by client-go's rules: one replica writes, the others stand by.
//!
//! An [`Elector`] campaigns in its own task. Every other task holds a [`Leadership`] and sends each write through it.
//! Both use the local monotonic clock only. Timestamps in the Lease are for people.
//!
//! There are never two writers. The holder counts its deadline from *before* it sent its last successful renewal. A
//! standby counts the lease from *after* it saw that renewal. The lease is longer than the deadline. A lease cannot
//! recall a request that is already on the wire, so a write that must not land late also carries the resourceVersion
//! that it was planned from.
//!
//! This module does not depend on the writes of a leader.

mod elector;
mod leadership;
mod metrics;
mod settings;
mod state;

pub use elector::{Elector, LeaseCallError, LostLease};
pub use leadership::{Leadership, NotLeader, Permit};
pub use metrics::LeaderCollector;
pub use settings::{Settings, SettingsError};
