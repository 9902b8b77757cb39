//! Harm long after a patch was verified, and workloads on two nodes. `make late-node` runs these tests.
//!
//! A pod is evidence five minutes after its node became ready, so these tests take longer than those of `enforcement`.

use crate::enforcement::{LIVENESS, READINESS, container_statuses};
use crate::eventually::within_every;
use crate::fixture::{Fixture, PROMISE, Verdict};
use crate::node;
use crate::scenario::Scenario;
use crate::server::Server;
use crate::workload::Workload;
use futures::future::join_all;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::Api;
use kube::api::ListParams;
use kube_devops::policy::{RemediationPhase, RemediationReason};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// Held while pods become unready, because such trouble of many workloads at once is an incident.
static UNREADY: Mutex<()> = Mutex::const_new(());
/// The time from which a node that stays ready counts as steady, and some seconds for clocks that differ.
const STEADY: i64 = 5 * 60 + 5;
/// The time limit of that.
const UNTIL_STEADY: Duration = Duration::from_mins(8);
/// The seconds until the outage, in which the rollouts of its workloads end.
const UNTIL_OUTAGE: i64 = 90;
/// The workloads of an incident. More than three must be in trouble within 15 s, also on a busy machine.
const WORKLOADS_OF_INCIDENT: usize = 6;
/// The time limit for the others to follow a trial that helped.
const FOLLOWING: Duration = Duration::from_mins(6);
/// The time limit of a verdict that needs a second look at the workload.
const SECOND_VERDICT: Duration = Duration::from_mins(6);

/// Waits until the pods of all nodes are evidence.
async fn until_steady() {
    let nodes = Api::<Node>::all(node::client().await);
    within_every(Duration::from_secs(1), UNTIL_STEADY, "nodes that are ready for five minutes", async || {
        let nodes = nodes.list(&ListParams::default()).await.unwrap().items;
        nodes.iter().all(is_steady).then_some(())
    })
    .await;
}

#[expect(clippy::disallowed_methods, reason = "nodes and servers go by the clock")]
fn now() -> Timestamp {
    Timestamp::now()
}

fn is_steady(node: &Node) -> bool {
    let mut conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let ready = conditions.find(|condition| condition.type_ == "Ready" && condition.status == "True");
    let since = ready.and_then(|ready| ready.last_transition_time.as_ref());
    since.is_some_and(|since| now().duration_since(since.0).as_secs() > STEADY)
}

/// Returns true if a container of a pod has restarted three times.
fn restarted_thrice(pods: &[Pod]) -> bool {
    pods.iter().flat_map(container_statuses).any(|status| status.restart_count >= 3)
}

