//! The metrics of the operator: counters of its work, and gauges made from the last verdicts at each scrape.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts};

use super::enforcement_metrics::EnforcementMetrics;
use super::error::CATEGORIES;
use super::{Operator, ReconcileError};
use crate::policy::EnforcementMode;
use crate::rules::Severity;
use crate::telemetry::{Metrics, MetricsError};

/// What the operator did, counted.
#[derive(Debug, Clone)]
pub struct OperatorMetrics {
    pub(super) reconciled: IntCounterVec,
    pub(super) errors: IntCounterVec,
    pub(super) duration: Histogram,
    pub(super) scanned: IntCounter,
    pub(super) audits: IntCounter,
    pub(super) enforcement: EnforcementMetrics,
}

impl OperatorMetrics {
    /// Makes the counters and registers them.
    pub fn register(metrics: &Metrics) -> Result<Self, MetricsError> {
        let made = Self::new(EnforcementMetrics::register(metrics)?)
            .map_err(|source| MetricsError::Register { names: "of the operator".to_owned(), source })?;
        metrics.register(made.reconciled.clone())?;
        metrics.register(made.errors.clone())?;
        metrics.register(made.duration.clone())?;
        metrics.register(made.scanned.clone())?;
        metrics.register(made.audits.clone())?;
        Ok(made)
    }

    fn new(enforcement: EnforcementMetrics) -> prometheus::Result<Self> {
        let by = |name: &str, help: &str, label: &str| IntCounterVec::new(Opts::new(name, help), &[label]);
        let seconds = "Seconds that it took to judge a policy's namespace and write what came of it.";
        let buckets = vec![0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];
        let made = Self {
            reconciled: by(
                "devopspolicy_reconcile_total",
                "Policies reconciled: success or error.",
                "result",
            )?,
            errors: by(
                "devopspolicy_reconcile_errors_total",
                "Policies not reconciled, by cause; each is tried again.",
                "category",
            )?,
            duration: Histogram::with_opts(
                HistogramOpts::new("devopspolicy_reconcile_duration_seconds", seconds).buckets(buckets),
            )?,
            scanned: IntCounter::new("devopspolicy_pods_scanned_total", "Pods judged under policies.")?,
            audits: IntCounter::new("audit_results_total", "PolicyAuditResults created.")?,
            enforcement,
        };
        for category in CATEGORIES {
            made.errors.with_label_values(&[category]);
        }
        for result in ["success", "error"] {
            made.reconciled.with_label_values(&[result]);
        }
        Ok(made)
    }

    /// Counts how a reconciliation went.
    pub(super) fn count(&self, outcome: &Result<Option<Timestamp>, ReconcileError>) {
        let fine = outcome.as_ref().map_or_else(|error| error.unfinished().is_some(), |_| true);
        let result = if fine { "success" } else { "error" };
        self.reconciled.with_label_values(&[result]).inc();
    }
}

/// The verdicts as gauges; a policy that is gone has none.
pub struct PolicyCollector {
    operator: Arc<Operator>,
    pods: IntGauge,
    violations: Opts,
    scores: Opts,
    modes: Opts,
    severities: Opts,
    descs: Vec<Desc>,
}

const POLICY: &[&str] = &["namespace", "policy"];

impl PolicyCollector {
    /// Makes gauges of what an operator knows, and registers them.
    pub fn register(metrics: &Metrics, operator: Arc<Operator>) -> Result<(), MetricsError> {
        let failed = |source| MetricsError::Register { names: "of policies".to_owned(), source };
        metrics.add(Box::new(Self::new(operator).map_err(failed)?))
    }

    fn new(operator: Arc<Operator>) -> prometheus::Result<Self> {
        let pods = IntGauge::new("pods_tracked", "Pods that policies are judged on.")?;
        let violations =
            Opts::new("devopspolicy_violations", "Violations of a policy, one per container and rule.");
        let scores = Opts::new("devopspolicy_health_score", "Health score under a policy, 0 to 100.");
        let modes = Opts::new("enforcement_mode", "Whether a policy's mode is enforce (1) or audit (0).");
        let severities = Opts::new("violations_by_severity", "Violations of all policies, by severity.");
        let mut descs: Vec<Desc> = pods.desc().into_iter().cloned().collect();
        for (opts, labels) in
            [(&violations, POLICY), (&scores, POLICY), (&modes, POLICY), (&severities, &["severity"])]
        {
            descs.extend(IntGaugeVec::new(opts.clone(), labels)?.desc().into_iter().cloned());
        }
        Ok(Self { operator, pods, violations, scores, modes, severities, descs })
    }

    fn gauges(&self) -> prometheus::Result<Vec<MetricFamily>> {
        let [violations, scores, modes] =
            [&self.violations, &self.scores, &self.modes].map(|opts| IntGaugeVec::new(opts.clone(), POLICY));
        let (violations, scores, modes) = (violations?, scores?, modes?);
        let mut by_severity: BTreeMap<Severity, u64> = Severity::ALL.map(|severity| (severity, 0)).into();
        for ((namespace, name), judged) in &*self.operator.judged() {
            let labels = [namespace.as_str(), name.as_str()];
            let enforces = judged.mode == EnforcementMode::Enforce;
            modes.with_label_values(&labels).set(enforces.into());
            let Some((score, counts)) = &judged.verdict else { continue };
            scores.with_label_values(&labels).set((*score).into());
            violations.with_label_values(&labels).set(gauge(counts.values().sum()));
            for (severity, count) in counts {
                *by_severity.entry(*severity).or_default() += count;
            }
        }
        let severities = IntGaugeVec::new(self.severities.clone(), &["severity"])?;
        for (severity, count) in by_severity {
            severities.with_label_values(&[severity.as_str()]).set(gauge(count));
        }
        self.pods.set(gauge(self.operator.inventory().pods() as u64));
        let collectors: [&dyn Collector; 5] = [&self.pods, &violations, &scores, &modes, &severities];
        let families = collectors.into_iter().flat_map(Collector::collect);
        Ok(families.filter(|family| !family.get_metric().is_empty()).collect())
    }
}

fn gauge(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl Collector for PolicyCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.descs.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        // The names and labels are the same each time, and were accepted when the collector was made.
        self.gauges().unwrap_or_default()
    }
}
