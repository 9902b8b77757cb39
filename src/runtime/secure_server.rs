//! The HTTPS server for a client that keeps connections open, such as the API server.
//!
//! Go's client does not repeat a request whose connection the server just closed, and it keeps an idle connection for
//! 90 seconds. This server is therefore never the first to close one in that time. On shutdown it keeps serving, ends
//! each connection with its next response, and closes the idle rest after a pause without requests.

use std::collections::VecDeque;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::HeaderValue;
use axum::http::header::CONNECTION;
use axum::middleware::{Next, from_fn};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;
use tracing::{debug, info, warn};

use super::activity::Activity;
use super::{Listen, ServerError, ServingCertificate};

/// Time limit of a TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// Time for which a connection may be idle, or take to send the head of its next request. Above the client's 90 s.
const IDLE_TIMEOUT: Duration = Duration::from_mins(2);
/// Time for which a client may read nothing of a response.
const STALL_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum size of a request's head, in bytes.
const HEAD_LIMIT: usize = 16 * 1024;
/// Maximum number of connections, below the usual limit of 1,024 open files.
const CONNECTIONS: usize = 768;
/// Time without a request after which a server that stops closes its idle connections.
const QUIET: Duration = Duration::from_secs(5);

/// An HTTPS socket that is bound and doesn't answer yet.
#[derive(Debug)]
pub struct SecureServer {
    listener: TcpListener,
    address: SocketAddr,
}

/// A connection that may have to give way.
struct Connection {
    task: AbortHandle,
    usage: Arc<Usage>,
}

/// The use of a connection.
#[derive(Debug, Default)]
struct Usage {
    /// True while a request is answered.
    is_busy: AtomicBool,
    /// The number of the last request that was answered with success; 0 without one. Requests of all connections are
    /// numbered in their order.
    last: AtomicU64,
}

impl SecureServer {
    /// Time limit of the drain.
    pub const DRAIN: Duration = Duration::from_secs(25);

    /// Binds the address, so that a taken one fails before anything else has begun.
    pub async fn bind(listen: Listen) -> Result<Self, ServerError> {
        let (listener, address) = listen.open().await?;
        Ok(Self { listener, address })
    }

    /// Returns the address that is listened on, with the port that the system chose for port 0.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers requests until it is told to stop, and then until no more come, for [`SecureServer::DRAIN`] at most.
    pub async fn serve(
        self,
        router: Router,
        certificate: ServingCertificate,
        stop: impl Future<Output = ()>,
    ) -> Result<(), rustls::Error> {
        let acceptor = acceptor(certificate)?;
        let activity = Activity::new();
        let mut connections = Connections::default();
        tokio::select! {
            () = self.accept(&mut connections, &router, &acceptor, &activity) => {}
            () = stop => {}
        }
        activity.drain();
        info!("draining: each response ends its connection");
        let quiet = timeout(Self::DRAIN, activity.quiet(QUIET));
        tokio::select! {
            () = self.accept(&mut connections, &router, &acceptor, &activity) => {}
            ended = quiet => if ended.is_err() {
                warn!(limit = ?Self::DRAIN, "requests still come: the process ends nevertheless");
            }
        }
        Ok(())
    }

    /// Accepts connections for ever.
    async fn accept(
        &self,
        connections: &mut Connections,
        router: &Router,
        acceptor: &TlsAcceptor,
        activity: &Activity,
    ) {
        loop {
            tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        let usage = Arc::new(Usage::default());
                        let router = counted(router, activity, &usage, &connections.requests);
                        connections.add(connection(stream, acceptor.clone(), router), usage);
                    }
                    Err(error) => {
                        // Out of file descriptors, most likely: connections that end will free some.
                        warn!(%error, "failed to accept a connection");
                        connections.make_room();
                        sleep(Duration::from_millis(100)).await;
                    }
                },
                Some(_) = connections.tasks.join_next() => {}
            }
        }
    }
}

/// The open connections. Those that are left end when it is dropped.
#[derive(Default)]
struct Connections {
    tasks: JoinSet<()>,
    oldest_first: VecDeque<Connection>,
    /// The number of requests that were answered with success.
    requests: Arc<AtomicU64>,
}

impl Connections {
    /// Serves a connection. If there are too many and none can give way, it is closed.
    fn add(&mut self, connection: impl Future<Output = ()> + Send + 'static, usage: Arc<Usage>) {
        self.oldest_first.retain(|connection| !connection.task.is_finished());
        if self.oldest_first.len() < CONNECTIONS || self.make_room() {
            self.oldest_first.push_back(Connection { task: self.tasks.spawn(connection), usage });
        }
    }

    /// Ends the connection that is needed least. Returns false if all are needed.
    fn make_room(&mut self) -> bool {
        let index = least_needed(self.oldest_first.iter().map(|connection| &*connection.usage));
        let Some(connection) = index.and_then(|index| self.oldest_first.remove(index)) else { return false };
        debug!("too many connections: one gives way");
        connection.task.abort();
        true
    }
}

/// Returns the index of the connection that is needed least: an idle one whose last answer is the longest ago, and the
/// oldest of those that never had one. A busy one gives way only if it never had an answer and none is idle.
fn least_needed<'u>(oldest_first: impl Iterator<Item = &'u Usage>) -> Option<usize> {
    let needs =
        oldest_first.map(|usage| (usage.is_busy.load(Ordering::Relaxed), usage.last.load(Ordering::Relaxed)));
    let may_end = needs.enumerate().filter(|(_, (is_busy, last))| !is_busy || *last == 0);
    may_end.min_by_key(|(_, need)| *need).map(|(index, _)| index)
}

fn acceptor(certificate: ServingCertificate) -> Result<TlsAcceptor, rustls::Error> {
    // HTTP/2 is not offered: the API server uses it only for addresses on its own host.
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(certificate));
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Returns the router of one connection, which notes requests and ends the connection while the server drains.
fn counted(router: &Router, activity: &Activity, usage: &Arc<Usage>, requests: &Arc<AtomicU64>) -> Router {
    let (activity, usage, requests) = (activity.clone(), Arc::clone(usage), Arc::clone(requests));
    router.clone().layer(from_fn(move |request: Request, next: Next| {
        let (activity, usage, requests) = (activity.clone(), Arc::clone(&usage), Arc::clone(&requests));
        async move {
            usage.is_busy.store(true, Ordering::Relaxed);
            let _running = activity.begin();
            let mut response = next.run(request).await;
            if response.status().is_success() {
                usage.last.store(requests.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
            }
            usage.is_busy.store(false, Ordering::Relaxed);
            if activity.is_draining() {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            response
        }
    }))
}

async fn connection(stream: TcpStream, acceptor: TlsAcceptor, router: Router) {
    // A response is one small write, which must not wait for the next one.
    let _ = stream.set_nodelay(true);
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(STALL_TIMEOUT));
    let stream = match timeout(HANDSHAKE_TIMEOUT, acceptor.accept(Box::pin(stream))).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            debug!(%error, "a TLS handshake failed");
            return;
        }
        Err(_) => return,
    };
    let connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(IDLE_TIMEOUT)
            .max_buf_size(HEAD_LIMIT)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
    );
    if let Err(error) = connection.await {
        debug!(%error, "a connection ended early");
    }
}

#[cfg(test)]
mod tests;
