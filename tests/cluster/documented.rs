//! `docs/metrics.md` and `docs/api.md` list exactly the metrics and fields that are served.

use crate::analyze::on;
use crate::control_plane::{ControlPlane, Reach};
use crate::eventually::eventually;
use crate::process::Process;
use crate::watch::helpers::{create, object, pod, rule};
use kube::Api;
use kube::api::PostParams;
use kube_devops::manifests::Mode;
use kube_devops::policy::DevOpsPolicy;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The type and the label names of each metric, by metric name.
type Metrics = BTreeMap<String, (String, BTreeSet<String>)>;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn watch_serves_the_metrics_and_the_scores_that_are_documented() {
    let plane = ControlPlane::shared();
    let home = plane.namespace("documented");
    create(&plane.client().await, &home, &pod("web")).await;
    let replica =
        Process::start("watch", plane.kubeconfig(), "a", &["-n", &home, "--lease-namespace", &home]).synced();
    assert_eq!(served(&replica.get("/metrics").1), documented("`watch`"));

    let scores = replica.scores();
    let mut fields = BTreeSet::new();
    collect("", &scores, &mut fields);
    let rows = rows("docs/api.md", "`GET /api/v1/scores`");
    assert_eq!(fields, rows.iter().map(|row| code(&row[0])).collect(), "{scores:#}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn reconcile_serves_the_metrics_that_are_documented() {
    let plane = ControlPlane::start();
    let home = plane.namespace("documented");
    let installed = on(plane.kubeconfig(), &["crd", "install"]);
    assert_eq!(installed.code, 0, "{installed:?}");
    let client = plane.client().await;
    create(&client, &home, &pod("web")).await;
    let policy: DevOpsPolicy =
        object(json!({ "metadata": { "name": "home" }, "spec": { "forbidPendingDuration": 1 } }));
    Api::namespaced(client, &home).create(&PostParams::default(), &policy).await.unwrap();
    // The account may read everything and write nothing, so that failed writes are counted.
    let mut rules: Vec<_> = Mode::Reconcile.permissions().iter().map(rule).collect();
    for rule in &mut rules {
        rule.verbs.retain(|verb| ["get", "list", "watch"].contains(&&**verb));
    }
    rules.retain(|rule| !rule.verbs.is_empty());
    let kubeconfig = plane.restricted(&home, "reader", &rules, Reach::Cluster).await;
    let replica = Process::start("reconcile", &kubeconfig, "a", &["--no-leader-election"]);
    eventually("the documented metrics of reconcile", async || {
        let (served, documented) = (served(&replica.get("/metrics").1), documented("`reconcile`"));
        let surplus: Vec<_> = served.keys().filter(|name| !documented.contains_key(*name)).collect();
        assert!(surplus.is_empty(), "not documented: {surplus:?}");
        let missing: Vec<_> = documented.iter().filter(|(name, _)| !served.contains_key(*name)).collect();
        if !missing.is_empty() {
            println!("not served yet: {missing:?}");
            return None;
        }
        assert_eq!(served, documented);
        Some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn the_webhook_serves_the_metrics_that_are_documented() {
    let fixture = crate::webhook::WebhookFixture::new().await;
    let webhook = fixture.replica(&[]);
    assert_eq!(served(&webhook.get("/metrics").1), documented("`webhook serve`"));
}

/// Parses the Prometheus text format.
fn served(text: &str) -> Metrics {
    let mut metrics = Metrics::new();
    let mut last = String::new();
    for line in text.lines() {
        if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            name.clone_into(&mut last);
            metrics.insert(last.clone(), (kind.to_owned(), BTreeSet::new()));
        } else if let Some((_, labels)) = line.split_once('{')
            && !line.starts_with('#')
        {
            // No label value contains a quote here.
            let names = labels.split('"').step_by(2).filter_map(|part| part.strip_suffix('='));
            let names = names.map(|name| name.trim_start_matches(',').to_owned());
            metrics.get_mut(&last).unwrap().1.extend(names.filter(|name| name != "le"));
        }
    }
    metrics
}

/// Returns the documented metrics of a command, including those that every command has.
fn documented(command: &str) -> Metrics {
    let rows = ["Every long-running command", command].map(|heading| rows("docs/metrics.md", heading));
    let metric = |row: Vec<String>| {
        let labels = row[2].split(", ").filter(|label| !label.is_empty()).map(code);
        (code(&row[0]), (row[1].clone(), labels.collect()))
    };
    rows.into_iter().flatten().map(metric).collect()
}

/// Returns the table cells under a heading.
fn rows(file: &str, heading: &str) -> Vec<Vec<String>> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
    let section = text.split("\n## ").find_map(|section| section.strip_prefix(heading));
    let lines = section.unwrap_or_else(|| panic!("{file} has no {heading}")).lines();
    let rows = lines.filter(|line| line.starts_with("| `"));
    rows.map(|row| row.split('|').skip(1).map(|cell| cell.trim().to_owned()).collect()).collect()
}

fn code(text: impl AsRef<str>) -> String {
    text.as_ref().trim_matches('`').to_owned()
}

/// Collects the paths of a value's fields. The keys under counts are rules and are left out.
fn collect(path: &str, value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) if !path.ends_with("counts") => {
            for (key, value) in fields {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                if !value.is_object() || key == "counts" {
                    into.insert(path.clone());
                }
                collect(&path, value, into);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(&format!("{path}[]"), item, into)),
        _ => {}
    }
}
