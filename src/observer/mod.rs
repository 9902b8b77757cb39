//! Continuous scores: a watch of pods kept as exact sums, and what is served and written of them.
//!
//! Each event costs what the pod that it is about costs; nothing is counted anew. This module doesn't know how it was
//! started, nor who leads.

mod counters;
mod metrics;
mod notice;
mod scoreboard;
mod scores;
mod watch;

pub use counters::ObserverMetrics;
pub use metrics::ScoreCollector;
pub use notice::{Transition, Transitions, announce};
pub use scoreboard::Scoreboard;
pub use scores::{Scores, routes};
pub use watch::{Observer, observe};

#[cfg(test)]
mod tests;
