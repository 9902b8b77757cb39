//! A TLS handshake with the webhook, as the API server makes it for each new connection.
//!
//! The API server checks certificates only then, so an expired one goes unnoticed while its connections are open.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// Time limit of a connection with its handshake: that of a call by the API server.
const LIMIT: Duration = Duration::from_secs(5);

/// The end of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// The host to connect to.
    pub(super) host: String,
    /// The port.
    pub(super) port: u16,
    /// The name that the certificate must be valid for.
    pub(super) name: String,
}

impl Target {
    /// Returns the target of a URL such as `https://webhook.example.com:8443`.
    pub(super) fn of_url(url: &str) -> Result<Self, String> {
        let invalid = || format!("{url:?} is not a URL such as https://webhook.example.com:8443");
        let uri: http::Uri = url.parse().map_err(|_| invalid())?;
        if uri.scheme_str() != Some("https") {
            return Err(invalid());
        }
        let host = uri.host().ok_or_else(invalid)?.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Self { name: host.clone(), host, port: uri.port_u16().unwrap_or(443) })
    }

    /// Returns the target by which the API server calls a Service.
    pub(super) fn of_service(namespace: &str, service: &str, port: u16) -> Self {
        let name = format!("{service}.{namespace}.svc");
        Self { host: name.clone(), port, name }
    }
}

/// Reads authorities in PEM form. The error is a sentence without a full stop.
pub(super) fn roots(authorities: &str) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for authority in CertificateDer::pem_slice_iter(authorities.as_bytes()) {
        let authority = authority.map_err(|error| format!("the caBundle is not in PEM form: {error}"))?;
        roots.add(authority).map_err(|error| format!("the caBundle has no usable authority: {error}"))?;
    }
    if roots.is_empty() { Err("the caBundle has no authority".to_owned()) } else { Ok(roots) }
}

/// Checks a serving certificate at the time `now` as a handshake does, without a connection. The error is a sentence
/// without a full stop.
pub(super) fn check_certificate(
    authorities: &str,
    certificate: &str,
    name: &str,
    now: Timestamp,
) -> Result<(), String> {
    let invalid = |error: String| format!("the certificate of the Secret is not valid for {name}: {error}");
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier =
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots(authorities)?), provider).build();
    let verifier = verifier.map_err(|error| invalid(error.to_string()))?;
    let mut chain = CertificateDer::pem_slice_iter(certificate.as_bytes()).flatten();
    let leaf = chain.next().ok_or_else(|| invalid("it is not in PEM form".to_owned()))?;
    let others: Vec<_> = chain.collect();
    let server = ServerName::try_from(name).map_err(|_| format!("{name:?} is no name of a server"))?;
    let now = UnixTime::since_unix_epoch(Duration::from_secs(now.as_second().try_into().unwrap_or_default()));
    let trusted = verifier.verify_server_cert(&leaf, &others, &server, &[], now);
    trusted.map(drop).map_err(|error| invalid(error.to_string()))
}

/// Makes a handshake, and trusts only these authorities. The error is a sentence without a full stop.
pub(super) async fn handshake(target: &Target, authorities: &str) -> Result<(), String> {
    let Target { host, port, name } = target;
    let roots = roots(authorities)?;
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(name.clone()).map_err(|_| format!("{name:?} is no name of a server"))?;
    let connect = async {
        let stream = TcpStream::connect((host.as_str(), *port)).await;
        let stream = stream.map_err(|error| format!("cannot connect to {host}:{port}: {error}"))?;
        let connected = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
        connected.map(drop).map_err(|error| format!("the TLS handshake with {host}:{port} failed: {error}"))
    };
    timeout(LIMIT, connect).await.unwrap_or_else(|_| Err(format!("{host}:{port} did not answer within 5 s")))
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::admission::certificates::{Lifetimes, Material, Names, bootstrap};

    #[test]
    fn the_target_of_a_url_has_host_port_and_name() {
        let of = |url: &str| Target::of_url(url).map(|target| (target.host, target.port));
        assert_eq!(of("https://10.0.0.1:8443"), Ok(("10.0.0.1".to_owned(), 8443)));
        assert_eq!(of("https://[::1]:8443/validate"), Ok(("::1".to_owned(), 8443)));
        assert_eq!(of("https://webhook.example.com"), Ok(("webhook.example.com".to_owned(), 443)));
        for url in ["http://10.0.0.1", "10.0.0.1:8443", "", "https://"] {
            assert!(of(url).is_err(), "{url}");
        }
    }

    #[test]
    fn a_certificate_is_checked_without_a_connection() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let names = Names::of_service("home", "webhook", &[]);
        let [ours, another] = [0, 1].map(|_| bootstrap(&names, Lifetimes::default(), now).unwrap());
        let check = |bundle: &Material, name: &str, now: Timestamp| {
            check_certificate(&bundle.bundle(), &ours.leaf, name, now)
        };
        assert_eq!(check(&ours, "webhook.home.svc", now), Ok(()));
        for (bundle, name, days) in
            [(&ours, "webhook.home.svc", 91), (&another, "webhook.home.svc", 0), (&ours, "other.home.svc", 0)]
        {
            let problem = check(bundle, name, now + SignedDuration::from_hours(24 * days)).unwrap_err();
            assert!(problem.starts_with("the certificate of the Secret is not valid for"), "{problem}");
        }
    }
}
