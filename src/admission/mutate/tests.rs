//! The patch of a new workload, applied to the object of the request.

use serde_json::json;

use super::*;
use crate::admission::parse_review;
use crate::policy::DevOpsPolicy;

fn policy(spec: &Value) -> CompiledPolicy {
    let policy = json!({ "metadata": { "name": "base", "namespace": "shop" }, "spec": spec });
    CompiledPolicy::new(serde_json::from_value::<DevOpsPolicy>(policy).unwrap())
}

fn mutating() -> CompiledPolicy {
    policy(&json!({
        "enforcementMode": "enforce", "requireLivenessProbe": true, "requireReadinessProbe": true,
        "defaultResources": { "cpuRequest": "10m", "memoryLimit": "64Mi" }, "admission": { "mutate": true },
    }))
}

fn request(operation: &str, kind: &str, metadata: &Value) -> Value {
    let containers = json!([
        { "name": "web", "image": "x:1", "ports": [{ "containerPort": 8080 }], "resources": {} },
        { "name": "log", "image": "y:1", "livenessProbe": {}, "resources": { "requests": { "cpu": "1m" } } },
    ]);
    let object = json!({
        "apiVersion": "apps/v1", "kind": kind, "metadata": metadata,
        "spec": { "replicas": 2, "selector": {}, "template": { "spec": { "containers": containers } } },
    });
    json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "u", "kind": { "group": "apps", "version": "v1", "kind": kind }, "namespace": "shop",
            "operation": operation, "object": object,
        },
    })
}

/// Returns the patch for a review, and the object after it.
fn patched(review: &Value, policies: &[CompiledPolicy]) -> Option<(Value, Value)> {
    let body = review.to_string();
    let request = parse_review(body.as_bytes()).unwrap();
    let patch = mutate(&request, policies, &Surroundings::default(), &[], Timestamp::UNIX_EPOCH).unwrap()?;
    let mut object = review["request"]["object"].clone();
    json_patch::patch(&mut object, &serde_json::from_value::<json_patch::Patch>(patch.clone()).unwrap())
        .unwrap();
    Some((patch, object))
}

#[test]
fn the_patch_adds_the_defaults_and_names_them_and_changes_nothing_else() {
    let review = request("CREATE", "Deployment", &json!({ "name": "web", "annotations": { "team": "a" } }));
    let (patch, object) = patched(&review, &[mutating()]).unwrap();
    assert!(patch.as_array().unwrap().iter().all(|operation| operation["op"] == "add"), "{patch}");
    let [web, log] = [0, 1].map(|index| object["spec"]["template"]["spec"]["containers"][index].clone());
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        assert_eq!(web[probe]["tcpSocket"]["port"], 8080, "{probe}");
    }
    assert_eq!(web["resources"], json!({ "requests": { "cpu": "10m" }, "limits": { "memory": "64Mi" } }));
    assert_eq!(log["livenessProbe"], json!({}), "its own probe stays");
    assert_eq!(log["resources"]["requests"], json!({ "cpu": "1m" }));
    let annotations = &object["metadata"]["annotations"];
    assert_eq!(
        (&annotations["team"], &annotations["devops.stochastic.io/patched-by"]),
        (&json!("a"), &json!("base"))
    );
    let fields = annotations["devops.stochastic.io/patched-fields"].as_str().unwrap();
    assert!(
        fields.contains("web/livenessProbe,") && fields.contains("web/resources.limits.memory"),
        "{fields}"
    );
    let bare = request("CREATE", "Deployment", &json!({ "generateName": "web-" }));
    assert!(patched(&bare, &[mutating()]).is_some(), "no annotations and no name");
}

#[test]
fn only_new_workloads_under_a_policy_that_enforces_and_mutates_are_patched() {
    let review = |operation: &str, kind: &str| request(operation, kind, &json!({ "name": "web" }));
    let create = review("CREATE", "Deployment");
    let rules = json!({ "requireLivenessProbe": true, "defaultProbe": { "tcpPort": 80 } });
    let with = |mode: &str, mutate: bool, max_per_hour: u32| {
        let mut spec = rules.clone();
        spec["enforcementMode"] = json!(mode);
        spec["admission"] = json!({ "mutate": mutate });
        spec["remediation"] = json!({ "maxPerHour": max_per_hour });
        policy(&spec)
    };
    assert!(patched(&create, &[with("enforce", true, 10)]).is_some());
    for (mode, mutate, max_per_hour) in [("audit", true, 10), ("enforce", false, 10), ("enforce", true, 0)] {
        assert_eq!(
            patched(&create, &[with(mode, mutate, max_per_hour)]),
            None,
            "{mode} {mutate} {max_per_hour}"
        );
    }
    for (operation, kind) in [
        ("UPDATE", "Deployment"),
        ("DELETE", "Deployment"),
        ("CREATE", "ReplicaSet"),
        ("CREATE", "StatefulSet"),
    ] {
        assert_eq!(patched(&review(operation, kind), &[mutating()]), None, "{operation} {kind}");
    }
    let mut subresource = create.clone();
    subresource["request"]["subResource"] = json!("scale");
    assert_eq!(patched(&subresource, &[mutating()]), None);
}

#[test]
fn an_object_that_can_not_be_read_is_an_error() {
    let mut review = request("CREATE", "Deployment", &json!({ "name": "web" }));
    review["request"]["object"]["spec"]["template"] = json!(7);
    let body = review.to_string();
    let request = parse_review(body.as_bytes()).unwrap();
    mutate(&request, &[mutating()], &Surroundings::default(), &[], Timestamp::UNIX_EPOCH).unwrap_err();
}
