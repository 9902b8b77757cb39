//! Takeover of leadership after the leader has ended, was killed or was stopped.

use super::helpers::{LEASE, SHORT, account, create, degrade, events_of, holder, leader, pod, user};
use crate::control_plane::ControlPlane;
use crate::eventually::within;
use crate::process::Process;
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_standby_leads_within_two_seconds_of_the_leaders_shutdown() {
    let plane = ControlPlane::shared();
    let (client, home) = (plane.client().await, plane.namespace("term"));
    let kubeconfig = account(plane, &home, "watch").await;
    let flags = ["-n", &home, "--lease-namespace", &home];
    let mut replicas = ["a", "b"].map(|pod| Process::start("watch", &kubeconfig, pod, &flags).synced());
    for signal in ["-TERM", "-INT"] {
        let first = leader(&replicas, LIMIT).await;
        let start = Instant::now();
        replicas[first].signal(signal);
        let standby = &replicas[1 - first];
        within(Duration::from_secs(2), "the standby leads", async || standby.leads().then_some(())).await;
        println!("{signal}: the standby leads after {:?}", start.elapsed());
        let identity = standby.identity();
        assert_eq!(holder(&client, &home).await, identity);
        let status = replicas[first].end(LIMIT.saturating_sub(start.elapsed()));
        println!("{signal}: ended after {:?}", start.elapsed());
        assert_eq!(status.code(), Some(0), "{:#?}", replicas[first].log());
        assert_eq!(replicas[first].lines("released").len(), 1);
        replicas[first] = Process::start("watch", &kubeconfig, "c", &flags).synced();
    }
    let lease = Api::<Lease>::namespaced(client, &home).get(LEASE).await.unwrap().spec.unwrap();
    assert_eq!(lease.lease_transitions, Some(2), "a released lease has been taken twice");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_standby_leads_within_seventeen_seconds_of_the_leaders_death() {
    let plane = ControlPlane::shared();
    let home = plane.namespace("killed-leader");
    let kubeconfig = account(plane, &home, "watch").await;
    let flags = ["-n", &home, "--lease-namespace", &home];
    let mut replicas = ["a", "b", "c"].map(|pod| Process::start("watch", &kubeconfig, pod, &flags).synced());
    let first = leader(&replicas, LIMIT).await;
    let start = Instant::now();
    replicas[first].signal("-KILL");
    within(Duration::from_secs(17), "a standby leads", async || {
        replicas.iter().any(Process::leads).then_some(())
    })
    .await;
    println!("kill -9: a standby leads after {:?}", start.elapsed());
    assert_eq!(replicas.iter().filter(|replica| replica.leads()).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_leader_paused_past_its_lease_ends_without_a_write() {
    let plane = ControlPlane::shared();
    let (client, home) = (plane.client().await, plane.namespace("paused-leader"));
    create(&client, &home, &pod("web")).await;
    degrade(&client, &home, "web", false).await;
    let flags = [&["-n", &home, "--lease-namespace", &home], &SHORT[..]].concat();
    // Each replica has its own account, so that the audit log distinguishes them.
    let mut replicas = Vec::new();
    for name in ["a", "b"] {
        let kubeconfig = account(plane, &home, name).await;
        replicas.push(Process::start("watch", &kubeconfig, name, &flags).synced());
    }
    let first = leader(&replicas, LIMIT).await;
    let standby = 1 - first;
    replicas[first].signal("-STOP");
    let start = Instant::now();
    within(LIMIT, "the standby leads", async || replicas[standby].leads().then_some(())).await;
    println!("paused, with a lease of 3 s: the standby leads after {:?}", start.elapsed());
    degrade(&client, &home, "web", true).await;
    within(LIMIT, "the new leader writes", async || {
        let events = events_of(&client, &home, &replicas[standby].identity()).await;
        (!events.is_empty()).then_some(())
    })
    .await;

    let mark = plane.mark();
    replicas[first].signal("-CONT");
    let continued = Instant::now();
    let status = replicas[first].end(LIMIT);
    println!("continued: ended after {:?}", continued.elapsed());
    assert_eq!(status.code(), Some(2), "{:#?}", replicas[first].log());
    let name = ["a", "b"][first];
    let writes: Vec<_> = plane
        .requests_since(mark)
        .into_iter()
        .filter(|request| request.by(&user(&home, name)))
        .filter(|request| !["get", "list", "watch"].contains(&request.verb.as_str()))
        .collect();
    assert!(writes.is_empty(), "{writes:?}");
    assert_eq!(holder(&client, &home).await, replicas[standby].identity());
    assert!(replicas[standby].leads() && replicas[standby].is_ready());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn the_lease_is_in_namespace_default_by_default() {
    let plane = ControlPlane::shared();
    let home = plane.namespace("homeless");
    let flags = ["-n", home.as_str(), "--lease-name", home.as_str()];
    let replica = Process::start("watch", plane.kubeconfig(), "a", &flags).synced();
    leader(std::slice::from_ref(&replica), LIMIT).await;
    let leases = Api::<Lease>::namespaced(plane.client().await, "default");
    let holder = leases.get(&home).await.unwrap().spec.unwrap().holder_identity;
    assert_eq!(holder, Some(replica.identity()));
}
