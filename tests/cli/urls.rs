//! Manifests behind URLs, from servers and proxies on this machine.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::thread;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, IsCa, KeyPair, PKCS_ECDSA_P256_SHA256,
    PKCS_ECDSA_P521_SHA512, SignatureAlgorithm,
};
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::{Run, run_with};

const POD: &str =
    "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: c, image: nginx}]}\n";

/// A name that no resolver knows: only a proxy can lead to it.
const ELSEWHERE: &str = "manifests.invalid";

/// A server for HTTP, for HTTPS, and a proxy for both, each by the first bytes that it is sent.
struct Server {
    port: u16,
    /// The first lines of all requests.
    requests: Arc<Mutex<Vec<String>>>,
    /// A directory with the certificate authority.
    authority: tempfile::TempDir,
}

impl Server {
    fn start() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let names = vec!["127.0.0.1".to_owned(), ELSEWHERE.to_owned()];
        let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap();
        Self::with(&certificate, &key, &issuer.pem())
    }

    /// Starts a server whose certificate is its own authority, and may be one for others.
    fn self_signed(kind: &'static SignatureAlgorithm) -> Self {
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate_for(kind).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self::with(&certificate, &key, &certificate.pem())
    }

    fn with(certificate: &Certificate, key: &KeyPair, authority: &str) -> Self {
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        Self::serve(certificate.der().clone(), &key, authority)
    }

    fn serve(certificate: CertificateDer<'static>, key: &PrivateKeyDer<'_>, authority: &str) -> Self {
        // The usual way to set a certificate refuses one of version 1.
        let pair = CertifiedKey::new(vec![certificate], any_supported_type(key).unwrap());
        let config = ServerConfig::builder().with_no_client_auth();
        let config = Arc::new(config.with_cert_resolver(Arc::new(SingleCertAndKey::from(pair))));
        let authority = super::directory(&[("ca.pem", authority.as_bytes())]);

        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&requests);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut first = [0];
                let _ = stream.peek(&mut first);
                if first == *b"C" {
                    kept.lock().unwrap().push(request(&mut stream));
                    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
                    let _ = stream.peek(&mut first);
                }
                if first == *b"G" {
                    answer(&mut stream, port, &kept);
                } else {
                    let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
                    answer(&mut StreamOwned::new(connection, stream), port, &kept);
                }
            }
        });
        Self { port, requests, authority }
    }

    /// Analyzes a URL in an environment.
    fn analyze(&self, url: &str, variables: &[(&str, &str)]) -> Run {
        let authority = self.authority.path().join("ca.pem");
        let mut all = vec![("SSL_CERT_FILE", authority.to_str().unwrap())];
        all.extend(variables);
        run_with(self.authority.path(), &["analyze", "-f", url], &all)
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

/// Reads the head of a request, and returns its first line.
fn request(stream: &mut impl Read) -> String {
    let mut lines = BufReader::with_capacity(1, stream).lines().map_while(Result::ok);
    let first = lines.next().unwrap_or_default();
    lines.find(String::is_empty);
    first
}

fn answer(stream: &mut (impl Read + Write), port: u16, requests: &Mutex<Vec<String>>) {
    let first = request(stream);
    requests.lock().unwrap().push(first.clone());
    let location = format!("location: http://127.0.0.1:{port}/pod.yaml\r\n");
    let (status, header, body) = match first.split(' ').nth(1) {
        Some(path) if path.ends_with("/down") => ("302 Found", &*location, ""),
        Some(path) if path.ends_with("/pod.yaml") => ("200 OK", "", POD),
        _ => ("404 Not Found", "", ""),
    };
    let length = body.len();
    // A client that does not trust the server is gone by now.
    let _ = write!(
        stream,
        "HTTP/1.1 {status}\r\n{header}content-length: {length}\r\nconnection: close\r\n\r\n{body}"
    );
    let _ = stream.flush();
}

#[test]
fn a_url_is_read_over_http_and_https() {
    let server = Server::start();
    for scheme in ["http", "https"] {
        let url = format!("{scheme}://127.0.0.1:{}/pod.yaml", server.port);
        let run = server.analyze(&url, &[]);
        assert!(run.status == 0 && run.stdout.contains("Analyzed     : 1"), "{run}");
    }
    let list = format!("http://127.0.0.1:{0}/pod.yaml,http://127.0.0.1:{0}/pod.yaml?2", server.port);
    assert!(server.analyze(&list, &[]).stdout.contains("Analyzed     : 1"), "the second is not found");
}

#[test]
fn a_certificate_that_go_accepts_is_accepted() {
    for kind in [&PKCS_ECDSA_P256_SHA256, &PKCS_ECDSA_P521_SHA512] {
        let server = Server::self_signed(kind);
        let url = format!("https://127.0.0.1:{}/pod.yaml", server.port);
        let run = server.analyze(&url, &[]);
        assert!(run.status == 0 && run.stdout.contains("Analyzed     : 1"), "{run}");
        let run = server.analyze(&url.replace("127.0.0.1", "localhost"), &[]);
        assert!(run.status == 2 && run.stderr.contains("not valid for name"), "the host is not in it: {run}");
        let run = server.analyze(&url, &[("SSL_CERT_FILE", "/dev/null")]);
        assert!(run.status == 2 && run.stderr.contains("(UnknownIssuer): "), "it is not trusted: {run}");
    }
}

#[test]
fn a_certificate_of_version_1_is_an_error_that_names_the_version() {
    let fixture = |name: &str| format!("{}/tests/fixtures/tls/{name}", env!("CARGO_MANIFEST_DIR"));
    let certificate = CertificateDer::from_pem_file(fixture("client.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(fixture("client-key.pem")).unwrap();
    let authority = std::fs::read_to_string(fixture("ca.pem")).unwrap();
    let server = Server::serve(certificate, &key, &authority);
    let url = format!("https://127.0.0.1:{}/pod.yaml", server.port);
    let run = server.analyze(&url, &[]);
    let expected = format!(
        "error: {url}: can't be read: the server's certificate is not of X.509 version 3: have a new one made, or \
         download the manifest and read the file\n"
    );
    assert!(run.status == 2 && run.stderr == expected, "{run}");
}

#[test]
fn a_url_that_can_not_be_fetched_is_an_error_with_the_reason() {
    let server = Server::start();
    for (url, variables, reason) in [
        ("http://127.0.0.1:PORT/none", vec![], "the server answered 404 Not Found"),
        (
            "https://127.0.0.1:PORT/down",
            vec![],
            "redirected from https to http://127.0.0.1:PORT/pod.yaml, which is not encrypted",
        ),
        (
            "https://127.0.0.1:PORT/pod.yaml",
            vec![("SSL_CERT_FILE", "/dev/null")],
            "the server's certificate is not accepted (UnknownIssuer): ",
        ),
        ("http://not a host/", vec![], "\"http://not a host/\" is not a valid URL"),
    ] {
        let with_port = |text: &str| text.replace("PORT", &server.port.to_string());
        let run = server.analyze(&with_port(url), &variables);
        let start = format!("error: {}: can't be read: {}", with_port(url), with_port(reason));
        assert!(run.status == 2 && run.stderr.starts_with(&start), "{run}");
    }
}

#[test]
fn the_environments_proxy_is_used() {
    let server = Server::start();
    let proxy = format!("http://127.0.0.1:{}", server.port);
    let run = server.analyze(&format!("http://{ELSEWHERE}/pod.yaml"), &[("HTTP_PROXY", &proxy)]);
    assert_eq!(run.status, 0, "{run}");
    let run = server.analyze(&format!("https://{ELSEWHERE}/pod.yaml"), &[("HTTPS_PROXY", &proxy)]);
    assert_eq!(run.status, 0, "{run}");
    let expected = [
        format!("GET http://{ELSEWHERE}/pod.yaml HTTP/1.1"),
        format!("CONNECT {ELSEWHERE}:443 HTTP/1.1"),
        "GET /pod.yaml HTTP/1.1".to_owned(),
    ];
    assert_eq!(server.requests(), expected);
    let variables = [("HTTP_PROXY", &*proxy), ("NO_PROXY", "invalid")];
    let run = server.analyze(&format!("http://{ELSEWHERE}/pod.yaml"), &variables);
    assert!(run.status == 2 && run.stderr.contains("can't connect: "), "{run}");
    assert_eq!(server.requests().len(), 3);
}