fn reason(verdict: &Verdict) -> Option<RemediationReason> {
    verdict.record.as_ref().and_then(|record| record.reason)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a node and ten minutes: make late-node"]
async fn a_liveness_probe_that_restarts_a_release_is_withdrawn_within_three_minutes() {
    let (workload, server) = (Workload::surging(), Server::listens());
    let fixture = Fixture::new(&workload, &server).await;
    Scenario::new(workload, server).restarts(0).policy(LIVENESS).run_on(&fixture).await.assert_verified();
    until_steady().await;
    // Its server hangs soon after each start.
    fixture.release(&["-hang-after=5s"]).await;
    let verdict = fixture.withdrawn_soon_after("a container restarts three times", restarted_thrice).await;
    assert_eq!(reason(&verdict), Some(RemediationReason::ProbeRestarts), "{verdict:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a node and ten minutes: make late-node"]
async fn a_server_that_ends_only_since_the_patch_is_left_without_it_within_three_minutes() {
    let workload = Workload::surging().with(&json!({ "spec": { "replicas": 1 } }));
    let server = Server::listens();
    let fixture = Fixture::new(&workload, &server).await;
    Scenario::new(workload, server).restarts(0).policy(LIVENESS).run_on(&fixture).await.assert_verified();
    until_steady().await;
    for count in 0..3 {
        let runs =
            |pod: &Pod| container_statuses(pod).any(|status| status.ready && status.restart_count == count);
        fixture.pod("its server runs again", runs).await;
        fixture.crash().await;
    }
    let verdict = fixture.withdrawn_soon_after("a container restarts three times", restarted_thrice).await;
    assert_eq!(reason(&verdict), Some(RemediationReason::CrashLoop), "{verdict:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a node and ten minutes: make late-node"]
async fn an_incident_costs_one_trial_within_three_minutes_and_others_follow_if_it_helps() {
    let (workload, server) = (Workload::surging(), Server::listens());
    let control = Arc::new(Fixture::control(&server).await);
    let fixtures =
        join_all((0..WORKLOADS_OF_INCIDENT).map(async |_| Fixture::new(&workload, &server).await)).await;
    let scenario = Scenario::new(workload, server).beside(&control).restarts(0).policy(READINESS);
    join_all(fixtures.iter().map(async |fixture| scenario.run_on(fixture).await.assert_verified())).await;
    until_steady().await;
    let _turn = UNREADY.lock().await;
    // All servers hang in the same second, and those that start later do not.
    let hangs = format!("-hang-at={}", now().as_second() + UNTIL_OUTAGE);
    join_all(fixtures.iter().map(async |fixture| fixture.release(&[&hangs]).await)).await;
    join_all(fixtures.iter().map(async |fixture| fixture.until_pods("no pod is ready", none_is_ready).await))
        .await;
    within_every(Duration::from_secs(1), PROMISE, "a trial", async || {
        let verdicts = join_all(fixtures.iter().map(async |fixture| fixture.verdict().await)).await;
        let mut verdicts = verdicts.iter().flatten();
        verdicts.any(|of| of.phase() == Some(RemediationPhase::Withdrawn)).then_some(())
    })
    .await;
    for fixture in &fixtures {
        let verdict = fixture.until(RemediationPhase::Withdrawn, FOLLOWING).await;
        assert_eq!(reason(&verdict), Some(RemediationReason::Incident), "{verdict:?}");
    }
}

fn none_is_ready(pods: &[Pod]) -> bool {
    !pods.is_empty() && pods.iter().flat_map(container_statuses).all(|status| !status.ready)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a node and ten minutes: make late-node"]
async fn a_stateful_set_whose_release_never_gets_ready_is_freed() {
    let (workload, server) = (Workload::stateful_set(), Server::listens());
    let fixture = Fixture::new(&workload, &server).await;
    Scenario::new(workload, server).restarts(0).run_on(&fixture).await;
    // The first verdict can be that the pod is still observed.
    fixture.until(RemediationPhase::Verified, SECOND_VERDICT).await;
    until_steady().await;
    let _turn = UNREADY.lock().await;
    // The owner moves the port, and the controller waits for the first new pod forever.
    fixture.release(&["-port=8081"]).await;
    let is_stuck = |pods: &[Pod]| pods.iter().flat_map(container_statuses).any(|status| !status.ready);
    let verdict = fixture.withdrawn_soon_after("a pod is not ready", is_stuck).await;
    assert_eq!(reason(&verdict), Some(RemediationReason::NotReady), "{verdict:?}");
    fixture.rolled_out().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs two nodes: make late-node"]
async fn a_daemon_set_is_patched_node_by_node_once_its_port_has_answered() {
    let (workload, server) = (Workload::spread_daemon_set(), Server::listens());
    let fixture = Fixture::new(&workload, &server).await;
    let nodes: Vec<_> =
        fixture.list_pods().await.into_iter().map(|pod| pod.spec.unwrap().node_name).collect();
    assert_eq!(nodes.len(), 2, "a pod on each of two nodes: {nodes:?}");
    let scenario = Scenario::new(workload, server).restarts(3);
    let outcome = scenario.run_on(&fixture).await;
    // The first verdict can be that the pod is still observed.
    let verify = async || fixture.until(RemediationPhase::Verified, SECOND_VERDICT).await;
    let (rest, _) = fixture.cost(verify).await;
    outcome.with_rest(rest).assert_bound();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs two nodes: make late-node"]
async fn a_daemon_set_whose_port_refuses_connections_is_left_alone() {
    let (workload, server) = (Workload::spread_daemon_set(), Server::never_listens());
    let fixture = Fixture::new(&workload, &server).await;
    Scenario::new(workload, server).restarts(0).run_on(&fixture).await.assert_left_alone();
    let verdict = fixture.until_skipped("PortRefused").await;
    assert_eq!(verdict.phase(), None, "{verdict:?}");
}
