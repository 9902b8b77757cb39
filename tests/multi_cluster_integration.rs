//! The library's work in many clusters, played by light servers: the contexts that count, and the sums of their figures.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

#[path = "common/generate.rs"]
mod generate;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use fastrand::Rng;
use jiff::Timestamp;
use kube_devops::cluster::{Cluster, ConnectOptions, Overrides};
use kube_devops::fleet::{Limits, Member, MemberResult, survey};
use kube_devops::governance::{Analysis, ClusterReport, FleetReport, Report, Scope};
use kube_devops::policy::EffectivePolicy;
use kube_devops::workload::Object;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;

/// The time for a cluster that answers, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// Serves a cluster with the uid on one more address, which is returned.
async fn serve(uid: &'static str) -> String {
    let version = json!({
        "major": "1", "minor": "36", "gitVersion": "v1.36.3", "gitCommit": "", "gitTreeState": "", "buildDate": "",
        "goVersion": "", "compiler": "", "platform": "",
    });
    let routes = Router::new()
        .route("/version", get(async || Json(version)))
        .route("/api/v1/namespaces/kube-system", get(kube_system))
        .with_state(uid);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, routes).await });
    format!("http://{address}")
}

/// An account with the name `weak` may read nothing.
async fn kube_system(State(uid): State<&'static str>, headers: HeaderMap) -> Response {
    if headers.get("impersonate-user").is_some_and(|user| user == "weak") {
        let status = json!({ "kind": "Status", "status": "Failure", "reason": "Forbidden", "code": 403 });
        return (StatusCode::FORBIDDEN, Json(status)).into_response();
    }
    Json(json!({
        "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
        "metadata": { "name": "kube-system", "uid": uid },
    }))
    .into_response()
}

/// The contexts of a kubeconfig, each with its server and its account.
struct Contexts {
    directory: TempDir,
}

impl Contexts {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("config"), r#"{"apiVersion": "v1", "kind": "Config"}"#).unwrap();
        Self { directory }
    }

    fn member(&self, name: &str, server: &str, account: &str) -> Member {
        let overrides = Overrides {
            server: Some(server.to_owned()),
            impersonate: Some(account.to_owned()),
            ..Overrides::default()
        };
        let kubeconfig = Some(self.directory.path().join("config"));
        Member {
            name: name.to_owned(),
            options: Ok(ConnectOptions { kubeconfig, overrides, ..ConnectOptions::default() }),
        }
    }
}

#[tokio::test]
async fn each_cluster_counts_once_under_the_first_of_its_contexts() {
    let (a, also_a, b) = (serve("uid-a").await, serve("uid-a").await, serve("uid-b").await);
    let dead = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let contexts = Contexts::new();
    let clusters = BTreeMap::from([
        ("a", 'a'),
        ("a-weak", 'a'),
        ("a2", 'a'),
        ("a2-weak", 'a'),
        ("b", 'b'),
        ("b-weak", 'b'),
    ]);
    let mut members = vec![
        contexts.member("a", &a, "admin"),
        contexts.member("a-weak", &a, "weak"),
        contexts.member("a2", &also_a, "admin"),
        contexts.member("a2-weak", &also_a, "weak"),
        contexts.member("b", &b, "admin"),
        contexts.member("b-weak", &b, "weak"),
        contexts.member("dead", &format!("http://{dead}"), "admin"),
    ];
    let mut rng = Rng::with_seed(7);
    for round in 0..30 {
        rng.shuffle(&mut members);
        let limits = Limits { concurrent: rng.usize(1..8), timeout: PATIENCE };
        let worked = Mutex::new(Vec::new());
        // The account that may read nothing fails.
        let work = async |member: &Member, _: &Cluster| {
            worked.lock().unwrap().push(member.name.clone());
            if member.name.ends_with("weak") {
                Err("it may not list pods".to_owned())
            } else {
                Ok(member.name.clone())
            }
        };
        let results = survey(&members, limits, work).await;
        let names: Vec<_> = members.iter().map(|member| member.name.clone()).collect();
        assert_eq!(results.iter().map(|one| one.name.clone()).collect::<Vec<_>>(), names, "in their order");
        for one in &results {
            let Some(cluster) = clusters.get(&*one.name) else {
                assert!(
                    matches!(&one.result, MemberResult::Failed(reason) if reason.contains("cannot reach")),
                    "{one:?}"
                );
                continue;
            };
            let first = names.iter().find(|name| clusters.get(name.as_str()) == Some(cluster)).unwrap();
            match &one.result {
                MemberResult::Done(_, by) => {
                    assert!(one.name == *first && clusters[&**by] == *cluster, "{round}: {one:?}");
                }
                MemberResult::SameAs(other) => {
                    assert!(one.name != *first && other == first, "{round}: {one:?}");
                }
                MemberResult::Failed(_) => panic!("{round}: {names:?}: {one:?}"),
            }
        }
        assert!(worked.into_inner().unwrap().len() <= clusters.len(), "{round}");
    }
}

#[tokio::test]
async fn no_more_clusters_than_allowed_are_read_at_the_same_time() {
    let contexts = Contexts::new();
    let mut members = Vec::new();
    for (number, uid) in ["0", "1", "2", "3", "4", "5"].into_iter().enumerate() {
        members.push(contexts.member(&format!("c{number}"), &serve(uid).await, "admin"));
    }
    let running = Mutex::new((0, 0));
    let work = async |_: &Member, cluster: &Cluster| {
        {
            let (now, most) = &mut *running.lock().unwrap();
            *now += 1;
            *most = (*most).max(*now);
        }
        let version =
            cluster.version().await.map(|version| version.version).map_err(|error| error.to_string());
        running.lock().unwrap().0 -= 1;
        version
    };
    let results = survey(&members, Limits { concurrent: 2, timeout: PATIENCE }, work).await;
    assert!(
        results
            .iter()
            .all(|one| matches!(&one.result, MemberResult::Done(_, version) if version == "v1.36.3"))
    );
    assert!(running.lock().unwrap().1 <= 2, "{running:?}");
}

#[test]
fn the_figures_of_many_clusters_are_those_of_all_their_pods() {
    let policy = EffectivePolicy::default();
    let report = |pods: &[String]| -> Report {
        let scope = Scope::default();
        let mut analysis = Analysis::new(&policy, &scope, Timestamp::UNIX_EPOCH, true);
        for pod in pods {
            let mut pod: Value = serde_json::from_str(pod).unwrap();
            pod["apiVersion"] = json!("v1");
            pod["kind"] = json!("Pod");
            analysis.add(&serde_json::from_str::<Object<'_>>(&pod.to_string()).unwrap(), None);
        }
        analysis.finish()
    };
    for seed in 0..5 {
        let pods: Vec<String> = generate::pods(300, seed).collect();
        let whole = report(&pods);
        let cut = 1 + usize::try_from(seed).unwrap() * 70;
        let clusters = [&pods[..cut], &pods[cut..]].into_iter().enumerate();
        let clusters = clusters.map(|(number, pods)| {
            ClusterReport::of_report(format!("c{number}"), String::new(), String::new(), report(pods))
        });
        let fleet = FleetReport::new(&policy, clusters.collect(), Vec::new(), false);
        let summary = &fleet.summary;
        assert_eq!((summary.pods, summary.score), (whole.summary.pods, whole.summary.score), "{seed}");
        assert_eq!(json!(summary.counts), json!(whole.summary.counts), "{seed}");
        assert!(!summary.partial && summary.clusters == 2);
    }
}
