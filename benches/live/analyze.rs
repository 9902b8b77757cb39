//! Compares `kube-devops analyze` and the first list of `watch` with fetching the same pages and dropping their bytes.
//!
//! The three alternate, five times each. The fetch has an open connection; `analyze` is timed from its start to its
//! end, and `watch` by its log. The peak memory is the largest of all runs.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Pod;
use kube::api::{ListParams, Request};
use kube::{Client, Resource};
use wait4::Wait4;

use crate::control_plane::ControlPlane;
use crate::usage::percentile;
use crate::watch;

const ROUNDS: usize = 5;
/// Makes this program measure one analysis with a kubeconfig and print its nanoseconds and bytes.
pub(crate) const MEASURE: &str = "--measure";

/// Runs all three alternately and prints a comparison.
pub(crate) async fn compare(plane: &ControlPlane, client: &Client) {
    let (mut fetches, mut analyses, mut syncs) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..=ROUNDS {
        fetches.push(fetch(client).await);
        analyses.push(analyze(plane.kubeconfig()));
        syncs.push(watch::sync(plane.kubeconfig()));
    }
    // The first round warms the API server up.
    let fetch = median(fetches[1..].iter().map(|(wall, _)| *wall));
    let wall = median(analyses[1..].iter().map(|(wall, _)| *wall));
    let peak = analyses.iter().map(|(_, peak)| *peak).max().unwrap_or(0);
    let sync = median(syncs[1..].iter().map(|(wall, _)| *wall));
    let resident = syncs.iter().map(|(_, resident)| *resident).max().unwrap_or(0);
    println!("{} MiB, fetched in {:.3} s", fetches[0].1 >> 20, fetch.as_secs_f64());
    println!("           s       ratio   MiB");
    for (what, time, memory) in [("analyze", wall, peak), ("watch", sync, resident)] {
        let (seconds, ratio) = (time.as_secs_f64(), time.as_secs_f64() / fetch.as_secs_f64());
        println!("{what:<10} {seconds:<7.3} {ratio:<7.2} {}", memory >> 20);
    }
}

fn median(times: impl Iterator<Item = Duration>) -> Duration {
    percentile(&mut times.collect::<Vec<_>>(), 50)
}

/// Fetches every page as `analyze` does and drops the bytes. Returns the time and the size.
async fn fetch(client: &Client) -> (Duration, usize) {
    let start = Instant::now();
    let mut size = 0;
    let mut token: Option<String> = None;
    loop {
        let parameters =
            ListParams { limit: Some(500), continue_token: token.take(), ..ListParams::default() };
        let request = Request::new(Pod::url_path(&(), None)).list(&parameters).unwrap();
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

/// Runs the binary from a new process. Returns the time and the peak memory.
///
/// The peak memory of a process starts at that of its parent. This process holds pods; the one in between is small.
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

/// Runs the binary and prints its time in nanoseconds and its peak memory in bytes.
pub(crate) fn measure(kubeconfig: &Path) {
    let start = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_kube-devops"))
        .args(["analyze", "--kubeconfig"])
        .arg(kubeconfig)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = std::io::read_to_string(child.stdout.take().unwrap()).unwrap();
    let used = child.wait4().unwrap();
    let wall = start.elapsed();
    assert!(used.status.success() && output.contains("Workload Pods Analyzed"), "{output}");
    println!("{} {}", wall.as_nanos(), used.rusage.maxrss);
}
