//! A fleet on real Prometheus servers: each cluster has one, and a central one federates from them.

use std::fs;
use std::process::Command;

use kube_devops::manifests::installation::Installation;
use kube_devops::manifests::observability::{FLEET_SERIES, fleet_rule, prometheus_rule};
use serde_json::{Value, json};

use crate::control_plane::ControlPlane;
use crate::process::Process;
use crate::prometheus::{Prometheus, program};
use crate::watch::helpers::{create, degrade, pod};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane and Prometheus: make test"]
async fn a_central_prometheus_has_the_score_of_each_cluster_and_of_the_fleet() {
    let plane = ControlPlane::shared();
    let client = plane.client().await;
    let rules = prometheus_rule(&Installation::default(), &[], "docs/runbooks")["spec"].to_string();
    let mut replicas = Vec::new();
    let mut clusters = Vec::new();
    // Two namespaces stand for two clusters: three pods that wait, and one that restarts.
    for (cluster, pods) in [("eu", &["a", "b", "c"][..]), ("us", &["d"])] {
        let namespace = plane.namespace(cluster);
        for name in pods {
            create(&client, &namespace, &pod(name)).await;
        }
        if cluster == "us" {
            degrade(&client, &namespace, "d", true).await;
        }
        let flags = ["--no-leader-election", "-n", &namespace];
        let replica = Process::start("watch", plane.kubeconfig(), cluster, &flags).synced();
        let config = json!({
            "global": { "external_labels": { "cluster": cluster } },
            "rule_files": ["rules.yaml"],
            "scrape_configs": [{
                "job_name": "kube-devops",
                "honor_labels": true,
                "static_configs": [{ "targets": [replica.address().unwrap()] }],
            }],
        });
        clusters.push(Prometheus::start(config, &[("rules.yaml", &rules)]));
        replicas.push(replica);
    }
    let targets: Vec<_> = clusters.iter().map(Prometheus::address).collect();
    let config = json!({
        "rule_files": ["fleet-rules.yaml"],
        "scrape_configs": [{
            "job_name": "kube-devops-fleet",
            "honor_labels": true,
            "metrics_path": "/federate",
            "params": { "match[]": [format!("{{__name__=~\"{FLEET_SERIES}\"}}")] },
            "static_configs": [{ "targets": targets }],
        }],
    });
    let fleet = fleet_rule(&Installation::default(), &[], "docs/runbooks")["spec"].to_string();
    let central = Prometheus::start(config, &[("fleet-rules.yaml", &fleet)]);

    // A pod that waits costs 4 points, and one that restarts 2 x 5 x 6.
    let scores = [(Some("eu"), "96"), (Some("us"), "40")];
    central.answers_by("cluster", "kube_devops:cluster_health_score:max", &scores).await;
    central
        .answers_by("cluster", "kube_devops:scored_pods:max", &[(Some("eu"), "3"), (Some("us"), "1")])
        .await;
    let mean = [(None, "82")];
    central.answers_by("cluster", "kube_devops:fleet_health_score:mean", &mean).await;
    central.answers_by("cluster", "kube_devops:fleet_clusters:count", &[(None, "2")]).await;
    let worst = "bottomk(1, kube_devops:namespace_health_score:max)";
    central.answers_by("cluster", worst, &[(Some("us"), "40")]).await;
    // Nothing but the recorded series leaves a cluster.
    central.answers_by("cluster", "namespace_health_score", &[]).await;
}

#[test]
#[ignore = "needs Prometheus: make test"]
fn promtool_passes_the_tests_of_the_rules_of_a_fleet() {
    let directory = tempfile::tempdir().unwrap();
    let rule = fleet_rule(&Installation::default(), &[], "docs/runbooks");
    let score = |cluster: &str| format!("kube_devops:cluster_health_score:max{{cluster=\"{cluster}\"}}");
    let alert = |minutes: u32, expected: Value| {
        json!({
            "eval_time": format!("{minutes}m"), "alertname": "KubeDevopsClusterSilent", "exp_alerts": expected,
        })
    };
    let silent = json!([{
        "exp_labels": { "severity": "warning", "cluster": "us" },
        "exp_annotations": {
            "summary": "Cluster us has sent no health score for 15 minutes.",
            "runbook_url": "docs/runbooks/KubeDevopsClusterSilent.md",
        },
    }]);
    let tests = json!({
        "rule_files": ["rules.yaml"],
        "evaluation_interval": "1m",
        "tests": [{
            "interval": "1m",
            "input_series": [
                { "series": score("eu"), "values": "90x120" },
                { "series": score("us"), "values": "80x30 _x90" },
            ],
            "alert_rule_test": [alert(30, json!([])), alert(60, silent)],
        }],
    });
    fs::write(directory.path().join("rules.yaml"), rule["spec"].to_string()).unwrap();
    fs::write(directory.path().join("tests.yaml"), tests.to_string()).unwrap();
    for arguments in [&["test", "rules", "tests.yaml"][..], &["check", "rules", "--lint=all", "rules.yaml"]] {
        let run =
            Command::new(program("promtool")).args(arguments).current_dir(directory.path()).output().unwrap();
        let said = String::from_utf8_lossy(&[run.stdout, run.stderr].concat()).into_owned();
        assert!(run.status.success(), "{arguments:?}: {said}");
    }
}
