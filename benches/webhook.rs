//! Measures the webhook without an API server: a load generator sends reviews over TLS with keep-alive.
//!
//!     cargo bench --bench webhook
//!
//! The server and the generator are threads of this process. There are 100 policies in one namespace. The first figure is
//! the time of an answer at 1,000 requests/s, as the generator sees it, from the due time of a request. The second is the
//! number of answers for each second of CPU time of the server's thread while eight connections never wait. The third is
//! the resident memory of this process with 1,000 policies, the load generator included.

#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench that can't go on ends, and the table is what it is for"
)]

#[path = "live/usage.rs"]
#[allow(dead_code, reason = "only the memory is needed")]
mod usage;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use jiff::{SignedDuration, Timestamp};
use kube_devops::admission::certificates::{Lifetimes, Names, bootstrap};
use kube_devops::admission::{AdmissionMetrics, NamespaceSurroundings, NativeNamespaces, Reviewer, routes};
use kube_devops::policies::Policies;
use kube_devops::policy::{DevOpsPolicy, SystemNamespaces};
use kube_devops::runtime::{SecureServer, ServingCertificate};
use kube_devops::telemetry::Metrics;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::{sleep_until, timeout};
use tokio_rustls::TlsConnector;

const POLICIES: usize = 100;
/// The number of policies for the figure of memory.
const MANY_POLICIES: usize = 1_000;
const CONNECTIONS: usize = 8;
const RATE: u32 = 1_000;
const TIME: Duration = Duration::from_secs(5);
/// The size of the Deployment in a review, in bytes.
const SIZE: usize = 10 * 1024;

type Connection = SendRequest<Full<Bytes>>;

fn main() {
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let (server, connector, cpu) = serve();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let body = Bytes::from(review());
    println!("{POLICIES} policies, a review of {} bytes, {CONNECTIONS} connections", body.len());
    runtime.block_on(async {
        let connections = connect(server, &connector).await;
        let mut times = at_rate(connections, &body).await;
        times.sort_unstable();
        let at = |share: usize| times[(times.len() * share / 1_000).min(times.len() - 1)];
        println!("at {RATE} requests/s: median {:?}, p99 {:?}, longest {:?}", at(500), at(990), at(1_000));
        let connections = connect(server, &connector).await;
        let (before, begun) = (cpu(), Instant::now());
        let answers = without_pause(connections, &body).await;
        let (used, passed) = (cpu().saturating_sub(before), begun.elapsed());
        println!(
            "without pause: {:.0} requests/s, {:.0} for each second of the server's CPU",
            f64::from(answers) / passed.as_secs_f64(),
            f64::from(answers) / used.as_secs_f64()
        );
    });
    let many = reviewer(MANY_POLICIES);
    println!("{MANY_POLICIES} policies: {} MiB resident", usage::resident(std::process::id()) >> 20);
    drop(many);
}

/// Starts the server in a thread. Returns its address, a connector that trusts it, and the CPU time of the thread.
fn serve() -> (SocketAddr, TlsConnector, impl Fn() -> Duration) {
    let lifetime = SignedDuration::from_hours(1);
    let names = Names::of_service("home", "webhook", &[]);
    #[expect(clippy::disallowed_methods, reason = "certificates have to be valid now")]
    let made =
        bootstrap(&names, Lifetimes { authority: lifetime, leaf: lifetime }, Timestamp::now()).unwrap();
    let certificate = ServingCertificate::default();
    certificate.set(made.leaf.as_bytes(), made.key.as_bytes()).unwrap();
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let server = SecureServer::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
            let task = std::fs::read_link("/proc/thread-self").unwrap();
            sender.send((server.address(), task)).unwrap();
            server.serve(routes(reviewer(POLICIES)), certificate, std::future::pending()).await.unwrap();
        });
    });
    let (address, task) = receiver.recv().unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(made.bundle().as_bytes()).unwrap()).unwrap();
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let statistics = std::path::Path::new("/proc").join(task).join("schedstat");
    let cpu = move || {
        let text = std::fs::read_to_string(&statistics).unwrap();
        Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
    };
    (address, TlsConnector::from(Arc::new(config)), cpu)
}

