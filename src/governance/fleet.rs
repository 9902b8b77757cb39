//! The report of many clusters: their sums, the matrix of clusters and rules, the worst namespaces, and drift.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde::Serialize;

use super::{Classification, Compliance, NamespaceReport, Percent, Report, Score, Tally};
use crate::policy::{EffectivePolicy, PolicyDrift};
use crate::rules::{RuleId, place};

/// The most namespaces of a report.
const WORST: usize = 10;

/// The report of many clusters.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename = "FleetReport", rename_all = "camelCase")]
pub struct FleetReport {
    /// Always `kube-devops/v1`.
    pub api_version: &'static str,
    /// The figures of all clusters that were read.
    pub summary: FleetSummary,
    /// Every context, in the given order.
    pub clusters: Vec<ClusterReport>,
    /// The worst namespaces anywhere, the largest mean penalty of a pod first.
    pub worst_namespaces: Vec<ClusterNamespace>,
    /// The policies that are not the same in all clusters whose policies could be read.
    pub drift: Vec<PolicyDrift>,
}

/// The figures of all clusters that were read.
#[derive(Debug, Serialize)]
pub struct FleetSummary {
    /// The clusters that were read, at least in part.
    pub clusters: usize,
    /// The contexts whose clusters could not be read.
    pub failed: usize,
    /// Pods evaluated.
    pub pods: u64,
    /// Workloads evaluated.
    pub workloads: u64,
    /// The score of all pods; none if no cluster was read.
    pub score: Option<Score>,
    /// The class of the score.
    pub status: Option<Classification>,
    /// The percentage of compliant workloads.
    pub compliance: Option<Percent>,
    /// True if anything could not be read.
    pub partial: bool,
    /// The count of every rule that is on, by its id.
    pub counts: BTreeMap<RuleId, u64>,
}

/// One context.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterReport {
    /// The name of the context.
    pub context: String,
    /// The result.
    pub result: ClusterResult,
    /// The reason of a failure, or the context of the same cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The address of the API server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// The version of the API server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The figures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub figures: Option<ClusterFigures>,
    /// The whole report of the cluster, if it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report: Option<Report>,
}

/// The result of one context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ClusterResult {
    /// All of the cluster was read.
    Analyzed,
    /// Parts of the cluster could not be read.
    Partial,
    /// The cluster counts under another context.
    SameCluster,
    /// The cluster could not be read.
    Failed,
}

/// The figures of one cluster.
#[derive(Debug, Clone, Serialize)]
pub struct ClusterFigures {
    /// Pods evaluated.
    pub pods: u64,
    /// Workloads evaluated.
    pub workloads: u64,
    /// The score.
    pub score: Option<Score>,
    /// The class of the score.
    pub status: Option<Classification>,
    /// The percentage of compliant workloads.
    pub compliance: Option<Percent>,
    /// The count of every rule that is on, by its id.
    pub counts: BTreeMap<RuleId, u64>,
}

/// A namespace of a cluster.
#[derive(Debug, Serialize)]
pub struct ClusterNamespace {
    /// The context of the cluster.
    pub cluster: String,
    /// Its figures.
    #[serde(flatten)]
    pub figures: NamespaceReport,
}

impl ClusterReport {
    /// Makes the row of a cluster that was read, with its reason if it was read in part.
    pub fn of_report(context: String, server: String, version: String, report: Report) -> Self {
        let summary = &report.summary;
        let first = report.errors.first().map(|error| match report.errors.len() {
            1 => error.to_string(),
            count => format!("{error}; and {} more", count - 1),
        });
        Self {
            context,
            result: if summary.partial { ClusterResult::Partial } else { ClusterResult::Analyzed },
            reason: first,
            server: Some(server),
            version: Some(version),
            figures: Some(ClusterFigures {
                pods: summary.pods,
                workloads: summary.workloads,
                score: summary.score,
                status: summary.status,
                compliance: summary.compliance,
                counts: summary.counts.clone(),
            }),
            report: Some(report),
        }
    }

    /// Makes the row of a context without figures.
    pub fn without_figures(context: String, result: ClusterResult, reason: String) -> Self {
        Self {
            context,
            result,
            reason: Some(reason),
            server: None,
            version: None,
            figures: None,
            report: None,
        }
    }
}

