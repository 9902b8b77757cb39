//! How long `kube-devops analyze` takes on 10,000 pods of a real API server, and the first list of `watch`, against
//! fetching the same pages and dropping their bytes; then what `watch` costs while pods change.
//!
//!     make control-plane && cargo bench --bench live -- [--pods 10000]
//!
//! They are measured in turns, five times each. The fetch has its connection already; `analyze` is timed as a whole,
//! from its start to its end, and `watch` by its log. The peak memory is the largest of any run.

#![allow(
    dead_code,
    unused_imports,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a bench that can't go on ends, and it uses only a part of the tests' control plane"
)]

#[path = "../../tests/cluster/control_plane/mod.rs"]
mod control_plane;
#[path = "../../tests/cluster/eventually.rs"]
mod eventually;
#[path = "../../tests/common/generate.rs"]
mod generate;
#[path = "../../tests/cluster/process.rs"]
mod process;
mod watch;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use control_plane::ControlPlane;
use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ListParams, Patch, PatchParams, PostParams, Request};
use kube::{Api, Client, Resource};
use serde_json::{Value, json};
use wait4::Wait4;

const ROUNDS: usize = 5;
const NAMESPACE: &str = "bench";
/// Asks this program to measure one analysis with a kubeconfig and print the nanoseconds and the bytes that it took.
const MEASURE: &str = "--measure";

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, flag, kubeconfig] = arguments.as_slice()
        && flag == MEASURE
    {
        let (wall, peak) = measure(Path::new(kubeconfig));
        println!("{} {peak}", wall.as_nanos());
        return;
    }
    if !arguments.iter().any(|argument| argument == "--bench") {
        return;
    }
    let pods = arguments.iter().skip_while(|argument| *argument != "--pods").nth(1);
    let pods: usize = pods.map_or(10_000, |pods| pods.parse().expect("--pods takes a number"));
    let plane = ControlPlane::start();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let client = runtime.block_on(async {
        let client = plane.client().await;
        create(&client, pods).await;
        client
    });
    let (mut fetches, mut analyses, mut syncs) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..=ROUNDS {
        fetches.push(runtime.block_on(fetch(&client)));
        analyses.push(analyze(plane.kubeconfig()));
        syncs.push(watch::sync(plane.kubeconfig()));
    }
    // The first round warms the API server up.
    let fetch = median(fetches[1..].iter().map(|(wall, _)| *wall));
    let wall = median(analyses[1..].iter().map(|(wall, _)| *wall));
    let peak = analyses.iter().map(|(_, peak)| *peak).max().unwrap_or(0);
    let sync = median(syncs[1..].iter().map(|(wall, _)| *wall));
    let resident = syncs.iter().map(|(_, resident)| *resident).max().unwrap_or(0);
    println!("{pods} pods, {} MiB, fetched in {:.3} s", fetches[0].1 >> 20, fetch.as_secs_f64());
    println!("           s       ratio   MiB");
    for (what, time, memory) in [("analyze", wall, peak), ("watch", sync, resident)] {
        let (seconds, ratio) = (time.as_secs_f64(), time.as_secs_f64() / fetch.as_secs_f64());
        println!("{what:<10} {seconds:<7.3} {ratio:<7.2} {}", memory >> 20);
    }
    runtime.block_on(watch::follow(&plane, &client, pods));
}

fn median(times: impl Iterator<Item = Duration>) -> Duration {
    let mut times: Vec<_> = times.collect();
    times.sort();
    times[times.len() / 2]
}

/// Stores made-up pods, with their statuses.
async fn create(client: &Client, pods: usize) {
    let mut list = Vec::new();
    generate::write_pod_list(&mut list, pods, 42).unwrap();
    let list: Value = serde_json::from_slice(&list).unwrap();
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
    let namespaces: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(client.clone());
    namespaces.create(&PostParams::default(), &serde_json::from_value(namespace).unwrap()).await.unwrap();
    stream::iter(list["items"].as_array().unwrap().iter().enumerate())
        .map(|(index, item)| async move {
            let mut item = item.clone();
            let name = format!("pod-{index}");
            let metadata = item["metadata"].as_object_mut().unwrap();
            for key in ["generateName", "uid", "resourceVersion", "ownerReferences"] {
                metadata.remove(key);
            }
            metadata.insert("namespace".into(), NAMESPACE.into());
            metadata.insert("name".into(), name.clone().into());
            let mut status = json!({ "status": item["status"].take() });
            // The API server works this one out itself.
            status["status"].as_object_mut().unwrap().remove("qosClass");
            let api: Api<Pod> = Api::namespaced(client.clone(), NAMESPACE);
            api.create(&PostParams::default(), &serde_json::from_value(item).unwrap()).await.unwrap();
            api.patch_status(&name, &PatchParams::default(), &Patch::Merge(&status)).await.unwrap();
        })
        .buffer_unordered(32)
        .collect::<()>()
        .await;
}

/// Fetches every page as `analyze` does and drops the bytes; the time and the size.
async fn fetch(client: &Client) -> (Duration, usize) {
    let start = Instant::now();
    let mut size = 0;
    let mut token: Option<String> = None;
    loop {
        let parameters =
            ListParams { limit: Some(500), continue_token: token.take(), ..ListParams::default() };
        let request = Request::new(Pod::url_path(&(), Some(NAMESPACE))).list(&parameters).unwrap();
        let text = client.request_text(request).await.unwrap();
        size += text.len();
        let head = &text[..text.len().min(4096)];
        token =
            head.split_once("\"continue\":\"").and_then(|(_, rest)| Some(rest.split_once('"')?.0.to_owned()));
        if token.is_none() {
            return (start.elapsed(), size);
        }
    }
}

/// Lets a new process run the binary; its time and its peak memory.
///
/// The peak of a process counts from that of its parent, and this one holds pods: the process in between is small.
fn analyze(kubeconfig: &Path) -> (Duration, u64) {
    let output = Command::new(std::env::current_exe().unwrap())
        .arg(MEASURE)
        .arg(kubeconfig)
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(output.status.success(), "the measurement failed: {}", output.status);
    let figures = String::from_utf8(output.stdout).unwrap();
    let (wall, peak) = figures.trim().split_once(' ').unwrap();
    (Duration::from_nanos(wall.parse().unwrap()), peak.parse().unwrap())
}

/// Runs the binary; its time and its peak memory in bytes.
fn measure(kubeconfig: &Path) -> (Duration, u64) {
    let start = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_kube-devops"))
        .args(["analyze", "-n", NAMESPACE, "--kubeconfig"])
        .arg(kubeconfig)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = std::io::read_to_string(child.stdout.take().unwrap()).unwrap();
    let used = child.wait4().unwrap();
    let wall = start.elapsed();
    assert!(used.status.success() && output.contains("Workload Pods Analyzed"), "{output}");
    (wall, used.rusage.maxrss)
}
