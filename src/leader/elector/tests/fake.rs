//! A Lease behind a fake API server that keeps resourceVersions, with links to it that can fail.

use super::*;
use axum::body::Body;
use futures::stream::unfold;
use http::{Method, Request, Response};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::watch;

/// The server, with one Lease.
#[derive(Clone)]
pub(super) struct Store(Arc<Mutex<State>>);

struct State {
    lease: Option<Value>,
    version: u64,
    /// Every version ever stored, null for a deletion. Watches send these.
    history: watch::Sender<Vec<Value>>,
}

/// A fault on a replica's link, from now on.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) enum Fault {
    #[default]
    None,
    /// Requests and answers are slow. A request arrives even if the client has given up.
    Slow { there: Duration, back: Duration },
    /// Requests vanish.
    Hang,
    /// Requests take effect, but their answers vanish.
    Mute,
    /// Requests are answered with 503.
    Refuse,
    /// Watches are refused, and open watches receive nothing.
    Deaf,
}

impl Fault {
    fn delays(self) -> (Duration, Duration) {
        match self {
            Self::Slow { there, back } => (there, back),
            _ => Default::default(),
        }
    }
}

/// One replica's link to the server, and its requests so far.
#[derive(Clone, Default)]
pub(super) struct Link {
    fault: Arc<Mutex<Fault>>,
    asked: Arc<Mutex<Vec<(Instant, String)>>>,
}

impl Link {
    pub(super) fn set(&self, fault: Fault) {
        *self.fault.lock().unwrap() = fault;
    }

    pub(super) fn fault(&self) -> Fault {
        *self.fault.lock().unwrap()
    }

    /// Takes the verbs requested since the last call.
    pub(super) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap()).into_iter().map(|(_, verb)| verb).collect()
    }
}

impl Store {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(State { lease: None, version: 0, history: watch::channel(Vec::new()).0 })))
    }

    pub(super) fn client(&self, link: &Link) -> kube::Client {
        let (store, link) = (self.clone(), link.clone());
        let service = tower::service_fn(move |request: Request<kube::client::Body>| {
            let (store, link) = (store.clone(), link.clone());
            async move {
                // The request runs in its own task: a client that gives up cannot recall it.
                let answer = tokio::spawn(async move { store.serve(request, link).await });
                Ok::<_, Infallible>(answer.await.unwrap())
            }
        });
        kube::Client::new(service, "ns")
    }

    /// Changes the Lease from outside.
    pub(super) fn edit(&self, change: impl FnOnce(&mut Value)) {
        let mut state = self.state();
        let mut lease =
            state.lease.clone().unwrap_or_else(|| json!({"metadata": {"name": "lease", "namespace": "ns"}}));
        change(&mut lease);
        state.store(lease);
    }

    pub(super) fn delete(&self) {
        let mut state = self.state();
        state.lease = None;
        state.history.send_modify(|history| history.push(Value::Null));
    }

    pub(super) fn spec(&self) -> Value {
        self.state().lease.as_ref().map_or(Value::Null, |lease| lease["spec"].clone())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    async fn serve(self, request: Request<kube::client::Body>, link: Link) -> Response<Body> {
        let fault = link.fault();
        let watches = request.uri().query().is_some_and(|query| query.contains("watch=true"));
        let verb = if watches { "WATCH" } else { request.method().as_str() };
        link.asked.lock().unwrap().push((Instant::now(), verb.to_owned()));
        let (there, back) = fault.delays();
        sleep(there).await;
        if fault == Fault::Hang {
            std::future::pending::<()>().await;
        }
        if fault == Fault::Refuse || (watches && fault == Fault::Deaf) {
            return failure(503);
        }
        let (parts, body) = request.into_parts();
        let body = body.collect_bytes().await.unwrap();
        let answer = if watches { self.watch(link) } else { self.state().answer(&parts.method, &body) };
        if fault == Fault::Mute {
            std::future::pending::<()>().await;
        }
        sleep(back).await;
        answer
    }

    fn watch(&self, link: Link) -> Response<Body> {
        let state = self.state();
        let mut history = state.history.subscribe();
        let sent = history.borrow_and_update().len();
        let first = state.lease.clone().map(|lease| json!({"type": "ADDED", "object": lease}));
        let rest = unfold((history, sent, link), |(mut history, sent, link)| async move {
            while history.borrow_and_update().len() <= sent
                || matches!(link.fault(), Fault::Deaf | Fault::Hang)
            {
                tokio::select! {
                    changed = history.changed() => changed.ok()?,
                    () = sleep(Duration::from_millis(100)) => {}
                }
            }
            sleep(link.fault().delays().1).await;
            let event = match &history.borrow()[sent] {
                Value::Null => json!({"type": "DELETED", "object": {"metadata": {"name": "lease"}}}),
                lease => json!({"type": "MODIFIED", "object": lease}),
            };
            Some((event, (history, sent + 1, link)))
        });
        let events = futures::stream::iter(first).chain(rest);
        Response::new(Body::from_stream(events.map(|event| Ok::<_, Infallible>(format!("{event}\n")))))
    }
}

impl State {
    fn store(&mut self, mut lease: Value) -> Value {
        self.version += 1;
        lease["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.lease = Some(lease.clone());
        self.history.send_modify(|history| history.push(lease.clone()));
        lease
    }

    fn answer(&mut self, method: &Method, body: &[u8]) -> Response<Body> {
        let now = self.lease.as_ref().map(|lease| &lease["metadata"]["resourceVersion"]);
        let sent: Value = serde_json::from_slice(body).unwrap_or_default();
        match (method.as_str(), now) {
            ("GET", Some(_)) => Response::new(Body::from(self.lease.as_ref().unwrap().to_string())),
            ("GET" | "PUT", None) => failure(404),
            ("POST", None) => Response::new(Body::from(self.store(sent).to_string())),
            ("PUT", Some(version)) if *version == sent["metadata"]["resourceVersion"] => {
                Response::new(Body::from(self.store(sent).to_string()))
            }
            _ => failure(409),
        }
    }
}

fn failure(code: u16) -> Response<Body> {
    let reason = if code == 404 { "NotFound" } else { "" };
    let status =
        json!({"kind": "Status", "status": "Failure", "message": "no", "reason": reason, "code": code});
    Response::builder().status(code).body(Body::from(status.to_string())).unwrap()
}