impl FleetReport {
    /// Sums up clusters that were evaluated under one policy. It keeps their reports only if `keep` says so.
    pub fn new(
        policy: &EffectivePolicy,
        mut clusters: Vec<ClusterReport>,
        drift: Vec<PolicyDrift>,
        keep: bool,
    ) -> Self {
        let (mut total, mut compliance) = (Tally::default(), Compliance::default());
        let mut namespaces = Vec::new();
        let mut is_read = false;
        for cluster in &mut clusters {
            let Some(report) = &mut cluster.report else { continue };
            let summary = &report.summary;
            let mut tally = Tally::of_pods(summary.pods);
            summary.counts.iter().for_each(|(rule, count)| tally.set(place(*rule), *count));
            total.add(&tally);
            compliance.merge(Compliance { workloads: summary.workloads, compliant: summary.compliant });
            is_read |= summary.score.is_some();
            let worst = report.worst_namespaces(WORST).into_iter();
            namespaces.extend(worst.map(|namespace| ClusterNamespace {
                cluster: cluster.context.clone(),
                figures: namespace.clone(),
            }));
            if !keep {
                cluster.report = None;
            }
        }
        namespaces.sort_by(ClusterNamespace::worst_first);
        namespaces.truncate(WORST);
        let count = |is: fn(ClusterResult) -> bool| clusters.iter().filter(|one| is(one.result)).count();
        let failed = count(|result| result == ClusterResult::Failed);
        let score = is_read.then(|| Score::of(&total, policy));
        Self {
            api_version: "kube-devops/v1",
            summary: FleetSummary {
                clusters: count(|result| matches!(result, ClusterResult::Analyzed | ClusterResult::Partial)),
                failed,
                pods: total.pods,
                workloads: compliance.workloads,
                score,
                status: score.map(Score::classification),
                compliance: score.map(|_| compliance.percent()),
                partial: count(|result| matches!(result, ClusterResult::Failed | ClusterResult::Partial)) > 0,
                counts: total.by_rule(policy),
            },
            clusters,
            worst_namespaces: namespaces,
            drift,
        }
    }
}

impl ClusterNamespace {
    fn worst_first(&self, other: &Self) -> Ordering {
        self.figures.worst_first(&other.figures).then_with(|| self.cluster.cmp(&other.cluster))
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde::Deserialize as _;
    use serde_json::json;

    use super::*;
    use crate::governance::{Analysis, ReportError, Scope};
    use crate::workload::Object;

    fn cluster(context: &str, policy: &EffectivePolicy, images: &[&str], unread: bool) -> ClusterReport {
        let scope = Scope::default();
        let mut analysis = Analysis::new(policy, &scope, Timestamp::UNIX_EPOCH, false);
        for (number, image) in images.iter().enumerate() {
            let pod = json!({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": { "name": format!("p{number}"), "namespace": format!("n{number}") },
                "spec": { "containers": [{ "name": "main", "image": image }] },
            });
            analysis.add(&Object::deserialize(pod).unwrap(), None);
        }
        if unread {
            let (source, message) = ("list pods".to_owned(), "forbidden".to_owned());
            analysis.fail(ReportError { source, document: None, line: None, message });
        }
        ClusterReport::of_report(context.to_owned(), "s".to_owned(), "v1".to_owned(), analysis.finish())
    }

    fn fleet(clusters: Vec<ClusterReport>, policy: &EffectivePolicy, keep: bool) -> FleetReport {
        FleetReport::new(policy, clusters, Vec::new(), keep)
    }

    #[test]
    fn the_score_is_that_of_all_pods_and_no_mean_of_the_clusters() {
        let policy = EffectivePolicy::select("latest-tag").unwrap();
        let clusters =
            vec![cluster("a", &policy, &["x"], false), cluster("b", &policy, &["x:1", "x:1", "x"], false)];
        let report = fleet(clusters, &policy, false);
        let summary = &report.summary;
        // Two pods of four lose 5 points each: 97.5, where the mean of 95 and 98 would be 96.
        assert_eq!((summary.pods, summary.score.map(Score::value)), (4, Some(97)));
        assert_eq!(summary.compliance.map(|percent| percent.to_string()).as_deref(), Some("50.0%"));
        assert_eq!((summary.clusters, summary.failed, summary.partial), (2, 0, false));
        let worst = report.worst_namespaces.iter().map(|one| (&*one.cluster, &*one.figures.namespace));
        assert_eq!(worst.collect::<Vec<_>>(), [("a", "n0"), ("b", "n2")]);
        assert!(report.clusters.iter().all(|cluster| cluster.report.is_none()));
    }

    #[test]
    fn a_failed_cluster_and_one_read_in_part_make_the_result_partial() {
        let policy = EffectivePolicy::default();
        let failed =
            || ClusterReport::without_figures("f".to_owned(), ClusterResult::Failed, "it is down".to_owned());
        let part = cluster("p", &policy, &["x:1"], true);
        assert_eq!(
            (part.result, part.reason.as_deref()),
            (ClusterResult::Partial, Some("list pods: forbidden"))
        );
        let report = fleet(vec![part], &policy, true);
        assert!(report.summary.partial && report.clusters[0].report.is_some());
        let report = fleet(vec![cluster("a", &policy, &["x:1"], false), failed()], &policy, false);
        assert_eq!((report.summary.clusters, report.summary.failed, report.summary.partial), (1, 1, true));
        let nothing = fleet(vec![failed()], &policy, false);
        assert_eq!((nothing.summary.score, nothing.summary.compliance.is_none()), (None, true));
        let same =
            ClusterReport::without_figures("s".to_owned(), ClusterResult::SameCluster, "counted".to_owned());
        let report = fleet(vec![cluster("a", &policy, &["x:1"], false), same], &policy, false);
        assert_eq!((report.summary.clusters, report.summary.partial), (1, false));
    }
}
