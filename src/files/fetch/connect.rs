//! Opens the connection for one request: directly or through a proxy of the environment, with TLS for `https://`.

use std::error::Error;
use std::net::IpAddr;
use std::pin::Pin;
use std::time::Duration;

use http::{HeaderValue, Uri};
use hyper::rt::{Read, Write};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use tower::{Service, ServiceExt};

/// The longest time to wait for a TCP connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

type Failure = Box<dyn Error + Send + Sync>;

/// A stream of bytes to a server.
pub(super) trait Stream: Read + Write + Send + Unpin {}

impl<T: Read + Write + Send + Unpin> Stream for T {}

/// An open connection.
pub(super) struct Connection {
    /// The stream.
    pub(super) stream: Pin<Box<dyn Stream>>,
    /// True if the requests go to a proxy rather than through a tunnel.
    pub(super) proxied: bool,
    /// The credentials for that proxy.
    pub(super) proxy_credentials: Option<HeaderValue>,
}

/// Connects to the server of a URL.
pub(super) async fn connect(uri: &Uri) -> Result<Connection, Failure> {
    let mut direct = HttpConnector::new();
    direct.enforce_http(false);
    direct.set_connect_timeout(Some(CONNECT_TIMEOUT));
    let is_secure = uri.scheme_str() == Some("https");
    let Some(proxy) = proxy_of(uri) else {
        return open(direct, uri, is_secure).await;
    };
    let address = proxy.uri().clone();
    match address.scheme_str() {
        Some("socks5" | "socks5h") => {
            let mut socks = SocksV5::new(address, direct);
            if let Some((user, password)) = proxy.raw_auth() {
                socks = socks.with_auth(user.to_owned(), password.to_owned());
            }
            open(socks, uri, is_secure).await
        }
        Some("http" | "https") if is_secure => {
            let mut tunnel = Tunnel::new(address, with_tls(direct)?);
            if let Some(credentials) = proxy.basic_auth() {
                tunnel = tunnel.with_auth(credentials.clone());
            }
            open(tunnel, uri, true).await
        }
        Some(scheme @ ("http" | "https")) => {
            let connection = open(direct, &address, scheme == "https").await?;
            let proxy_credentials = proxy.basic_auth().cloned();
            Ok(Connection { proxied: true, proxy_credentials, ..connection })
        }
        scheme => {
            Err(format!("a proxy of scheme {scheme:?} is not supported: use http, https or socks5").into())
        }
    }
}

async fn open<C>(connector: C, uri: &Uri, is_secure: bool) -> Result<Connection, Failure>
where
    C: Service<Uri> + Send,
    C::Response: hyper_util::client::legacy::connect::Connection + Stream + 'static,
    C::Future: Send + 'static,
    C::Error: Into<Failure>,
{
    let stream: Pin<Box<dyn Stream>> = if is_secure {
        Box::pin(with_tls(connector)?.oneshot(uri.clone()).await?)
    } else {
        Box::pin(connector.oneshot(uri.clone()).await.map_err(Into::into)?)
    };
    Ok(Connection { stream, proxied: false, proxy_credentials: None })
}

/// Adds TLS with the certificate authorities of the system, or of `SSL_CERT_FILE`.
fn with_tls<C>(connector: C) -> Result<HttpsConnector<C>, Failure> {
    let builder = HttpsConnectorBuilder::new().with_native_roots()?;
    Ok(builder.https_or_http().enable_http1().wrap_connector(connector))
}

/// Returns the proxy that the environment names for a URL. Like Go, this uses none for loopback addresses.
fn proxy_of(uri: &Uri) -> Option<Intercept> {
    let host = uri.host()?.trim_start_matches('[').trim_end_matches(']');
    let is_loopback = host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    if is_loopback || host.eq_ignore_ascii_case("localhost") {
        return None;
    }
    Matcher::from_env().intercept(uri)
}
