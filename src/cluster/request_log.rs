//! One log line for each request, however it ended: what `-v 6` shows. Headers and bodies hold secrets and stay out.

use futures::future::BoxFuture;
use http::{Method, Request, Response, StatusCode, Uri};
use std::task::{Context, Poll};
use tokio::time::Instant;
use tower::Service;
use tracing::trace;

/// A service that logs what is sent through it.
#[derive(Clone, Debug)]
pub(super) struct RequestLog<S>(pub(super) S);

/// A request that is under way, logged as soon as it is over; one that a time limit ends is dropped.
struct UnderWay {
    method: Method,
    /// Path and query: what a request adds to the server's address.
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
    /// A method, because an `async move` block that sets one field takes a copy of that field alone.
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
