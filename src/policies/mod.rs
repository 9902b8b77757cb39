//! The policies of a cluster, followed by a watch and compiled once per change, and their statuses.
//!
//! It stands below whatever acts on policies, and knows neither verdicts nor patches.

mod known;
mod list;
mod status;
mod watch;

pub use known::Policies;
pub use list::list;
pub use status::{StatusError, write_status};
pub use watch::{PolicyChange, follow};
