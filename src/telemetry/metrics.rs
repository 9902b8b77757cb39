//! The metrics of one process: a registry into which subsystems register their collectors. It knows none of them.

use prometheus::core::Collector;
use prometheus::{Registry, TextEncoder};

/// A set of collectors, cheap to clone. A process can have several; each test has its own.
#[derive(Clone, Debug, Default)]
pub struct Metrics(Registry);

/// An error while metrics are registered or rendered.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// A collector was refused: its names or labels are invalid or already taken.
    #[error("failed to register metrics {names}")]
    Register {
        /// The names of the collector's metrics.
        names: String,
        /// The library's error.
        source: prometheus::Error,
    },
    /// The collected metrics cannot be written as text.
    #[error("failed to render metrics")]
    Render(#[source] prometheus::Error),
}

impl MetricsError {
    /// Returns a bounded label for metrics and events.
    #[must_use]
    pub fn category(&self) -> &'static str {
        match self {
            Self::Register { .. } => "register",
            Self::Render(_) => "render",
        }
    }
}

impl Metrics {
    /// Makes a registry with nothing in it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes a registry with the process's own CPU, memory, threads and file descriptors, where the system reports
    /// them.
    pub fn with_process() -> Result<Self, MetricsError> {
        let metrics = Self::new();
        #[cfg(target_os = "linux")]
        metrics.add(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
        Ok(metrics)
    }

    /// Registers a collector and returns a handle on the same metrics.
    pub fn register<C: Collector + Clone + 'static>(&self, collector: C) -> Result<C, MetricsError> {
        self.add(Box::new(collector.clone()))?;
        Ok(collector)
    }

    /// Registers a collector without returning a handle.
    pub fn add(&self, collector: Box<dyn Collector>) -> Result<(), MetricsError> {
        let names: Vec<_> = collector.desc().iter().map(|desc| desc.fq_name.clone()).collect();
        let names = names.join(", ");
        self.0.register(collector).map_err(|source| MetricsError::Register { names, source })
    }

    /// Collects everything now and returns it in Prometheus's text format.
    pub fn render(&self) -> Result<String, MetricsError> {
        TextEncoder::new().encode_to_string(&self.0.gather()).map_err(MetricsError::Render)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus::{IntCounter, IntGaugeVec, Opts};

    fn counter(name: &str) -> IntCounter {
        IntCounter::new(name, "Counts.").unwrap()
    }

    #[test]
    fn registered_metrics_are_rendered_with_their_help_and_labels_escaped() {
        let metrics = Metrics::new();
        let pods = metrics.register(counter("pod_events_total")).unwrap();
        let scores = IntGaugeVec::new(Opts::new("score", "A score."), &["namespace"]).unwrap();
        let scores = metrics.register(scores).unwrap();
        assert!(!metrics.render().unwrap().contains("score"), "a family without series is left out");
        pods.inc();
        scores.with_label_values(&["a\"b\\c"]).set(73);
        assert_eq!(
            metrics.render().unwrap(),
            "# HELP pod_events_total Counts.\n# TYPE pod_events_total counter\npod_events_total 1\n\
             # HELP score A score.\n# TYPE score gauge\nscore{namespace=\"a\\\"b\\\\c\"} 73\n"
        );
    }

    #[test]
    fn a_duplicate_name_is_named() {
        let metrics = Metrics::new();
        metrics.register(counter("pod_events_total")).unwrap();
        let error = metrics.register(counter("pod_events_total")).unwrap_err();
        assert_eq!(error.to_string(), "failed to register metrics pod_events_total");
    }

    #[test]
    fn two_registries_know_nothing_of_each_other() {
        Metrics::new().register(counter("pod_events_total")).unwrap();
        Metrics::new().register(counter("pod_events_total")).unwrap();
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_process_shows_its_own_memory() {
        let text = Metrics::with_process().unwrap().render().unwrap();
        assert!(text.contains("\nprocess_resident_memory_bytes "), "{text}");
    }
}