/// Returns a reviewer with this many policies: 100 in the namespace of the reviews, the others in namespaces of ten.
fn reviewer(count: usize) -> Arc<Reviewer> {
    let policies = Arc::new(Policies::new(SystemNamespaces::default()));
    let begun = policies.begin_list();
    for number in 0..count {
        let namespace = if number < POLICIES { "shop".to_owned() } else { format!("n{}", number / 10) };
        let policy = json!({
            "metadata": { "name": format!("p{number}"), "namespace": namespace, "generation": 1 },
            "spec": {
                "enforcementMode": "enforce", "forbidLatestTag": true, "requireLivenessProbe": true,
                "requireReadinessProbe": true, "requireResources": true, "admission": { "denyAt": "low" },
            },
        });
        policies.apply(serde_json::from_value::<DevOpsPolicy>(policy).unwrap());
    }
    policies.end_list(begun);
    let metrics = AdmissionMetrics::register(&Metrics::new()).unwrap();
    let (native, surroundings) = (NativeNamespaces::default(), NamespaceSurroundings::default());
    Arc::new(Reviewer::new(policies, native, surroundings, metrics, || Timestamp::UNIX_EPOCH))
}

/// Returns the review of a new Deployment that no policy objects to.
fn review() -> String {
    let probe = json!({ "tcpSocket": { "port": 8080 } });
    let amounts = json!({ "cpu": "100m", "memory": "64Mi" });
    let mut object = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "web", "namespace": "shop" },
        "spec": { "replicas": 2, "selector": {}, "template": { "spec": { "containers": [{
            "name": "web", "image": "nginx:1.27", "livenessProbe": probe, "readinessProbe": probe,
            "resources": { "requests": amounts, "limits": amounts }, "env": [],
        }] } } },
    });
    let mut variables = 0;
    while object.to_string().len() < SIZE {
        let variable =
            json!({ "name": format!("VARIABLE_{variables}"), "value": "a value of a usual length" });
        let list = object.pointer_mut("/spec/template/spec/containers/0/env").and_then(Value::as_array_mut);
        list.unwrap().push(variable);
        variables += 1;
    }
    let review = json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "705ab4f5", "kind": { "group": "apps", "version": "v1", "kind": "Deployment" }, "name": "web",
            "namespace": "shop", "operation": "CREATE", "userInfo": { "username": "jane" }, "object": object,
            "oldObject": null, "dryRun": false,
        },
    });
    review.to_string()
}

async fn connect(server: SocketAddr, connector: &TlsConnector) -> Vec<Connection> {
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        let stream = TcpStream::connect(server).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let name = ServerName::try_from("webhook.home.svc").unwrap();
        let stream = connector.connect(name, stream).await.unwrap();
        let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        connections.push(sender);
    }
    connections
}

async fn ask(connection: &mut Connection, body: &Bytes) {
    let request = http::Request::post("/validate")
        .header("host", "webhook.home.svc")
        .header("content-type", "application/json")
        .body(Full::new(body.clone()))
        .unwrap();
    let response = connection.send_request(request).await.unwrap();
    assert_eq!(response.status(), 200);
    let answer = response.into_body().collect().await.unwrap().to_bytes();
    assert!(answer.windows(14).any(|part| part == b"\"allowed\":true"), "{answer:?}");
}

/// Sends requests at a rate, and returns the time of each from its due time.
async fn at_rate(connections: Vec<Connection>, body: &Bytes) -> Vec<Duration> {
    let begun = tokio::time::Instant::now() + Duration::from_millis(10);
    let share = u32::try_from(CONNECTIONS).unwrap();
    let tasks = connections.into_iter().zip(0_u32..).map(|(mut connection, number)| {
        let body = body.clone();
        tokio::spawn(async move {
            let mut times = Vec::new();
            for round in 0.. {
                let due = begun + Duration::from_secs(1) / RATE * (number + round * share);
                if due > begun + TIME {
                    return times;
                }
                // Timers have a resolution of 1 ms, which is longer than an answer takes.
                sleep_until(due - Duration::from_millis(2)).await;
                while tokio::time::Instant::now() < due {
                    tokio::task::yield_now().await;
                }
                ask(&mut connection, &body).await;
                times.push(due.elapsed());
            }
            times
        })
    });
    let mut all = Vec::new();
    for task in tasks.collect::<Vec<_>>() {
        all.extend(task.await.unwrap());
    }
    all
}

/// Sends requests without a pause, and returns how many were answered.
async fn without_pause(connections: Vec<Connection>, body: &Bytes) -> u32 {
    let tasks = connections.into_iter().map(|mut connection| {
        let body = body.clone();
        tokio::spawn(async move {
            let mut answers = 0;
            let endless = async {
                loop {
                    ask(&mut connection, &body).await;
                    answers += 1;
                }
            };
            let _: Result<(), _> = timeout(TIME, endless).await;
            answers
        })
    });
    let mut all = 0;
    for task in tasks.collect::<Vec<_>>() {
        all += task.await.unwrap();
    }
    all
}
