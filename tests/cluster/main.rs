//! Tests against a real kube-apiserver, etcd and kube-controller-manager. `make test` runs them.

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
mod analyze;
#[path = "../common/apply.rs"]
mod apply;
mod cluster_profiles;
mod connecting;
mod control_plane;
mod crds;
mod documented;
mod enforcement;
#[path = "../common/eventually.rs"]
mod eventually;
mod expressions;
mod fleet;
mod harness;
mod idle;
mod installation;
#[path = "../common/kubeconfig.rs"]
mod kubeconfig;
mod kubelet;
mod native;
mod observability;
mod operator;
#[path = "../common/policies.rs"]
mod policies;
mod policy_files;
#[path = "../common/process.rs"]
mod process;
mod prometheus;
mod relations;
mod restricted;
mod scaling;
#[path = "../common/soak.rs"]
mod soak;
#[path = "../common/updates.rs"]
mod updates;
mod upstream;
mod watch;
mod webhook;
