//! Rules about the status of workloads say the same by the operator, on the cluster and in a file.

use super::fixture::OperatorFixture;
use crate::analyze::{on, run};
use crate::eventually::within;
use crate::kubelet::set_pod_status;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::ResourceQuota;
use kube::api::{Api, PostParams};
use serde_json::{Value, json};
use std::time::Duration;

/// Returns the rule, the kind and the name of each violation in a report in JSON.
fn found(report: &str) -> Vec<(String, String, String)> {
    let report: Value = serde_json::from_str(report).unwrap();
    let text = |violation: &Value, field: &str| violation[field].as_str().unwrap().to_owned();
    let violations = report["violations"].as_array().unwrap().iter();
    violations
        .map(|violation| (text(violation, "rule"), text(violation, "kind"), text(violation, "name")))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_rollout_without_pods_and_an_unready_pod_are_reported_in_every_way() {
    let fixture = OperatorFixture::shared().await;
    let namespace = fixture.plane.namespace("status");
    let pod = json!({
        "metadata": { "name": "unready" }, "spec": { "containers": [{ "name": "main", "image": "a:1" }] },
    });
    fixture.run(&namespace, &pod).await;
    let since = "2026-01-01T00:00:00Z";
    let conditions = json!([
        { "type": "PodScheduled", "status": "True", "lastTransitionTime": since },
        { "type": "Ready", "status": "False", "lastTransitionTime": since },
    ]);
    let status = json!({ "phase": "Running", "conditions": conditions });
    let unready = set_pod_status(&fixture.client, &namespace, "unready", &status).await;

    // The quota refuses the pods of the Deployment.
    let quota: ResourceQuota = serde_json::from_value(json!({
        "metadata": { "name": "none" }, "spec": { "hard": { "pods": "0" } },
    }))
    .unwrap();
    Api::namespaced(fixture.client.clone(), &namespace).create(&PostParams::default(), &quota).await.unwrap();
    let deployments = Api::<Deployment>::namespaced(fixture.client.clone(), &namespace);
    let deployment: Deployment = serde_json::from_value(json!({
        "metadata": { "name": "web" },
        "spec": {
            "selector": { "matchLabels": { "app": "web" } },
            "template": {
                "metadata": { "labels": { "app": "web" } },
                "spec": { "containers": [{ "name": "main", "image": "a:1" }] },
            },
        },
    }))
    .unwrap();
    deployments.create(&PostParams::default(), &deployment).await.unwrap();
    let stalled = within(Duration::from_mins(3), "the quota refuses the pods", async || {
        let deployment = deployments.get("web").await.ok()?;
        let conditions = deployment.status.clone()?.conditions?;
        conditions
            .iter()
            .any(|condition| condition.type_ == "ReplicaFailure" && condition.status == "True")
            .then_some(deployment)
    })
    .await;

    fixture.policy(&namespace, "status", "{rules: [{id: stalled-rollout}, {id: unready-pod}]}").await;
    let operator = fixture.operator();
    fixture.until(&namespace, "status", "both are reported", |status| status.violations == Some(2)).await;
    drop(operator);

    let row = |rule: &str, kind: &str, name: &str| (rule.to_owned(), kind.to_owned(), name.to_owned());
    let pod_row = row("unready-pod", "Pod", "unready");
    let live = ["analyze", "-n", &namespace, "--rules", "unready-pod", "-o", "json"];
    assert_eq!(found(&on(fixture.plane.kubeconfig(), &live).stdout), std::slice::from_ref(&pod_row));

    let list = json!({ "apiVersion": "v1", "kind": "List", "items": [
        with_type(&stalled, "apps/v1", "Deployment"), with_type(&unready, "v1", "Pod"),
    ] });
    let rules = "unready-pod,stalled-rollout,failing-job";
    let in_file = run(&["analyze", "-f", "-", "--rules", rules, "-o", "json"], &list.to_string());
    assert_eq!(found(&in_file.stdout), [pod_row, row("stalled-rollout", "Deployment", "web")]);
}

/// Returns an object as `kubectl get -o json` prints it.
fn with_type(object: &impl serde::Serialize, api_version: &str, kind: &str) -> Value {
    let mut object = serde_json::to_value(object).unwrap();
    (object["apiVersion"], object["kind"]) = (api_version.into(), kind.into());
    object
}
