//! Health, metrics and scores for well-behaved and badly behaved clients.

use super::helpers::{agree, create, pod};
use crate::control_plane::ControlPlane;
use crate::process::Process;
use serde_json::json;
use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn every_path_and_method_is_answered() {
    let plane = ControlPlane::shared();
    let home = plane.namespace("serving");
    create(&plane.client().await, &home, &pod("web")).await;
    let flags = ["-n", &home, "--lease-namespace", &home];
    let replica = Process::start("watch", plane.kubeconfig(), "a", &flags).synced();
    for (method, path, code) in [
        ("GET", "/healthz", 200),
        ("GET", "/readyz", 200),
        ("GET", "/metrics", 200),
        ("GET", "/api/v1/scores", 200),
        ("HEAD", "/metrics", 200),
        ("GET", "/", 200),
        ("GET", "/api/v1/scores/", 404),
        ("GET", "/api/v2/scores", 404),
        ("POST", "/metrics", 405),
        ("DELETE", "/api/v1/scores", 405),
        ("PUT", "/readyz", 405),
    ] {
        assert_eq!(replica.request(method, path).unwrap().0, code, "{method} {path}");
    }
    assert_eq!(replica.scores()["summary"]["partial"], false);
    assert_eq!(replica.scores()["errors"], json!([]));
    super::helpers::leader(&[replica], Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn clients_that_never_read_do_not_block_others() {
    let plane = ControlPlane::shared();
    let (client, home) = (plane.client().await, plane.namespace("slow"));
    create(&client, &home, &pod("web")).await;
    let flags = ["-n", &home];
    let replica =
        Process::start("watch", plane.kubeconfig(), "a", &["-n", &home, "--no-leader-election"]).synced();
    // More clients than the server allows. Half of them ask for far more data than the kernel buffers.
    let asked = "GET /metrics HTTP/1.1\r\nHost: test\r\n\r\n".repeat(200);
    let mut sockets = Vec::new();
    for index in 0..300 {
        let mut socket = TcpStream::connect(replica.address().unwrap()).unwrap();
        socket.set_nonblocking(true).unwrap();
        if index % 2 == 0 {
            let _ = socket.write(asked.as_bytes());
        }
        sockets.push(socket);
    }
    for name in ["two", "three"] {
        create(&client, &home, &pod(name)).await;
        agree(plane, &replica, Duration::from_secs(5), &flags).await;
    }
    assert_eq!(replica.scores()["summary"]["pods"], 3);
    assert_eq!(replica.get("/healthz").0, 200);
    drop(sockets);
}
