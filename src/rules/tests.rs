//! Laws that hold for every rule, and what each one says about its own good and bad sample.

use std::path::PathBuf;

use jiff::Timestamp;
use serde::Deserialize;

use super::*;
use crate::workload::{Object, Parsed};

fn findings(rule: &Rule, yaml: &str, parameters: Option<&[Value]>) -> (u64, Vec<Violation>) {
    let defaults: Vec<Value> = rule.parameters.iter().map(|parameter| parameter.default).collect();
    let mut found = Violations::new(true);
    found.begin(rule.id, rule.severity);
    let mut total = 0;
    for document in yaml_serde::Deserializer::from_str(yaml) {
        let value = serde_json::Value::deserialize(document).unwrap();
        let object = Object::deserialize(value).unwrap();
        let Parsed::Workload(workload) = &object.parsed else { panic!("not judged: {:?}", object.types) };
        if (rule.applies_to)(workload) {
            let parameters = parameters.unwrap_or(&defaults);
            (rule.check)(&Context { workload, parameters, now: Timestamp::UNIX_EPOCH }, &mut found);
        }
        total = found.count();
    }
    (total, found.into_kept())
}

fn fixture(rule: &Rule, file: &str) -> String {
    let path: PathBuf =
        [env!("CARGO_MANIFEST_DIR"), "tests/fixtures/rules", rule.id.as_str(), file].iter().collect();
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn the_registry_is_sorted_and_its_ids_are_unique_kebab_case() {
    assert!(RULES.windows(2).all(|pair| pair[0].id < pair[1].id));
    for rule in RULES {
        assert!(rule.id.as_str().bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{}", rule.id);
        assert!(std::ptr::eq(find(rule.id.as_str()).unwrap(), rule));
    }
}

#[test]
fn every_rule_documents_itself_in_the_same_sections() {
    for rule in RULES {
        let sections: Vec<&str> = rule.docs.lines().filter(|line| line.starts_with("## ")).collect();
        assert_eq!(
            sections,
            ["## What it does", "## Why is this bad", "## Example", "## Exceptions"],
            "{}",
            rule.id
        );
        assert!(!rule.summary.ends_with('.') && rule.label.len() <= 26, "{}", rule.id);
    }
}

#[test]
fn every_bad_sample_fires_and_every_good_one_is_silent() {
    for rule in RULES {
        let (count, violations) = findings(rule, &fixture(rule, "bad.yaml"), None);
        assert!(count > 0 && !violations.is_empty(), "{}: bad.yaml is silent", rule.id);
        assert!(
            violations.iter().all(|violation| !violation.message.is_empty() && !violation.path.is_empty())
        );
        let (count, violations) = findings(rule, &fixture(rule, "good.yaml"), None);
        assert_eq!((count, violations), (0, Vec::new()), "{}: good.yaml fires", rule.id);
    }
}

const RESTARTED: &str = "
apiVersion: v1
kind: Pod
status:
  containerStatuses: [{name: a, restartCount: 4}, {name: b, restartCount: 3}, {name: c, restartCount: 900}]
  initContainerStatuses: [{name: i, restartCount: 50}]";

#[test]
fn restarts_count_past_the_threshold_and_at_most_five_each() {
    assert_eq!(findings(&HIGH_RESTARTS, RESTARTED, None).0, 4 + 5);
    assert_eq!(findings(&HIGH_RESTARTS, RESTARTED, Some(&[Value::Integer(0)])).0, 4 + 3 + 5);
    assert_eq!(findings(&HIGH_RESTARTS, RESTARTED, Some(&[Value::Integer(900)])).0, 0);
}

#[test]
fn a_pod_may_wait_for_as_long_as_the_policy_says() {
    let pending = "
apiVersion: v1
kind: Pod
metadata: {creationTimestamp: '1969-12-31T23:59:00Z'}
status: {phase: Pending}";
    assert_eq!(findings(&PENDING, pending, None).0, 1);
    assert_eq!(findings(&PENDING, pending, Some(&[Value::Integer(60)])).0, 1);
    assert_eq!(findings(&PENDING, pending, Some(&[Value::Integer(61)])).0, 0);
}

#[test]
fn a_cpu_limit_is_asked_for_only_where_the_policy_does() {
    let limited = "
apiVersion: v1
kind: Pod
spec: {containers: [{name: a, resources: {requests: {cpu: 1}, limits: {memory: 1Gi}}}]}";
    assert_eq!(findings(&MISSING_RESOURCES, limited, None).0, 0);
    let (count, violations) = findings(&MISSING_RESOURCES, limited, Some(&[Value::Boolean(true)]));
    assert_eq!(count, 1);
    assert_eq!(violations[0].message, "no CPU limit: set what the container needs");
    assert_eq!(violations[0].path, "spec.containers[0].resources");
}

#[test]
fn texts_are_not_made_when_nobody_reads_them() {
    let mut found = Violations::new(false);
    found.begin(PENDING.id, PENDING.severity);
    found.add(&Finding { container: None, count: 3, path: format_args!("p"), message: format_args!("m") });
    assert_eq!(found.count(), 3);
    assert!(found.into_kept().is_empty());
}
