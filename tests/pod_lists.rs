//! Generated pod lists are valid, reproducible and similar to those of a real cluster.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

#[path = "common/generate.rs"]
mod generate;

use std::collections::BTreeSet;

use jiff::Timestamp;
use kube_devops::governance::{Analysis, Scope};
use kube_devops::policy::EffectivePolicy;
use kube_devops::rules::RULES;
use kube_devops::workload::Object;
use serde_json::Value;

const PODS: usize = 2_000;

fn compact(pods: usize, seed: u64) -> String {
    let mut out = Vec::new();
    generate::write_pod_list(&mut out, pods, seed).unwrap();
    String::from_utf8(out).unwrap()
}

fn pretty(pods: usize, seed: u64) -> String {
    let mut out = Vec::new();
    generate::write_pod_list_pretty(&mut out, pods, seed).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn a_list_depends_only_on_its_seed() {
    assert!(compact(50, 1) == compact(50, 1));
    assert!(compact(50, 1) != compact(50, 2));
}

#[test]
fn a_list_has_the_requested_number_of_pods() {
    for pods in [0, 1, 2, 99] {
        let list: Value = serde_json::from_str(&compact(pods, 3)).unwrap();
        assert_eq!(list["items"].as_array().unwrap().len(), pods);
    }
}

#[test]
fn pods_are_as_large_and_varied_as_those_of_a_real_cluster() {
    let text = compact(PODS, 4);
    let list: Value = serde_json::from_str(&text).unwrap();
    let items = list["items"].as_array().unwrap();
    let mean = text.len() / items.len();
    assert!((8_000..=12_000).contains(&mean), "{mean} bytes a pod");
    let all = |path: &str| {
        items.iter().map(|item| item.pointer(path).unwrap().as_str().unwrap()).collect::<BTreeSet<_>>()
    };
    assert_eq!(all("/metadata/namespace").len(), generate::NAMESPACES);
    assert_eq!(all("/metadata/uid").len(), PODS);
    assert_eq!(
        all("/metadata/ownerReferences/0/kind"),
        BTreeSet::from(["DaemonSet", "Job", "ReplicaSet", "StatefulSet"])
    );
    let owners = all("/metadata/ownerReferences/0/uid").len();
    assert!((3 * owners..=10 * owners).contains(&PODS), "{owners} owners");
    assert!(items.iter().all(|item| item["kind"].is_null() && item["metadata"]["managedFields"].is_array()));
}

#[test]
fn the_kubectl_notation_holds_the_same_pods() {
    let mut list: Value = serde_json::from_str(&compact(20, 5)).unwrap();
    let text = pretty(20, 5);
    let mut indented: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(indented["kind"], "List");
    for item in indented["items"].as_array_mut().unwrap() {
        let item = item.as_object_mut().unwrap();
        assert_eq!(item.remove("kind").unwrap(), "Pod");
        assert_eq!(item.remove("apiVersion").unwrap(), "v1");
    }
    for item in list["items"].as_array_mut().unwrap() {
        item["metadata"].as_object_mut().unwrap().remove("managedFields").unwrap();
    }
    assert!(list["items"].take() == indented["items"].take());
    let expected =
        "{\n    \"apiVersion\": \"v1\",\n    \"items\": [\n        {\n            \"apiVersion\": \"v1\",\n";
    assert!(text.starts_with(expected));
}

#[test]
fn about_one_pod_in_ten_breaks_a_rule_and_every_rule_is_broken() {
    let policy = EffectivePolicy::default();
    let scope = Scope::default();
    let (text, indented) = (compact(PODS, 6), pretty(PODS, 6));
    let mut reports = [&text, &indented].map(|text| {
        let mut analysis = Analysis::new(&policy, &scope, Timestamp::constant(1_800_000_000, 0), true);
        analysis.add(&serde_json::from_str::<Object<'_>>(text).unwrap(), None);
        analysis.finish()
    });
    let report = &mut reports[0];
    assert!(report.summary.pods < PODS as u64, "some pods have completed");
    let broken: BTreeSet<_> = report.violations.iter().map(|found| (found.namespace, found.name)).collect();
    let share = broken.len() * 100 / PODS;
    assert!((7..=13).contains(&share), "{share} % break a rule");
    for rule in RULES.iter().filter(|rule| rule.in_default_score) {
        assert!(report.summary.counts[&rule.id] > 0, "{}", rule.id);
    }
    let [report, same] = reports;
    assert_eq!(report.summary.counts, same.summary.counts);
}
