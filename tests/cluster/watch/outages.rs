//! The API server is down, frozen or without history: `watch` survives and soon shows the right scores.

use super::helpers::{SHORT, account, agree, create, degrade, holder, leader, pod, running, user};
use crate::control_plane::ControlPlane;
use crate::eventually::within;
use crate::process::Process;
use crate::soak::rounds;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::json;
use std::time::{Duration, Instant};
use tokio::time::sleep;

const LIMIT: Duration = Duration::from_secs(5);

/// The watches of a replica: pods, seven kinds that own pods, and Namespaces.
const WATCHES: usize = 9;

/// Runs one fault of the API server after another on one control plane.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn watch_recovers_quickly_from_api_server_outages() {
    let plane = ControlPlane::start();
    restarts(&plane).await;
    outage_past_the_renew_deadline(&plane).await;
    shutdown_while_nothing_answers(&plane).await;
}

/// The outage is shorter than the renew deadline: no replica ends, and the scores are right within 5 s after it.
async fn restarts(plane: &ControlPlane) {
    let (client, home) = (plane.client().await, plane.namespace("restarts"));
    let kubeconfig = account(plane, &home, "watch").await;
    let flags = ["--lease-namespace", &home];
    let names: Vec<_> = (0..rounds(3, 10)).map(|place| format!("replica-{place}")).collect();
    let mut replicas: Vec<_> =
        names.iter().map(|pod| Process::start("watch", &kubeconfig, pod, &flags).synced()).collect();
    leader(&replicas, LIMIT).await;
    let (mut slowest, mut busiest) = (Duration::ZERO, 0);
    for _ in 0..rounds(3, 10) {
        let churn = tokio::spawn(churn(client.clone(), home.clone()));
        sleep(Duration::from_secs(1)).await;
        let failures = |replica: &Process| replica.metric("watch_failures_total").unwrap_or_default();
        let before: Vec<_> = replicas.iter().map(failures).collect();
        plane.kill_api_server();
        let killed = Instant::now();
        sleep(Duration::from_secs(1)).await;
        let mark = plane.mark();
        plane.start_api_server();
        let (back, outage) = (Instant::now(), killed.elapsed());
        churn.abort();
        let _ = churn.await;
        for replica in &replicas {
            agree(plane, replica, LIMIT.saturating_sub(back.elapsed()), &[]).await;
        }
        slowest = slowest.max(back.elapsed());
        // A watch is retried after pauses that double, so an outage of seconds costs a handful of attempts.
        for (replica, before) in replicas.iter().zip(before) {
            let attempts = failures(replica) - before;
            assert!(attempts <= 3.0 + outage.as_secs_f64(), "{attempts} in {outage:?}: {:#?}", replica.log());
        }
        sleep(Duration::from_secs(2).saturating_sub(back.elapsed())).await;
        let seconds = back.elapsed().as_secs() + 1;
        let requests = plane.count_since(mark, &user(&home, "watch"));
        busiest = busiest.max(requests / replicas.len());
        // For each watch a list, a watch and two attempts in vain, and requests for the Lease: no storm.
        let most = replicas.len() * (4 * WATCHES + 2 * usize::try_from(seconds).unwrap());
        assert!(requests <= most, "{requests} requests in {seconds} s, at most {most}");
        for replica in &mut replicas {
            assert!(replica.ended().is_none(), "outage of {outage:?}: {:#?}", replica.log());
        }
    }
    let restarts = rounds(3, 10);
    println!("{restarts} restarts: right again within {slowest:?}, at most {busiest} requests a replica");
    assert!(!replicas[0].lines("watch resumed").is_empty());
}

/// Creates, changes and deletes pods, and ignores failures.
async fn churn(client: Client, namespace: String) {
    let pods = Api::<Pod>::namespaced(client, &namespace);
    let run = fastrand::u32(..);
    for index in 0.. {
        let name = |index: u32| format!("churn-{run:x}-{index}");
        let _ = pods.create(&PostParams::default(), &pod(&name(index))).await;
        let status = Patch::Merge(json!({ "status": running(index % 9) }));
        let _ = pods.patch_status(&name(index), &PatchParams::default(), &status).await;
        if index >= 10 {
            let _ = pods.delete(&name(index - 10), &DeleteParams::default()).await;
        }
        sleep(Duration::from_millis(10)).await;
    }
}

