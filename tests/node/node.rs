//! The node that runs the tests, and the operator that they share.

use crate::access::Accounts;
use crate::kubeconfig::client_of;
use crate::process::Process;
use assert_cmd::Command;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::PostParams;
use kube::{Api, Client};
use kube_devops::manifests::Mode;
use serde_json::json;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::sync::OnceCell;

/// An administrator's kubeconfig. It exists only in the node's mount namespace.
const ADMIN: &str = "/run/node/pki/admin.kubeconfig";
/// The namespace of the operator and its Lease.
const HOME: &str = "kube-devops";

/// Creates an administrator's client for the caller's runtime.
pub(crate) async fn client() -> Client {
    assert!(Path::new(ADMIN).is_file(), "there is no {ADMIN}: `make test-node` runs these tests on a node");
    client_of(Path::new(ADMIN)).await
}

/// Creates a namespace with a unique name, `<test>-<n>`, and returns the name.
pub(crate) async fn namespace(client: &Client, test: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("{test}-{}", NEXT.fetch_add(1, Ordering::Relaxed));
    create_namespace(client, &name).await;
    name
}

/// Starts the operator that all tests share, if it isn't running. It has exactly the permissions of enforcement.
pub(crate) async fn operator() -> &'static Process {
    static OPERATOR: OnceCell<Process> = OnceCell::const_new();
    OPERATOR.get_or_init(start_operator).await
}

async fn start_operator() -> Process {
    Command::new(env!("CARGO_BIN_EXE_kube-devops"))
        .args(["crd", "install", "--kubeconfig", ADMIN])
        .assert()
        .success();
    let client = client().await;
    create_namespace(&client, HOME).await;
    let accounts = Accounts {
        client,
        server: "https://127.0.0.1:6443",
        authority: Path::new("/run/node/pki/ca.crt"),
        directory: Path::new("/run/node"),
    };
    let kubeconfig = accounts.operator(HOME, Mode::Enforce).await;
    // The default cluster budgets would make scenarios wait for one another.
    let flags = ["--lease-namespace", HOME, "--max-rollouts", "100", "--max-per-hour", "10000"];
    let operator = Process::spawn("reconcile", &kubeconfig, "operator-0", &flags);
    operator.wait_until_ready();
    operator
}

async fn create_namespace(client: &Client, name: &str) {
    let namespace: Namespace = serde_json::from_value(json!({ "metadata": { "name": name } })).unwrap();
    Api::all(client.clone()).create(&PostParams::default(), &namespace).await.unwrap();
}
