//! Counters of delivered pods and of watch failures.

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
    /// Creates and registers the counters.
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
            "Interruptions of the watch by cause. The watch retries after a pause.",
            "category",
        )?;
        let [events, failures] = [metrics.register(events)?, metrics.register(failures)?];
        // Each counter starts at zero, because `rate` misses the first increment of a series that starts with it.
        for category in CallError::CATEGORIES {
            failures.with_label_values(&[category]);
        }
        let [listed, applied, deleted, unreadable] =
            ["listed", "applied", "deleted", "unreadable"].map(|kind| events.with_label_values(&[kind]));
        Ok(Self { listed, applied, deleted, unreadable, failures })
    }
}
