//! The scores as gauges, computed from the scoreboard at each scrape.

use std::sync::Arc;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{GaugeVec, IntGauge, IntGaugeVec, Opts};

use super::Observer;
use super::scores::OFFENDERS;
use crate::telemetry::{Metrics, MetricsError};

/// The labels of a workload.
const OFFENDER_LABELS: [&str; 2] = ["namespace", "workload"];

/// The scores of an observer as gauges. A deleted namespace has none.
#[derive(Debug)]
pub struct ScoreCollector {
    observer: Arc<Observer>,
    cluster: Opts,
    namespaces: Opts,
    cluster_compliance: Opts,
    namespace_compliance: Opts,
    violations: Opts,
    offenders: Opts,
    pods: IntGauge,
    unreadable: IntGauge,
    descs: Vec<Desc>,
}

impl ScoreCollector {
    /// Registers gauges for the scores of an observer.
    pub fn register(metrics: &Metrics, observer: Arc<Observer>) -> Result<(), MetricsError> {
        let failed = |source| MetricsError::Register { names: "the scores".to_owned(), source };
        metrics.add(Box::new(Self::new(observer).map_err(failed)?))
    }

    fn new(observer: Arc<Observer>) -> prometheus::Result<Self> {
        let cluster = Opts::new("cluster_health_score", "Health score of all observed pods, 0 to 100.");
        let namespaces =
            Opts::new("namespace_health_score", "Health score of a namespace's observed pods, 0 to 100.");
        let cluster_compliance = Opts::new(
            "cluster_compliance_ratio",
            "Share of all observed workloads without a violation of medium severity or worse, 0 to 1.",
        );
        let namespace_compliance = Opts::new(
            "namespace_compliance_ratio",
            "Share of a namespace's observed workloads without a violation of medium severity or worse, 0 to 1.",
        );
        let violations =
            Opts::new("cluster_violations", "Violations of all observed pods, by rule of the score.");
        let offenders = Opts::new(
            "offender_penalty_points",
            "Penalty points of the 20 observed workloads that have the most of them.",
        );
        let pods = IntGauge::new("pods_tracked", "Pods that the scores cover.")?;
        let unreadable =
            IntGauge::new("pods_unreadable", "Pods left out of the scores because they can't be read.")?;
        let score = IntGaugeVec::new(cluster.clone(), &[])?;
        let by_namespace = IntGaugeVec::new(namespaces.clone(), &["namespace"])?;
        let ratio = GaugeVec::new(cluster_compliance.clone(), &[])?;
        let ratios = GaugeVec::new(namespace_compliance.clone(), &["namespace"])?;
        let by_rule = IntGaugeVec::new(violations.clone(), &["rule"])?;
        let by_workload = GaugeVec::new(offenders.clone(), &OFFENDER_LABELS)?;
        let collectors: [&dyn Collector; 8] =
            [&score, &by_namespace, &ratio, &ratios, &by_rule, &by_workload, &pods, &unreadable];
        let descs = collectors.iter().flat_map(|collector| collector.desc()).cloned().collect();
        Ok(Self {
            observer,
            cluster,
            namespaces,
            cluster_compliance,
            namespace_compliance,
            violations,
            offenders,
            pods,
            unreadable,
            descs,
        })
    }

    fn gauges(&self) -> prometheus::Result<Vec<MetricFamily>> {
        let cluster = IntGaugeVec::new(self.cluster.clone(), &[])?;
        let by_namespace = IntGaugeVec::new(self.namespaces.clone(), &["namespace"])?;
        let ratio = GaugeVec::new(self.cluster_compliance.clone(), &[])?;
        let ratios = GaugeVec::new(self.namespace_compliance.clone(), &["namespace"])?;
        let by_rule = IntGaugeVec::new(self.violations.clone(), &["rule"])?;
        let by_workload = GaugeVec::new(self.offenders.clone(), &OFFENDER_LABELS)?;
        self.observer.view(|view| {
            self.pods.set(gauge(view.board.cluster().pods));
            self.unreadable.set(gauge(view.board.unreadable()));
            // Before the first sync, a score would cover only some of the pods.
            if view.synced {
                if let Some(score) = view.board.cluster_score() {
                    cluster.with_label_values::<&str>(&[]).set(score.value().into());
                }
                for (namespace, score) in view.board.scores() {
                    by_namespace.with_label_values(&[namespace]).set(score.value().into());
                }
                if let Some(compliance) = view.board.cluster_compliance() {
                    ratio.with_label_values::<&str>(&[]).set(compliance.ratio());
                }
                for (namespace, compliance) in view.board.compliances() {
                    ratios.with_label_values(&[namespace]).set(compliance.ratio());
                }
                for (rule, count) in view.board.cluster().by_rule(view.board.policy()) {
                    by_rule.with_label_values(&[rule.as_str()]).set(gauge(count));
                }
                for offender in view.board.offenders(OFFENDERS) {
                    let labels = [&*offender.namespace, &*offender.workload];
                    by_workload.with_label_values(&labels).set(offender.penalty());
                }
            }
        });
        let collectors: [&dyn Collector; 8] =
            [&self.pods, &self.unreadable, &cluster, &by_namespace, &ratio, &ratios, &by_rule, &by_workload];
        let mut families: Vec<_> = collectors.into_iter().flat_map(Collector::collect).collect();
        families.retain(|family| !family.get_metric().is_empty());
        Ok(families)
    }
}

fn gauge(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl Collector for ScoreCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.descs.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        // Names and labels never change, and were accepted when the collector was registered.
        self.gauges().unwrap_or_default()
    }
}
