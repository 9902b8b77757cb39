//! Sends a request to the server: adds headers, then connects, through a proxy if there is one.

use super::credentials::{Credentials, Held};
use super::error::ConnectError;
use super::forward::Forward;
use super::tls::Tls;
use crate::proxy::{Proxy, ProxyScheme};
use futures::future::BoxFuture;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri, header};
use hyper::body::Incoming;
use hyper::rt::{Read, Write};
use hyper_rustls::{FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder};
use hyper_timeout::TimeoutConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::client::legacy::connect::{Connection, HttpConnector};
use hyper_util::rt::TokioExecutor;
use kube::client::Body;
use rustls::sign::CertifiedKey;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tower::util::BoxCloneSyncService;
use tower::{BoxError, Service, ServiceExt as _};

/// The time limit for opening a connection, as in Go.
const CONNECT: Duration = Duration::from_secs(30);
/// The most bytes that a connection reads ahead. hyper's default of 400 KiB adds up when many clusters answer at once.
const READ_AHEAD: usize = 64 * 1024;

/// A client with a fixed certificate and without credentials.
type Plain = BoxCloneSyncService<Request<Body>, Response<Incoming>, BoxError>;

/// A service that sends requests with their credentials.
#[derive(Clone)]
pub(super) struct Transport(Arc<Shared>);

struct Shared {
    route: Route,
    credentials: Credentials,
    headers: HeaderMap,
    /// The client, and the plugin's certificate that its connections use.
    current: Mutex<(Plain, Option<Arc<CertifiedKey>>)>,
}

/// The settings of new connections.
#[derive(Clone)]
pub(super) struct Route {
    pub(super) tls: Tls,
    pub(super) proxy: Option<Proxy>,
    /// True for an `https` server.
    pub(super) secure: bool,
    /// The time limit for the next bytes of a pending response.
    pub(super) read_timeout: Option<Duration>,
}

impl Transport {
    /// Creates the service with the current credentials.
    pub(super) fn new(
        route: Route,
        credentials: Credentials,
        headers: HeaderMap,
        held: &Held,
    ) -> Result<Self, BoxError> {
        let current = Mutex::new((route.client(held.key.as_ref())?, held.key.clone()));
        Ok(Self(Arc::new(Shared { route, credentials, headers, current })))
    }
}

impl Shared {
    /// Returns the client. A new certificate needs a new client with new connections.
    fn client(&self, held: &Held) -> Result<Plain, BoxError> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let same = match (&current.1, &held.key) {
            (Some(one), Some(other)) => one.cert == other.cert,
            (None, None) => true,
            _ => false,
        };
        if !same {
            *current = (self.route.client(held.key.as_ref())?, held.key.clone());
        }
        Ok(current.0.clone())
    }
}

impl Service<Request<Body>> for Transport {
    type Response = Response<Incoming>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let shared = self.0.clone();
        Box::pin(async move {
            let held = shared.credentials.held().await?;
            let headers = request.headers_mut();
            headers.extend(shared.headers.clone());
            if let Some(header) = &held.header {
                headers.insert(header::AUTHORIZATION, header.clone());
            }
            let response = shared.client(&held)?.oneshot(request).await;
            let response = response.map_err(|reason| shared.route.failed(reason))?;
            if response.status() == StatusCode::UNAUTHORIZED {
                shared.credentials.refused(&held).await;
            }
            Ok(response)
        })
    }
}

/// A failed request over a connection through a proxy.
#[derive(Debug, thiserror::Error)]
#[error("the proxy {proxy}")]
pub(in crate::cluster) struct ProxyError {
    /// The address of the proxy, without its login.
    pub(in crate::cluster) proxy: String,
    source: BoxError,
}

impl Route {
    /// Adds the proxy to the reason of a failure.
    fn failed(&self, source: BoxError) -> BoxError {
        match &self.proxy {
            Some(Proxy { uri, .. }) => {
                let proxy = uri.to_string().trim_end_matches('/').to_owned();
                ProxyError { proxy, source }.into()
            }
            None => source,
        }
    }

    fn client(&self, key: Option<&Arc<CertifiedKey>>) -> Result<Plain, BoxError> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_keepalive(Some(CONNECT));
        let Some(Proxy { scheme, uri, login }) = &self.proxy else { return self.over(tcp, key) };
        match scheme {
            ProxyScheme::Socks5 => {
                let mut socks = SocksV5::new(uri.clone(), tcp);
                if let Some(login) = login {
                    socks = socks.with_auth(login.name.clone(), login.password.clone());
                }
                self.over(socks, key)
            }
            ProxyScheme::Http => self.through(tcp, uri, key),
            // The proxy is verified by the same authorities as the server, but under its own name, as in Go.
            ProxyScheme::Https => self.through(secured(tcp, self.tls.config(key)?), uri, key),
        }
    }

    /// Connects through an HTTP proxy: with `CONNECT` to an `https` server, else by forwarding whole requests.
    fn through<C>(
        &self,
        connector: C,
        proxy: &Uri,
        key: Option<&Arc<CertifiedKey>>,
    ) -> Result<Plain, BoxError>
    where
        C: Connector,
        C::Response: Connection + Read + Write + Send + Unpin + 'static,
        C::Future: Send + 'static,
        C::Error: Into<BoxError>,
    {
        if !self.secure {
            return self.over(Forward::new(connector, proxy.clone()), key);
        }
        let mut tunnel = Tunnel::new(proxy.clone(), connector);
        if let Some(header) = self.proxy_authorization() {
            tunnel = tunnel.with_auth(header);
        }
        self.over(tunnel, key)
    }

    /// Returns the `Proxy-Authorization` header of a forwarded request. A `CONNECT` tunnel adds its own.
    pub(super) fn proxy_authorization(&self) -> Option<HeaderValue> {
        self.proxy.as_ref()?.login.as_ref()?.basic()
    }

    fn over<C>(&self, connector: C, key: Option<&Arc<CertifiedKey>>) -> Result<Plain, BoxError>
    where
        C: Connector,
        C::Response: Connection + Read + Write + Send + Unpin + 'static,
        C::Future: Send + 'static,
        C::Error: Into<BoxError>,
    {
        let mut builder = HttpsConnectorBuilder::new().with_tls_config(self.tls.config(key)?).https_or_http();
        if let Some(name) = &self.tls.server_name {
            builder = builder.with_server_name_resolver(FixedServerNameResolver::new(name.clone()));
        }
        let mut connector = TimeoutConnector::new(builder.enable_http1().wrap_connector(connector));
        connector.set_connect_timeout(Some(CONNECT));
        connector.set_read_timeout(self.read_timeout);
        let mut builder = Client::builder(TokioExecutor::new());
        builder.http1_max_buf_size(READ_AHEAD);
        let client: Client<_, Body> = builder.build(connector);
        Ok(BoxCloneSyncService::new(client.map_err(BoxError::from)))
    }
}

/// A cloneable connector.
pub(super) trait Connector: Service<Uri> + Clone + Send + Sync + 'static {}

impl<C: Service<Uri> + Clone + Send + Sync + 'static> Connector for C {}

fn secured(tcp: HttpConnector, config: rustls::ClientConfig) -> HttpsConnector<HttpConnector> {
    HttpsConnectorBuilder::new().with_tls_config(config).https_or_http().enable_http1().wrap_connector(tcp)
}

/// Turns a failure to set up connections into an error message.
pub(super) fn failed(server: String, reason: &BoxError) -> ConnectError {
    ConnectError::Client { server, reason: reason.to_string() }
}
