//! Writes one log line for each request, as `-v 6` shows it. Headers and bodies hold secrets and are not logged.

use futures::future::BoxFuture;
use http::{Method, Request, Response, StatusCode, Uri};
use std::task::{Context, Poll};
use tokio::time::Instant;
use tower::Service;
use tracing::trace;

/// A service that logs the requests through it.
#[derive(Clone, Debug)]
pub(super) struct RequestLog<S>(pub(super) S);

/// A running request. It is logged when it ends; a time limit ends it by dropping it.
struct UnderWay {
    method: Method,
    /// The path and query, relative to the server's address.
    url: Uri,
    start: Instant,
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
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let mut under_way = UnderWay {
            method: request.method().clone(),
            url: request.uri().clone(),
            start: Instant::now(),
            status: None,
        };
        let response = self.0.call(request);
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
        let Self { method, url, start, status } = self;
        let milliseconds = start.elapsed().as_millis();
        if let Some(status) = status {
            trace!(%method, %url, status = status.as_u16(), milliseconds, "request was answered");
        } else {
            trace!(%method, %url, milliseconds, "request got no answer");
        }
    }
}
