//! The plain HTTP server of a long-running command: health, readiness, metrics, and what the command adds to them.
//!
//! No client can hold up another: a connection costs a small buffer, every wait of the server has a time limit, and a
//! new connection replaces the oldest one at the maximum, so that a probe always gets in. It has no dependency on the
//! subsystems that it serves.

use super::{Listen, Readiness, ServerError};
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{StatusCode, header::CONTENT_TYPE};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::collections::VecDeque;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};

/// Time limit for a request's head to arrive, including the next request on an open connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// Time for which a client may read nothing of a response.
const STALL_TIMEOUT: Duration = Duration::from_secs(5);
/// Time limit from a request's head to the head of its response.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Time limit for running requests after the server stops.
const DRAIN_TIMEOUT: Duration = Duration::from_millis(1_500);
/// Maximum size of a request's head, in bytes.
const HEAD_LIMIT: usize = 16 * 1024;
/// Maximum size of a request's body, in bytes.
const BODY_LIMIT: usize = 64 * 1024;
/// Maximum number of connections.
const CONNECTIONS: usize = 256;

/// The text format that Prometheus scrapes.
const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A socket that is bound and doesn't answer yet.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
}

/// Returns the routes that every long-running command has: `/healthz`, `/readyz`, and `/metrics`, which renders on each
/// scrape.
pub fn standard_routes<E: std::error::Error + 'static>(
    readiness: Readiness,
    render: impl Fn() -> Result<String, E> + Clone + Send + Sync + 'static,
) -> Router {
    let ready = move || async move {
        match readiness.pending() {
            pending if pending.is_empty() => (StatusCode::OK, "ok".to_owned()),
            pending => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {}", pending.join(", "))),
        }
    };
    let metrics = move || async move {
        match render() {
            Ok(text) => ([(CONTENT_TYPE, METRICS_TYPE)], text).into_response(),
            Err(error) => {
                error!(error = &error as &dyn std::error::Error, "failed to render metrics");
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        }
    };
    Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
}

impl Server {
    /// Binds the address, so that an address in use fails before anything else starts.
    pub async fn bind(listen: Listen) -> Result<Self, ServerError> {
        let (listener, address) = listen.open().await?;
        Ok(Self { listener, address })
    }

    /// Returns the address that is listened on, with the port that the system chose for port 0.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves requests until the shutdown, then finishes running ones for at most 1.5 s.
    pub async fn serve(self, router: Router, stop: impl Future<Output = ()>) {
        let router = router.layer(from_fn(limit_time)).layer(DefaultBodyLimit::max(BODY_LIMIT));
        let (stopping, mut stop) = (CancellationToken::new(), pin!(stop));
        let mut connections = JoinSet::new();
        let mut oldest_first: VecDeque<AbortHandle> = VecDeque::new();
        loop {
            tokio::select! {
                () = &mut stop => break,
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        oldest_first.retain(|connection| !connection.is_finished());
                        if oldest_first.len() >= CONNECTIONS && let Some(oldest) = oldest_first.pop_front() {
                            debug!("too many connections: the oldest gives way");
                            oldest.abort();
                        }
                        let connection = connection(stream, router.clone(), stopping.clone());
                        oldest_first.push_back(connections.spawn(connection));
                    }
                    Err(error) => {
                        // Out of file descriptors, most likely: connections that end will free some.
                        warn!(%error, "failed to accept a connection");
                        sleep(Duration::from_millis(100)).await;
                    }
                },
                Some(_) = connections.join_next() => {}
            }
        }
        drop(self.listener);
        stopping.cancel();
        if timeout(DRAIN_TIMEOUT, async { while connections.join_next().await.is_some() {} }).await.is_err() {
            warn!(connections = connections.len(), "requests were cut off by the shutdown");
        }
    }
}

async fn connection(stream: TcpStream, router: Router, stopping: CancellationToken) {
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(STALL_TIMEOUT));
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_buf_size(HEAD_LIMIT)
            .serve_connection(TokioIo::new(Box::pin(stream)), TowerToHyperService::new(router))
    );
    let outcome = tokio::select! {
        outcome = connection.as_mut() => outcome,
        () = stopping.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = outcome {
        debug!(%error, "connection ended early");
    }
}

async fn limit_time(request: Request, next: Next) -> Response {
    timeout(REQUEST_TIMEOUT, next.run(request))
        .await
        .unwrap_or_else(|_| StatusCode::SERVICE_UNAVAILABLE.into_response())
}

#[cfg(test)]
mod tests;
