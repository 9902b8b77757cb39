//! The status of the policies in many clusters, from the figures that their operators have written.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::Serialize;

use super::{ClusterResult, Score};
use crate::policy::PolicySummary;
use crate::workload::cluster_name;

/// The status of the policies in many clusters.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename = "FleetStatus", rename_all = "camelCase")]
pub struct FleetStatus {
    /// Always `kube-devops/v1`.
    pub api_version: &'static str,
    /// The figures of all clusters that were read.
    pub summary: FleetStatusSummary,
    /// Every context, in the given order.
    pub clusters: Vec<ClusterStatus>,
    /// The policies of all clusters: those without a score first, then the lowest score first.
    pub policies: Vec<ClusterPolicy>,
}

/// The figures of all clusters that were read.
#[derive(Debug, Serialize)]
pub struct FleetStatusSummary {
    /// The clusters that were read.
    pub clusters: usize,
    /// The contexts whose clusters could not be read.
    pub failed: usize,
    /// The figures of their policies.
    #[serde(flatten)]
    pub figures: PolicyFigures,
    /// True if a cluster could not be read.
    pub partial: bool,
}

/// One context.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterStatus {
    /// The name of the context.
    pub context: String,
    /// The result.
    pub result: ClusterResult,
    /// The reason of a failure, or the context of the same cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The version of the API server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The figures, if the cluster was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub figures: Option<PolicyFigures>,
}

/// Sums over policies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyFigures {
    /// The number of policies, of both kinds.
    pub policies: usize,
    /// The cluster policies among them.
    pub cluster_policies: usize,
    /// The policies that no operator has evaluated.
    pub unevaluated: usize,
    /// The evaluated pods. Several policies of a namespace count its pods once. A cluster policy counts its pods beside
    /// them, because the figures do not tell which pods they share.
    pub pods: u64,
    /// The mean score of these pods. Each namespace has the lowest score of its own policies, and each cluster policy
    /// has its own score, without fractions. So the mean can be up to one point lower than that of `analyze`.
    pub score: Option<Score>,
    /// The lowest score of a policy.
    pub lowest: Option<Score>,
    /// The number of violations.
    pub violations: u64,
}

/// A policy of a cluster.
#[derive(Debug, Serialize)]
pub struct ClusterPolicy {
    /// The context of the cluster.
    pub cluster: String,
    /// Its figures.
    #[serde(flatten)]
    pub figures: PolicySummary,
}

impl FleetStatus {
    /// Sums up clusters. `policies` has the policies of each cluster that was read, by the name of its context.
    pub fn new(mut clusters: Vec<ClusterStatus>, policies: &[(String, Vec<PolicySummary>)]) -> Self {
        for cluster in &mut clusters {
            let own = policies.iter().find(|(context, _)| *context == cluster.context);
            cluster.figures =
                own.map(|(context, own)| figures(own.iter().map(|policy| (&**context, policy))));
        }
        let all = || policies.iter().flat_map(|(context, own)| own.iter().map(move |one| (&**context, one)));
        let failed = clusters.iter().filter(|row| row.result == ClusterResult::Failed).count();
        let summary = FleetStatusSummary {
            clusters: policies.len(),
            failed,
            figures: figures(all()),
            partial: failed > 0,
        };
        let mut sorted: Vec<_> = all()
            .map(|(cluster, figures)| ClusterPolicy { cluster: cluster.to_owned(), figures: figures.clone() })
            .collect();
        sorted.sort_by_key(|row| (row.figures.score, Reverse(row.figures.violations)));
        Self { api_version: "kube-devops/v1", summary, clusters, policies: sorted }
    }
}

