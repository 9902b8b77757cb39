//! Rules about resources, with the objects that they read beside pods: `LimitRange`s, and measurements of metrics-server.

use k8s_openapi::api::core::v1::LimitRange;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DeleteParams, DynamicObject, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};

use super::fixture::OperatorFixture;
use crate::analyze::on;
use crate::eventually::eventually;
use crate::relations::create;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn what_a_limit_range_supplies_is_not_missing_in_a_workload_without_pods() {
    let fixture = OperatorFixture::shared().await;
    let namespace = fixture.plane.namespace("supplied");
    let idle = json!({
        "metadata": { "name": "idle" },
        "spec": {
            "replicas": 0, "selector": { "matchLabels": { "app": "idle" } },
            "template": {
                "metadata": { "labels": { "app": "idle" } },
                "spec": { "containers": [{ "name": "c", "image": "c:1" }] },
            },
        },
    });
    create(&fixture.client, &format!("apis/apps/v1/namespaces/{namespace}/deployments"), &idle).await;
    let _operator = fixture.operator();
    fixture.policy(&namespace, "supplied", "{requireResources: true}").await;
    let until = async |what: &str, violations: u64| {
        fixture
            .until(&namespace, "supplied", what, |status| {
                status.violations == Some(violations) && status.message.is_some()
            })
            .await;
    };
    until("nothing supplies the resources", 1).await;

    let ranges = Api::<LimitRange>::namespaced(fixture.client.clone(), &namespace);
    let range = json!({
        "metadata": { "name": "defaults" },
        "spec": { "limits": [{ "type": "Container", "default": { "cpu": "1", "memory": "1Gi" } }] },
    });
    ranges.create(&PostParams::default(), &serde_json::from_value(range).unwrap()).await.unwrap();
    until("the LimitRange supplies them", 0).await;
    ranges.delete("defaults", &DeleteParams::default()).await.unwrap();
    until("the LimitRange is gone", 1).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_container_near_its_memory_limit_is_found_by_its_measurements() {
    let fixture = OperatorFixture::shared().await;
    let namespace = fixture.plane.namespace("usage");
    let limited = json!({
        "metadata": { "name": "web" },
        "spec": { "containers": [
            { "name": "near", "image": "c:1", "resources": { "limits": { "memory": "100Mi" } } },
            { "name": "far", "image": "c:1", "resources": { "limits": { "memory": "100Mi" } } },
        ] },
    });
    fixture.run(&namespace, &limited).await;

    // A CRD takes the place of the API that metrics-server serves.
    let crds = Api::<CustomResourceDefinition>::all(fixture.client.clone());
    let crd = json!({
        "metadata": {
            "name": "pods.metrics.k8s.io",
            "annotations": { "api-approved.kubernetes.io": "unapproved, a test" },
        },
        "spec": {
            "group": "metrics.k8s.io", "scope": "Namespaced", "names": { "kind": "PodMetrics", "plural": "pods" },
            "versions": [{
                "name": "v1beta1", "served": true, "storage": true,
                "schema": { "openAPIV3Schema": { "type": "object", "x-kubernetes-preserve-unknown-fields": true } },
            }],
        },
    });
    crds.create(&PostParams::default(), &serde_json::from_value(crd).unwrap()).await.unwrap();
    let kind = GroupVersionKind::gvk("metrics.k8s.io", "v1beta1", "PodMetrics");
    let resource = ApiResource::from_gvk_with_plural(&kind, "pods");
    let metrics = Api::<DynamicObject>::namespaced_with(fixture.client.clone(), &namespace, &resource);
    let measured: DynamicObject = serde_json::from_value(json!({
        "apiVersion": "metrics.k8s.io/v1beta1", "kind": "PodMetrics", "metadata": { "name": "web" },
        "timestamp": "2026-01-01T00:00:00Z", "window": "15s",
        "containers": [
            { "name": "near", "usage": { "cpu": "1m", "memory": "97280Ki" } },
            { "name": "far", "usage": { "cpu": "1m", "memory": "89Mi" } },
        ],
    }))
    .unwrap();
    eventually("the measurements are stored", async || {
        metrics.create(&PostParams::default(), &measured).await.ok().map(|_| ())
    })
    .await;

    let arguments = ["analyze", "-n", &namespace, "--rules", "usage-near-limit", "-o", "json"];
    let report: Value = on(fixture.plane.kubeconfig(), &arguments).json();
    let found = report["violations"].as_array().unwrap();
    assert_eq!(found.len(), 1, "{report}");
    let message = found[0]["message"].as_str().unwrap();
    assert!(message.starts_with("container near uses 95% of its memory limit"), "{report}");
    assert_eq!(found[0]["path"], "spec.containers[0].resources.limits.memory");

    fixture.permit_rules().await;
    let _operator = fixture.operator();
    fixture.policy(&namespace, "usage", "{rules: [{id: usage-near-limit}]}").await;
    fixture.until(&namespace, "usage", "the container is found", |status| status.violations == Some(1)).await;
    crds.delete("pods.metrics.k8s.io", &DeleteParams::default()).await.unwrap();
}
