//! Objects of every kind with a pod or a pod template.

use serde_json::{Value, json};

/// The kinds that admission evaluates.
pub(super) const KINDS: [&str; 8] = [
    "Pod",
    "ReplicationController",
    "Deployment",
    "StatefulSet",
    "DaemonSet",
    "ReplicaSet",
    "Job",
    "CronJob",
];

/// Returns the path of the pod spec in an object of a kind.
pub(super) fn pod_path(kind: &str) -> &'static str {
    match kind {
        "Pod" => "spec",
        "CronJob" => "spec.jobTemplate.spec.template.spec",
        _ => "spec.template.spec",
    }
}

/// Returns the group and version of a kind.
pub(super) fn api_version(kind: &str) -> &'static str {
    match kind {
        "Pod" | "ReplicationController" => "v1",
        "Job" | "CronJob" => "batch/v1",
        _ => "apps/v1",
    }
}

/// Returns an object of a kind around a pod spec, with labels and annotations of the pod.
pub(super) fn object(kind: &str, mut pod: Value, labels: &Value, annotations: &Value) -> Value {
    let mut labels = labels.clone();
    // A selector of another kind must not take the pod over.
    labels["app"] = kind.into();
    let metadata = json!({ "labels": labels, "annotations": annotations });
    if ["Job", "CronJob"].contains(&kind) {
        pod["restartPolicy"] = "Never".into();
    }
    let template = json!({ "metadata": metadata, "spec": pod });
    let selector = json!({ "matchLabels": { "app": kind } });
    let spec = match kind {
        "Pod" => template["spec"].clone(),
        "ReplicationController" => {
            json!({ "selector": { "app": kind }, "replicas": 0, "template": template })
        }
        "Job" => json!({ "suspend": true, "template": template }),
        "CronJob" => json!({
            "schedule": "0 0 1 1 *", "suspend": true, "jobTemplate": { "spec": { "template": template } },
        }),
        "DaemonSet" => json!({ "selector": selector, "template": template }),
        "StatefulSet" => {
            json!({ "selector": selector, "serviceName": "web", "replicas": 0, "template": template })
        }
        _ => json!({ "selector": selector, "replicas": 0, "template": template }),
    };
    let mut own = json!({ "name": "web" });
    if kind == "Pod" {
        own["labels"] = metadata["labels"].clone();
        own["annotations"] = metadata["annotations"].clone();
    }
    json!({ "apiVersion": api_version(kind), "kind": kind, "metadata": own, "spec": spec })
}

/// Returns the group and version of a kind, and an object of it with one container.
pub(super) fn with_image(kind: &str, image: &str) -> (&'static str, Value) {
    let pod = json!({ "containers": [{ "name": "web", "image": image }] });
    (api_version(kind), object(kind, pod, &json!({}), &json!({})))
}
