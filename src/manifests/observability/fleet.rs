//! The rules of a Prometheus that has the recorded series of many clusters, each with its external label `cluster`.

use serde_json::{Value, json};

use super::rules::{Alert, Recording};
use crate::manifests::installation::Installation;

/// The selector of the series that leave a cluster, for federation and remote write.
pub const FLEET_SERIES: &str = "kube_devops:.*";

/// The sums over all clusters. A score is a mean over pods, so each cluster counts by its pods.
pub static FLEET_RECORDINGS: [Recording; 3] = [
    Recording {
        name: "kube_devops:fleet_clusters:count",
        expression: "count(kube_devops:cluster_health_score:max)",
    },
    Recording {
        name: "kube_devops:fleet_scored_pods:sum",
        expression: "sum(max by (cluster) (kube_devops:scored_pods:max))",
    },
    Recording {
        name: "kube_devops:fleet_health_score:mean",
        expression: "sum(max by (cluster) (kube_devops:cluster_health_score:max) \
                     * on (cluster) max by (cluster) (kube_devops:scored_pods:max)) \
                     / kube_devops:fleet_scored_pods:sum",
    },
];

/// The alerts about clusters of a fleet.
pub static FLEET_ALERTS: [Alert; 1] = [Alert {
    name: "KubeDevopsClusterSilent",
    component: None,
    expression: "max by (cluster) (max_over_time(kube_devops:cluster_health_score:max[1d])) \
                 unless on (cluster) kube_devops:cluster_health_score:max",
    for_: "15m",
    severity: "warning",
    summary: "Cluster {{ $labels.cluster }} has sent no health score for 15 minutes.",
}];

/// Returns the rules of a fleet as an object of the Prometheus operator. `runbooks` is the place of the pages in
/// `docs/runbooks`.
pub fn fleet_rule(installation: &Installation, labels: &[(String, String)], runbooks: &str) -> Value {
    let mut metadata = installation.metadata("kube-devops-fleet", None);
    for (key, value) in labels {
        metadata["labels"][key] = value.as_str().into();
    }
    let recordings = FLEET_RECORDINGS.iter().map(Recording::rule);
    let alerts = FLEET_ALERTS.iter().map(|alert| alert.rule(runbooks));
    json!({
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": metadata,
        "spec": { "groups": [
            { "name": "kube-devops.fleet", "rules": recordings.chain(alerts).collect::<Vec<_>>() },
        ] },
    })
}
