//! Alert rules and dashboards on a real Prometheus.

use crate::control_plane::ControlPlane;
use crate::operator::fixture::plane;
use crate::process::Process;
use crate::prometheus::{Prometheus, program};
use crate::watch::helpers::{create, object, pod};
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use kube_devops::manifests::Mode;
use kube_devops::manifests::installation::Installation;
use kube_devops::manifests::observability::{ALERTS, DASHBOARDS, prometheus_rule};
use kube_devops::policy::DevOpsPolicy;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use tokio::time::sleep;

const LIMIT: Duration = Duration::from_mins(1);

fn fixture() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/alerts/alerts.yaml");
    fs::read_to_string(path).unwrap()
}

#[test]
#[ignore = "needs Prometheus: make test"]
fn promtool_passes_the_tests_of_the_alerts() {
    let directory = tempfile::tempdir().unwrap();
    let installation = Installation { modes: Mode::ALL.to_vec(), ..Installation::default() };
    let rule = prometheus_rule(&installation, &[], "docs/runbooks");
    // JSON is valid YAML.
    fs::write(directory.path().join("rules.yaml"), rule["spec"].to_string()).unwrap();
    fs::write(directory.path().join("alerts.yaml"), fixture()).unwrap();
    for arguments in [&["test", "rules", "alerts.yaml"][..], &["check", "rules", "--lint=all", "rules.yaml"]]
    {
        let run =
            Command::new(program("promtool")).args(arguments).current_dir(directory.path()).output().unwrap();
        let said = String::from_utf8_lossy(&[run.stdout, run.stderr].concat()).into_owned();
        assert!(run.status.success(), "{arguments:?}: {said}");
    }
}

#[test]
#[ignore = "needs Prometheus: make test"]
fn each_alert_is_tested_to_fire_and_to_stay_quiet() {
    let fixture: Value = yaml_serde::from_str(&fixture()).unwrap();
    let mut seen = BTreeSet::new();
    for test in fixture["tests"].as_array().unwrap() {
        for case in test["alert_rule_test"].as_array().unwrap() {
            let fires = !case["exp_alerts"].as_array().unwrap().is_empty();
            seen.insert((case["alertname"].as_str().unwrap().to_owned(), fires));
        }
    }
    for alert in &ALERTS {
        for fires in [true, false] {
            assert!(seen.contains(&(alert.name.to_owned(), fires)), "{}: {fires}", alert.name);
        }
    }
}

/// Runs `watch`, `reconcile` and `webhook serve` on a cluster with pods and a policy.
async fn replicas(plane: &ControlPlane, shop: &str) -> [Process; 3] {
    let client = plane.client().await;
    create(&client, shop, &pod("web")).await;
    let policy: DevOpsPolicy = object(json!({
        "metadata": { "name": "base" }, "spec": { "forbidLatestTag": true, "requireLivenessProbe": true },
    }));
    Api::namespaced(client, shop).create(&PostParams::default(), &policy).await.unwrap();
    let flags = ["--lease-namespace", shop];
    let observer = Process::start("watch", plane.kubeconfig(), "a", &flags).synced();
    // The operator's own namespace is protected.
    let flags = ["--lease-namespace", "default"];
    let operator = Process::start("reconcile", plane.kubeconfig(), "b", &flags).synced();
    let flags = [&flags[..], &["--secure-listen", "127.0.0.1:0"]].concat();
    [observer, operator, Process::start("webhook serve", plane.kubeconfig(), "c", &flags).synced()]
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane and Prometheus: make test"]
async fn prometheus_answers_the_query_of_every_panel_with_numbers() {
    let plane = plane();
    let shop = plane.namespace("shop");
    let replicas = replicas(&plane, &shop).await;
    let targets = replicas.each_ref().map(|replica| replica.address().unwrap());
    let prometheus = Prometheus::scraping(&targets);
    let policies = Api::<DevOpsPolicy>::namespaced(plane.client().await, &shop);
    let start = Instant::now();
    let mut open: Vec<_> = DASHBOARDS
        .iter()
        .flat_map(|dashboard| dashboard.panels)
        .flat_map(|panel| panel.queries.iter().map(|(expression, _)| (panel.title, *expression)))
        .collect();
    assert!(open.len() > 20);
    let mut restarts = 1;
    while !open.is_empty() {
        assert!(start.elapsed() < LIMIT, "no numbers: {open:#?}");
        // Rates need something that happens between two scrapes.
        restarts += 1;
        let change = Patch::Merge(json!({ "spec": { "maxRestartCount": restarts } }));
        policies.patch("base", &PatchParams::default(), &change).await.unwrap();
        sleep(Duration::from_millis(300)).await;
        open.retain(|(_, expression)| !has_numbers(&prometheus, expression));
    }
}

/// Returns true if a query has an answer, and each of its values is a number.
fn has_numbers(prometheus: &Prometheus, expression: &str) -> bool {
    let query =
        expression.replace("$cluster", ".*").replace("$namespace", ".*").replace("$__rate_interval", "1m");
    let answer = prometheus.query(&query).unwrap_or_default();
    assert_ne!(answer["status"], "error", "{query}: {answer}");
    let samples = answer["data"]["result"].as_array().cloned().unwrap_or_default();
    let number = |sample: &Value| sample["value"][1].as_str().is_some_and(|text| text != "NaN");
    !samples.is_empty() && samples.iter().all(number)
}
