//! The last evaluations as gauges, computed at each scrape.

use std::collections::BTreeMap;
use std::sync::Arc;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntGauge, IntGaugeVec, Opts};

use super::Operator;
use crate::policy::EnforcementMode;
use crate::rules::Severity;
use crate::telemetry::{Metrics, MetricsError};

/// Exports the evaluations as gauges; a deleted policy has none.
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
    /// Creates the gauges and registers them.
    pub fn register(metrics: &Metrics, operator: Arc<Operator>) -> Result<(), MetricsError> {
        let failed = |source| MetricsError::Register { names: "of policies".to_owned(), source };
        metrics.add(Box::new(Self::new(operator).map_err(failed)?))
    }

    fn new(operator: Arc<Operator>) -> prometheus::Result<Self> {
        let pods = IntGauge::new("pods_tracked", "Pods that policies are evaluated on.")?;
        let violations =
            Opts::new("devopspolicy_violations", "Violations of a policy, one per container and rule.");
        let scores = Opts::new("devopspolicy_health_score", "Health score under a policy, 0 to 100.");
        let modes = Opts::new("enforcement_mode", "Mode of a policy: 1 for enforce, 0 for audit.");
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
        for (policy, evaluated) in &*self.operator.evaluated() {
            let labels = [policy.namespace.as_str(), policy.name.as_str()];
            let enforces = evaluated.mode == EnforcementMode::Enforce;
            modes.with_label_values(&labels).set(enforces.into());
            let Some((score, counts)) = &evaluated.evaluation else { continue };
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
        // The names and labels are constant, and creating the collector has validated them.
        self.gauges().unwrap_or_default()
    }
}
