//! The policies of a cluster, followed by a watch, and their statuses.
//!
//! It stands below whatever acts on policies, and knows neither verdicts nor patches.

mod known;
mod status;

pub use known::Policies;
pub use status::{StatusError, write_status};
