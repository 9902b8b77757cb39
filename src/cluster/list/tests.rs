//! Paging and its failures, against a scripted API server.

use super::*;
use crate::cluster::scripted::{Answer, cluster, fail};
use serde_json::json;
use std::sync::Mutex;
use std::time::Duration;
use tokio::time::Instant;

fn list(names: &[&str], token: &str) -> Answer {
    let items: Vec<_> = names.iter().map(|name| json!({"metadata": {"name": name}})).collect();
    let metadata = if token.is_empty() { json!({}) } else { json!({"continue": token}) };
    Answer::Json(json!({"kind": "PodList", "apiVersion": "v1", "metadata": metadata, "items": items}))
}

fn forbidden(path: &str) -> Answer {
    fail(403, &format!("cannot list {}", path.split('?').next().unwrap_or_default()))
}

async fn run(
    cluster: &Cluster,
    namespaces: &[&str],
    selector: Option<&str>,
) -> (Vec<Vec<String>>, Vec<String>) {
    let listing = listing(cluster, namespaces, selector).await;
    (listing.parts, listing.unread.iter().map(ToString::to_string).collect())
}

async fn listing(cluster: &Cluster, namespaces: &[&str], selector: Option<&str>) -> Listing<Vec<String>> {
    let request = ListRequest {
        namespaces: namespaces.iter().map(|name| (*name).to_owned()).collect(),
        selector: selector.map(str::to_owned),
    };
    let skip = |namespace: &str| namespace.starts_with("kube-");
    list_pods(cluster, &request, skip, Vec::new, |names: &mut Vec<String>, text| {
        let page: Page<Named> = serde_json::from_str(text)?;
        names.extend(page.items.unwrap_or_default().into_iter().map(|pod| pod.metadata.name));
        Ok(())
    })
    .await
}

const ALL: &str = "/api/v1/pods?&limit=500";
const NONE: [&str; 0] = [];

#[tokio::test]
async fn pages_follow_one_another_and_tokens_and_selectors_are_encoded() {
    let (cluster, log) = cluster(|path, _| match path {
        path if path.contains("continue=a%2Bb%2F%3D%26") => list(&["c"], ""),
        _ => list(&["a", "b"], "a+b/=&"),
    });
    let (parts, unread) = run(&cluster, &NONE, Some("app in (web, db)")).await;
    assert_eq!((parts, unread), (vec![vec!["a".into(), "b".into(), "c".into()]], vec![]));
    let log = log.paths();
    assert_eq!(log.len(), 2);
    assert!(
        log.iter()
            .all(|path| path.contains("limit=500") && path.contains("labelSelector=app+in+%28web%2C+db%29"))
    );
}

#[tokio::test]
async fn a_refused_cluster_wide_list_falls_back_to_namespaces() {
    let (cluster, log) = cluster(|path, _| match path {
        path if path.starts_with("/api/v1/pods") => forbidden(path),
        path if path.contains("namespaces?") && path.contains("continue=") => list(&["b", "kube-system"], ""),
        path if path.contains("namespaces?") => list(&["a", "c"], "more"),
        path if path.contains("/b/pods") => forbidden(path),
        path if path.contains("/a/pods") => list(&["a1"], ""),
        _ => list(&[], ""),
    });
    let (parts, unread) = run(&cluster, &NONE, None).await;
    assert_eq!(parts, [vec!["a1".to_owned()], vec![]]);
    assert_eq!(
        unread,
        ["list pods in namespace \"b\": cannot list /api/v1/namespaces/b/pods: ask for that permission; \
          `kube-devops check --for all` shows all that are missing"]
    );
    let log = log.paths();
    assert!(!log.iter().any(|path| path.contains("kube-system")), "{log:?}");
}

#[tokio::test]
async fn namespaces_that_were_skipped_are_named() {
    let (refusing, _) = cluster(|path, _| match path {
        path if path.starts_with("/api/v1/pods") => forbidden(path),
        path if path.contains("namespaces?") => list(&["kube-public", "a", "kube-system"], ""),
        _ => list(&["p"], ""),
    });
    assert_eq!(listing(&refusing, &NONE, None).await.skipped, ["kube-public", "kube-system"]);
    let (willing, _) = cluster(|_, _| list(&["p"], ""));
    assert_eq!(listing(&willing, &NONE, None).await.skipped, NONE);
    assert_eq!(listing(&willing, &["kube-system"], None).await.skipped, NONE);
}

#[tokio::test]
async fn without_access_to_namespaces_only_the_default_one_is_listed() {
    let (cluster, _) = cluster(|path, _| match path {
        path if path.contains("/own/pods") => list(&["mine"], ""),
        path => forbidden(path),
    });
    let (parts, unread) = run(&cluster, &NONE, None).await;
    assert_eq!(parts, [["mine"]]);
    assert_eq!(unread.len(), 1);
    assert!(unread[0].starts_with("list pods in all namespaces: cannot list /api/v1/pods"), "{unread:?}");
    assert!(
        unread[0].contains("only \"own\" was tried") && unread[0].ends_with("name others with -n"),
        "{unread:?}"
    );
}

