//! `kube-devops watch` on a real API server: its first list, and what it costs and how fast it is while pods change.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use futures::StreamExt;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::api::{Patch, PatchParams, PostParams, WatchEvent, WatchParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::NAMESPACE;
use crate::control_plane::ControlPlane;
use crate::process::Process;

const EVENTS_A_SECOND: u32 = 500;
const WINDOW: Duration = Duration::from_secs(20);
const PROBES: usize = 100;
const PROBE: &str = "probe";
const LIMIT: Duration = Duration::from_mins(1);
/// Clock ticks a second, in which Linux counts the CPU time of a process.
const TICKS: f64 = 100.0;

/// Lets `watch` list everything once; how long that took, and its memory in bytes after it.
pub(crate) fn sync(kubeconfig: &Path) -> (Duration, u64) {
    let replica = Process::start("watch", kubeconfig, "bench", &["--no-leader-election", "-n", NAMESPACE]);
    let line = replica.until(LIMIT, "synced");
    let memory = resident(replica.pid());
    (Duration::from_millis(line["milliseconds"].as_u64().unwrap()), memory)
}

/// Measures `watch` while pods change at a steady rate: its CPU time, then how soon a change is in `/metrics`.
pub(crate) async fn follow(plane: &ControlPlane, client: &Client, pods: usize) {
    let namespace: Namespace = object(json!({ "metadata": { "name": PROBE } }));
    Api::all(client.clone()).create(&PostParams::default(), &namespace).await.unwrap();
    let probe: Pod = object(json!({
        "metadata": { "name": PROBE },
        "spec": { "containers": [{ "name": "main", "image": "registry.example/main:1.0" }] },
    }));
    Api::namespaced(client.clone(), PROBE).create(&PostParams::default(), &probe).await.unwrap();
    let replica = Arc::new(Process::start("watch", plane.kubeconfig(), "bench", &["--no-leader-election"]));
    replica.until(LIMIT, "synced");

    let load = tokio::spawn(change(client.clone(), pods));
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
        times.sort();
        let at = |percent: usize| times[times.len() * percent / 100].as_secs_f64() * 1e3;
        println!("in /metrics after its {since}: median {:.1} ms, p99 {:.1} ms", at(50), at(99));
    }
}

/// Changes one pod after the other for ever, at the rate that is asked for if the API server keeps up.
async fn change(client: Client, pods: usize) {
    let mut ticks = interval(Duration::from_secs(1) / EVENTS_A_SECOND);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let ticks = futures::stream::unfold((ticks, 0), |(mut ticks, count)| async move {
        ticks.tick().await;
        Some((count, (ticks, count + 1)))
    });
    let api = Api::<Pod>::namespaced(client, NAMESPACE);
    let patch = |count: usize| {
        let api = api.clone();
        async move {
            let phase = if (count / pods).is_multiple_of(2) { "Unknown" } else { "Running" };
            let patch = Patch::Merge(json!({ "status": { "phase": phase, "message": count.to_string() } }));
            api.patch_status(&format!("pod-{}", count % pods), &PatchParams::default(), &patch)
                .await
                .unwrap();
        }
    };
    ticks.map(patch).buffer_unordered(16).collect::<()>().await;
}

/// Changes the pod that is alone in its namespace; how long it took from the arrival of the event at a watch of ours,
/// and from the moment before the write, until the namespace's score showed it.
async fn measure(client: &Client, replica: &Arc<Process>) -> (Vec<Duration>, Vec<Duration>) {
    let api = Api::<Pod>::namespaced(client.clone(), PROBE);
    let version = api.get(PROBE).await.unwrap().metadata.resource_version.unwrap();
    let mut events = api.watch(&WatchParams::default(), &version).await.unwrap().boxed();
    let (mut from_arrival, mut from_write) = (Vec::new(), Vec::new());
    for round in 0..PROBES {
        // Without probes 5 points are gone; Pending costs 4 more.
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

fn resident(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

fn cpu_seconds(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    // The name is in parentheses and may have blanks; user and system time are 12 and 13 fields after it.
    let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    fields[11..13].iter().map(|ticks| ticks.parse::<f64>().unwrap()).sum::<f64>() / TICKS
}
