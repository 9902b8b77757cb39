//! The samples in `kube-tests` break every rule, or none, and the sample policy can be followed.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

#[path = "samples/lines.rs"]
mod lines;

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::Timestamp;
use kube_devops::governance::{Analysis, Origin, Report, Scope};
use kube_devops::policy::{DevOpsPolicy, EffectivePolicy};
use kube_devops::rules::RULES;
use kube_devops::workload::Object;
use serde::Deserialize;

fn read(file: &str) -> String {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "kube-tests", file].iter().collect();
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn strict() -> EffectivePolicy {
    let policy: DevOpsPolicy = yaml_serde::from_str(&read("policies/strict.yaml")).unwrap();
    assert_eq!(policy.metadata.namespace.as_deref(), Some("production"));
    EffectivePolicy::from_spec(&policy.spec).unwrap()
}

fn report(policy: &EffectivePolicy, files: &[&str]) -> Report {
    let scope = Scope::default();
    let mut analysis = Analysis::new(policy, &scope, Timestamp::constant(1_800_000_000, 0), true);
    for source in files {
        let text = read(source);
        for document in yaml_serde::Deserializer::from_str(&text) {
            let value = serde_json::Value::deserialize(document).unwrap();
            analysis.add(
                &Object::deserialize(value).unwrap(),
                Some(Origin { source, line: 1, line_of: &|_| None }),
            );
        }
    }
    analysis.finish()
}

fn counts(report: &Report) -> BTreeMap<&str, u64> {
    report.summary.counts.iter().map(|(rule, count)| (rule.as_str(), *count)).collect()
}

const ALL: [&str; 4] = ["test-pod.yaml", "bad-workloads.yaml", "good-workloads.yaml", "mixed-list.json"];

#[test]
fn the_bad_samples_break_every_rule_of_the_strict_policy() {
    let report = report(&strict(), &["test-pod.yaml", "bad-workloads.yaml"]);
    let counts = counts(&report);
    assert!(counts.len() > RULES.iter().filter(|rule| rule.in_default_score).count());
    assert!(counts.values().all(|count| *count > 0), "{counts:?}");
}

#[test]
fn the_good_samples_break_no_rule() {
    let report = report(&strict(), &["good-workloads.yaml"]);
    assert_eq!((report.summary.pods, report.violations.len()), (2, 0), "{:?}", report.violations);
}

#[test]
fn the_samples_have_the_documented_counts() {
    let report = report(&EffectivePolicy::default(), &ALL);
    assert_eq!(report.summary.pods, 10, "test-pod, six bad, two good and the pod of payments");
    // docs/scoring.md explains these figures.
    let score = report.summary.score.map(kube_devops::governance::Score::value);
    assert_eq!((score, report.summary.workloads, report.summary.compliant), (Some(92), 10, 4));
    let expected = BTreeMap::from([
        ("high-restarts", 5),
        ("latest-tag", 5),
        ("missing-liveness", 4),
        ("missing-readiness", 4),
        ("pending", 1),
    ]);
    assert_eq!(counts(&report), expected);
    let skipped: Vec<&str> = report.skipped.iter().map(|skipped| skipped.kind.as_str()).collect();
    assert_eq!(skipped, ["Service"], "skipped objects are named");
}

#[test]
fn a_deployment_is_evaluated_by_its_pod_and_an_ended_pod_is_not() {
    let report = report(&EffectivePolicy::default(), &["mixed-list.json"]);
    assert_eq!(report.summary.pods, 1);
    let found: Vec<(&str, Option<&str>)> =
        report.violations.iter().map(|found| (found.name, found.owner)).collect();
    assert_eq!(found, [("payments-6d4cf56db6-x8k2p", Some("Deployment/payments"))]);
}
