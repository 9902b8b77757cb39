//! A scripted API server for tests, in place of a connection.

use super::Cluster;
use axum::body::Body;
use futures::stream::{self, StreamExt};
use http::header::ACCEPT;
use http::{Request, Response, StatusCode};
use serde_json::{Value, json};
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::Instant;

/// A scripted server's answer to a request.
pub(super) enum Answer {
    Json(Value),
    Text(String),
    Fail(u16, Value),
    Hang,
    Refuse,
    /// The lines of a watch, and the end after them.
    Lines(Vec<String>, End),
}

/// The behaviour of a watch after its last line.
#[derive(Clone, Copy)]
pub(super) enum End {
    Quiet,
    Closed,
    Cut,
}

/// A recorded request.
#[derive(Clone)]
pub(super) struct Call {
    /// The path and query.
    pub(super) path: String,
    pub(super) accept: String,
    pub(super) at: Instant,
}

/// The requests that a scripted server received.
#[derive(Clone, Default)]
pub(super) struct Log(Arc<Mutex<Vec<Call>>>);

impl Log {
    pub(super) fn calls(&self) -> Vec<Call> {
        self.0.lock().unwrap().clone()
    }

    pub(super) fn paths(&self) -> Vec<String> {
        self.calls().into_iter().map(|call| call.path).collect()
    }

    /// Records a request and returns the number of requests with its path and query so far.
    fn add(&self, call: Call) -> usize {
        let mut calls = self.0.lock().unwrap();
        let before = calls.iter().filter(|other| other.path == call.path).count();
        calls.push(call);
        before + 1
    }
}

/// Creates a cluster whose answers depend on the path, the query and the number of such requests so far, and a log of
/// all requests.
pub(super) fn cluster(script: impl Fn(&str, usize) -> Answer + Send + Sync + 'static) -> (Cluster, Log) {
    let log = Log::default();
    let script = Arc::new(script);
    let seen = log.clone();
    let service = tower::service_fn(move |request: Request<kube::client::Body>| {
        let path = request.uri().to_string();
        let accept = request.headers().get(ACCEPT).map_or("", |value| value.to_str().unwrap()).to_owned();
        let nth = seen.add(Call { path: path.clone(), accept, at: Instant::now() });
        let script = Arc::clone(&script);
        async move {
            let (code, body) = match script(&path, nth) {
                Answer::Json(value) => (200, Body::from(value.to_string())),
                Answer::Text(text) => (200, Body::from(text)),
                Answer::Fail(code, status) => (code, Body::from(status.to_string())),
                Answer::Hang => std::future::pending().await,
                Answer::Refuse => {
                    return Err(io::Error::new(io::ErrorKind::ConnectionRefused, "connection refused"));
                }
                Answer::Lines(lines, end) => (200, body(lines, end)),
            };
            let status = StatusCode::from_u16(code).unwrap();
            Ok(Response::builder().status(status).body(body).unwrap())
        }
    });
    let cluster = Cluster {
        client: kube::Client::new(service, "own"),
        context: "test".to_owned(),
        server: "https://test:6443".to_owned(),
        default_namespace: "own".to_owned(),
        request_timeout: Some(Duration::from_secs(30)),
        watch_seconds: None,
        paging: super::Paging::default(),
    };
    (cluster, log)
}

fn body(lines: Vec<String>, end: End) -> Body {
    let lines = stream::iter(lines.into_iter().map(|line| Ok(format!("{line}\n"))));
    match end {
        End::Quiet => Body::from_stream(lines.chain(stream::pending())),
        End::Closed => Body::from_stream(lines),
        End::Cut => {
            let cut = async { Err(io::Error::new(io::ErrorKind::ConnectionReset, "connection reset")) };
            Body::from_stream(lines.chain(stream::once(cut)))
        }
    }
}

pub(super) fn fail(code: u16, message: &str) -> Answer {
    Answer::Fail(code, json!({"kind": "Status", "status": "Failure", "code": code, "message": message}))
}
