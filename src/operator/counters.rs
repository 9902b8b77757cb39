//! The operator's counters.

use jiff::Timestamp;
use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, Opts};

use super::ReconcileError;
use super::error::CATEGORIES;
use crate::cluster::CallError;
use crate::remediation::RemediationMetrics;
use crate::telemetry::{Metrics, MetricsError};

/// The operator's counters.
#[derive(Debug, Clone)]
pub struct OperatorMetrics {
    pub(super) reconciled: IntCounterVec,
    pub(super) errors: IntCounterVec,
    pub(super) duration: Histogram,
    pub(super) scanned: IntCounter,
    pub(super) audits: IntCounter,
    pub(super) reports: IntCounter,
    pub(super) remediation: RemediationMetrics,
}

impl OperatorMetrics {
    /// Creates the counters and registers them.
    pub fn register(metrics: &Metrics) -> Result<Self, MetricsError> {
        let made = Self::new(RemediationMetrics::register(metrics)?)
            .map_err(|source| MetricsError::Register { names: "of the operator".to_owned(), source })?;
        metrics.register(made.reconciled.clone())?;
        metrics.register(made.errors.clone())?;
        metrics.register(made.duration.clone())?;
        metrics.register(made.scanned.clone())?;
        metrics.register(made.audits.clone())?;
        metrics.register(made.reports.clone())?;
        Ok(made)
    }

    fn new(remediation: RemediationMetrics) -> prometheus::Result<Self> {
        let by = |name: &str, help: &str, label: &str| IntCounterVec::new(Opts::new(name, help), &[label]);
        let seconds = "Duration of a reconcile in seconds.";
        let buckets = vec![0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];
        let made = Self {
            reconciled: by(
                "devopspolicy_reconcile_total",
                "Reconciles by result: success or error.",
                "result",
            )?,
            errors: by(
                "devopspolicy_reconcile_errors_total",
                "Failed reconciles by cause; each is retried.",
                "category",
            )?,
            duration: Histogram::with_opts(
                HistogramOpts::new("devopspolicy_reconcile_duration_seconds", seconds).buckets(buckets),
            )?,
            scanned: IntCounter::new("devopspolicy_pods_scanned_total", "Pods evaluated under policies.")?,
            audits: IntCounter::new("audit_results_total", "PolicyAuditResults created.")?,
            reports: IntCounter::new("reports_written_total", "Reports of OpenReports created or changed.")?,
            remediation,
        };
        for category in CATEGORIES.into_iter().chain(CallError::CATEGORIES) {
            made.errors.with_label_values(&[category]);
        }
        for result in ["success", "error"] {
            made.reconciled.with_label_values(&[result]);
        }
        Ok(made)
    }

    /// Counts the result of a reconcile.
    pub(super) fn count(&self, outcome: &Result<Option<Timestamp>, ReconcileError>) {
        let fine = outcome.as_ref().map_or_else(|error| error.unfinished().is_some(), |_| true);
        let result = if fine { "success" } else { "error" };
        self.reconciled.with_label_values(&[result]).inc();
    }
}
