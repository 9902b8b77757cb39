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

/// How many offenders are served.
const OFFENDERS: usize = 20;
/// How long an answer is given again: while one is made, no event is counted, and anybody may ask as often as they like.
const FRESH: Duration = Duration::from_millis(100);

/// Everything observed at one moment; `summary` and `namespaces` are those of a report.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename = "Scores")]
pub struct Scores {
    /// Always `kube-devops/v1`.
    #[serde(rename = "apiVersion")]
    pub api_version: &'static str,
    /// The figures of all pods; no score before everything has been listed once.
    pub summary: ReportSummary,
    /// The same by namespace, sorted by name.
    pub namespaces: Vec<NamespaceReport>,
    /// The 20 workloads with the largest penalties, worst first.
    pub offenders: Vec<OffenderScore>,
    /// What keeps the figures from being whole or up to date.
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
    /// Its pods with violations.
    pub pods: u64,
    /// Penalty points of all of them.
    pub penalty: f64,
    /// What is wrong: the count of each rule that is broken.
    pub counts: BTreeMap<RuleId, u64>,
}

impl From<Offender> for OffenderScore {
    #[expect(clippy::cast_precision_loss, reason = "exact up to 2^52 points")]
    fn from(offender: Offender) -> Self {
        Self {
            namespace: offender.namespace,
            workload: offender.workload,
            pods: offender.pods,
            penalty: offender.half_points as f64 / 2.0,
            counts: offender.counts.into_iter().collect(),
        }
    }
}

impl Scores {
    /// Takes everything at once.
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
                },
                namespaces: board.namespaces(),
                offenders: board.offenders(OFFENDERS).into_iter().map(OffenderScore::from).collect(),
                errors,
                synced: view.synced,
            }
        })
    }
}

/// Returns the routes of an observer: `/api/v1/scores`, with status 503 before everything has been listed once.
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

/// An answer that may be given again.
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
