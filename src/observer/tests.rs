//! Served scores and metrics follow the watch. Also holds the pod builders that the tests of this module share.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use jiff::Timestamp;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::watch::ScoreboardSink;
use super::{Observer, ObserverMetrics, ScoreCollector, routes};
use crate::cluster::{CallError, RawObject, Sink as _, WatchFailure};
use crate::governance::Scope;
use crate::policy::EffectivePolicy;
use crate::telemetry::Metrics;

/// A pod with one container and nothing wrong, until a test changes that.
#[derive(Debug, Clone)]
pub(super) struct Made {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) image: &'static str,
    pub(super) liveness: bool,
    pub(super) readiness: bool,
    pub(super) restarts: u32,
    pub(super) phase: &'static str,
    /// The `StatefulSet` that manages it.
    pub(super) owner: Option<&'static str>,
}

impl Made {
    pub(super) fn new(namespace: &str, name: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            image: "registry.example/web:1",
            liveness: true,
            readiness: true,
            restarts: 0,
            phase: "Running",
            owner: None,
        }
    }

    /// Returns the pod as the JSON of a watch event.
    pub(super) fn json(&self) -> String {
        let probe = |there: bool| if there { json!({}) } else { json!(null) };
        let owners: Vec<_> = self
            .owner
            .iter()
            .map(|name| json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "name": name, "controller": true}))
            .collect();
        json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "namespace": self.namespace, "name": self.name, "resourceVersion": "7", "ownerReferences": owners,
                "creationTimestamp": "2026-01-01T00:00:00Z",
            },
            "spec": {"containers": [{
                "name": "main",
                "image": self.image,
                "livenessProbe": probe(self.liveness),
                "readinessProbe": probe(self.readiness),
            }]},
            "status": {
                "phase": self.phase,
                "containerStatuses": [{"name": "main", "restartCount": self.restarts}],
            },
        })
        .to_string()
    }
}

/// Returns a pod that can't be parsed: its containers are no list.
pub(super) fn unreadable(namespace: &str, name: &str) -> String {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"namespace": namespace, "name": name, "resourceVersion": "7"},
        "spec": {"containers": "none"},
    })
    .to_string()
}

/// Returns an observer of all namespaces, or of some, and its metrics.
pub(super) fn observer(namespaces: &[&str]) -> (Arc<Observer>, Metrics) {
    observer_at(namespaces, || Timestamp::UNIX_EPOCH)
}

fn observer_at(namespaces: &[&str], clock: fn() -> Timestamp) -> (Arc<Observer>, Metrics) {
    let metrics = Metrics::new();
    let counters = ObserverMetrics::register(&metrics).unwrap();
    let scope =
        Scope { namespaces: namespaces.iter().map(|name| (*name).to_owned()).collect(), ..Scope::default() };
    let watches = namespaces.len().max(1);
    let observer = Arc::new(Observer::new(EffectivePolicy::default(), scope, watches, counters, clock));
    ScoreCollector::register(&metrics, Arc::clone(&observer)).unwrap();
    (observer, metrics)
}

/// Returns the lines of `/metrics` that begin with a name.
fn lines(metrics: &Metrics, name: &str) -> Vec<String> {
    let text = metrics.render().unwrap();
    text.lines().filter(|line| line.starts_with(name)).map(str::to_owned).collect()
}

fn object(json: &str) -> RawObject {
    serde_json::from_str(json).unwrap()
}

async fn get(observer: &Arc<Observer>) -> (StatusCode, Value) {
    let request = Request::get("/api/v1/scores").body(Body::empty()).unwrap();
    let response = routes(Arc::clone(observer)).oneshot(request).await.unwrap();
    let status = response.status();
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap())
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_cached_for_a_tenth_of_a_second() {
    let (observer, _) = observer(&["shop"]);
    let mut shop = ScoreboardSink::new(&observer, Some("shop".to_owned()));
    shop.begin_list();
    shop.end_list();
    let routes = routes(Arc::clone(&observer));
    let pods = async || {
        let request = Request::get("/api/v1/scores").body(Body::empty()).unwrap();
        let response = routes.clone().oneshot(request).await.unwrap();
        assert_eq!(response.headers()["content-type"], "application/json");
        let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        serde_json::from_slice::<Value>(&body).unwrap()["summary"]["pods"].as_u64().unwrap()
    };
    assert_eq!(pods().await, 0);
    shop.apply(&object(&Made::new("shop", "web").json())).unwrap();
    assert_eq!(pods().await, 0, "it was told a moment ago");
    tokio::time::advance(Duration::from_millis(100)).await;
    assert_eq!(pods().await, 1);
}

