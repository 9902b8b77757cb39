//! Rotations and restarts while objects are created: with failurePolicy Fail, none fails, and none passes without
//! evaluation.

use super::fixture::WebhookFixture;
use crate::control_plane::free_port;
use crate::eventually::{eventually, within};
use crate::process::Process;
use crate::soak::rounds;
use futures::future::join_all;
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

/// The most objects that are created at the same time. More than one needs new connections.
const BURST: usize = 12;

/// Refuses objects while the webhook does not answer.
async fn fail_closed(fixture: &WebhookFixture) {
    let api: Api<ValidatingWebhookConfiguration> = Api::all(fixture.client.clone());
    let patch = json!([{ "op": "replace", "path": "/webhooks/0/failurePolicy", "value": "Fail" }]);
    let patch = Patch::<()>::Json(serde_json::from_value(patch).unwrap());
    api.patch("kube-devops-webhook", &PatchParams::default(), &patch).await.unwrap();
}

/// Creates good and bad objects in bursts until the flag is set. Returns how many.
async fn load(fixture: &WebhookFixture, done: &AtomicBool) -> usize {
    let count = AtomicUsize::new(0);
    for round in 0.. {
        if done.load(Ordering::Relaxed) {
            break;
        }
        let burst = (0..=round * 7 % BURST).map(async |index| {
            if index % 2 == 0 {
                match fixture.create("Pod", "nginx").await {
                    Err(kube::Error::Api(status)) if status.code == 403 => {}
                    other => panic!("a bad object was not denied: {other:?}"),
                }
            } else if let Err(error) = fixture.create("Pod", "nginx:1.27").await {
                panic!("a good object was refused: {error}");
            }
            count.fetch_add(1, Ordering::Relaxed);
        });
        join_all(burst).await;
    }
    count.into_inner()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn rotations_fail_no_admission() {
    let fixture = WebhookFixture::new().await;
    let times = ["--authority-lifetime", "12s", "--certificate-lifetime", "1h", "--rotation-pause", "500ms"];
    let webhook = fixture.replica(&times);
    fixture.install_by_service().await;
    fail_closed(&fixture).await;
    let (rotations, done) = (rounds(2, 50), AtomicBool::new(false));
    let rotated = async {
        within(Duration::from_secs(60 + 20 * rotations as u64), "rotations", async || {
            let steps = webhook.lines("completed a step of the certificate rotation");
            let ends = steps.iter().filter(|line| line["step"] == "DropAuthorities").count();
            (ends >= rotations).then_some(())
        })
        .await;
        done.store(true, Ordering::Relaxed);
    };
    let (count, ()) = tokio::join!(load(&fixture, &done), rotated);
    assert!(count > 100, "{count} objects");
    println!("{count} objects during {rotations} rotations");
}

/// Forwards connections to one of the replicas in turn, as a Service does.
struct Balancer {
    ports: Arc<Mutex<Vec<u16>>>,
    /// The number of connections to each port.
    connections: Arc<Mutex<BTreeMap<u16, usize>>>,
}

impl Balancer {
    async fn start(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let balancer = Self { ports: Arc::default(), connections: Arc::default() };
        let (shared, connections) = (Arc::clone(&balancer.ports), Arc::clone(&balancer.connections));
        tokio::spawn(async move {
            let mut turn = 0;
            while let Ok((mut inbound, _)) = listener.accept().await {
                let port = {
                    let ports = shared.lock().unwrap();
                    turn += 1;
                    ports[turn % ports.len()]
                };
                *connections.lock().unwrap().entry(port).or_default() += 1;
                tokio::spawn(async move {
                    let address = SocketAddr::from(([127, 0, 0, 1], port));
                    if let Ok(mut outbound) = TcpStream::connect(address).await {
                        let _ = copy_bidirectional(&mut inbound, &mut outbound).await;
                    }
                });
            }
        });
        balancer
    }

    /// Returns the number of connections to a port so far.
    fn connections(&self, port: u16) -> usize {
        self.connections.lock().unwrap().get(&port).copied().unwrap_or_default()
    }

    fn add(&self, port: u16) {
        self.ports.lock().unwrap().push(port);
    }

    fn remove(&self, port: u16) {
        self.ports.lock().unwrap().retain(|known| *known != port);
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn rolling_restarts_fail_no_admission() {
    let fixture = Arc::new(WebhookFixture::new().await);
    let balancer = Balancer::start(fixture.port).await;
    let start = |number: usize| -> (u16, Process) {
        let port = free_port().unwrap();
        let replica = fixture.replica_on(port, &format!("webhook-{number}"), &[]);
        balancer.add(port);
        (port, replica)
    };
    let mut replicas = vec![start(0), start(1)];
    fixture.install_by_service().await;
    fail_closed(&fixture).await;
    let (restarts, done) = (rounds(2, 10), Arc::new(AtomicBool::new(false)));
    // The restarts block this thread.
    let load = tokio::spawn({
        let (fixture, done) = (Arc::clone(&fixture), Arc::clone(&done));
        async move { load(&fixture, &done).await }
    });
    for number in 2..2 + 2 * restarts {
        replicas.push(start(number));
        let (port, mut old) = replicas.remove(0);
        // The Service learns of the end of a pod after the pod itself, so connections still reach it.
        old.signal("-TERM");
        let before = balancer.connections(port);
        eventually("a connection to a replica that ends", async || {
            (balancer.connections(port) > before).then_some(())
        })
        .await;
        balancer.remove(port);
        assert_eq!(old.end(Duration::from_mins(1)).code(), Some(0));
    }
    done.store(true, Ordering::Relaxed);
    let count = load.await.unwrap();
    assert!(count > 100, "{count} objects");
    println!("{count} objects during {restarts} rolling restarts");
}