#[tokio::test]
async fn a_missing_namespace_is_an_error() {
    let (cluster, log) = cluster(|path, _| match path {
        "/api/v1/namespaces/gone" => fail(404, "namespaces \"gone\" not found"),
        "/api/v1/namespaces/secret" => forbidden(path),
        "/api/v1/namespaces/empty" => Answer::Json(json!({"kind": "Namespace"})),
        _ => list(&[], ""),
    });
    let (parts, unread) = run(&cluster, &["gone", "empty", "secret", "empty", "../nodes"], None).await;
    assert_eq!(parts.len(), 2);
    assert_eq!(
        unread,
        [
            "list pods in namespace \"../nodes\": that is no name for a namespace",
            "list pods in namespace \"gone\": namespace \"gone\" not found"
        ]
    );
    assert_eq!(log.paths().len(), 6);
}

#[tokio::test]
async fn an_expired_token_restarts_the_list() {
    let (cluster, log) = cluster(|path, nth| match path {
        path if path.contains("continue=") && nth <= 3 => fail(410, "expired"),
        path if path.contains("continue=") => list(&["b"], ""),
        _ => list(&["a"], "t"),
    });
    let (parts, unread) = run(&cluster, &NONE, None).await;
    assert_eq!((parts, unread), (vec![vec!["a".into(), "b".into()]], vec![]));
    assert_eq!(log.paths().len(), 8);
}

#[tokio::test]
async fn a_list_that_always_expires_is_partial() {
    let (cluster, log) = cluster(|path, _| match path {
        path if path.contains("continue=") => fail(410, "expired"),
        _ => list(&["a"], "t"),
    });
    let (parts, unread) = run(&cluster, &NONE, None).await;
    assert_eq!(parts, [["a"]]);
    assert!(unread[0].contains("the list or watch has expired"), "{unread:?}");
    assert_eq!(log.paths().len(), 8);
}

#[tokio::test(start_paused = true)]
async fn a_silent_server_ends_the_list_after_the_timeout() {
    let (cluster, _) = cluster(|_, _| Answer::Hang);
    let start = Instant::now();
    let (parts, unread) = run(&cluster, &NONE, None).await;
    assert_eq!(start.elapsed().as_secs(), 30);
    assert!(parts.is_empty());
    assert!(unread[0].contains("https://test:6443 didn't answer within 30s"), "{unread:?}");
}

#[tokio::test(start_paused = true)]
async fn a_dead_server_costs_one_timeout_for_many_namespaces() {
    let names: Vec<_> = (0..200).map(|n| format!("n{n}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let (cluster, log) = cluster(|_, _| Answer::Hang);
    let start = Instant::now();
    let (parts, unread) = run(&cluster, &names, None).await;
    assert_eq!(start.elapsed().as_secs(), 30);
    assert_eq!((parts.len(), unread.len(), log.paths().len()), (0, 200, 4));
}

#[tokio::test(start_paused = true)]
async fn a_busy_server_is_retried_a_few_times_and_then_quoted() {
    let (busy, log) = cluster(|_, _| fail(503, "etcd is away"));
    let start = Instant::now();
    let (parts, unread) = run(&busy, &NONE, None).await;
    assert_eq!(log.paths().as_slice(), [ALL; 4]);
    assert!(start.elapsed() < Duration::from_secs(5));
    assert!(parts.is_empty());
    assert!(unread[0].contains("the API server failed (503, etcd is away)"), "{unread:?}");

    let (recovering, _) = cluster(|_, nth| if nth == 1 { fail(429, "slow down") } else { list(&["a"], "") });
    assert_eq!(run(&recovering, &NONE, None).await, (vec![vec!["a".to_owned()]], vec![]));

    let (hurried, log) = cluster(|_, _| fail(503, "etcd is away"));
    let hurried = Cluster { request_timeout: Some(Duration::from_millis(700)), ..hurried };
    assert!(run(&hurried, &NONE, None).await.1[0].contains("etcd is away"));
    assert_eq!(log.paths().len(), 2);
}

#[tokio::test]
async fn failures_name_the_fix() {
    for (answer, expected) in [
        (fail(401, "Unauthorized"), "didn't accept the credentials (401, Unauthorized): log in again"),
        (fail(500, "boom"), "the API server failed (500, boom)"),
        (fail(400, "unable to parse"), "unable to parse (400)"),
        (
            Answer::Fail(404, json!("a page")),
            "nothing is served there (404, \"a page\"): check the server's address",
        ),
        (Answer::Fail(402, json!("a page")), "the answer isn't a Kubernetes API server's (402"),
        (Answer::Refuse, "cannot reach https://test:6443: connection refused"),
        (
            Answer::Text("<html>hello".to_owned()),
            "https://test:6443 didn't answer like a Kubernetes API server",
        ),
        (
            Answer::Text(r#"{"items": 3}"#.to_owned()),
            "https://test:6443 didn't answer like a Kubernetes API server",
        ),
    ] {
        let answer = Mutex::new(Some(answer));
        let (cluster, _) = cluster(move |_, _| answer.lock().unwrap().take().unwrap());
        let (parts, unread) = run(&cluster, &NONE, None).await;
        assert!(parts.is_empty());
        assert!(unread[0].starts_with("list pods in all namespaces: "), "{unread:?}");
        assert!(unread[0].contains(expected), "{unread:?} / {expected}");
    }
}

#[tokio::test]
async fn pages_before_a_failure_are_kept_as_partial() {
    let (cluster, _) = cluster(|path, _| match path {
        path if path.contains("continue=") => fail(500, "boom"),
        _ => list(&["a"], "t"),
    });
    let (parts, unread) = run(&cluster, &NONE, None).await;
    assert_eq!((parts, unread.len()), (vec![vec!["a".to_owned()]], 1));
}
