//! Rules and dashboards name only metrics and labels that exist, and each alert has its runbook.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use super::{ALERTS, DASHBOARDS, FLEET_ALERTS, FLEET_RECORDINGS, RECORDINGS};

/// The labels that Prometheus adds to each series, and that of histograms.
const TARGET: [&str; 6] = ["cluster", "instance", "job", "le", "namespace", "pod"];
/// Words of `PromQL` that are no metrics.
const WORDS: [&str; 8] = ["and", "or", "unless", "by", "without", "on", "ignoring", "offset"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The documented metrics with their labels. Cluster tests compare the page with what is served.
fn documented() -> BTreeMap<String, BTreeSet<String>> {
    let page = fs::read_to_string(root().join("docs/metrics.md")).unwrap();
    let mut metrics = BTreeMap::new();
    for row in page.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let name = cells[1].trim_matches('`');
        let labels = cells[3]
            .split(", ")
            .map(|label| label.trim_matches('`').to_owned())
            .filter(|label| !label.is_empty());
        metrics.insert(name.to_owned(), labels.collect());
        if cells[2] == "histogram" {
            for part in ["bucket", "sum", "count"] {
                metrics.insert(format!("{name}_{part}"), BTreeSet::new());
            }
        }
    }
    for recording in RECORDINGS.iter().chain(&FLEET_RECORDINGS) {
        let labels = if recording.expression.contains("by (namespace)") {
            vec!["namespace".to_owned()]
        } else {
            vec![]
        };
        metrics.insert(recording.name.to_owned(), labels.into_iter().collect());
    }
    metrics
}

/// The metrics and the labels that an expression names.
fn named(expression: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut metrics, mut labels) = (BTreeSet::new(), BTreeSet::new());
    let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == ':' || c == '$';
    let mut rest = expression;
    let (mut in_labels, mut grouping) = (false, false);
    while let Some(first) = rest.chars().next() {
        if first == '"' {
            rest = &rest[rest[1..].find('"').unwrap() + 2..];
        } else if first == '[' {
            rest = &rest[rest.find(']').unwrap()..];
        } else if is_word(first) {
            let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            rest = after;
            if in_labels {
                labels.insert(word.to_owned());
            } else if ["by", "without", "on", "ignoring"].contains(&word) {
                grouping = true;
            } else if !first.is_ascii_digit()
                && !WORDS.contains(&word)
                && !rest.starts_with('(')
                && !is_aggregation(rest)
            {
                metrics.insert(word.to_owned());
            }
        } else {
            match first {
                '{' => in_labels = true,
                '(' if grouping => in_labels = true,
                '}' | ')' => in_labels = false,
                _ => {}
            }
            grouping &= first == ' ';
            rest = &rest[first.len_utf8()..];
        }
    }
    (metrics, labels)
}

fn is_aggregation(rest: &str) -> bool {
    rest.starts_with(" by (") || rest.starts_with(" without (")
}

fn expressions() -> Vec<(String, &'static str)> {
    let recordings =
        RECORDINGS.iter().chain(&FLEET_RECORDINGS).map(|rule| (rule.name.to_owned(), rule.expression));
    let alerts = ALERTS.iter().chain(&FLEET_ALERTS).map(|rule| (rule.name.to_owned(), rule.expression));
    let panels = DASHBOARDS
        .iter()
        .flat_map(|dashboard| dashboard.panels)
        .flat_map(|panel| panel.queries.iter().map(|(expression, _)| (panel.title.to_owned(), *expression)));
    recordings.chain(alerts).chain(panels).collect()
}

#[test]
fn every_metric_and_label_of_rules_and_dashboards_exists() {
    let documented = documented();
    for (place, expression) in expressions() {
        let (metrics, labels) = named(expression);
        assert!(!metrics.is_empty(), "{place}: {expression}");
        for metric in &metrics {
            assert!(documented.contains_key(metric), "{place} names {metric}: {expression}");
        }
        let known: BTreeSet<_> =
            metrics.iter().flat_map(|metric| &documented[metric]).map(String::as_str).chain(TARGET).collect();
        for label in &labels {
            assert!(known.contains(label.as_str()), "{place} names the label {label}: {expression}");
        }
    }
}

#[test]
fn metrics_and_labels_are_found_in_an_expression() {
    let (metrics, labels) =
        named(r#"sum by (a, b) (rate(x_total{c="y_z",d=~"$e"}[5m])) / on (f) max(k:r:max offset 1d) > 0.1"#);
    assert_eq!(metrics.into_iter().collect::<Vec<_>>(), ["k:r:max", "x_total"]);
    assert_eq!(labels.into_iter().collect::<Vec<_>>(), ["a", "b", "c", "d", "f"]);
}

#[test]
fn each_alert_has_a_runbook_and_each_runbook_an_alert() {
    let alerts: BTreeSet<_> =
        ALERTS.iter().chain(&FLEET_ALERTS).map(|alert| format!("{}.md", alert.name)).collect();
    let pages = fs::read_dir(root().join("docs/runbooks")).unwrap();
    let pages: BTreeSet<_> = pages.map(|page| page.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(pages, alerts);
    for alert in ALERTS.iter().chain(&FLEET_ALERTS) {
        let page = fs::read_to_string(root().join(format!("docs/runbooks/{}.md", alert.name))).unwrap();
        for heading in [&format!("# {}", alert.name), "## Meaning", "## Impact", "## What to do"] {
            assert!(page.contains(heading), "{}: {heading}", alert.name);
        }
    }
}

#[test]
fn panels_fill_the_grid_without_overlap() {
    for dashboard in DASHBOARDS {
        let model = dashboard.model();
        let mut taken = BTreeSet::new();
        for panel in model["panels"].as_array().unwrap() {
            let at = |field: &str| panel["gridPos"][field].as_u64().unwrap();
            assert!(at("x") + at("w") <= 24, "{panel}");
            for column in at("x")..at("x") + at("w") {
                assert!(taken.insert((at("y"), column)), "{panel}");
            }
        }
    }
}
