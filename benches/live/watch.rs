//! `kube-devops watch` on a real API server: its first list, and its cost and speed while pods change.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::api::{Patch, PatchParams, PostParams, WatchEvent, WatchParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::time::{interval, sleep};

use crate::control_plane::{ControlPlane, Etcd};
use crate::pods;
use crate::process::Process;
use crate::usage::{cpu_seconds, percentile, resident};

/// The number of changes in a batch. The rate is 500 changes a second.
const BATCH: usize = 20;
const PAUSE: Duration = Duration::from_millis(40);
/// The number of concurrent batches, so that a slow answer doesn't lower the rate.
const IN_FLIGHT: usize = 8;
const WINDOW: Duration = Duration::from_secs(20);
const PROBES: usize = 100;
const PROBE: &str = "probe";
const LIMIT: Duration = Duration::from_mins(1);

/// Runs the first list of `watch`. Returns its time, and the memory after it in bytes.
pub(crate) fn sync(kubeconfig: &Path) -> (Duration, u64) {
    let replica = Process::start("watch", kubeconfig, "bench", &["--no-leader-election"]);
    let line = replica.until(LIMIT, "synced");
    let memory = resident(replica.pid());
    (Duration::from_millis(line["milliseconds"].as_u64().unwrap()), memory)
}

/// Measures `watch` while pods change at a steady rate: its CPU time, then the delay of a change in `/metrics`.
pub(crate) async fn follow(plane: &ControlPlane, client: &Client, pods: &Arc<Vec<pods::Pod>>) {
    let namespace: Namespace = object(json!({ "metadata": { "name": PROBE } }));
    Api::all(client.clone()).create(&PostParams::default(), &namespace).await.unwrap();
    let probe: Pod = object(json!({
        "metadata": { "name": PROBE },
        "spec": { "containers": [{ "name": "main", "image": "registry.example/main:1.0" }] },
    }));
    Api::namespaced(client.clone(), PROBE).create(&PostParams::default(), &probe).await.unwrap();
    let replica = Arc::new(Process::start("watch", plane.kubeconfig(), "bench", &["--no-leader-election"]));
    replica.until(LIMIT, "synced");

    let load = tokio::spawn(change(plane.etcd(), Arc::clone(pods)));
    sleep(Duration::from_secs(2)).await;
    let (start, events, cpu) = (Instant::now(), applied(&replica), cpu_seconds(replica.pid()));
    sleep(WINDOW).await;
    let seconds = start.elapsed().as_secs_f64();
    let (events, cpu) = (applied(&replica) - events, cpu_seconds(replica.pid()) - cpu);
    println!(
        "watch at {:.0} events a second: {:.1} % of a core, {:.3} ms of it an event, {} MiB",
        events / seconds,
        100.0 * cpu / seconds,
        1e3 * cpu / events,
        resident(replica.pid()) >> 20
    );

    let (mut from_arrival, mut from_write) = measure(client, &replica).await;
    load.abort();
    for (since, times) in [("arrival", &mut from_arrival), ("write", &mut from_write)] {
        let mut at = |percent| percentile(times, percent).as_secs_f64() * 1e3;
        println!("in /metrics after its {since}: median {:.1} ms, p99 {:.1} ms", at(50), at(99));
    }
}

/// Restarts a container of one pod after another, forever. Some pods exceed the restarts that the rules allow.
async fn change(etcd: Etcd, pods: Arc<Vec<pods::Pod>>) {
    let restarts = |count: usize| (count + count / pods.len()) % 5;
    let batches = stream::unfold((interval(PAUSE), 0), async |(mut ticks, first)| {
        ticks.tick().await;
        Some((first..first + BATCH, (ticks, first + BATCH)))
    });
    let put = async |batch: Range<usize>| {
        etcd.put(batch.map(|count| pods[count % pods.len()].restarted(restarts(count)))).await;
    };
    batches.for_each_concurrent(IN_FLIGHT, put).await;
}

/// Changes the only pod of a namespace. Returns the times until the namespace's score shows the change, from the
/// arrival of the event at a watch of this process and from just before the write.
async fn measure(client: &Client, replica: &Arc<Process>) -> (Vec<Duration>, Vec<Duration>) {
    let api = Api::<Pod>::namespaced(client.clone(), PROBE);
    let version = api.get(PROBE).await.unwrap().metadata.resource_version.unwrap();
    let mut events = api.watch(&WatchParams::default(), &version).await.unwrap().boxed();
    let (mut from_arrival, mut from_write) = (Vec::new(), Vec::new());
    for round in 0..PROBES {
        // Missing probes cost 5 points, and Pending costs 4 more.
        let (phase, score) = if round % 2 == 0 { ("Running", 95.0) } else { ("Pending", 91.0) };
        let watched = Arc::clone(replica);
        let seen = tokio::task::spawn_blocking(move || {
            let sample = format!("namespace_health_score{{namespace=\"{PROBE}\"}}");
            while watched.metric(&sample) != Some(score) {
                thread::sleep(Duration::from_millis(1));
            }
            Instant::now()
        });
        let written = Instant::now();
        let patch = Patch::Merge(json!({ "status": { "phase": phase } }));
        let write = async {
            api.patch_status(PROBE, &PatchParams::default(), &patch).await.unwrap();
        };
        let arrival = async {
            while !matches!(events.next().await.unwrap().unwrap(), WatchEvent::Modified(_)) {}
            Instant::now()
        };
        let ((), arrived) = futures::join!(write, arrival);
        let seen = tokio::time::timeout(LIMIT, seen).await.unwrap().unwrap();
        from_arrival.push(seen.saturating_duration_since(arrived));
        from_write.push(seen - written);
        sleep(Duration::from_millis(20)).await;
    }
    (from_arrival, from_write)
}

fn applied(replica: &Process) -> f64 {
    replica.metric("pod_events_total{type=\"applied\"}").unwrap()
}

fn object<K: serde::de::DeserializeOwned>(value: Value) -> K {
    serde_json::from_value(value).unwrap()
}
