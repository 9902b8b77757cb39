//! What talks to Kubernetes, against a real kube-apiserver, etcd and kube-controller-manager: `make test`.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test fails by panicking, and the helpers of one are outside of #[test] functions"
)]

mod analyze;
mod connecting;
mod control_plane;
mod crds;
mod documented;
mod enforcement;
mod eventually;
mod harness;
mod idle;
mod kubelet;
mod operator;
#[path = "../common/policies.rs"]
mod policies;
mod process;
mod prometheus;
mod soak;
mod watch;