/// The outage is longer than the renew deadline: only the leader ends, and the others serve their last state.
async fn outage_past_the_renew_deadline(plane: &ControlPlane) {
    let (client, home) = (plane.client().await, plane.namespace("long-outage"));
    create(&client, &home, &pod("web")).await;
    let kubeconfig = account(plane, &home, "watch").await;
    let flags = [&["-n", &home, "--lease-namespace", &home], &SHORT[..]].concat();
    let mut replicas: Vec<_> = ["a", "b", "c"]
        .iter()
        .map(|pod| Process::start("watch", &kubeconfig, pod, &flags).synced())
        .collect();
    let mut first = replicas.remove(leader(&replicas, LIMIT).await);
    plane.kill_api_server();
    let killed = Instant::now();
    let status = first.end(Duration::from_secs(3));
    println!("no API server, with a renew deadline of 2 s: the leader ended after {:?}", killed.elapsed());
    assert_eq!(status.code(), Some(2));
    let log = first.log();
    let said = log.iter().any(|line| line.to_string().contains("lost: not renewed within 2s"));
    assert!(said, "the error says why: {log:#?}");
    sleep(Duration::from_secs(3)).await;
    for replica in &mut replicas {
        assert!(replica.ended().is_none(), "{:#?}", replica.log());
        assert!(replica.is_ready() && !replica.leads());
        let scores = replica.scores();
        assert_eq!((&scores["summary"]["pods"], &scores["summary"]["partial"]), (&json!(1), &json!(true)));
        assert!(scores["errors"][0].as_str().unwrap().contains("cannot reach"), "{scores}");
    }
    plane.start_api_server();
    let back = Instant::now();
    for replica in &replicas {
        agree(plane, replica, LIMIT, &["-n", &home]).await;
    }
    let next = leader(&replicas, Duration::from_secs(10)).await;
    println!("a standby leads {:?} after the return", back.elapsed());
    assert_eq!(holder(&client, &home).await, replicas[next].identity());
}

/// Without an API server, a shutdown ends in time and is not ready meanwhile. A second signal ends it at once.
async fn shutdown_while_nothing_answers(plane: &ControlPlane) {
    let home = plane.namespace("frozen");
    let flags = ["-n", &home, "--lease-namespace", &home];
    let mut replicas =
        ["a", "b"].map(|pod| Process::start("watch", plane.kubeconfig(), pod, &flags).synced());
    let first = leader(&replicas, LIMIT).await;
    plane.pause_api_server();
    let start = Instant::now();
    replicas[first].signal("-TERM");
    within(Duration::from_secs(1), "not ready once the signal has arrived", async || {
        (replicas[first].get("/readyz") == (503, "not ready: shutting down".to_owned())).then_some(())
    })
    .await;
    assert_eq!(replicas[first].get("/healthz").0, 200, "requests are answered until the lease is released");
    let status = replicas[first].end(LIMIT.saturating_sub(start.elapsed()));
    println!("asked to end while nothing answers: ended after {:?}", start.elapsed());
    assert_eq!(status.code(), Some(0), "{:#?}", replicas[first].log());
    assert_eq!(replicas[first].lines("not released: the lease is left to expire").len(), 1);
    plane.resume_api_server();

    within(Duration::from_secs(20), "the other leads", async || replicas[1 - first].leads().then_some(()))
        .await;
    plane.pause_api_server();
    let other = &mut replicas[1 - first];
    other.signal("-TERM");
    other.until(LIMIT, "shutting down; another signal ends it at once");
    let again = Instant::now();
    other.signal("-TERM");
    assert_eq!(other.end(Duration::from_secs(1)).code(), Some(143));
    println!("asked twice: ended after {:?}", again.elapsed());
    plane.resume_api_server();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_compacted_history_causes_a_fresh_list() {
    // Without a watch cache, a compaction affects all older watches at once.
    let plane = ControlPlane::start_with(&["--watch-cache=false"]);
    let (client, home) = (plane.client().await, plane.namespace("compacted"));
    create(&client, &home, &pod("web")).await;
    let kubeconfig = account(&plane, &home, "watch").await;
    let flags = ["-n", &home, "--no-leader-election"];
    let mut replica = Process::start("watch", &kubeconfig, "a", &flags).synced();
    let expired =
        |replica: &Process| replica.metric("watch_failures_total{category=\"expired\"}").unwrap_or(0.0);
    for round in 1..=rounds(2, 5) {
        let (before, mark) = (expired(&replica), plane.mark());
        // While stopped, the replica misses a restart of the API server and a compaction.
        replica.signal("-STOP");
        plane.kill_api_server();
        plane.start_api_server();
        degrade(&client, &home, "web", round % 2 == 1).await;
        create(&client, &home, &pod(&format!("pod-{round}"))).await;
        plane.compact_etcd();
        replica.signal("-CONT");
        let start = Instant::now();
        agree(&plane, &replica, LIMIT, &["-n", &home]).await;
        println!("compacted: right again after {:?}", start.elapsed());
        assert!(expired(&replica) > before, "{:#?}", replica.log());
        assert!(replica.ended().is_none());
        let requests = plane.count_since(mark, &user(&home, "watch"));
        assert!(requests <= 3 * WATCHES, "{requests} requests");
    }
}
