//! Very large pods, and mass deletions.

use super::helpers::{agree, create, object, pod};
use crate::control_plane::ControlPlane;
use crate::eventually::within;
use crate::process::Process;
use crate::soak::rounds;
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{DeleteParams, ListParams, PostParams};
use serde_json::json;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_pod_larger_than_a_megabyte_is_counted() {
    let plane = ControlPlane::shared();
    let (client, home) = (plane.client().await, plane.namespace("large"));
    let flags = ["-n", &home];
    let replica =
        Process::start("watch", plane.kubeconfig(), "a", &["-n", &home, "--no-leader-election"]).synced();
    let large: Pod = object(json!({
        "metadata": { "name": "large" },
        "spec": { "containers": [{
            "name": "main", "image": "nginx", "env": [{ "name": "TEXT", "value": "x".repeat(1_200_000) }],
        }] },
    }));
    create(&client, &home, &large).await;
    create(&client, &home, &pod("small")).await;
    agree(plane, &replica, LIMIT, &flags).await;
    let summary = &replica.scores()["summary"];
    assert_eq!((&summary["pods"], &summary["counts"]["latest-tag"]), (&json!(2), &json!(1)));
    // A large pod works in a list, too.
    let other =
        Process::start("watch", plane.kubeconfig(), "b", &["-n", &home, "--no-leader-election"]).synced();
    agree(plane, &other, LIMIT, &flags).await;
    Api::<Pod>::namespaced(client, &home).delete("large", &DeleteParams::default()).await.unwrap();
    agree(plane, &replica, LIMIT, &flags).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn deleting_all_pods_at_once_leaves_no_counts() {
    let plane = ControlPlane::shared();
    let home = plane.namespace("many");
    let pods = Api::<Pod>::namespaced(plane.client().await, &home);
    let count = rounds(2_000, 10_000);
    let replica =
        Process::start("watch", plane.kubeconfig(), "a", &["-n", &home, "--no-leader-election"]).synced();
    stream::iter(0..count)
        .map(|index| {
            let (pods, pod) = (pods.clone(), pod(&format!("pod-{index}")));
            async move { pods.create(&PostParams::default(), &pod).await }
        })
        .buffer_unordered(32)
        .try_for_each(async |_| Ok(()))
        .await
        .unwrap();
    agree(plane, &replica, LIMIT, &["-n", &home]).await;
    assert_eq!(replica.scores()["summary"]["pods"], count);
    let memory = replica.metric("process_resident_memory_bytes").unwrap();

    let begun = Instant::now();
    pods.delete_collection(&DeleteParams::default(), &ListParams::default()).await.unwrap();
    let (took, deleted) = (begun.elapsed(), Instant::now());
    within(LIMIT, "all are gone", async || {
        (replica.scores()["namespaces"] == json!([]) && replica.metric("pods_tracked") == Some(0.0))
            .then_some(())
    })
    .await;
    println!(
        "{count} pods: deleted by the API server in {took:?}, gone from the scores {:?} later, {:.0} MiB resident",
        deleted.elapsed(),
        memory / f64::from(1 << 20)
    );
    let gone = replica.get("/metrics").1;
    assert!(gone.contains(&format!("pod_events_total{{type=\"deleted\"}} {count}\n")), "{gone}");
    assert!(replica.lines("watch interrupted; retrying").is_empty());
    let log = replica.log();
    assert!(log.len() < 20, "no line is about a pod: {log:#?}");
}
