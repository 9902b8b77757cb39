//! Watches against a scripted API server, under tokio's paused clock.

use super::*;
use crate::cluster::scripted::{Answer, Call, End, Log, cluster, fail};
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);

fn pods() -> WatchRequest {
    let resource = ApiResource::erase::<Pod>(&());
    WatchRequest { resource, namespace: None, selector: None, metadata_only: false }
}

fn is_watch(path: &str) -> bool {
    path.contains("watch=true")
}

fn pod(name: &str, version: &str) -> Value {
    json!({"metadata": {"name": name, "namespace": "shop", "resourceVersion": version}})
}

fn page(items: &[Value], version: &str, token: &str) -> Answer {
    let metadata = json!({"resourceVersion": version, "continue": token});
    Answer::Json(json!({"kind": "PodList", "apiVersion": "v1", "metadata": metadata, "items": items}))
}

/// A line of a watch; as with every API server, the type comes first.
fn event(kind: &str, object: &Value) -> String {
    format!(r#"{{"type":"{kind}","object":{object}}}"#)
}

fn bookmark(version: &str) -> String {
    let metadata = json!({"resourceVersion": version});
    event("BOOKMARK", &json!({"kind": "Pod", "apiVersion": "v1", "metadata": metadata}))
}

fn gone() -> String {
    event("ERROR", &json!({"kind": "Status", "status": "Failure", "code": 410, "message": "too old"}))
}

/// The answer of an overloaded server, with its `Retry-After` in seconds.
fn busy(code: u16, seconds: u32) -> Answer {
    let details = json!({"retryAfterSeconds": seconds});
    let status =
        json!({"kind": "Status", "status": "Failure", "code": code, "message": "", "details": details});
    Answer::Fail(code, status)
}

fn word(change: &Result<Event<RawObject>, WatchFailure>) -> String {
    match change {
        Ok(Event::Init) => "init".to_owned(),
        Ok(Event::InitApply(object)) => format!("list {}", object.name()),
        Ok(Event::InitDone) => "done".to_owned(),
        Ok(Event::Apply(object)) => format!("apply {}", object.name()),
        Ok(Event::Delete(object)) => format!("delete {}", object.name()),
        Err(failure) => format!("{} {}", failure.action, failure.error.category()),
    }
}

/// Takes the next changes, each in a word or two.
async fn take(changes: &mut Changes, count: usize) -> Vec<String> {
    changes.take(count).map(|change| word(&change)).collect().await
}

/// Takes all changes within a time.
async fn take_for(changes: &mut Changes, time: Duration) -> Vec<String> {
    let mut words = Vec::new();
    let end = Instant::now() + time;
    while let Ok(Some(change)) = tokio::time::timeout_at(end, changes.next()).await {
        words.push(word(&change));
    }
    words
}

/// Returns the pauses between the counted calls.
fn pauses(log: &Log, counted: impl Fn(&str) -> bool) -> Vec<Duration> {
    let calls: Vec<Call> = log.calls().into_iter().filter(|call| counted(&call.path)).collect();
    calls.windows(2).map(|pair| pair[1].at - pair[0].at).collect()
}

fn within(pauses: &[Duration], expected: &[f64]) {
    let fits = |(pause, least): (&Duration, &f64)| {
        // The clock has a resolution of milliseconds.
        (*least - 0.002..=least * 1.5 + 0.002).contains(&pause.as_secs_f64())
    };
    assert_eq!(pauses.len(), expected.len(), "{pauses:?}");
    assert!(pauses.iter().zip(expected).all(fits), "{pauses:?}, expected {expected:?}");
}

#[tokio::test(start_paused = true)]
async fn pages_follow_one_another_and_the_watch_follows_the_last() {
    let (cluster, log) = cluster(|path, _| match path {
        path if is_watch(path) => Answer::Lines(vec![event("ADDED", &pod("d", "10"))], End::Quiet),
        path if path.contains("continue=a%2Bb%2F%3D%26") => page(&[pod("c", "3")], "9", ""),
        _ => page(&[pod("a", "1"), pod("b", "2")], "9", "a+b/=&"),
    });
    let request = WatchRequest {
        namespace: Some("shop".into()),
        selector: Some(WatchSelector::Labels("app=web".into())),
        ..pods()
    };
    let words = take(&mut watch(&cluster, request), 6).await;
    assert_eq!(words, ["init", "list a", "list b", "list c", "done", "apply d"]);
    let calls = log.calls();
    assert_eq!(calls.len(), 3);
    for call in &calls {
        assert!(call.path.starts_with("/api/v1/namespaces/shop/pods?"), "{}", call.path);
        assert!(call.path.contains("labelSelector=app%3Dweb"), "{}", call.path);
        assert!(!call.accept.contains("PartialObjectMetadata"), "{}", call.accept);
    }
    assert!(calls[..2].iter().all(|call| call.path.contains("limit=250")));
    assert!(
        calls[2].path.contains("resourceVersion=9") && calls[2].path.contains("allowWatchBookmarks=true")
    );
    assert_eq!(calls[0].at, calls[2].at, "the first watch waits for nothing");
}

#[tokio::test(start_paused = true)]
async fn a_watch_of_one_object_names_it() {
    let (cluster, log) = cluster(|path, _| match path {
        path if is_watch(path) => Answer::Lines(Vec::new(), End::Quiet),
        _ => page(&[pod("a", "1")], "9", ""),
    });
    let request = WatchRequest { selector: Some(WatchSelector::Name("a".into())), ..pods() };
    assert_eq!(request.to_string(), "pods \"a\"");
    assert_eq!(take(&mut watch(&cluster, request), 3).await, ["init", "list a", "done"]);
    let calls = log.calls();
    assert!(calls.iter().all(|call| call.path.contains("fieldSelector=metadata.name%3Da")));
}

#[tokio::test(start_paused = true)]
async fn a_metadata_watch_requests_only_metadata() {
    let labelled = json!({
        "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata",
        "metadata": {"name": "a", "namespace": "shop", "resourceVersion": "8", "labels": {"app": "web"}},
    });
    let bare = pod("b", "7");
    let (cluster, log) = cluster(move |path, _| {
        if is_watch(path) {
            Answer::Lines(vec![event("MODIFIED", &labelled)], End::Quiet)
        } else {
            page(&[labelled.clone(), bare.clone()], "7", "")
        }
    });
    let mut changes = watch(&cluster, WatchRequest { metadata_only: true, ..pods() });
    assert_eq!(take(&mut changes, 4).await, ["init", "list a", "list b", "done"]);
    let Some(Ok(Event::Apply(object))) = changes.next().await else { panic!("no change") };
    let object: Value = serde_json::from_str(object.json()).unwrap();
    assert_eq!(object["metadata"]["labels"]["app"], "web");
    let calls = log.calls();
    assert_eq!(calls.len(), 2);
    assert!(calls[0].accept.contains("as=PartialObjectMetadataList;"), "{}", calls[0].accept);
    assert!(calls[1].accept.contains("as=PartialObjectMetadata;"), "{}", calls[1].accept);
    assert!(calls[0].path.starts_with("/api/v1/pods?"), "{}", calls[0].path);
}

#[tokio::test(start_paused = true)]
async fn unreadable_objects_do_not_stop_the_watch() {
    let odd_spec =
        || json!({"metadata": {"name": "b", "namespace": "shop", "resourceVersion": "9"}, "spec": 5});
    let odd_metadata = || json!({"metadata": {"name": 5, "resourceVersion": "10"}});
    let (cluster, log) = cluster(move |path, nth| match (is_watch(path), nth) {
        (true, 1) => {
            let odd = [event("MODIFIED", &odd_spec()), "noise".to_owned(), event("DELETED", &pod("a", "9"))];
            let odder = [event("ADDED", &odd_metadata()), event("ADDED", &pod("never", "11"))];
            Answer::Lines(odd.into_iter().chain(odder).collect(), End::Quiet)
        }
        (true, _) => Answer::Lines(vec![event("ADDED", &pod("d", "12"))], End::Quiet),
        (false, _) => page(&[pod("a", "1"), odd_spec(), odd_metadata(), pod("c", "2")], "9", ""),
    });
    let mut changes = watch(&cluster, pods());
    let listed = ["init", "list a", "list b", "list ", "list c", "done"];
    assert_eq!(take(&mut changes, 6).await, listed);
    // A line that is no event is skipped. An object without a version makes the watch list again.
    let words = take(&mut changes, 4).await;
    assert_eq!(words, ["apply b", "watch unreachable", "delete a", "watch unreachable"]);
    assert_eq!(take(&mut changes, 6).await, listed);
    assert_eq!(take(&mut changes, 1).await, ["apply d"]);
    assert_eq!(log.calls().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn an_object_of_four_megabytes_passes() {
    let huge = |version: &str| {
        let mut pod = pod("huge", version);
        pod["metadata"]["annotations"] = json!({"text": "x".repeat(4 << 20)});
        pod
    };
    let (cluster, _) = cluster(move |path, _| {
        if is_watch(path) {
            Answer::Lines(vec![event("MODIFIED", &huge("8")), event("DELETED", &huge("9"))], End::Quiet)
        } else {
            page(&[huge("7")], "7", "")
        }
    });
    for metadata_only in [false, true] {
        let changes = watch(&cluster, WatchRequest { metadata_only, ..pods() }).take(5);
        let sizes = changes.filter_map(async |change| match change.unwrap() {
            Event::InitApply(pod) | Event::Apply(pod) | Event::Delete(pod) => Some(pod.json().len()),
            _ => None,
        });
        let sizes: Vec<_> = sizes.collect().await;
        assert!(sizes.len() == 3 && sizes.iter().all(|size| *size > 4 << 20), "{sizes:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_expired_version_causes_a_new_list() {
    let at_the_start: fn() -> Answer = || fail(410, "too old");
    let in_the_stream: fn() -> Answer = || Answer::Lines(vec![gone()], End::Quiet);
    for expired in [at_the_start, in_the_stream] {
        let (cluster, log) = cluster(move |path, nth| match path {
            path if is_watch(path) && path.contains("resourceVersion=7") => expired(),
            path if is_watch(path) => Answer::Lines(vec![event("ADDED", &pod("b", "9"))], End::Quiet),
            _ if nth == 1 => page(&[pod("a", "1")], "7", ""),
            _ => page(&[], "8", ""),
        });
        let words = take_for(&mut watch(&cluster, pods()), Duration::from_mins(1)).await;
        assert_eq!(words, ["init", "list a", "done", "watch expired", "init", "done", "apply b"]);
        assert_eq!(log.paths().iter().filter(|path| path.contains("resourceVersion=7")).count(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_hanging_page_ends_after_the_request_timeout() {
    let (cluster, _) = cluster(|path, nth| match path {
        path if is_watch(path) => Answer::Lines(vec![], End::Quiet),
        path if path.contains("continue=") && nth == 1 => Answer::Hang,
        path if path.contains("continue=") => page(&[pod("b", "2")], "7", ""),
        _ if nth == 1 => Answer::Hang,
        _ => page(&[pod("a", "1")], "7", "t"),
    });
    let mut changes = watch(&cluster, pods());
    for expected in [&["init"] as &[_], &["init", "list a"]] {
        let begun = Instant::now();
        assert_eq!(take(&mut changes, expected.len()).await, expected);
        let Some(Err(failure)) = changes.next().await else { panic!("no failure") };
        assert!(matches!(failure.error, CallError::Timeout { .. }), "{failure}");
        assert_eq!(begun.elapsed().as_secs(), 30);
    }
    assert_eq!(take(&mut changes, 4).await, ["init", "list a", "list b", "done"]);
    assert_eq!(take_for(&mut changes, Duration::from_hours(1)).await, [""; 0], "a quiet watch is no timeout");
}

#[tokio::test(start_paused = true)]
async fn a_hanging_page_ends_even_without_a_request_timeout() {
    let (cluster, log) = cluster(|_, _| Answer::Hang);
    let cluster = Cluster { request_timeout: None, ..cluster };
    assert_eq!(take(&mut watch(&cluster, pods()), 2).await, ["init", "list unreachable"]);
    assert_eq!(log.calls()[0].at.elapsed().as_secs(), PAGE_TIMEOUT.as_secs());
}

#[tokio::test(start_paused = true)]
async fn the_retry_after_of_a_busy_server_is_respected_up_to_a_limit() {
    let (cluster, log) = cluster(|_, nth| match nth {
        1 => busy(429, 7),
        2 => busy(503, 9),
        3 => busy(429, 3600),
        _ => page(&[], "7", ""),
    });
    let words = take(&mut watch(&cluster, pods()), 8).await;
    assert_eq!(words, ["init", "list busy", "init", "list refused", "init", "list busy", "init", "done"]);
    within(&pauses(&log, |_| true), &[7.0, 9.0, 30.0]);
}

#[tokio::test(start_paused = true)]
async fn pauses_double_up_to_a_limit() {
    let busy_pauses: &[f64] = &[0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0, 30.0];
    let away_pauses: &[f64] = &[0.2, 0.4, 0.8, 1.6, 2.0, 2.0, 2.0];
    let busy: fn() -> Answer = || fail(503, "etcd is away");
    for (answer, expected) in [(busy, busy_pauses), (|| Answer::Refuse, away_pauses)] {
        let (cluster, log) = cluster(move |_, _| answer());
        take(&mut watch(&cluster, pods()), 2 * (expected.len() + 1)).await;
        let pauses = pauses(&log, |_| true);
        within(&pauses, expected);
        let ratios = pauses.iter().zip(expected).map(|(pause, least)| pause.as_secs_f64() / least);
        let (least, most) =
            ratios.fold((2.0_f64, 0.0_f64), |(least, most), ratio| (least.min(ratio), most.max(ratio)));
        assert!(most - least > 0.01, "replicas that fail together come back together: {pauses:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn pauses_stay_short_after_a_long_outage() {
    // Overloaded, or not yet aware of the permissions.
    for code in [503, 403] {
        let answer = move |_: &str, nth| if nth > 9 { fail(code, "starting") } else { Answer::Refuse };
        let (cluster, log) = cluster(answer);
        take(&mut watch(&cluster, pods()), 24).await;
        within(&pauses(&log, |_| true)[8..], &[2.0, 0.2, 0.4]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_success_resets_the_pauses() {
    let (cluster, log) = cluster(|path, nth| match (is_watch(path), nth) {
        (true, _) => Answer::Lines(vec![gone()], End::Quiet),
        (false, 5) => page(&[], "7", ""),
        (false, _) => fail(503, "etcd is away"),
    });
    take_for(&mut watch(&cluster, pods()), 10 * SECOND).await;
    within(&pauses(&log, |path| !is_watch(path))[..6], &[0.2, 0.4, 0.8, 1.6, 0.2, 0.2]);
}

#[tokio::test(start_paused = true)]
async fn a_broken_stream_resumes_from_the_last_version() {
    for (end, told) in [(End::Cut, &["watch unreachable"] as &[&str]), (End::Closed, &[])] {
        let (cluster, log) = cluster(move |path, _| match path {
            path if is_watch(path) && path.contains("resourceVersion=7") => {
                Answer::Lines(vec![event("ADDED", &pod("a", "8")), bookmark("12")], end)
            }
            path if is_watch(path) && path.contains("resourceVersion=12") => {
                Answer::Lines(vec![event("ADDED", &pod("b", "13"))], end)
            }
            path if is_watch(path) => Answer::Lines(vec![], End::Quiet),
            _ => page(&[], "7", ""),
        });
        let words = take_for(&mut watch(&cluster, pods()), Duration::from_mins(1)).await;
        let expected = [&["init", "done", "apply a"], told, &["apply b"], told].concat();
        assert_eq!(words, expected);
        let paths = log.paths();
        assert_eq!(paths.len(), 4, "{paths:?}");
        assert!(paths[3].contains("resourceVersion=13"), "{}", paths[3]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_ends_at_once_is_restarted_once_a_second() {
    let (cluster, log) = cluster(|path, nth| match is_watch(path) {
        true if nth > 100 => Answer::Hang,
        true => Answer::Lines(vec![], End::Closed),
        false => page(&[], "7", ""),
    });
    assert_eq!(take_for(&mut watch(&cluster, pods()), Duration::from_mins(1)).await, ["init", "done"]);
    // Replicas that a proxy cuts off together reconnect at different times.
    within(&pauses(&log, is_watch)[..40], &[1.0; 40]);
    assert_eq!(log.paths().iter().filter(|path| !is_watch(path)).count(), 1, "one list is enough");
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_ends_after_a_while_is_restarted_at_once() {
    let (cluster, log) =
        cluster(
            |path, _| {
                if is_watch(path) { Answer::Lines(vec![], End::Quiet) } else { page(&[], "7", "") }
            },
        );
    take_for(&mut watch(&cluster, pods()), 700 * SECOND).await;
    assert_eq!(pauses(&log, is_watch).iter().map(Duration::as_secs).collect::<Vec<_>>(), [295, 295]);
}