/// Sums up policies, each with its cluster.
fn figures<'p>(policies: impl Iterator<Item = (&'p str, &'p PolicySummary)>) -> PolicyFigures {
    let mut sum = PolicyFigures::default();
    // The lowest score and the pods of each namespace, and those of each cluster policy.
    let mut places: BTreeMap<(&str, &str, Option<&str>), (u8, u64)> = BTreeMap::new();
    for (cluster, policy) in policies {
        sum.policies += 1;
        sum.violations += policy.violations.unwrap_or(0);
        let cluster_policy = cluster_name(&policy.name);
        sum.cluster_policies += usize::from(cluster_policy.is_some());
        match policy.score {
            Some(score) => {
                let place = places.entry((cluster, &policy.namespace, cluster_policy)).or_insert((score, 0));
                *place = (place.0.min(score), place.1.max(policy.pods.unwrap_or(0)));
            }
            None => sum.unevaluated += 1,
        }
    }
    sum.lowest = places.values().map(|(score, _)| *score).min().map(Score::from_value);
    sum.pods = places.values().map(|(_, pods)| pods).sum();
    let weighted: u64 = places.values().map(|(score, pods)| u64::from(*score) * pods).sum();
    sum.score = match weighted.checked_div(sum.pods) {
        Some(mean) => u8::try_from(mean).ok().map(Score::from_value),
        // Namespaces without pods violate nothing.
        None => sum.lowest,
    };
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(namespace: &str, name: &str, score: Option<u8>, pods: u64) -> PolicySummary {
        PolicySummary {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            mode: Some("audit".to_owned()),
            score,
            violations: score.map(|score| u64::from(100 - score)),
            pods: Some(pods),
            namespaces: None,
        }
    }

    fn cluster(context: &str, result: ClusterResult) -> ClusterStatus {
        ClusterStatus { context: context.to_owned(), result, reason: None, version: None, figures: None }
    }

    #[test]
    fn the_score_of_a_cluster_is_weighted_by_pods_and_a_namespace_counts_once() {
        let policies = vec![
            policy("shop", "strict", Some(40), 10),
            policy("shop", "lax", Some(90), 10),
            policy("blog", "p", Some(100), 30),
            policy("new", "p", None, 0),
        ];
        let clusters = vec![cluster("a", ClusterResult::Analyzed), cluster("b", ClusterResult::Failed)];
        let status = FleetStatus::new(clusters, &[("a".to_owned(), policies)]);
        let expected = PolicyFigures {
            policies: 4,
            cluster_policies: 0,
            unevaluated: 1,
            pods: 40,
            score: Some(Score::from_value(85)),
            lowest: Some(Score::from_value(40)),
            violations: 70,
        };
        assert_eq!(status.clusters[0].figures, Some(expected));
        assert_eq!(status.summary.figures, expected);
        assert_eq!((status.clusters[1].figures, status.summary.failed), (None, 1));
        let order: Vec<_> = status.policies.iter().map(|row| row.figures.name.as_str()).collect();
        assert_eq!(order, ["p", "strict", "lax", "p"]);
    }

    #[test]
    fn each_cluster_policy_counts_its_pods_beside_those_of_namespaces() {
        let policies = vec![
            policy("shop", "p", Some(50), 10),
            policy("", "cluster/strict", Some(70), 20),
            policy("", "cluster/lax", Some(100), 20),
            policy("", "cluster/new", None, 0),
        ];
        let status =
            FleetStatus::new(vec![cluster("a", ClusterResult::Analyzed)], &[("a".to_owned(), policies)]);
        let expected = PolicyFigures {
            policies: 4,
            cluster_policies: 3,
            unevaluated: 1,
            pods: 50,
            score: Some(Score::from_value(78)),
            lowest: Some(Score::from_value(50)),
            violations: 80,
        };
        assert_eq!(status.summary.figures, expected);
    }

    #[test]
    fn clusters_that_could_not_be_read_have_no_score() {
        let status = FleetStatus::new(vec![cluster("a", ClusterResult::Failed)], &[]);
        assert_eq!((status.summary.figures.score, status.summary.partial), (None, true));
    }
}
