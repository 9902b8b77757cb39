//! The policies of a cluster, followed by a watch and compiled once per change, and their statuses.
//!
//! Commands list and apply policies by this module, too.
//!
//! It stands below whatever acts on policies, and knows neither verdicts nor patches.

mod apply;
mod change;
mod cluster_policy;
mod cluster_watch;
mod import;
mod known;
mod list;
mod status;
mod summaries;
mod watch;

pub use apply::{ApplyError, ApplyOptions, apply};
pub use change::PolicyChange;
pub use cluster_policy::ClusterPolicy;
pub use import::{Import, ImportError, ImportStep, documents, import};
pub use known::Policies;
pub use list::list;
pub use status::{PolicyResource, StatusError, write_status};
pub use summaries::{PolicySummaries, summaries};
pub use watch::follow;
