//! The connect to a pod before a rollout that takes pods away.

use super::fixture::{EnforcementFixture, PodState};
use kube::api::{ListParams, Patch, PatchParams};
use kube_devops::policy::RemediationPhase;
use serde_json::json;
use tokio::net::TcpListener;

/// A policy that allows one pod to be unavailable, and probes a port.
fn policy(port: u16) -> String {
    format!(
        "{{requireReadinessProbe: true, requireLivenessProbe: true, defaultProbe: {{tcpPort: {port}}}, \
         enforcementMode: enforce, remediation: {{verifySeconds: 30, allowUnavailable: true}}}}"
    )
}

/// Runs a `StatefulSet` of two pods, both with the address of this host.
async fn fixture() -> EnforcementFixture {
    let fixture = EnforcementFixture::shared(|_| PodState::Ready).await;
    fixture.run("StatefulSet", "db", |db| db["spec"]["replicas"] = json!(2)).await;
    let pods = fixture.base.pods(&fixture.namespace);
    for pod in pods.list(&ListParams::default()).await.unwrap() {
        let status = json!({ "status": { "podIP": "127.0.0.1", "podIPs": [{ "ip": "127.0.0.1" }] } });
        let name = pod.metadata.name.unwrap();
        pods.patch_status(&name, &PatchParams::default(), &Patch::Merge(status)).await.unwrap();
    }
    fixture
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_stateful_set_is_patched_only_if_a_pod_answers_and_only_with_consent() {
    let fixture = fixture().await;
    let mark = fixture.base.plane.mark();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let open = listener.local_addr().unwrap().port();
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap().port()
    };
    let without = policy(open).replace(", allowUnavailable: true", "");
    fixture.policy("standard", &without).await;
    fixture
        .until_condition("standard", "Enforcing", "Enforcing", "set remediation.allowUnavailable to true")
        .await;
    let change =
        json!({ "defaultProbe": { "tcpPort": closed }, "remediation": { "allowUnavailable": true } });
    fixture.change_policy("standard", change).await;
    fixture.until_condition("standard", "Enforcing", "Enforcing", "PortRefused").await;
    assert_eq!(fixture.patches_since(mark, "db"), 0, "nothing listens there");
    fixture.change_policy("standard", json!({ "defaultProbe": { "tcpPort": open } })).await;
    fixture.until_condition("standard", "Enforcing", "Enforcing", "ConnectWatched").await;
    assert_eq!(fixture.patches_since(mark, "db"), 0, "the pod is watched first");
    fixture.until("standard", "StatefulSet/db", RemediationPhase::Applied).await;
    let container = fixture.container("StatefulSet", "db").await;
    assert_eq!(container["readinessProbe"]["tcpSocket"]["port"], json!(open));
}
