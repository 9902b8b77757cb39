//! The watch, and what can go wrong with it, against a scripted API server.

use super::*;
use axum::body::{Body, Bytes};
use http::{Request, Response};
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};
use std::io;
use std::sync::{Arc, Mutex};
use tokio::time::Instant;

/// What a scripted server does with a request.
enum Answer {
    Json(u16, Value),
    /// Events of a watch, and how it ends.
    Events(Vec<String>, End),
    Hang,
}

enum End {
    Open,
    Closed,
    Cut,
}

/// What the server was asked, and when.
type Log = Arc<Mutex<Vec<(Instant, String)>>>;

/// Makes a cluster that answers by path and by how many requests came before, and its log.
fn cluster(script: impl Fn(&str, usize) -> Answer + Send + Sync + 'static) -> (Cluster, Log) {
    let log = Log::default();
    let (script, seen) = (Arc::new(script), Arc::clone(&log));
    let service = tower::service_fn(move |request: Request<kube::client::Body>| {
        let asked = request.uri().to_string();
        let mut seen = seen.lock().unwrap();
        let answer = script(&asked, seen.len());
        seen.push((Instant::now(), asked));
        async move {
            let (code, body) = match answer {
                Answer::Json(code, value) => (code, Body::from(value.to_string())),
                Answer::Events(events, end) => {
                    let lines = events.into_iter().map(|event| Ok(Bytes::from(format!("{event}\n"))));
                    let end = match end {
                        End::Open => stream::pending().boxed(),
                        End::Closed => stream::empty().boxed(),
                        End::Cut => stream::iter([Err(io::Error::other("cut"))]).boxed(),
                    };
                    (200, Body::from_stream(stream::iter(lines.collect::<Vec<io::Result<_>>>()).chain(end)))
                }
                Answer::Hang => std::future::pending().await,
            };
            Ok::<_, io::Error>(Response::builder().status(code).body(body).unwrap())
        }
    });
    let cluster = Cluster {
        client: kube::Client::new(service, "own"),
        context: "test".to_owned(),
        server: "https://test:6443".to_owned(),
        default_namespace: "own".to_owned(),
        request_timeout: None,
    };
    (cluster, log)
}

fn pod(name: &str, version: u32) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {
        "namespace": "shop", "name": name, "resourceVersion": version.to_string(),
    }})
}

fn list(pods: &[Value], version: u32, token: &str) -> Answer {
    let metadata = json!({"resourceVersion": version.to_string(), "continue": token});
    Answer::Json(200, json!({"kind": "PodList", "apiVersion": "v1", "metadata": metadata, "items": pods}))
}

/// A line of a watch; an API server names the type first, and only so can the text of the object be kept.
fn event(kind: &str, object: &Value) -> String {
    format!(r#"{{"type":"{kind}","object":{object}}}"#)
}

fn status(code: u16, message: &str) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": code,
        "message": message, "reason": "Expired"})
}

fn is_watch(path: &str) -> bool {
    path.contains("watch=true")
}

/// Follows a watch for the given number of events and failures, each in a few words.
async fn follow(cluster: &Cluster, count: usize) -> Vec<String> {
    let request = WatchRequest {
        resource: ApiResource::erase::<Pod>(&()),
        namespace: None,
        selector: None,
        metadata_only: false,
    };
    let events = watch(cluster, request).take(count);
    let told = events.map(|next| match next {
        Ok(Event::Init) => "init".to_owned(),
        Ok(Event::InitApply(pod)) => format!("listed {}", pod.name()),
        Ok(Event::InitDone) => "done".to_owned(),
        Ok(Event::Apply(pod)) => format!("applied {}", pod.name()),
        Ok(Event::Delete(pod)) => format!("deleted {}", pod.name()),
        Err(failure) => format!("{} {}", failure.action, failure.category()),
    });
    told.collect().await
}

/// The requests for which `wanted` holds, within the time; the watch is left then.
async fn asked_within(cluster: &Cluster, log: &Log, time: Duration, wanted: fn(&str) -> bool) -> usize {
    let _ = timeout(time, follow(cluster, usize::MAX)).await;
    log.lock().unwrap().iter().filter(|(_, path)| wanted(path)).count()
}

