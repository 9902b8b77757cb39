//! Real sockets on the loopback interface, with clients that behave and clients that don't.

use super::*;
use crate::runtime::{Shutdown, Unready};
use std::convert::Infallible;
use std::time::Instant;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinHandle;

struct Running {
    address: SocketAddr,
    readiness: Readiness,
    unready: Option<Unready>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

async fn start() -> Running {
    let server = Server::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let (address, stop) = (server.address(), CancellationToken::new());
    let readiness = Readiness::new(Shutdown::new());
    let unready = Some(readiness.register("pods"));
    let extra = Router::new()
        .route("/slow", get(|| async { sleep(Duration::from_millis(300)).await }))
        .route("/stuck", get(|| async { sleep(Duration::from_mins(1)).await }))
        .route("/large", get(|| async { vec![b'x'; 64 << 20] }))
        .route("/body", axum::routing::post(|body: axum::body::Bytes| async move { body.len().to_string() }));
    let router = standard_routes(readiness.clone(), || Ok::<_, Infallible>("up 1\n".to_owned())).merge(extra);
    let task = tokio::spawn(server.serve(router, stop.clone().cancelled_owned()));
    Running { address, readiness, unready, stop, task }
}

impl Running {
    async fn connect(&self, request: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    /// Sends a request and returns the whole answer, in lower case.
    async fn ask(&self, method: &str, path: &str) -> String {
        let request = format!("{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
        read(self.connect(&request).await).await
    }

    async fn is_healthy(&self) -> bool {
        timeout(Duration::from_secs(1), self.ask("GET", "/healthz"))
            .await
            .is_ok_and(|text| text.ends_with("\r\n\r\nok"))
    }

    /// Stops the server and returns how long that took.
    async fn stopped(self) -> Duration {
        let start = Instant::now();
        self.stop.cancel();
        self.task.await.unwrap();
        start.elapsed()
    }
}

async fn read(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap().to_lowercase()
}

#[tokio::test]
async fn health_is_always_ok_and_readiness_names_the_missing_parts() {
    let mut server = start().await;
    assert!(server.is_healthy().await);
    let answer = server.ask("GET", "/readyz").await;
    assert!(answer.starts_with("http/1.1 503") && answer.ends_with("not ready: pods"), "{answer}");
    server.unready.take();
    assert!(server.readiness.pending().is_empty());
    assert!(server.ask("GET", "/readyz").await.starts_with("http/1.1 200"));
}

#[tokio::test]
async fn metrics_have_the_content_type_of_the_text_format() {
    let answer = start().await.ask("GET", "/metrics").await;
    assert!(answer.contains("content-type: text/plain; version=0.0.4; charset=utf-8\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nup 1\n"), "{answer}");
}

#[tokio::test]
async fn unknown_paths_are_404_and_wrong_methods_405() {
    let server = start().await;
    assert!(server.ask("GET", "/").await.starts_with("http/1.1 404"));
    let answer = server.ask("POST", "/metrics").await;
    assert!(answer.starts_with("http/1.1 405") && answer.contains("allow: get,head"), "{answer}");
    assert!(server.ask("HEAD", "/healthz").await.starts_with("http/1.1 200"));
}

#[tokio::test]
async fn large_heads_and_bodies_are_refused() {
    let server = start().await;
    let post = |length: usize| {
        format!("POST /body HTTP/1.1\r\nhost: t\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n")
    };
    let answer = read(server.connect(&(post(5) + "hello")).await).await;
    assert!(answer.starts_with("http/1.1 200"), "{answer}");
    let answer = read(server.connect(&(post(BODY_LIMIT + 1) + &"x".repeat(BODY_LIMIT + 1))).await).await;
    assert!(answer.starts_with("http/1.1 413"), "{answer}");
    let head = format!("GET /healthz HTTP/1.1\r\nx-large: {}\r\n\r\n", "x".repeat(2 * HEAD_LIMIT));
    let answer = read(server.connect(&head).await).await;
    assert!(!answer.starts_with("http/1.1 200"), "{answer}");
}

#[tokio::test]
async fn excess_clients_do_not_block_new_ones() {
    let server = start().await;
    let mut silent = Vec::new();
    for _ in 0..CONNECTIONS + 20 {
        silent.push(TcpStream::connect(server.address).await.unwrap());
    }
    assert!(server.is_healthy().await);
    assert!(server.stopped().await < Duration::from_secs(1), "they don't hold up the end either");
}

#[tokio::test]
async fn a_client_that_sends_or_reads_nothing_is_dropped_in_time() {
    let server = start().await;
    let silent = server.connect("GET /healthz HTTP/1.1\r\nhost:").await;
    let _not_reading = server.connect("GET /large HTTP/1.1\r\nhost: test\r\n\r\n").await;
    assert!(server.is_healthy().await);
    let start = Instant::now();
    read(silent).await;
    let waited = start.elapsed();
    assert!((4..7).contains(&waited.as_secs()), "{waited:?}");
    sleep(Duration::from_secs(1)).await;
    assert!(server.stopped().await < DRAIN_TIMEOUT / 2, "the one that reads nothing is gone too");
}

#[tokio::test]
async fn requests_under_way_are_ended_and_stuck_ones_cut_off_at_the_deadline() {
    let server = start().await;
    let slow = server.connect("GET /slow HTTP/1.1\r\nhost: test\r\n\r\n").await;
    let _stuck = server.connect("GET /stuck HTTP/1.1\r\nhost: test\r\n\r\n").await;
    let _not_reading = server.connect("GET /large HTTP/1.1\r\nhost: test\r\n\r\n").await;
    let _idle = server.connect("").await;
    assert!(server.is_healthy().await);
    let address = server.address;
    let answer = tokio::spawn(read(slow));
    let took = server.stopped().await;
    assert!((DRAIN_TIMEOUT..DRAIN_TIMEOUT + Duration::from_millis(500)).contains(&took), "{took:?}");
    assert!(answer.await.unwrap().starts_with("http/1.1 200"));
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn an_address_in_use_is_named() {
    let server = start().await;
    let error = Server::bind(server.address.to_string().parse().unwrap()).await.unwrap_err().to_string();
    assert!(error.starts_with(&format!("cannot listen on {}", server.address)), "{error}");
}
