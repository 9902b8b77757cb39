//! Harm long after a patch was verified: what the watches show makes a suspicion, events and nodes make it evidence, and
//! trouble of many workloads at once makes an incident. Pure; times are arguments.

mod evidence;
mod incident;
mod refused;
mod trouble;

pub use evidence::{EventSeen, Harm, Knowledge, judge};
pub use incident::{Course, Trial, course};
pub use refused::refused_fields;
pub use trouble::{PodSeen, Restart, Trouble, TroubleKind, WorkloadSeen, next_look, troubles};

#[cfg(test)]
mod tests;