#[tokio::test]
async fn pages_are_listed_and_then_events_followed_from_there() {
    let (cluster, log) = cluster(|path, _| match path {
        path if is_watch(path) => Answer::Events(
            vec![
                event("ADDED", &pod("c", 8)),
                event("BOOKMARK", &pod("", 9)),
                event("DELETED", &pod("a", 10)),
            ],
            End::Open,
        ),
        path if path.contains("continue=more") => list(&[pod("b", 4)], 7, ""),
        _ => list(&[pod("a", 3)], 7, "more"),
    });
    let expected = ["init", "listed a", "listed b", "done", "applied c", "deleted a"];
    assert_eq!(follow(&cluster, 6).await, expected);
    let log = log.lock().unwrap();
    assert_eq!(log.len(), 3);
    assert!(log[2].1.contains("resourceVersion=7"), "{}", log[2].1);
    assert!(log[..2].iter().all(|(_, path)| path.contains("limit=500")));
}

#[tokio::test]
async fn a_pod_that_nobody_can_read_is_handed_on_by_name_and_stops_nothing() {
    let broken = |name: &str, version| {
        let mut broken = pod(name, version);
        broken["spec"] = json!({"containers": {"main": 3}});
        broken["status"] = json!([1]);
        broken
    };
    let (cluster, log) = cluster(move |path, _| {
        if is_watch(path) {
            let events = [broken("d", 8), pod("e", 9)];
            Answer::Events(events.iter().map(|pod| event("MODIFIED", pod)).collect(), End::Open)
        } else {
            list(&[pod("a", 1), broken("b", 2), pod("c", 3)], 7, "")
        }
    });
    let expected = ["init", "listed a", "listed b", "listed c", "done", "applied d", "applied e"];
    assert_eq!(follow(&cluster, 7).await, expected);
    assert_eq!(log.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn a_pod_of_four_megabytes_is_one_like_any_other() {
    let large = |name: &str, version| {
        let mut large = pod(name, version);
        large["metadata"]["annotations"] = json!({"large": "x".repeat(4 << 20)});
        large
    };
    let (cluster, _) = cluster(move |path, _| {
        if is_watch(path) {
            Answer::Events(vec![event("MODIFIED", &large("a", 8)), event("ADDED", &pod("b", 9))], End::Open)
        } else {
            list(&[large("a", 1)], 7, "")
        }
    });
    assert_eq!(follow(&cluster, 5).await, ["init", "listed a", "done", "applied a", "applied b"]);
}

#[tokio::test(start_paused = true)]
async fn a_resource_version_that_is_gone_at_the_start_of_a_watch_leads_to_a_fresh_list() {
    let (cluster, log) = cluster(|path, _| match path {
        path if path.contains("resourceVersion=7") => Answer::Json(410, status(410, "too old")),
        path if is_watch(path) => Answer::Events(vec![event("ADDED", &pod("b", 21))], End::Open),
        _ => list(&[pod("a", 3)], 20, ""),
    });
    let (again, again_log) = self::cluster(|path, before| match path {
        path if path.contains("resourceVersion=7") => Answer::Json(410, status(410, "too old")),
        path if is_watch(path) => Answer::Events(vec![event("ADDED", &pod("b", 21))], End::Open),
        _ => list(&[pod("a", 3)], if before == 0 { 7 } else { 20 }, ""),
    });
    assert_eq!(follow(&cluster, 4).await, ["init", "listed a", "done", "applied b"]);
    assert_eq!(log.lock().unwrap().len(), 2);
    let expected = ["init", "listed a", "done", "watch expired", "init", "listed a", "done", "applied b"];
    assert_eq!(follow(&again, 8).await, expected);
    assert_eq!(again_log.lock().unwrap().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_resource_version_that_is_gone_in_the_stream_leads_to_a_fresh_list() {
    let (cluster, _) = cluster(|path, before| match path {
        path if is_watch(path) && before < 2 => {
            Answer::Events(vec![event("ERROR", &status(410, "too old"))], End::Closed)
        }
        path if is_watch(path) => Answer::Events(vec![event("ADDED", &pod("b", 8))], End::Open),
        _ => list(&[], 7, ""),
    });
    let expected = ["init", "done", "watch expired", "init", "done", "applied b"];
    assert_eq!(follow(&cluster, 6).await, expected);
}

#[tokio::test(start_paused = true)]
async fn a_page_that_never_comes_is_given_up_and_asked_for_again() {
    let (cluster, log) = cluster(|path, before| match path {
        _ if before == 0 => Answer::Hang,
        path if is_watch(path) => Answer::Events(vec![], End::Open),
        _ => list(&[], 7, ""),
    });
    assert_eq!(follow(&cluster, 4).await, ["init", "list unreachable", "init", "done"]);
    let log = log.lock().unwrap();
    let apart = log[1].0 - log[0].0;
    assert!(apart >= PAGE_TIMEOUT && apart < PAGE_TIMEOUT + Duration::from_secs(1), "{apart:?}");
}

#[tokio::test(start_paused = true)]
async fn a_busy_server_is_left_alone_for_as_long_as_it_says() {
    let (cluster, log) = cluster(|_, before| {
        if before > 0 {
            return list(&[], 7, "");
        }
        let mut busy = status(429, "slow down");
        busy["details"] = json!({"retryAfterSeconds": 7});
        Answer::Json(429, busy)
    });
    assert_eq!(follow(&cluster, 4).await, ["init", "list busy", "init", "done"]);
    let log = log.lock().unwrap();
    let apart = log[1].0 - log[0].0;
    assert!(apart >= Duration::from_secs(7) && apart <= Duration::from_millis(10_500), "{apart:?}");
}

#[tokio::test(start_paused = true)]
async fn failures_in_a_row_are_farther_and_farther_apart_and_never_in_step() {
    let (failing, log) = cluster(|_, _| Answer::Json(500, status(500, "boom")));
    let asked = asked_within(&failing, &log, Duration::from_mins(10), |_| true).await;
    assert!((200..=305).contains(&asked), "{asked} in ten minutes");
    let times: Vec<_> = log.lock().unwrap().iter().map(|(at, _)| *at).collect();
    let pauses: Vec<_> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(pauses[0] < Duration::from_millis(310), "the first comes soon: {:?}", pauses[0]);
    assert!(pauses.iter().all(|pause| *pause <= LONGEST_PAUSE.mul_f64(1.5) + Duration::from_millis(2)));
    assert!(pauses[10..].windows(2).any(|pair| pair[0].abs_diff(pair[1]) > Duration::from_millis(100)));

    let (busy, log) = cluster(|_, _| Answer::Json(503, status(503, "away")));
    let asked = asked_within(&busy, &log, Duration::from_mins(10), |_| true).await;
    assert!((15..=30).contains(&asked), "{asked} in ten minutes");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_cut_goes_on_where_it_was() {
    let (cluster, log) = cluster(|path, before| match path {
        path if is_watch(path) && before == 1 => Answer::Events(vec![event("ADDED", &pod("a", 8))], End::Cut),
        path if is_watch(path) => Answer::Events(vec![event("ADDED", &pod("b", 9))], End::Open),
        _ => list(&[], 7, ""),
    });
    let told = follow(&cluster, 5).await;
    assert_eq!(told, ["init", "done", "applied a", "watch unreachable", "applied b"]);
    let log = log.lock().unwrap();
    assert_eq!(log.len(), 3);
    assert!(log[2].1.contains("resourceVersion=8"), "{}", log[2].1);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_ends_each_watch_at_once_is_asked_once_a_second() {
    let (cluster, log) =
        cluster(
            |path, _| if is_watch(path) { Answer::Events(vec![], End::Closed) } else { list(&[], 7, "") },
        );
    let watches = asked_within(&cluster, &log, Duration::from_mins(1), is_watch).await;
    assert!((40..=61).contains(&watches), "{watches} in a minute");
    assert_eq!(log.lock().unwrap().len(), watches + 1, "one list is enough");
}
