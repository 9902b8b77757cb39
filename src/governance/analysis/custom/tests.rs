//! Tests of rules of a policy's own, over files in any order.

use jiff::Timestamp;
use serde::Deserialize as _;
use serde_json::{Value, json};

use crate::governance::{Analysis, Report, Scope};
use crate::policy::EffectivePolicy;
use crate::workload::Object;

fn policy(kinds: &[&str], expression: &str) -> EffectivePolicy {
    let rule = json!({
        "id": "own-rule", "match": { "kinds": kinds }, "expression": expression, "message": "mend it",
        "params": { "max": 3 },
    });
    EffectivePolicy::from_spec(&serde_json::from_value(json!({ "customRules": [rule] })).unwrap()).unwrap()
}

fn report(policy: &EffectivePolicy, objects: &[Value]) -> Report {
    let scope = Scope::default();
    let mut analysis = Analysis::new(policy, &scope, Timestamp::UNIX_EPOCH, true);
    // Each object comes in a part of its own, the last one first.
    for object in objects.iter().rev() {
        let mut part = analysis.part();
        policy.fields().within(|| part.add(&Object::deserialize(object).unwrap(), None));
        analysis.merge(part);
    }
    analysis.finish()
}

fn found(report: &Report) -> Vec<String> {
    report.violations.iter().map(|row| format!("{} {} {}", row.object(), row.rule, row.message)).collect()
}

fn deployment(name: &str, replicas: i64) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": name, "namespace": "shop" },
        "spec": { "replicas": replicas, "template": { "spec": { "containers": [{ "name": "c", "image": "i:1" }] } } },
    })
}

fn pod(name: &str, owner: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": { "name": name, "namespace": "shop", "labels": { "pod-template-hash": "7f9" }, "ownerReferences": [
            { "kind": "ReplicaSet", "name": format!("{owner}-7f9"), "controller": true },
        ] },
        "spec": { "containers": [{ "name": "c", "image": "i:1" }] },
    })
}

#[test]
fn a_false_expression_is_a_violation_of_the_object() {
    let policy = policy(&["Deployment"], "object.spec.replicas <= params.max");
    let report = report(&policy, &[deployment("a", 3), deployment("b", 4), pod("b-7f9-x", "b")]);
    assert_eq!(found(&report), ["shop/Deployment/b own-rule mend it"]);
    // A medium violation weighs 3, and there are two pods or templates.
    assert_eq!(report.summary.score.map(crate::governance::Score::value), Some(98));
}

#[test]
fn a_rule_about_pods_leaves_templates_alone() {
    let policy = policy(&["Pod"], "has(object.spec.priorityClassName)");
    let report = report(&policy, &[deployment("a", 3), pod("b-7f9-x", "b")]);
    assert_eq!(found(&report), ["shop/Pod/b-7f9-x own-rule mend it"]);
    assert_eq!(report.violations.iter().next().unwrap().owner, Some("Deployment/b"));
}

#[test]
fn the_items_of_a_list_have_their_type() {
    let policy = policy(&["Deployment"], "object.kind == 'Deployment' && object.apiVersion == 'apps/v1'");
    let mut item = deployment("a", 1);
    for key in ["apiVersion", "kind"] {
        item.as_object_mut().unwrap().remove(key);
    }
    let report =
        report(&policy, &[json!({ "apiVersion": "apps/v1", "kind": "DeploymentList", "items": [item] })]);
    assert_eq!((found(&report), report.summary.workloads), (vec![], 1));
    assert!(report.summary.unknown.is_empty());
}

#[test]
fn an_error_is_unknown_with_the_reason() {
    let policy = policy(&["Deployment"], "object.spec.paused");
    let report = report(&policy, &[deployment("b", 1), deployment("a", 1)]);
    assert_eq!((found(&report), report.summary.unknown.values().sum::<u64>()), (vec![], 2));
    let reasons: Vec<_> = report.unknown_reasons.values().collect();
    assert_eq!(reasons, ["shop/Deployment/a: no such key: paused"]);
}

#[test]
fn the_namespace_of_an_object_can_come_after_it() {
    let policy = policy(&["Deployment"], "namespaceObject.metadata.labels.team == 'a'");
    let namespace = |team: &str| json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "shop", "labels": { "team": team } } });
    let good = report(&policy, &[namespace("a"), deployment("a", 1)]);
    assert_eq!((found(&good), good.summary.unknown.len()), (vec![], 0));
    let bad = report(&policy, &[namespace("b"), deployment("a", 1)]);
    assert_eq!(found(&bad), ["shop/Deployment/a own-rule mend it"]);
    let open = report(&policy, &[deployment("a", 1)]);
    assert_eq!(
        open.unknown_reasons.values().next().unwrap(),
        "shop/Deployment/a: its Namespace was not read"
    );
}
