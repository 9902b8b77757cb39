//! Tests that need a real node: probes, restarts, rollouts and Services under enforcement. `make test-node` runs them.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test fails by panicking, and the helpers of one are outside of #[test] functions"
)]

#[path = "../common/access.rs"]
mod access;
#[path = "../common/apply.rs"]
mod apply;
mod enforcement;
#[path = "../common/eventually.rs"]
mod eventually;
mod fixture;
#[path = "../common/kubeconfig.rs"]
mod kubeconfig;
mod late;
mod lifetime;
mod node;
mod poller;
#[path = "../common/process.rs"]
#[expect(dead_code, reason = "faults of the tests against a control plane")]
mod process;
mod scenario;
mod server;
#[path = "../common/soak.rs"]
#[expect(dead_code, reason = "faults of the tests against a control plane")]
mod soak;

mod table;
mod workload;
mod works;
