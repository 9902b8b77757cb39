//! `GET /api/v1/scores`: the current scores as JSON, in the shape of a report.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use serde::Serialize;
use tokio::time::Instant;

use super::Observer;
use crate::governance::{NamespaceReport, Offender, ReportSummary};
use crate::rules::RuleId;

/// The number of offenders in an answer.
pub(super) const OFFENDERS: usize = 20;
/// The lifetime of a cached answer. Building one holds up the watch, and clients may ask at any rate.
const FRESH: Duration = Duration::from_millis(100);

/// A snapshot of everything observed; `summary` and `namespaces` have the shape of a report.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename = "Scores")]
pub struct Scores {
    /// Always `kube-devops/v1`.
    #[serde(rename = "apiVersion")]
    pub api_version: &'static str,
    /// The figures of all pods. There is no score until the first list is complete.
    pub summary: ReportSummary,
    /// The same by namespace, sorted by name.
    pub namespaces: Vec<NamespaceReport>,
    /// The 20 workloads with the largest penalties, worst first.
    pub offenders: Vec<OffenderScore>,
    /// The reasons why the figures may be incomplete or stale.
    pub errors: Vec<String>,
    #[serde(skip)]
    synced: bool,
}

/// A workload with violations.
#[derive(Debug, Serialize)]
pub struct OffenderScore {
    /// The namespace.
    pub namespace: String,
    /// The workload as `Kind/name`.
    pub workload: String,
    /// The number of its pods with violations.
    pub pods: u64,
    /// The sum of their penalty points.
    pub penalty: f64,
    /// The number of violations of each rule.
    pub counts: BTreeMap<RuleId, u64>,
}

impl From<Offender> for OffenderScore {
    fn from(offender: Offender) -> Self {
        let penalty = offender.penalty();
        Self {
            namespace: offender.namespace,
            workload: offender.workload,
            pods: offender.pods,
            penalty,
            counts: offender.counts.into_iter().collect(),
        }
    }
}

impl Scores {
    /// Takes a snapshot of the observer.
    pub fn of(observer: &Observer) -> Self {
        observer.view(|view| {
            let board = view.board;
            let score = view.synced.then(|| board.cluster_score()).flatten();
            let compliance = board.cluster_compliance().unwrap_or_default();
            let mut errors: Vec<String> = view.failures.iter().map(ToString::to_string).collect();
            if board.unreadable() > 0 {
                errors.push(format!("pods that can't be read: {}; the log names them", board.unreadable()));
            }
            if !view.synced {
                errors.push("not synced: pods are still being listed".to_owned());
            }
            Self {
                api_version: "kube-devops/v1",
                summary: ReportSummary {
                    pods: board.cluster().pods,
                    workloads: compliance.workloads,
                    score,
                    status: score.map(crate::governance::Score::classification),
                    compliance: score.map(|_| compliance.percent()),
                    compliant: compliance.compliant,
                    partial: !errors.is_empty(),
                    counts: board.cluster().by_rule(board.policy()),
                    unknown: BTreeMap::new(),
                    exempted: (board.exempted().by_rule(board.policy()).into_iter())
                        .filter(|(_, count)| *count > 0)
                        .collect(),
                    with_exempted: board.with_exempted().filter(|_| score.is_some()),
                },
                namespaces: board.namespaces(),
                offenders: board.offenders(OFFENDERS).into_iter().map(OffenderScore::from).collect(),
                errors,
                synced: view.synced,
            }
        })
    }
}

/// Returns the routes of an observer: `/api/v1/scores`, with status 503 until the first list is complete.
pub fn routes(observer: Arc<Observer>) -> Router {
    let answer = Arc::new(Mutex::new(None::<Answer>));
    let scores = move || async move {
        let mut answer = answer.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = match answer.take() {
            Some(last) if last.made.elapsed() < FRESH => answer.insert(last),
            _ => answer.insert(Answer::of(&observer)),
        };
        answer.response()
    };
    Router::new().route("/api/v1/scores", get(scores))
}

/// A cached answer.
struct Answer {
    made: Instant,
    status: StatusCode,
    json: Result<Bytes, String>,
}

impl Answer {
    fn of(observer: &Observer) -> Self {
        let scores = Scores::of(observer);
        let status = if scores.synced { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        let json = serde_json::to_vec(&scores).map(Bytes::from).map_err(|error| error.to_string());
        Self { made: Instant::now(), status, json }
    }

    fn response(&self) -> Response {
        match &self.json {
            Ok(json) => {
                (self.status, [(header::CONTENT_TYPE, "application/json")], json.clone()).into_response()
            }
            Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.clone()).into_response(),
        }
    }
}
