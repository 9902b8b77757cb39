//! The port that a probe connects to: it follows the Services.

use super::stage::{PROBES, PodState, Stage};
use crate::analyze::on;
use k8s_openapi::api::core::v1::Service;
use kube::api::{Api, PostParams};
use kube_devops::policy::RemediationPhase;
use serde_json::{Value, json};

/// Creates a Service with the pods of a workload.
async fn serve(stage: &Stage, workload: &str, ports: Value) {
    let services = Api::<Service>::namespaced(stage.world.client.clone(), &stage.namespace);
    let spec = json!({ "selector": { "app": workload }, "ports": ports });
    let service = json!({ "metadata": { "name": workload }, "spec": spec });
    services.create(&PostParams::default(), &serde_json::from_value(service).unwrap()).await.unwrap();
}

/// Sets the ports of a workload's only container.
fn with_ports(ports: Value) -> impl FnOnce(&mut Value) {
    move |object| object["spec"]["template"]["spec"]["containers"][0]["ports"] = ports
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_probe_connects_to_the_port_that_a_service_targets_and_the_rehearsal_says_so() {
    let stage = Stage::shared(|_| PodState::Ready).await;
    let several = json!([{ "containerPort": 9090 }, { "containerPort": 8080, "name": "http" }]);
    serve(&stage, "web", json!([{ "port": 80, "targetPort": "http" }])).await;
    stage.run("Deployment", "web", with_ports(several)).await;
    stage.policy("audit", &PROBES.replace("enforcementMode: enforce", "enforcementMode: audit")).await;
    let rehearsed =
        on(stage.world.plane.kubeconfig(), &["policy", "rehearse", "audit", "-n", &stage.namespace]);
    let expected = "container main is probed on port 8080: Service web targets it";
    assert!(rehearsed.stdout.contains(expected), "{}", rehearsed.stdout);
    stage.policy("standard", PROBES).await;
    stage.until("standard", "Deployment/web", RemediationPhase::Verified).await;
    let container = stage.container("Deployment", "web").await;
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        assert_eq!(container[probe]["tcpSocket"]["port"], json!(8080), "{probe}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_container_without_a_port_is_patched_as_soon_as_a_service_targets_one() {
    let stage = Stage::shared(|_| PodState::Ready).await;
    stage.run("Deployment", "web", with_ports(json!(null))).await;
    stage.policy("standard", PROBES).await;
    stage.until_condition("standard", "Enforcing", "Enforcing", "no Service targets one").await;
    serve(&stage, "web", json!([{ "port": 7070 }])).await;
    stage.until("standard", "Deployment/web", RemediationPhase::Verified).await;
    let container = stage.container("Deployment", "web").await;
    assert_eq!(container["livenessProbe"]["tcpSocket"]["port"], json!(7070));
}
