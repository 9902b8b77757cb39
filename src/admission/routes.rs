//! `POST /validate` and `POST /mutate`: the limits on a request, before it is evaluated.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use http_body_util::LengthLimitError;
use tokio::time::timeout;

use super::metrics::RequestResult;
use super::{Reply, Reviewer};
use crate::manifests::{MUTATING_WEBHOOK_PATH, WEBHOOK_PATH};

/// Maximum size of a body, in bytes: the API server refuses larger requests itself.
const BODY_LIMIT: usize = 3 * 1024 * 1024;
/// Time limit for a body to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(5);

/// Returns the routes of the webhook.
pub fn routes(reviewer: Arc<Reviewer>) -> Router {
    Router::new()
        .route(WEBHOOK_PATH, post(validate))
        .route(MUTATING_WEBHOOK_PATH, post(mutate))
        .with_state(reviewer)
}

async fn validate(State(reviewer): State<Arc<Reviewer>>, request: Request) -> Response {
    serve(&reviewer, request, Reviewer::reply).await
}

async fn mutate(State(reviewer): State<Arc<Reviewer>>, request: Request) -> Response {
    serve(&reviewer, request, Reviewer::reply_with_defaults).await
}

async fn serve(reviewer: &Reviewer, request: Request, reply: fn(&Reviewer, &[u8]) -> Reply) -> Response {
    match body(request).await {
        Ok(body) => {
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

/// Reads the body, within its limits.
async fn body(request: Request) -> Result<axum::body::Bytes, (StatusCode, &'static str)> {
    const TOO_LARGE: (StatusCode, &str) =
        (StatusCode::PAYLOAD_TOO_LARGE, "the body is larger than 3 MiB, the most that is evaluated");
    let (parts, body) = request.into_parts();
    if !is_json(&parts.headers) {
        let problem = "the Content-Type must be application/json";
        return Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, problem));
    }
    if length(&parts.headers).is_some_and(|length| length > BODY_LIMIT as u64) {
        return Err(TOO_LARGE);
    }
    let body: Body = body;
    match timeout(BODY_TIMEOUT, to_bytes(body, BODY_LIMIT)).await {
        Ok(Ok(body)) => Ok(body),
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
    use axum::body::Bytes;
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
        let large = || vec![b' '; BODY_LIMIT + 1];
        let chunks = || Body::from_stream(stream::iter([Ok::<_, axum::Error>(Bytes::from(large()))]));
        for (method, path, content_type, body, status, text) in [
            ("POST", "/validate", JSON, Body::empty(), 400, "not an AdmissionReview"),
            ("POST", "/validate", "text/plain", Body::empty(), 415, "must be application/json"),
            ("POST", "/validate", "", Body::empty(), 415, "must be application/json"),
            ("POST", "/validate", JSON, Body::from(large()), 413, "larger than 3 MiB"),
            ("POST", "/validate", JSON, chunks(), 413, "larger than 3 MiB"),
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
