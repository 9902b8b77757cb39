//! Tests of the node itself, which the other tests rely on.

use crate::fixture::{Fixture, restarts_of};
use crate::server::{Server, TRAFFIC_PORT};
use crate::workload::Workload;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use serde_json::{Value, json};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a node: make test-node"]
async fn pods_run_and_serve_through_their_service() {
    for server in [Server::listens(), Server::tls(), Server::datagrams()] {
        let fixture = Fixture::new(&Workload::surging(), &server).await;
        assert!(fixture.is_served_within(PATIENCE).await, "{}", server.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a node: make test-node"]
async fn a_rollout_replaces_every_pod_and_waits_for_the_readiness_probe() {
    let probe = json!({ "tcpSocket": { "port": TRAFFIC_PORT }, "periodSeconds": 1 });
    let server = Server::listens_after("listens after 3 s", Duration::from_secs(3));
    let fixture = Fixture::new(&with_probe(&server, "readinessProbe", &probe), &server).await;
    assert!(fixture.is_served_within(PATIENCE).await);
    let before = fixture.pod("a pod", |_| true).await.name_any();
    let (cost, ()) = fixture
        .cost(async || {
            fixture.restart(1).await;
            fixture.rolled_out().await;
        })
        .await;
    assert!(fixture.pods.get_opt(&before).await.unwrap().is_none());
    // Without the probe, all requests of three seconds would fail.
    assert!(cost.failed < 10, "{cost:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a node: make test-node"]
async fn a_failing_liveness_probe_restarts_its_container() {
    let probe = json!({ "tcpSocket": { "port": TRAFFIC_PORT }, "periodSeconds": 1, "failureThreshold": 2 });
    let server = Server::hangs_after("hangs after 3 s", Duration::from_secs(3));
    let fixture = Fixture::new(&with_probe(&server, "livenessProbe", &probe), &server).await;
    fixture.pod("a restart", |pod| restarts_of(pod) > 0).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a node: make test-node"]
async fn a_container_over_its_memory_limit_is_reported_as_oom_killed() {
    let server = Server::outgrows_its_memory(Duration::ZERO);
    let fixture = Fixture::new(&Workload::surging(), &server).await;
    fixture.pod("an OOM kill", |pod| has_ended(pod, "OOMKilled")).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a node: make test-node"]
async fn a_quorum_starts_without_readiness_probes() {
    let fixture = Fixture::new(&Workload::stateful_set(), &Server::quorum(3)).await;
    assert!(fixture.is_served_within(PATIENCE).await);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a node: make test-node"]
async fn a_server_replays_only_after_a_crash() {
    let server = Server::replays("replays for 5 s", Duration::from_secs(5));
    let fixture = Fixture::new(&Workload::stateful_set_of_one(), &server).await;
    assert!(fixture.is_served_within(PATIENCE).await);
    let (cost, ()) = fixture
        .cost(async || {
            fixture.crash().await;
            fixture.pod("a restart", |pod| restarts_of(pod) > 0).await;
            assert!(fixture.is_served_within(PATIENCE).await);
        })
        .await;
    assert!(cost.failed >= 40 && cost.restarts == 1, "{cost:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a node: make test-node"]
async fn every_workload_runs() {
    for workload in Workload::all() {
        let fixture = Fixture::new(&workload, &Server::listens()).await;
        assert!(fixture.is_served_within(PATIENCE).await, "{}", workload.name);
    }
}

/// A Deployment whose container has a probe.
fn with_probe(server: &Server, name: &str, probe: &Value) -> Workload {
    let mut container = server.container().0;
    container[name] = probe.clone();
    let template = json!({ "spec": { "containers": [container] } });
    Workload::surging().with(&json!({ "spec": { "template": template } }))
}

/// Returns true if a container of a pod has terminated for a reason.
fn has_ended(pod: &Pod, reason: &str) -> bool {
    let mut statuses = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
    statuses.any(|status| {
        let states = [&status.state, &status.last_state];
        let mut ends = states.into_iter().flatten().filter_map(|state| state.terminated.as_ref());
        ends.any(|end| end.reason.as_deref() == Some(reason))
    })
}
