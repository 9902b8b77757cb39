//! Opens the connection for one request: directly or through a proxy of the environment, with TLS for `https://`.

use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Uri};
use hyper::rt::{Read, Write};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use rustls::ClientConfig;
use rustls::crypto::aws_lc_rs;
use tower::{Service, ServiceExt};

use crate::proxy::{Login, ProxyScheme, ProxyVariables};
use crate::trust::{Authorities, Verifier};

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
    let Some(proxy) = ProxyVariables::read().proxy(uri)? else {
        return open(direct, uri, is_secure).await;
    };
    let credentials = proxy.login.as_ref().and_then(Login::basic);
    match proxy.scheme {
        ProxyScheme::Socks5 => {
            let mut socks = SocksV5::new(proxy.uri, direct);
            if let Some(login) = proxy.login {
                socks = socks.with_auth(login.name, login.password);
            }
            open(socks, uri, is_secure).await
        }
        ProxyScheme::Http | ProxyScheme::Https if is_secure => {
            let mut tunnel = Tunnel::new(proxy.uri, with_tls(direct)?);
            if let Some(credentials) = credentials {
                tunnel = tunnel.with_auth(credentials);
            }
            open(tunnel, uri, true).await
        }
        ProxyScheme::Http | ProxyScheme::Https => {
            let connection = open(direct, &proxy.uri, proxy.scheme == ProxyScheme::Https).await?;
            Ok(Connection { proxied: true, proxy_credentials: credentials, ..connection })
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
    let provider = Arc::new(aws_lc_rs::default_provider());
    let algorithms = provider.signature_verification_algorithms;
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Verifier::new(Authorities::of_system(), algorithms)))
        .with_no_client_auth();
    let builder = HttpsConnectorBuilder::new().with_tls_config(config);
    Ok(builder.https_or_http().enable_http1().wrap_connector(connector))
}
