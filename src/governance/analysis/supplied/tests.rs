//! Requests and limits that `LimitRange`s supply, in any order of the input.

use jiff::Timestamp;
use serde::Deserialize as _;
use serde_json::{Value, json};

use super::*;
use crate::governance::{Report, Scope};
use crate::workload::Object;

fn evaluated(objects: &[Value]) -> Report {
    let spec = serde_json::from_value(json!({ "requireResources": true })).unwrap();
    let policy = EffectivePolicy::from_spec(&spec).unwrap();
    let scope = Scope::default();
    let mut whole = Analysis::new(&policy, &scope, Timestamp::UNIX_EPOCH, true);
    for object in objects {
        let mut part = whole.part();
        let object = policy.fields_of_manifests().within(|| Object::deserialize(object.clone()).unwrap());
        part.add(&object, None);
        whole.merge(part);
    }
    whole.finish()
}

fn container(name: &str, resources: &Value) -> Value {
    json!({ "name": name, "image": "x:1", "resources": resources })
}

fn deployment(namespace: &str) -> Value {
    let containers = [container("bare", &json!({})), container("half", &json!({ "requests": { "cpu": 1 } }))];
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "web", "namespace": namespace },
        "spec": { "template": { "spec": { "containers": containers } } },
    })
}

fn pod(created: Option<&str>, owner: Option<&str>) -> Value {
    let owners = owner.map(|name| json!([{ "kind": "ReplicaSet", "name": name, "controller": true }]));
    json!({
        "apiVersion": "v1", "kind": "Pod", "spec": { "containers": [container("bare", &json!({}))] },
        "metadata": {
            "name": "web-7f9-x", "namespace": "a", "creationTimestamp": created, "ownerReferences": owners,
            "labels": { "pod-template-hash": "7f9" },
        },
    })
}

fn range(namespace: &str, item: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "LimitRange", "metadata": { "name": "r", "namespace": namespace },
        "spec": { "limits": [item] },
    })
}

fn rows(report: &Report) -> Vec<String> {
    report.violations.iter().map(|row| format!("{} {}", row.container.unwrap(), row.message)).collect()
}

#[test]
fn what_a_limit_range_supplies_is_not_missing_in_any_order_of_the_input() {
    let all = json!({ "type": "Container", "default": { "cpu": 1, "memory": "1Gi" } });
    for objects in [[deployment("a"), range("a", &all)], [range("a", &all), deployment("a")]] {
        let report = evaluated(&objects);
        assert_eq!(rows(&report), [""; 0]);
        assert_eq!(report.summary.counts[&MISSING_RESOURCES.id], 0);
        assert_eq!((report.summary.compliant, report.summary.pods), (1, 1));
    }
    let elsewhere = evaluated(&[deployment("a"), range("b", &all)]);
    assert_eq!(elsewhere.summary.counts[&MISSING_RESOURCES.id], 2);
    assert_eq!(elsewhere.summary.compliant, 0);
}

#[test]
fn what_it_does_not_supply_stays_missing() {
    let memory = json!({ "type": "Container", "defaultRequest": { "memory": "1Gi" } });
    let report = evaluated(&[deployment("a"), range("a", &memory)]);
    assert_eq!(
        rows(&report),
        [
            "bare no CPU request, no memory limit: set what the container needs",
            "half no memory limit: set what the container needs",
        ]
    );
    assert_eq!(report.summary.counts[&MISSING_RESOURCES.id], 2);
    let half = json!({ "type": "Container", "default": { "memory": "1Gi" } });
    let report = evaluated(&[deployment("a"), range("a", &half)]);
    assert_eq!(rows(&report), ["bare no CPU request: set what the container needs"]);
    assert_eq!(report.summary.counts[&MISSING_RESOURCES.id], 1);
}

#[test]
fn a_stored_pod_has_what_a_range_supplies_or_never_gets_it() {
    let all = range("a", &json!({ "type": "Container", "max": { "cpu": 1, "memory": "1Gi" } }));
    let created = Some("2026-01-01T00:00:00Z");
    let count = |objects: &[Value]| evaluated(objects).summary.counts[&MISSING_RESOURCES.id];
    assert_eq!(count(&[pod(created, None), all.clone()]), 1);
    assert_eq!(count(&[pod(None, None), all.clone()]), 0);
    // The pods stand for the template, which is not counted and so not taken out either.
    assert_eq!(count(&[deployment("a"), pod(created, Some("web-7f9")), all]), 1);
}
