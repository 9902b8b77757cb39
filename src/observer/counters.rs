//! Counters of the pods that the watch delivers, and of its failures.

use prometheus::{IntCounter, IntCounterVec, Opts};

use crate::cluster::CallError;
use crate::telemetry::{Metrics, MetricsError};

/// The counters of an observer.
#[derive(Debug, Clone)]
pub struct ObserverMetrics {
    pub(super) listed: IntCounter,
    pub(super) applied: IntCounter,
    pub(super) deleted: IntCounter,
    pub(super) unreadable: IntCounter,
    pub(super) failures: IntCounterVec,
}

impl ObserverMetrics {
    /// Makes the counters and registers them.
    pub fn register(metrics: &Metrics) -> Result<Self, MetricsError> {
        let counter = |name: &str, help: &str, label: &str| {
            let made = IntCounterVec::new(Opts::new(name, help), &[label]);
            made.map_err(|source| MetricsError::Register { names: name.to_owned(), source })
        };
        let events = counter(
            "pod_events_total",
            "Pods taken from the API server: listed, applied (added or modified), deleted, or unreadable.",
            "type",
        )?;
        let failures = counter(
            "watch_failures_total",
            "Interruptions of the watch by cause; each is repaired after a pause.",
            "category",
        )?;
        let [events, failures] = [metrics.register(events)?, metrics.register(failures)?];
        // A counter that comes into being with its first failure hides that one from a rate.
        for category in CallError::CATEGORIES {
            failures.with_label_values(&[category]);
        }
        let [listed, applied, deleted, unreadable] =
            ["listed", "applied", "deleted", "unreadable"].map(|kind| events.with_label_values(&[kind]));
        Ok(Self { listed, applied, deleted, unreadable, failures })
    }
}
