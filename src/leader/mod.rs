//! Leader election on a `coordination.k8s.io/v1` Lease, by client-go's rules: one replica writes, the others stand by.
//!
//! An [`Elector`] campaigns in a task of its own; every other task holds a [`Leadership`] and sends each write through
//! it. Both go by the local monotonic clock alone: timestamps in the Lease are for people to read.
//!
//! Why there are never two writers: the holder times its deadline from *before* it sent its last successful renewal,
//! a standby times the lease from *after* it saw that renewal, and a lease is longer than the deadline. What a lease
//! can't do is recall a request that is already on the wire, so a write that must not land late also carries the
//! resourceVersion it was planned from.
//!
//! This module knows neither what is written nor why a process wants to lead.

mod elector;
mod leadership;
mod metrics;
mod settings;
mod state;

pub use elector::{CallError, Elector, LostLease};
pub use leadership::{Leadership, NotLeader, Permit};
pub use metrics::LeaderCollector;
pub use settings::{Settings, SettingsError};
