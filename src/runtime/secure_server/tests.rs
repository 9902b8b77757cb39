//! Real TLS connections on the loopback interface, with clients that behave and clients that don't.

use std::io;

use axum::routing::{get, post};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::sync::CancellationToken;

use super::*;

/// The time limit of an answer on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

struct Running {
    address: SocketAddr,
    certificate: ServingCertificate,
    stop: CancellationToken,
    task: JoinHandle<Result<(), rustls::Error>>,
}

/// Makes a certificate for localhost and serves it. Returns its DER.
fn serve_new(certificate: &ServingCertificate) -> CertificateDer<'static> {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    assert!(certificate.set(cert.pem().as_bytes(), signing_key.serialize_pem().as_bytes()).unwrap());
    cert.der().clone()
}

async fn start() -> (Running, CertificateDer<'static>) {
    let server = SecureServer::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let (address, stop, certificate) =
        (server.address(), CancellationToken::new(), ServingCertificate::default());
    let trusted = serve_new(&certificate);
    let router = Router::new()
        .route("/", get(|| async { "ok" }))
        .route("/body", post(|body: axum::body::Bytes| async move { body.len().to_string() }));
    let task = tokio::spawn(server.serve(router, certificate.clone(), stop.clone().cancelled_owned()));
    (Running { address, certificate, stop, task }, trusted)
}

impl Running {
    async fn connect(&self, trusted: &CertificateDer<'static>) -> io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(trusted.clone()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("localhost").unwrap();
        let stream = TcpStream::connect(self.address).await?;
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }
}

/// Sends a request on an open connection and returns the head and the body of the answer.
async fn ask(stream: &mut TlsStream<TcpStream>) -> String {
    stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut text = String::new();
    while !text.ends_with("\r\n\r\nok") {
        let mut bytes = [0; 1024];
        let read = timeout(PATIENCE, stream.read(&mut bytes)).await.unwrap().unwrap();
        assert!(read > 0, "closed after {text:?}");
        text.push_str(std::str::from_utf8(&bytes[..read]).unwrap());
    }
    text.to_lowercase()
}

#[tokio::test]
async fn a_new_certificate_is_served_without_a_pause_and_a_broken_one_never() {
    let (server, first) = start().await;
    let mut open = server.connect(&first).await.unwrap();
    ask(&mut open).await;
    assert!(server.certificate.set(b"nonsense", b"nonsense").is_err());
    let CertifiedKey { cert, .. } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let other_key = generate_simple_self_signed(["localhost".to_owned()]).unwrap().signing_key;
    let mixed = server.certificate.set(cert.pem().as_bytes(), other_key.serialize_pem().as_bytes());
    assert!(matches!(mixed, Err(crate::runtime::CertificateError::Pair(_))), "{mixed:?}");
    assert!(server.connect(&first).await.is_ok(), "the former pair stays");
    let second = serve_new(&server.certificate);
    ask(&mut open).await;
    assert!(server.connect(&first).await.is_err());
    ask(&mut server.connect(&second).await.unwrap()).await;
}

#[tokio::test]
async fn a_server_that_stops_answers_on_and_ends_each_connection_with_its_next_response() {
    let (server, trusted) = start().await;
    let mut open = server.connect(&trusted).await.unwrap();
    assert!(!ask(&mut open).await.contains("connection: close"));
    server.stop.cancel();
    // The stop is noticed some time after it was asked for.
    while !ask(&mut open).await.contains("connection: close") {}
    assert_eq!(open.read(&mut [0; 16]).await.unwrap(), 0, "the connection ends after the response");
    let mut late = server.connect(&trusted).await.unwrap();
    assert!(ask(&mut late).await.contains("connection: close"), "a new connection is served too");
    timeout(PATIENCE, server.task).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn idle_connections_and_plain_text_do_not_block_others() {
    let (server, trusted) = start().await;
    let mut used = server.connect(&trusted).await.unwrap();
    ask(&mut used).await;
    let mut idle = Vec::new();
    for index in 0..1_000 {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        if index % 2 == 0 {
            let _ = stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await;
        }
        // A quarter of them stays open at the same time, below the limit of open files of the test process.
        if index % 4 == 0 {
            idle.push(stream);
        }
    }
    ask(&mut server.connect(&trusted).await.unwrap()).await;
    ask(&mut used).await;
}

#[test]
fn the_idle_connection_with_the_oldest_answer_gives_way_and_none_that_answers_now() {
    let of = |uses: &[(bool, u64)]| {
        let uses: Vec<_> = uses
            .iter()
            .map(|(is_busy, last)| Usage { is_busy: AtomicBool::new(*is_busy), last: AtomicU64::new(*last) })
            .collect();
        least_needed(uses.iter())
    };
    assert_eq!(of(&[(false, 7), (false, 0), (false, 0)]), Some(1), "the oldest that never had an answer");
    assert_eq!(of(&[(false, 9), (false, 3), (true, 0)]), Some(1), "the one with the oldest answer");
    assert_eq!(of(&[(true, 1), (false, 9), (true, 2)]), Some(1), "an idle one");
    assert_eq!(of(&[(true, 1), (true, 0), (true, 0)]), Some(1), "a busy one that never had an answer");
    assert_eq!(of(&[(true, 1), (true, 2)]), None);
}
