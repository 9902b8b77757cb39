//! What an observer makes of a watch's events, and what it then shows.

use super::super::tests::{Made, observer, unreadable};
use super::super::{Scores, routes};
use super::*;
use crate::telemetry::Metrics;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use serde_json::{Value, json};
use std::sync::Arc;
use tower::ServiceExt as _;

fn raw(json: &str) -> RawObject {
    serde_json::from_str(json).unwrap()
}

impl Feed<'_> {
    fn list(&mut self, pods: &[String]) {
        self.take(Event::Init);
        pods.iter().for_each(|pod| self.take(Event::InitApply(raw(pod))));
        self.take(Event::InitDone);
    }
}

fn series(metrics: &Metrics, name: &str) -> Vec<String> {
    let text = metrics.render().unwrap();
    let lines = text.lines().filter(|line| line.starts_with(name));
    lines.map(str::to_owned).collect()
}

async fn get(observer: &Arc<Observer>, method: &str, path: &str) -> (StatusCode, Value) {
    let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
    let response = routes(Arc::clone(observer)).oneshot(request).await.unwrap();
    let status = response.status();
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

#[tokio::test]
async fn no_score_is_shown_before_everything_was_listed() {
    let (observer, metrics) = observer(&[]);
    let mut feed = Feed::new(&observer, None);
    feed.take(Event::Init);
    feed.take(Event::InitApply(raw(&Made::new("shop", "a").json())));
    assert!(series(&metrics, "cluster_health_score").is_empty());
    assert!(series(&metrics, "namespace_health_score").is_empty());
    assert_eq!(series(&metrics, "pods_tracked"), ["pods_tracked 1"]);
    let (status, body) = get(&observer, "GET", "/api/v1/scores").await;
    assert_eq!((status, &body["summary"]["score"]), (StatusCode::SERVICE_UNAVAILABLE, &Value::Null));
    assert_eq!(body["summary"]["partial"], json!(true));
    feed.take(Event::InitDone);
    assert_eq!(series(&metrics, "cluster_health_score"), ["cluster_health_score 100"]);
    assert_eq!(get(&observer, "GET", "/api/v1/scores").await.0, StatusCode::OK);
    assert_eq!(get(&observer, "POST", "/api/v1/scores").await.0, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn the_scores_are_those_of_the_pods_that_are_there() {
    let (observer, _) = observer(&[]);
    let mut feed = Feed::new(&observer, None);
    let bad = Made { image: "web", liveness: false, ..Made::new("shop", "a") };
    feed.list(&[bad.json(), Made::new("shop", "b").json(), Made::new("bank", "a").json()]);
    let (_, body) = get(&observer, "GET", "/api/v1/scores").await;
    let counts = |latest: u64, liveness: u64| {
        json!({"high-restarts": 0, "latest-tag": latest, "missing-liveness": liveness, "missing-readiness": 0,
            "pending": 0})
    };
    let whole = json!({
        "apiVersion": "kube-devops/v1",
        "kind": "Scores",
        "summary": {"pods": 3, "score": 97, "status": "Healthy", "partial": false, "counts": counts(1, 1)},
        "namespaces": [
            {"namespace": "bank", "pods": 1, "score": 100, "status": "Healthy", "counts": counts(0, 0)},
            {"namespace": "shop", "pods": 2, "score": 96, "status": "Healthy", "counts": counts(1, 1)},
        ],
        "offenders": [{"namespace": "shop", "workload": "Pod/a", "pods": 1, "penalty": 8.0,
            "counts": {"latest-tag": 1, "missing-liveness": 1}}],
        "errors": [],
    });
    assert_eq!(body, whole);
}

#[test]
fn a_namespace_that_is_gone_takes_its_series_with_it() {
    let (observer, metrics) = observer(&[]);
    let mut feed = Feed::new(&observer, None);
    let [shop, bank] = ["shop", "bank"].map(|namespace| Made::new(namespace, "a").json());
    feed.list(&[shop.clone(), bank]);
    assert_eq!(series(&metrics, "namespace_health_score").len(), 2);
    feed.take(Event::Delete(raw(&shop)));
    let left = ["namespace_health_score{namespace=\"bank\"} 100"];
    assert_eq!(series(&metrics, "namespace_health_score"), left);
    feed.list(&[]);
    assert!(series(&metrics, "namespace_health_score").is_empty());
    let events = [("applied", 0), ("deleted", 1), ("listed", 2), ("unreadable", 0)];
    let events = events.map(|(kind, count)| format!("pod_events_total{{type=\"{kind}\"}} {count}"));
    assert_eq!(series(&metrics, "pod_events_total"), events);
}

#[test]
fn a_pod_that_cannot_be_read_is_left_out_and_told_until_it_can() {
    let (observer, metrics) = observer(&[]);
    let mut feed = Feed::new(&observer, None);
    let service = r#"{"apiVersion":"v1","kind":"Service","metadata":{"namespace":"shop","name":"c"}}"#;
    feed.list(&[unreadable("shop", "a"), Made::new("shop", "b").json(), service.to_owned()]);
    assert_eq!(series(&metrics, "pods_unreadable"), ["pods_unreadable 2"]);
    assert_eq!(series(&metrics, "pods_tracked"), ["pods_tracked 1"]);
    let scores = Scores::of(&observer);
    assert_eq!(scores.errors, ["pods that can't be read: 2; the log names them"]);
    assert!(scores.summary.partial);
    feed.take(Event::Apply(raw(&Made::new("shop", "a").json())));
    feed.take(Event::Delete(raw(service)));
    let scores = Scores::of(&observer);
    assert!(scores.errors.is_empty() && !scores.summary.partial && scores.summary.pods == 2);
}

#[test]
fn every_named_namespace_has_to_be_listed_before_there_is_a_score() {
    let (observer, metrics) = observer(&["bank", "shop"]);
    let mut shop = Feed::new(&observer, Some("shop".to_owned()));
    let mut bank = Feed::new(&observer, Some("bank".to_owned()));
    shop.list(&[Made::new("shop", "a").json()]);
    shop.list(&[Made::new("shop", "a").json(), Made::new("shop", "b").json()]);
    assert!(series(&metrics, "cluster_health_score").is_empty(), "one that is listed twice is still one");
    bank.list(&[]);
    assert_eq!(series(&metrics, "cluster_health_score"), ["cluster_health_score 100"]);
    bank.list(&[]);
    assert_eq!(series(&metrics, "pods_tracked"), ["pods_tracked 2"], "its list is not about others");
}

#[tokio::test(start_paused = true)]
async fn an_interruption_is_shown_until_the_watch_goes_on_or_is_silent_for_long() {
    let (observer, metrics) = observer(&[]);
    let mut feed = Feed::new(&observer, None);
    feed.list(&[]);
    let failure = WatchFailure {
        action: "watch",
        what: "pods in all namespaces".to_owned(),
        error: cluster::CallError::Timeout { server: "https://s".to_owned(), after: REMINDER },
        silence: Duration::from_secs(5),
    };
    feed.fail(&failure);
    assert!(Scores::of(&observer).errors[0].starts_with("watch pods in all namespaces: https://s"));
    feed.take(Event::Apply(raw(&Made::new("shop", "a").json())));
    assert!(Scores::of(&observer).errors.is_empty());
    feed.fail(&failure);
    tokio::time::advance(Duration::from_secs(6)).await;
    assert!(Scores::of(&observer).errors.is_empty());
    let failures = ["watch_failures_total{category=\"unreachable\"} 2"];
    assert_eq!(series(&metrics, "watch_failures_total"), failures);
}
