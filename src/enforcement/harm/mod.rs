//! Harm long after a patch was verified: watches raise a suspicion, events and nodes confirm it, and trouble of many
//! workloads at once is an incident. Pure; times are arguments.

mod evidence;
mod incident;
mod refused;
mod trouble;
mod turns;

pub use evidence::{EventSeen, Harm, Knowledge, find_harm};
pub use incident::{Course, Trial, course};
pub use refused::refused_fields;
pub use trouble::{
    PodSeen, Restart, Trouble, TroubleKind, UnreadyContainer, WorkloadSeen, next_look, troubles,
};
pub use turns::{in_turn, pods_in_turn};

#[cfg(test)]
mod tests;
