//! Enforcement on a node that really runs the patched pods.

use crate::fixture::Fixture;
use crate::scenario::Scenario;
use crate::server::{Server, TRAFFIC_PORT};
use crate::workload::Workload;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube_devops::policy::{RemediationPhase, RemediationReason};
use serde_json::json;
use std::time::Duration;

/// The fields of a policy that sets a readiness probe.
pub(crate) const READINESS: &str = "requireReadinessProbe: true, enforcementMode: enforce";
/// The fields of a policy that sets a liveness probe.
pub(crate) const LIVENESS: &str = "requireLivenessProbe: true, enforcementMode: enforce";
/// The fields of a policy that sets a memory limit.
const MEMORY: &str = "defaultResources: {memoryLimit: 32Mi}, enforcementMode: enforce";

pub(crate) fn container_statuses(pod: &Pod) -> impl Iterator<Item = &ContainerStatus> {
    pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a node: make test-node"]
async fn a_patch_of_a_healthy_deployment_costs_no_more_than_a_restart() {
    let outcome = Scenario::new(Workload::surging(), Server::listens()).run().await;
    outcome.assert_verified();
    outcome.assert_bound();
    assert_eq!(outcome.enforced.restarts, 0, "{outcome:#?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a node: make test-node"]
async fn a_probe_of_a_closed_port_is_withdrawn_without_failed_requests() {
    let outcome = Scenario::new(Workload::surging(), Server::never_listens()).restarts(0).run().await;
    outcome.assert_withdrawn();
    assert_eq!(outcome.enforced.failed, 0, "{outcome:#?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a node: make test-node"]
async fn a_deployment_with_probes_is_left_alone() {
    let probe = json!({ "tcpSocket": { "port": TRAFFIC_PORT } });
    let mut container = Server::listens().container().0;
    container["livenessProbe"] = probe.clone();
    container["readinessProbe"] = probe;
    let template = json!({ "spec": { "containers": [container] } });
    let workload = Workload::surging().with(&json!({ "spec": { "template": template } }));
    let outcome = Scenario::new(workload, Server::listens()).restarts(0).run().await;
    outcome.assert_left_alone();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a node: make test-node"]
async fn a_policy_without_a_budget_reports_that_and_patches_nothing() {
    let scenario = Scenario::new(Workload::surging(), Server::listens()).restarts(0);
    let outcome = scenario.remediation("maxPerHour: 0").run().await;
    outcome.assert_left_alone();
    assert!(outcome.verdict.enforcing.contains("maxPerHour 0"), "{outcome:#?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a node: make test-node"]
async fn a_memory_limit_that_is_exceeded_after_verification_is_withdrawn() {
    let workload = Workload::surging();
    // By then, the node has been ready for most of the five minutes after which its pods are evidence.
    let server = Server::grows(Duration::from_mins(3));
    let fixture = Fixture::new(&workload, &server).await;
    let scenario = Scenario::new(workload, server).restarts(0).policy(MEMORY);
    scenario.run_on(&fixture).await.assert_verified();
    let was_killed = |status: &ContainerStatus| {
        let last = status.last_state.as_ref().and_then(|state| state.terminated.as_ref());
        last.is_some_and(|ended| ended.reason.as_deref() == Some("OOMKilled"))
    };
    let killed = |pods: &[Pod]| pods.iter().flat_map(container_statuses).any(was_killed);
    fixture.withdrawn_soon_after("a container is killed at the memory limit", killed).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a node: make test-node"]
async fn a_stateful_set_is_patched_pod_by_pod_once_its_port_has_answered() {
    let (workload, server) = (Workload::stateful_set(), Server::listens());
    let fixture = Fixture::new(&workload, &server).await;
    let scenario = Scenario::new(workload, server).restarts(2);
    let outcome = scenario.run_on(&fixture).await;
    // The first verdict can be that the pod is still observed.
    let (rest, _) =
        fixture.cost(async || fixture.until(RemediationPhase::Verified, Duration::from_mins(5)).await).await;
    outcome.with_rest(rest).assert_bound();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a node: make test-node"]
async fn a_stateful_set_whose_port_refuses_connections_is_left_alone() {
    let (workload, server) = (Workload::stateful_set(), Server::never_listens());
    let fixture = Fixture::new(&workload, &server).await;
    let scenario = Scenario::new(workload, server).restarts(0);
    scenario.run_on(&fixture).await.assert_left_alone();
    assert_eq!(fixture.until_skipped("PortRefused").await.phase(), None);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a node: make test-node"]
async fn a_stateful_set_whose_server_dies_of_a_connect_is_left_alone() {
    let (workload, server) = (Workload::stateful_set(), Server::dies_of_empty_connections());
    let fixture = Fixture::new(&workload, &server).await;
    let outcome = Scenario::new(workload, server).restarts(0).run_on(&fixture).await;
    assert_eq!(outcome.verdict.phase(), None, "{outcome:#?}");
    assert_eq!(fixture.until_skipped("ConnectHarmed").await.phase(), None);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a node: make test-node"]
async fn a_readiness_probe_that_fails_on_all_pods_after_verification_is_withdrawn() {
    let workload = Workload::surging();
    let server = Server::hangs_after("hangs at 130 s", Duration::from_secs(130));
    let fixture = Fixture::new(&workload, &server).await;
    let scenario = Scenario::new(workload, server).restarts(0).policy(READINESS);
    scenario.run_on(&fixture).await.assert_verified();
    // The evidence is complete when no pod has been ready for 30 s. The time limit includes these.
    let unready =
        |pods: &[Pod]| !pods.is_empty() && pods.iter().flat_map(container_statuses).all(|of| !of.ready);
    let verdict = fixture.withdrawn_soon_after("no pod is ready", unready).await;
    let reason = verdict.record.and_then(|record| record.reason);
    assert_eq!(reason, Some(RemediationReason::NotReady));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a node: make test-node"]
async fn a_daemon_set_that_surges_is_patched_by_default_and_costs_no_more_than_a_restart() {
    let outcome = Scenario::new(Workload::surging_daemon_set(), Server::listens()).run().await;
    outcome.assert_verified();
    outcome.assert_bound();
    assert_eq!(outcome.enforced.restarts, 0, "{outcome:#?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a node: make test-node"]
async fn a_liveness_probe_that_kills_pods_which_were_ready_at_once_is_withdrawn() {
    let server = Server::never_listens();
    // The owner's probe succeeds, and nothing listens on the port of ours.
    let mut container = server.container().0;
    container["startupProbe"] = json!({ "tcpSocket": { "port": TRAFFIC_PORT }, "periodSeconds": 1 });
    let template = json!({ "spec": { "containers": [container] } });
    let workload = Workload::surging().with(&json!({ "spec": { "template": template } }));
    let outcome = Scenario::new(workload, server).restarts(0).policy(LIVENESS).run().await;
    outcome.assert_withdrawn();
    let reason = outcome.verdict.record.as_ref().and_then(|record| record.reason);
    assert_eq!(reason, Some(RemediationReason::Restarted), "{outcome:#?}");
}
