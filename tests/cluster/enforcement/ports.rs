//! The port that a probe connects to: it follows the Services, and a probe goes with its port.

use super::conflict_policy::WITHOUT_POLICIES;
use super::fixture::{EnforcementFixture, PROBES, PodState, is_patched};
use crate::analyze::on;
use k8s_openapi::api::core::v1::{Pod, Service};
use kube::api::{Api, PostParams};
use kube_devops::policy::{RemediationPhase, RemediationReason};
use serde_json::{Value, json};

/// Creates a Service with the pods of a workload.
async fn serve(fixture: &EnforcementFixture, workload: &str, ports: Value) {
    let services = Api::<Service>::namespaced(fixture.base.client.clone(), &fixture.namespace);
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
async fn a_probe_connects_to_the_port_that_a_service_targets() {
    let fixture = EnforcementFixture::shared(|_| PodState::Ready).await;
    let several = json!([{ "containerPort": 9090 }, { "containerPort": 8080, "name": "http" }]);
    serve(&fixture, "web", json!([{ "port": 80, "targetPort": "http" }])).await;
    fixture.run("Deployment", "web", with_ports(several)).await;
    fixture.policy("audit", &PROBES.replace("enforcementMode: enforce", "enforcementMode: audit")).await;
    let rehearsed =
        on(fixture.base.plane.kubeconfig(), &["policy", "rehearse", "audit", "-n", &fixture.namespace]);
    let expected = "container main is probed on port 8080: Service web targets it";
    assert!(rehearsed.stdout.contains(expected), "{}", rehearsed.stdout);
    fixture.policy("standard", PROBES).await;
    fixture.until("standard", "Deployment/web", RemediationPhase::Verified).await;
    let container = fixture.container("Deployment", "web").await;
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        assert_eq!(container[probe]["tcpSocket"]["port"], json!(8080), "{probe}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_container_without_a_port_is_patched_as_soon_as_a_service_targets_one() {
    let fixture = EnforcementFixture::shared(|_| PodState::Ready).await;
    fixture.run("Deployment", "web", with_ports(json!(null))).await;
    fixture.policy("standard", PROBES).await;
    fixture.until_condition("standard", "Enforcing", "Enforcing", "no Service targets one").await;
    serve(&fixture, "web", json!([{ "port": 7070 }])).await;
    fixture.until("standard", "Deployment/web", RemediationPhase::Verified).await;
    let container = fixture.container("Deployment", "web").await;
    assert_eq!(container["livenessProbe"]["tcpSocket"]["port"], json!(7070));
}

/// Moves the port of a workload's only container as `kubectl apply` does.
async fn move_port(fixture: &EnforcementFixture, name: &str) {
    let ports = json!([{ "containerPort": 9999 }, { "$patch": "delete", "containerPort": 8080 }]);
    let containers = json!([{ "name": "main", "ports": ports }]);
    let change = json!({ "spec": { "template": { "spec": { "containers": containers } } } });
    fixture.edit("Deployment", name, "kubectl-client-side-apply", &change).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_probe_is_removed_in_the_write_that_removes_its_port() {
    let fixture = EnforcementFixture::shared(|_| PodState::Ready).await;
    fixture.run("Deployment", "web", |_| ()).await;
    fixture.policy("standard", PROBES).await;
    fixture.until("standard", "Deployment/web", RemediationPhase::Verified).await;
    let before = fixture.get("Deployment", "web").await.metadata.generation;
    move_port(&fixture, "web").await;
    let after = fixture.get("Deployment", "web").await;
    let container = &after.data["spec"]["template"]["spec"]["containers"][0];
    assert_eq!((container.get("livenessProbe"), container.get("readinessProbe")), (None, None));
    let record = fixture.until("standard", "Deployment/web", RemediationPhase::Withdrawn).await;
    assert_eq!(record.reason, Some(RemediationReason::PortGone), "{record:?}");
    assert!(record.message.unwrap().contains("container main no longer declares port 8080"));
    let status = fixture.status("standard").await;
    assert_eq!((status.withdrawals_in_a_row, status.remediations_failed), (None, None), "the owner moved it");
    let generations = after.metadata.generation.zip(before).map(|(after, before)| after - before);
    assert_eq!(generations, Some(1), "one write was one rollout");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn without_admission_policies_the_operator_withdraws_probes_without_a_port() {
    // Pods with a probe on a port that they don't declare are never ready.
    let lost = |pod: &Pod| {
        let ports = pod.spec.as_ref().and_then(|spec| spec.containers[0].ports.as_ref());
        let moved = ports.is_some_and(|ports| ports.iter().all(|port| port.container_port == 9999));
        if is_patched(pod) && moved { PodState::Stuck } else { PodState::Ready }
    };
    let fixture = EnforcementFixture::apart_with(&WITHOUT_POLICIES, lost).await;
    let _operator = fixture.base.operator();
    for name in ["web", "kept"] {
        fixture.run("Deployment", name, |_| ()).await;
    }
    fixture.policy("standard", PROBES).await;
    for workload in ["Deployment/web", "Deployment/kept"] {
        fixture.until("standard", workload, RemediationPhase::Verified).await;
    }
    move_port(&fixture, "web").await;
    let record = fixture.until("standard", "Deployment/web", RemediationPhase::Withdrawn).await;
    assert_eq!(record.reason, Some(RemediationReason::PortGone), "{record:?}");
    // The patch of a deleted policy is withdrawn too.
    fixture.delete_policy("standard").await;
    fixture.until_policy_is_gone("standard").await;
    move_port(&fixture, "kept").await;
    for name in ["web", "kept"] {
        let after = fixture.until_available("Deployment", name).await;
        let container = &after.data["spec"]["template"]["spec"]["containers"][0];
        assert_eq!((container.get("livenessProbe"), container.get("readinessProbe")), (None, None));
        assert_eq!(container["ports"][0]["containerPort"], json!(9999));
    }
}
