//! Measures the cost and speed of `kube-devops` on a real API server with 10,000 pods.
//!
//!     make control-plane && cargo bench --bench live -- [--pods 10000] [--only PART] [--rules RULES]
//!
//! The parts are `analyze`, `watch`, `reconcile` and `admission`. The pods are spread over 50 namespaces. The docs of each
//! module say what it measures. With `--rules`, the policies of `reconcile` turn on these rules instead of those of the
//! score.

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

#[path = "../../tests/common/access.rs"]
mod access;
mod admission;
mod analyze;
#[path = "../../tests/common/apply.rs"]
mod apply;
#[path = "../../tests/cluster/control_plane/mod.rs"]
mod control_plane;
#[path = "../../tests/common/eventually.rs"]
mod eventually;
#[path = "../../tests/common/generate.rs"]
mod generate;
#[path = "../../tests/common/kubeconfig.rs"]
mod kubeconfig;
mod pods;
#[path = "../../tests/common/process.rs"]
mod process;
mod reconcile;
#[path = "../../tests/cluster/restricted.rs"]
mod restricted;
mod usage;
mod watch;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use control_plane::ControlPlane;

const PARTS: [&str; 4] = ["analyze", "watch", "reconcile", "admission"];

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, flag, kubeconfig] = arguments.as_slice()
        && flag == analyze::MEASURE
    {
        return analyze::measure(Path::new(kubeconfig));
    }
    let after = |flag| arguments.iter().skip_while(|argument| *argument != flag).nth(1);
    if !arguments.iter().any(|argument| argument == "--bench") {
        return;
    }
    let pods: usize = after("--pods").map_or(10_000, |pods| pods.parse().expect("--pods takes a number"));
    let only = after("--only");
    let rules = after("--rules").map(String::as_str);
    assert!(only.is_none_or(|only| PARTS.contains(&only.as_str())), "--only takes one of {PARTS:?}");
    let plane = ControlPlane::start();
    // The garbage collector would delete the pods, whose owners don't exist, and would use CPU time.
    let ([.., controllers], _) = plane.traces();
    assert!(Command::new("kill").args(["-KILL", &controllers]).status().unwrap().success());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = plane.client().await;
        let running = Arc::new(pods::store(&plane, &client, pods).await);
        for part in PARTS.iter().filter(|part| only.is_none_or(|only| only == *part)) {
            match *part {
                "analyze" => analyze::compare(&plane, &client).await,
                "watch" => watch::follow(&plane, &client, &running).await,
                "admission" => admission::admit(&plane, &client).await,
                _ => reconcile::reconcile(&plane, &client, &running, rules).await,
            }
        }
    });
}
