//! Measures the observer of `kube-devops watch` without an API server: events a second, memory a pod, and a scrape.
//!
//!     cargo bench --bench observe -- [--pods 100000]
//!
//! All times are of one thread, and the best of five rounds.

#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench that can't go on ends, and the figures are what it is for"
)]

#[path = "../../tests/common/generate.rs"]
mod generate;
mod memory;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{Request, Response};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::Client;
use kube::api::ApiResource;
use kube::client::Body;
use kube_devops::cluster::{Cluster, Paging, WatchRequest};
use kube_devops::governance::Scope;
use kube_devops::observer::{Observer, ObserverMetrics, ScoreCollector, Scoreboard, observe};
use kube_devops::policy::EffectivePolicy;
use kube_devops::telemetry::Metrics;
use kube_devops::workload::{Workload, WorkloadKind};

const ROUNDS: usize = 5;
const SEED: u64 = 42;
const EVENTS: usize = 20_000;
/// The number of pods that are parsed before they are applied: enough to time, and few enough for the CPU caches.
const AT_ONCE: usize = 16;
const NAMESPACES: usize = 1_000;

fn main() {
    if memory::fill(|pods, _| fill(pods)) {
        return;
    }
    let arguments: Vec<String> = std::env::args().collect();
    // `cargo test --benches` runs this program without the flag, and then nothing is measured.
    if !arguments.iter().any(|argument| argument == "--bench") {
        return;
    }
    let pods = arguments.iter().skip_while(|argument| *argument != "--pods").nth(1);
    let pods: usize = pods.map_or(100_000, |pods| pods.parse().expect("--pods takes a number"));
    memory::print("scoreboard", pods, "");
    events(pods);
    scrape();
}

fn board() -> Scoreboard {
    Scoreboard::new(EffectivePolicy::default(), Scope::default())
}

/// Returns the best time of several rounds.
fn best(mut round: impl FnMut() -> Duration) -> Duration {
    (0..ROUNDS).map(|_| round()).min().unwrap_or_default()
}

fn rate(events: usize, time: Duration) -> u128 {
    events as u128 * 1_000_000_000 / time.as_nanos()
}

/// Measures events on a scoreboard with all pods. Each event changes the counts of a random pod.
///
/// A pod is applied soon after it is parsed, as in the watch, while most of the scoreboard is in no CPU cache.
fn events(pods: usize) {
    let mut board = board();
    let mut texts = Vec::new();
    let stride = (pods / EVENTS).max(1);
    for (index, text) in generate::pods(pods, SEED).enumerate() {
        board.apply(&parse(&text), Timestamp::UNIX_EPOCH);
        // The pods are spread over all namespaces.
        if index % stride == 0 {
            texts.push(text);
        }
    }
    fastrand::seed(SEED);
    fastrand::shuffle(&mut texts);
    let mut restarts = 0;
    let apply = best(|| {
        // More than three restarts are a violation, whose penalty depends on their number.
        restarts = if restarts == 4 { 5 } else { 4 };
        let parts = texts.chunks(AT_ONCE).map(|texts| {
            let mut changed: Vec<_> = texts.iter().map(|text| parse(text)).collect();
            let statuses = changed.iter_mut().flat_map(|pod| &mut pod.status);
            let containers = statuses.flat_map(|status| status.container_statuses.iter_mut());
            containers.for_each(|container| container.restart_count = restarts);
            let start = Instant::now();
            for pod in &changed {
                board.apply(black_box(pod), Timestamp::UNIX_EPOCH);
            }
            start.elapsed()
        });
        parts.sum()
    });
    println!("scoreboard alone: {} events a second", rate(texts.len(), apply));
    let parse_and_apply = best(|| {
        let start = Instant::now();
        for text in &texts {
            board.apply(&parse(black_box(text)), Timestamp::UNIX_EPOCH);
        }
        start.elapsed()
    });
    println!("parsed and applied: {} events a second", rate(texts.len(), parse_and_apply));
}

fn parse(pod: &str) -> Workload<'_> {
    Workload::from_json(WorkloadKind::Pod, pod).unwrap()
}

/// Reads pods into a scoreboard, as the watch does.
fn fill(pods: usize) -> Scoreboard {
    let mut board = board();
    for pod in generate::pods(pods, SEED) {
        board.apply(&parse(&pod), Timestamp::UNIX_EPOCH);
    }
    board
}

/// Measures `/metrics` of an observer of many namespaces with one pod each.
fn scrape() {
    let metrics = Metrics::with_process().unwrap();
    let counters = ObserverMetrics::register(&metrics).unwrap();
    let clock = || Timestamp::UNIX_EPOCH;
    let observer = Arc::new(Observer::new(EffectivePolicy::default(), Scope::default(), 1, counters, clock));
    ScoreCollector::register(&metrics, Arc::clone(&observer)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let request = WatchRequest {
            resource: ApiResource::erase::<Pod>(&()),
            namespace: None,
            selector: None,
            metadata_only: false,
        };
        let (unsynced, synced) = tokio::sync::oneshot::channel::<()>();
        let cluster = cluster();
        tokio::select! {
            () = observe(&observer, &cluster, request, unsynced) => {}
            _ = synced => {}
        }
    });
    let text = metrics.render().unwrap();
    assert_eq!(text.lines().filter(|line| line.starts_with("namespace_health_score{")).count(), NAMESPACES);
    let time = best(|| {
        let start = Instant::now();
        black_box(metrics.render().unwrap());
        start.elapsed()
    });
    println!(
        "/metrics, {NAMESPACES} namespaces: {:.2} ms, {} KiB",
        time.as_secs_f64() * 1e3,
        text.len() >> 10
    );
}

/// Returns a cluster with one pod in each namespace and no changes.
fn cluster() -> Cluster {
    let answer = |request: Request<Body>| async move {
        if request.uri().query().is_some_and(|query| query.contains("watch=")) {
            future::pending::<()>().await;
        }
        Ok::<_, Infallible>(Response::new(Body::from(list())))
    };
    Cluster {
        client: Client::new(tower::service_fn(answer), "default"),
        context: "bench".to_owned(),
        server: "bench".to_owned(),
        default_namespace: "default".to_owned(),
        request_timeout: None,
        watch_seconds: None,
        paging: Paging::default(),
    }
}

fn list() -> Vec<u8> {
    let items = generate::pods(NAMESPACES, SEED).enumerate().map(|(index, pod)| {
        let mut pod: BTreeMap<String, serde_json::Value> = serde_json::from_str(&pod).unwrap();
        pod.get_mut("metadata").unwrap()["namespace"] = format!("team-{index}").into();
        // A completed pod would leave its namespace empty.
        pod.get_mut("status").unwrap()["phase"] = "Running".into();
        pod
    });
    let items: Vec<_> = items.collect();
    serde_json::to_vec(&serde_json::json!({ "metadata": { "resourceVersion": "1" }, "items": items }))
        .unwrap()
}
