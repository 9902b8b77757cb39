//! Continuous scores: exact sums over watched pods, and the metrics, JSON and events made from them.
//!
//! The cost of an event depends on the size of its pod only; nothing is recounted. This module does not depend on the
//! command that starts it.

mod annotations;
mod counters;
mod exempt_sums;
mod metrics;
mod notice;
mod owner_key;
mod scoreboard;
mod scores;
mod watch;

pub use annotations::{annotation_requests, observe_annotations, observe_namespaces};
pub use counters::ObserverMetrics;
pub use metrics::ScoreCollector;
pub use notice::{Transition, Transitions, announce};
pub use scoreboard::Scoreboard;
pub use scores::{Scores, routes};
pub use watch::{Observer, observe};

#[cfg(test)]
mod tests;
