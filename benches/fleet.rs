//! Measures `kube-devops multi-cluster analyze` on many clusters, each played by a light server.
//!
//!     cargo bench --bench fleet -- [--clusters 50] [--pods 2000] [--think 100] [--slowest 500] [--budget]
//!
//! Each server answers a page of pods after `--think` milliseconds, and one in the middle of the list after `--slowest`.
//! The pods are generated, with 8 to 12 KB each. The program compares the time of all clusters with that of the slowest
//! one alone, and prints the peak memory. The two alternate, three times each. With `--budget`, a ratio above 1.2 or a
//! peak of 64 MiB fails it.

#![allow(
    dead_code,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench that can't go on ends"
)]

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Json;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::sleep;
use wait4::Wait4;

#[path = "../tests/common/generate.rs"]
mod generate;

const ROUNDS: usize = 3;
/// Makes this program run the command behind it, and print its nanoseconds and bytes.
const MEASURE: &str = "--measure";
/// The budgets: the ratio, and the peak memory in MiB.
const RATIO: f64 = 1.2;
const MEMORY: u64 = 64;

/// The pods that every cluster has, and the pages that were asked for.
struct Pods {
    pods: Vec<String>,
    pages: Mutex<BTreeMap<(usize, usize), Bytes>>,
}

/// A cluster.
#[derive(Clone)]
struct Cluster {
    name: String,
    think: Duration,
    pods: Arc<Pods>,
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.get(1).is_some_and(|flag| flag == MEASURE) {
        return measure(&arguments[2..]);
    }
    if !arguments.iter().any(|argument| argument == "--bench") {
        return;
    }
    let number = |flag: &str, default: u64| {
        let after = arguments.iter().skip_while(|argument| *argument != flag).nth(1);
        after.map_or(default, |value| value.parse().unwrap_or_else(|_| panic!("{flag} takes a number")))
    };
    let (clusters, pods) = (number("--clusters", 50), number("--pods", 2000));
    let (think, slowest) = (number("--think", 100), number("--slowest", 500));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let pods: Vec<_> = generate::pods(usize::try_from(pods).unwrap(), 1).collect();
    let pods = Arc::new(Pods { pods, pages: Mutex::default() });
    let mut entries = Vec::new();
    for index in 0..clusters {
        let think = if index == clusters / 2 { slowest } else { think };
        let cluster = Cluster {
            name: format!("cluster-{index:03}"),
            think: Duration::from_millis(think),
            pods: Arc::clone(&pods),
        };
        let (name, address) = (cluster.name.clone(), runtime.block_on(serve(cluster)));
        entries.push((name, address));
    }
    let directory = tempfile::tempdir().unwrap();
    let kubeconfig = directory.path().join("config");
    std::fs::write(&kubeconfig, kubeconfig_of(&entries).to_string()).unwrap();
    let slowest = format!("--contexts=cluster-{:03}", clusters / 2);

    let (mut one, mut all, mut peak) = (Vec::new(), Vec::new(), 0);
    // The first round makes the pages.
    for round in 0..=ROUNDS {
        let (alone, _) = analyze(&kubeconfig, &slowest, 1);
        let (together, memory) = analyze(&kubeconfig, "--all", clusters);
        if round > 0 {
            one.push(alone);
            all.push(together);
            peak = memory.max(peak);
        }
    }
    let median = |times: &mut Vec<Duration>| {
        times.sort_unstable();
        times[times.len() / 2].as_secs_f64()
    };
    let (one, all) = (median(&mut one), median(&mut all));
    let (ratio, peak) = (all / one, peak >> 20);
    println!("the slowest cluster alone  {one:.3} s");
    println!("all {clusters} clusters            {all:.3} s, ratio {ratio:.2}, peak memory {peak} MiB");
    if arguments.iter().any(|argument| argument == "--budget") {
        assert!(ratio <= RATIO && peak < MEMORY, "the budget is a ratio of {RATIO} and {MEMORY} MiB");
    }
}

