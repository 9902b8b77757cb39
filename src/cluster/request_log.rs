//! Counts each request, and writes one log line for it, as `-v 6` shows it. Headers and bodies hold secrets and are not
//! logged.

use super::api_requests::ApiRequests;
use futures::future::BoxFuture;
use http::{Method, Request, Response, StatusCode, Uri};
use std::task::{Context, Poll};
use tokio::time::Instant;
use tower::Service;
use tracing::trace;

/// A service that logs and counts the requests through it.
#[derive(Clone, Debug)]
pub(super) struct RequestLog<S> {
    pub(super) inner: S,
    pub(super) requests: Option<ApiRequests>,
}

/// A running request. It is logged and counted when it ends; a time limit ends it by dropping it.
struct UnderWay {
    method: Method,
    /// The path and query, relative to the server's address.
    url: Uri,
    start: Instant,
    requests: Option<ApiRequests>,
    status: Option<StatusCode>,
}

impl<S, B, R> Service<Request<B>> for RequestLog<S>
where
    S: Service<Request<B>, Response = Response<R>, Future: Send + 'static, Error: Send>,
    R: Send,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let mut under_way = UnderWay {
            method: request.method().clone(),
            url: request.uri().clone(),
            start: Instant::now(),
            requests: self.requests.clone(),
            status: None,
        };
        let response = self.inner.call(request);
        Box::pin(async move {
            let response = response.await?;
            under_way.note(response.status());
            Ok(response)
        })
    }
}

impl UnderWay {
    /// This is a method because an `async move` block that sets one field captures a copy of that field only.
    fn note(&mut self, status: StatusCode) {
        self.status = Some(status);
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let Self { method, url, start, requests, status } = self;
        if let Some(requests) = requests {
            requests.count(method, url, status.map(|status| status.as_u16()));
        }
        let milliseconds = start.elapsed().as_millis();
        if let Some(status) = status {
            trace!(%method, %url, status = status.as_u16(), milliseconds, "request was answered");
        } else {
            trace!(%method, %url, milliseconds, "request got no answer");
        }
    }
}
