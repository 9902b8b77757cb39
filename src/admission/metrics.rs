//! The metrics of the webhook.

use std::time::Duration;

use jiff::Timestamp;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Gauge, Histogram, HistogramOpts, IntCounterVec, Opts};

use super::AdmissionDecision;
use super::review::Operation;
use crate::rules::RULES;
use crate::runtime::ServingCertificate;
use crate::telemetry::{Metrics, MetricsError};

/// The result of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestResult {
    /// Allowed without a warning.
    Allowed,
    /// Allowed, with warnings.
    Warned,
    /// Denied.
    Denied,
    /// Allowed without a verdict, because the policies were not read yet.
    Unsynced,
    /// Allowed without a verdict, after an internal error.
    Error,
    /// Allowed with defaults.
    Mutated,
    /// Allowed without defaults.
    Unchanged,
    /// Refused: the review cannot be read.
    Invalid,
}

impl RequestResult {
    const ALL: [Self; 8] = [
        Self::Allowed,
        Self::Warned,
        Self::Denied,
        Self::Unsynced,
        Self::Error,
        Self::Mutated,
        Self::Unchanged,
        Self::Invalid,
    ];

    /// Returns the label in metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Warned => "warned",
            Self::Denied => "denied",
            Self::Unsynced => "unsynced",
            Self::Error => "error",
            Self::Mutated => "mutated",
            Self::Unchanged => "unchanged",
            Self::Invalid => "invalid",
        }
    }
}

/// The label of a request whose operation could not be read.
const UNKNOWN: &str = "unknown";

/// The upper bounds of the durations, in seconds.
const BUCKETS: [f64; 12] =
    [0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5];

/// The metrics of the webhook.
#[derive(Debug, Clone)]
pub struct AdmissionMetrics {
    requests: IntCounterVec,
    denials: IntCounterVec,
    duration: Histogram,
}

impl AdmissionMetrics {
    /// Makes the metrics and registers them.
    pub fn register(metrics: &Metrics) -> Result<Self, MetricsError> {
        let made =
            Self::new().map_err(|source| MetricsError::Register { names: "webhook".to_owned(), source })?;
        metrics.register(made.requests.clone())?;
        metrics.register(made.denials.clone())?;
        metrics.register(made.duration.clone())?;
        Ok(made)
    }

    fn new() -> prometheus::Result<Self> {
        let made = Self {
            requests: IntCounterVec::new(
                Opts::new("webhook_requests_total", "Admission requests, by operation and result."),
                &["operation", "result"],
            )?,
            denials: IntCounterVec::new(
                Opts::new("webhook_denials_total", "Admission requests that a rule denied."),
                &["rule"],
            )?,
            duration: Histogram::with_opts(
                HistogramOpts::new(
                    "webhook_request_duration_seconds",
                    "Time from the last byte of a review to its answer.",
                )
                .buckets(BUCKETS.to_vec()),
            )?,
        };
        for operation in [Operation::Create, Operation::Update] {
            for result in RequestResult::ALL.into_iter().filter(|result| *result != RequestResult::Invalid) {
                made.requests.with_label_values(&[operation.label(), result.label()]);
            }
        }
        made.requests.with_label_values(&[UNKNOWN, RequestResult::Invalid.label()]);
        for rule in RULES.iter() {
            made.denials.with_label_values(&[rule.id.as_str()]);
        }
        Ok(made)
    }

    /// Counts a request; `operation` is `None` if it could not be read.
    pub(super) fn count(&self, operation: Option<Operation>, result: RequestResult) {
        let operation = operation.map_or(UNKNOWN, Operation::label);
        self.requests.with_label_values(&[operation, result.label()]).inc();
    }

    /// Counts the rules that denied a request, each once.
    pub(super) fn count_denials(&self, decision: &AdmissionDecision) {
        let rules: std::collections::BTreeSet<_> = decision.denied.iter().map(|found| found.rule).collect();
        for rule in rules {
            self.denials.with_label_values(&[rule.as_str()]).inc();
        }
    }

    pub(super) fn observe(&self, duration: Duration) {
        self.duration.observe(duration.as_secs_f64());
    }
}

/// Measures the remaining lifetime of the serving certificate at each scrape.
pub struct CertificateCollector {
    certificate: ServingCertificate,
    clock: fn() -> Timestamp,
    expiry: Gauge,
}

impl CertificateCollector {
    /// Makes the collector and registers it.
    pub fn register(
        metrics: &Metrics,
        certificate: ServingCertificate,
        clock: fn() -> Timestamp,
    ) -> Result<(), MetricsError> {
        let name = "webhook_certificate_expiry_seconds";
        let help = "Seconds until the serving certificate expires; below zero once it has expired.";
        let expiry = Gauge::new(name, help)
            .map_err(|source| MetricsError::Register { names: name.to_owned(), source })?;
        metrics.add(Box::new(Self { certificate, clock, expiry }))
    }
}

impl Collector for CertificateCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.expiry.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let Some(not_after) = self.certificate.not_after() else { return Vec::new() };
        self.expiry.set(not_after.duration_since((self.clock)()).as_secs_f64());
        self.expiry.collect()
    }
}