/// Starts the server of a cluster and returns its address.
async fn serve(cluster: Cluster) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let app = Router::new()
        .route("/version", get(version))
        .route("/api/v1/namespaces/kube-system", get(kube_system))
        .route("/api/v1/pods", get(pods))
        .route("/apis/devops.stochastic.io/v1/devopspolicies", get(missing))
        .fallback(nothing)
        .with_state(cluster);
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

async fn version() -> Json<Value> {
    Json(json!({
        "major": "1", "minor": "36", "gitVersion": "v1.36.3", "gitCommit": "", "gitTreeState": "", "buildDate": "",
        "goVersion": "", "compiler": "", "platform": "",
    }))
}

async fn kube_system(State(cluster): State<Cluster>) -> Json<Value> {
    let metadata = json!({ "name": "kube-system", "uid": cluster.name });
    Json(json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": metadata }))
}

async fn pods(State(cluster): State<Cluster>, RawQuery(query): RawQuery) -> Response {
    sleep(cluster.think).await;
    let query = query.unwrap_or_default();
    let pairs = || query.split('&').filter_map(|pair| pair.split_once('='));
    let number = |name: &str| pairs().find(|(key, _)| *key == name).and_then(|(_, value)| value.parse().ok());
    let start = number("continue").unwrap_or(0);
    let limit = number("limit").unwrap_or(usize::MAX);
    let page = cluster.pods.page(start, limit);
    ([(header::CONTENT_TYPE, "application/json")], page).into_response()
}

async fn missing() -> Response {
    let status = json!({
        "apiVersion": "v1", "kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404,
        "message": "the server could not find the requested resource",
    });
    (StatusCode::NOT_FOUND, Json(status)).into_response()
}

/// Answers any other list: there are no such objects.
async fn nothing() -> Json<Value> {
    Json(json!({
        "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadataList", "metadata": { "resourceVersion": "1" },
        "items": [],
    }))
}

impl Pods {
    fn page(&self, start: usize, limit: usize) -> Bytes {
        let mut pages = self.pages.lock().unwrap();
        let make = || {
            let end = start.saturating_add(limit).min(self.pods.len());
            let mut metadata = json!({ "resourceVersion": "1" });
            if end < self.pods.len() {
                metadata["continue"] = json!(end.to_string());
            }
            let items = self.pods[start..end].join(",");
            let text = format!(
                "{{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"metadata\":{metadata},\"items\":[{items}]}}\n"
            );
            Bytes::from(text)
        };
        pages.entry((start, limit)).or_insert_with(make).clone()
    }
}

fn kubeconfig_of(entries: &[(String, String)]) -> Value {
    let clusters =
        entries.iter().map(|(name, server)| json!({ "name": name, "cluster": { "server": server } }));
    let contexts =
        entries.iter().map(|(name, _)| json!({ "name": name, "context": { "cluster": name, "user": "" } }));
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": entries[0].0,
        "clusters": clusters.collect::<Vec<_>>(), "contexts": contexts.collect::<Vec<_>>(),
    })
}

/// Runs the command from a new process, whose peak memory is small. Returns the time and the peak memory in bytes.
fn analyze(kubeconfig: &Path, which: &str, clusters: u64) -> (Duration, u64) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args([MEASURE, "multi-cluster", "analyze", which, "-o", "json", "--kubeconfig"])
        .arg(kubeconfig)
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(output.status.success(), "the measurement failed: {}", output.status);
    let figures = String::from_utf8(output.stdout).unwrap();
    let [wall, peak, read] = figures.trim().split(' ').collect::<Vec<_>>()[..] else { panic!("{figures}") };
    assert_eq!(read, clusters.to_string(), "not all clusters were read");
    (Duration::from_nanos(wall.parse().unwrap()), peak.parse().unwrap())
}

/// Runs the binary and prints its time in nanoseconds, its peak memory in bytes, and the number of clusters that it read.
fn measure(arguments: &[String]) {
    let start = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_kube-devops"))
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = std::io::read_to_string(child.stdout.take().unwrap()).unwrap();
    let used = child.wait4().unwrap();
    let wall = start.elapsed();
    assert!(used.status.success(), "{}: {output}", used.status);
    let report: Value = serde_json::from_str(&output).unwrap();
    println!("{} {} {}", wall.as_nanos(), used.rusage.maxrss, report["summary"]["clusters"]);
}