#[tokio::test]
async fn there_is_no_score_until_every_watch_has_synced() {
    let (observer, metrics) = observer(&["shop", "tools"]);
    let mut shop = ScoreboardSink::new(&observer, Some("shop".to_owned()));
    shop.begin_list();
    shop.list(&object(&Made::new("shop", "web").json())).unwrap();
    shop.end_list();
    assert_eq!(lines(&metrics, "pods_tracked"), ["pods_tracked 1"]);
    assert!(lines(&metrics, "cluster_health_score").is_empty());
    assert!(lines(&metrics, "namespace_health_score").is_empty());
    let (status, scores) = get(&observer).await;
    assert_eq!((status, &scores["summary"]["score"]), (StatusCode::SERVICE_UNAVAILABLE, &Value::Null));

    let mut tools = ScoreboardSink::new(&observer, Some("tools".to_owned()));
    tools.begin_list();
    tools.end_list();
    assert_eq!(lines(&metrics, "cluster_health_score"), ["cluster_health_score 100"]);
    let (status, scores) = get(&observer).await;
    assert_eq!((status, &scores["summary"]["score"]), (StatusCode::OK, &json!(100)));
    assert_eq!(scores["summary"]["partial"], false);
}

#[test]
fn a_deleted_namespace_has_no_series() {
    let (observer, metrics) = observer(&[]);
    let mut feed = ScoreboardSink::new(&observer, None);
    feed.begin_list();
    feed.end_list();
    let web = object(&Made { image: "nginx", ..Made::new("shop", "web") }.json());
    feed.apply(&web).unwrap();
    assert_eq!(lines(&metrics, "namespace_health_score"), [r#"namespace_health_score{namespace="shop"} 95"#]);
    feed.delete(&web);
    assert!(lines(&metrics, "namespace_health_score").is_empty());
    assert_eq!(
        lines(&metrics, "pod_events_total"),
        [
            r#"pod_events_total{type="applied"} 1"#,
            r#"pod_events_total{type="deleted"} 1"#,
            r#"pod_events_total{type="listed"} 0"#,
            r#"pod_events_total{type="unreadable"} 0"#,
        ]
    );
}

#[test]
fn a_clock_jump_does_not_change_the_score() {
    static SECONDS: AtomicI64 = AtomicI64::new(0);
    // The creation time of the generated pods.
    const CREATED: i64 = 1_767_225_600;
    let clock = || Timestamp::from_second(CREATED + SECONDS.load(Ordering::Relaxed)).unwrap();
    let (observer, metrics) = observer_at(&[], clock);
    let mut feed = ScoreboardSink::new(&observer, None);
    feed.begin_list();
    feed.end_list();
    let young = Made { phase: "Pending", restarts: 9, ..Made::new("shop", "web") };
    for jump in [60, 3660, -3540, 60] {
        SECONDS.store(jump, Ordering::Relaxed);
        feed.apply(&object(&young.json())).unwrap();
        let scores = lines(&metrics, "cluster_health_score");
        assert_eq!(scores, ["cluster_health_score 66"], "{jump} s after the pod's creation");
    }
}

#[tokio::test]
async fn without_readable_pods_there_is_an_error_and_no_score() {
    let (observer, metrics) = observer(&[]);
    let mut feed = ScoreboardSink::new(&observer, None);
    feed.begin_list();
    let error = feed.list(&object(&unreadable("shop", "web"))).unwrap_err();
    assert!(error.contains("containers") || error.contains("invalid type"), "{error}");
    feed.end_list();
    assert!(lines(&metrics, "cluster_health_score").is_empty());
    assert_eq!(lines(&metrics, "pods_unreadable"), ["pods_unreadable 1"]);
    let (status, scores) = get(&observer).await;
    assert_eq!((status, &scores["summary"]["status"]), (StatusCode::OK, &Value::Null));
    assert_eq!(scores["errors"], json!(["pods that can't be read: 1; the log names them"]));
    assert_eq!(scores["summary"]["partial"], true);
}

#[tokio::test(start_paused = true)]
async fn a_watch_failure_is_reported_until_it_ends_or_expires() {
    let (observer, metrics) = observer(&[]);
    let mut feed = ScoreboardSink::new(&observer, None);
    feed.begin_list();
    feed.end_list();
    let failure = || WatchFailure {
        action: "watch",
        what: "pods in all namespaces".to_owned(),
        error: CallError::Unreachable { server: "https://x".to_owned(), message: "refused".to_owned() },
        silence: Duration::from_secs(9),
    };
    let errors = async || get(&observer).await.1["errors"].as_array().unwrap().len();
    feed.interrupted(&failure());
    assert_eq!(errors().await, 1);
    assert_eq!(
        lines(&metrics, r#"watch_failures_total{category="unreachable"}"#),
        [r#"watch_failures_total{category="unreachable"} 1"#]
    );
    feed.resumed();
    assert_eq!(errors().await, 0);
    feed.interrupted(&failure());
    tokio::time::advance(Duration::from_secs(10)).await;
    assert_eq!(errors().await, 0, "nothing more was heard of it");
}
