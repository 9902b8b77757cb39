//! `POST /validate` and `POST /mutate`: the limits on a request, before it is evaluated.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use http_body_util::LengthLimitError;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use super::metrics::RequestResult;
use super::{Reply, Reviewer};
use crate::manifests::{MUTATING_WEBHOOK_PATH, WEBHOOK_PATH};

/// Maximum size of a body, in bytes. The API server takes requests of up to 3 MiB, but its review holds the new and the
/// old object, and writes each `<`, `>` and `&` as six bytes. A review that is refused lets its object pass.
const BODY_LIMIT: usize = 32 * 1024 * 1024;
/// The size from which on a body has to announce its length, and waits for its turn.
const LARGE: usize = 3 * 1024 * 1024;
/// The number of large bodies that are in memory at a time.
const MOST_LARGE: usize = 2;
/// Time limit for a body to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(5);

/// Returns the routes of the webhook.
pub fn routes(reviewer: Arc<Reviewer>) -> Router {
    Router::new()
        .route(WEBHOOK_PATH, post(validate))
        .route(MUTATING_WEBHOOK_PATH, post(mutate))
        .with_state(Shared { reviewer, large: Arc::new(Semaphore::new(MOST_LARGE)) })
}

/// The state of all requests.
#[derive(Clone)]
struct Shared {
    reviewer: Arc<Reviewer>,
    /// The turns of large bodies.
    large: Arc<Semaphore>,
}

async fn validate(State(shared): State<Shared>, request: Request) -> Response {
    serve(&shared, request, Reviewer::reply).await
}

async fn mutate(State(shared): State<Shared>, request: Request) -> Response {
    serve(&shared, request, Reviewer::reply_with_defaults).await
}

async fn serve(shared: &Shared, request: Request, reply: fn(&Reviewer, &[u8]) -> Reply) -> Response {
    let reviewer = &shared.reviewer;
    match body(request, &shared.large).await {
        Ok((body, _turn)) => {
            let begun = Instant::now();
            let Reply { status, review } = reply(reviewer, &body);
            reviewer.metrics().observe(begun.elapsed());
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let json = [(CONTENT_TYPE, HeaderValue::from_static("application/json"))];
            (status, json, review.to_string()).into_response()
        }
        Err((status, problem)) => {
            reviewer.metrics().count(None, RequestResult::Invalid);
            // The rest of the body would be read as the next request.
            let close = [(CONNECTION, HeaderValue::from_static("close"))];
            (status, close, problem.to_owned() + "\n").into_response()
        }
    }
}

/// Reads the body, within its limits. A large one comes with its turn, which ends once the body is dropped.
async fn body(
    request: Request,
    large: &Semaphore,
) -> Result<(Bytes, Option<SemaphorePermit<'_>>), (StatusCode, &'static str)> {
    const TOO_LARGE: (StatusCode, &str) = (
        StatusCode::PAYLOAD_TOO_LARGE,
        "the body is larger than 32 MiB, or larger than 3 MiB without a Content-Length",
    );
    let (parts, body) = request.into_parts();
    if !is_json(&parts.headers) {
        let problem = "the Content-Type must be application/json";
        return Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, problem));
    }
    let announced = length(&parts.headers).unwrap_or_default();
    if announced > BODY_LIMIT as u64 {
        return Err(TOO_LARGE);
    }
    let read = async {
        let is_large = announced > LARGE as u64;
        let turn = if is_large { large.acquire().await.ok() } else { None };
        let limit = if is_large { BODY_LIMIT } else { LARGE };
        to_bytes(body, limit).await.map(|body| (body, turn))
    };
    match timeout(BODY_TIMEOUT, read).await {
        Ok(Ok(read)) => Ok(read),
        Ok(Err(error)) if error.source().is_some_and(<dyn Error>::is::<LengthLimitError>) => Err(TOO_LARGE),
        Ok(Err(_)) => Err((StatusCode::BAD_REQUEST, "the body ended early")),
        Err(_) => Err((StatusCode::REQUEST_TIMEOUT, "the body did not arrive within 5 s")),
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let media_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    media_type.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use futures::stream;
    use jiff::Timestamp;
    use tower::ServiceExt as _;

    use super::*;
    use crate::admission::{AdmissionMetrics, NamespaceSurroundings, NativeNamespaces};
    use crate::policies::Policies;
    use crate::policy::SystemNamespaces;
    use crate::telemetry::Metrics;

    async fn ask(method: &str, path: &str, content_type: &str, body: Body) -> (u16, String) {
        let policies = Arc::new(Policies::new(SystemNamespaces::default()));
        let metrics = AdmissionMetrics::register(&Metrics::new()).unwrap();
        let (native, surroundings) = (NativeNamespaces::default(), NamespaceSurroundings::empty());
        let reviewer =
            Arc::new(Reviewer::new(policies, native, surroundings, metrics, || Timestamp::UNIX_EPOCH));
        let request = Request::builder().method(method).uri(path).header(CONTENT_TYPE, content_type);
        // As hyper does for a body of a known length.
        let length = axum::body::HttpBody::size_hint(&body).exact();
        let request = length
            .map(|length| length.to_string())
            .into_iter()
            .fold(request, |request, length| request.header(CONTENT_LENGTH, length));
        let response = routes(reviewer).oneshot(request.body(body).unwrap()).await.unwrap();
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn bad_input_gets_a_clear_client_error() {
        const JSON: &str = "application/json; charset=utf-8";
        let slow = || Body::from_stream(stream::pending::<Result<Bytes, axum::Error>>());
        let cut = || Body::from_stream(stream::iter([Ok(Bytes::from("{")), Err(axum::Error::new("cut"))]));
        let of = |length: usize| vec![b' '; length];
        let chunks = || Body::from_stream(stream::iter([Ok::<_, axum::Error>(Bytes::from(of(LARGE + 1)))]));
        for (method, path, content_type, body, status, text) in [
            ("POST", "/validate", JSON, Body::empty(), 400, "not an AdmissionReview"),
            ("POST", "/validate", "text/plain", Body::empty(), 415, "must be application/json"),
            ("POST", "/validate", "", Body::empty(), 415, "must be application/json"),
            ("POST", "/validate", JSON, Body::from(of(BODY_LIMIT + 1)), 413, "larger than 32 MiB"),
            ("POST", "/validate", JSON, Body::from(of(LARGE + 1)), 400, "not an AdmissionReview"),
            ("POST", "/validate", JSON, chunks(), 413, "larger than 3 MiB without a Content-Length"),
            ("POST", "/validate", JSON, slow(), 408, "did not arrive"),
            ("POST", "/validate", JSON, cut(), 400, "ended early"),
            ("GET", "/validate", JSON, Body::empty(), 405, ""),
            ("POST", "/mutate", JSON, Body::empty(), 400, "not an AdmissionReview"),
            ("POST", "/mutate", "text/plain", Body::empty(), 415, "must be application/json"),
            ("POST", "/nope", JSON, Body::empty(), 404, ""),
        ] {
            let (found, answer) = ask(method, path, content_type, body).await;
            assert_eq!(found, status, "{method} {path} {content_type}: {answer}");
            assert!(answer.contains(text), "{answer}");
        }
    }
}
