//! The control plane has the properties that the other tests rely on.

use crate::control_plane::{AuditEvent, ControlPlane, Etcd, Mark, Reach, client_of, config_of};
use crate::eventually::eventually;
use crate::kubelet::{ready, set_pod_status};
use futures::StreamExt;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use k8s_openapi::api::rbac::v1::PolicyRule;
use kube::api::{ListParams, PostParams, VersionMatch, WatchEvent, WatchParams};
use kube::{Api, Client, ResourceExt};
use serde_json::json;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::pin::pin;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Set in the process that is killed.
const VICTIM: &str = "KUBE_DEVOPS_TEST_VICTIM";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn the_api_server_is_the_version_that_is_built() {
    let version = ControlPlane::shared().client().await.apiserver_version().await.unwrap();
    assert_eq!(version.git_version, "v1.36.3");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn an_account_has_exactly_its_permissions() {
    let plane = ControlPlane::shared();
    let (home, elsewhere) = (plane.namespace("rbac"), plane.namespace("rbac"));
    let rules = [rule(&["get", "list"], "configmaps")];
    let kubeconfig = plane.restricted(&home, "reader", &rules, Reach::Namespace).await;
    let client = client_of(&kubeconfig).await;
    let config_maps = Api::<ConfigMap>::namespaced(client.clone(), &home);
    assert!(config_maps.list(&ListParams::default()).await.is_ok());
    assert_eq!(status(config_maps.create(&PostParams::default(), &config_map("one")).await), 403);
    let others = Api::<ConfigMap>::namespaced(client.clone(), &elsewhere);
    assert_eq!(status(others.list(&ListParams::default()).await), 403);
    assert_eq!(status(Api::<Pod>::namespaced(client, &home).list(&ListParams::default()).await), 403);

    let everywhere = plane.restricted(&home, "auditor", &rules, Reach::Cluster).await;
    assert!(Api::<ConfigMap>::all(client_of(&everywhere).await).list(&ListParams::default()).await.is_ok());
    let powerless = plane.restricted(&home, "nobody", &[], Reach::Cluster).await;
    assert_eq!(status(Api::<Pod>::all(client_of(&powerless).await).list(&ListParams::default()).await), 403);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn controllers_create_pods_and_a_test_makes_them_available() {
    let plane = ControlPlane::shared();
    let (client, namespace) = (plane.client().await, plane.namespace("controllers"));
    let deployments = Api::<Deployment>::namespaced(client.clone(), &namespace);
    deployments.create(&PostParams::default(), &deployment("web", 2)).await.unwrap();
    let pods = Api::<Pod>::namespaced(client.clone(), &namespace);
    let made = eventually("two pods of a ReplicaSet", async || {
        let pods = pods.list(&ListParams::default().labels("app=web")).await.unwrap().items;
        (pods.len() == 2).then_some(pods)
    })
    .await;
    for pod in &made {
        assert_eq!(pod.owner_references()[0].kind, "ReplicaSet");
        set_pod_status(&client, &namespace, &pod.name_any(), &ready()).await;
    }
    eventually("an available Deployment", async || {
        let status = deployments.get_status("web").await.unwrap().status?;
        (status.available_replicas == Some(2)).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn the_audit_log_holds_every_answered_request() {
    let plane = ControlPlane::shared();
    let namespace = plane.namespace("audit");
    let kubeconfig =
        plane.restricted(&namespace, "audited", &[rule(&["list"], "configmaps")], Reach::Namespace).await;
    let config_maps = Api::<ConfigMap>::namespaced(client_of(&kubeconfig).await, &namespace);
    let user = format!("system:serviceaccount:{namespace}:audited");
    let mark: Mark = plane.mark();
    for count in 1..=20 {
        config_maps.list(&ListParams::default()).await.unwrap();
        assert_eq!(plane.count_since(mark, &user), count);
    }
    assert_eq!(status(config_maps.get("missing").await), 403);
    let last: AuditEvent = plane.requests().into_iter().rfind(|event| event.by(&user)).unwrap();
    assert_eq!((last.verb.as_str(), last.code), ("get", 403));
    assert_eq!(
        (last.group.as_str(), last.resource.as_str(), last.subresource.as_str()),
        ("", "configmaps", "")
    );
    assert_eq!((last.namespace.as_str(), last.name.as_str()), (namespace.as_str(), "missing"));
    assert_eq!(last.uri, format!("/api/v1/namespaces/{namespace}/configmaps/missing"));
    assert!(last.received.as_second() > 0);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_change_in_etcd_reaches_watches_and_readers() {
    let plane = ControlPlane::shared();
    let namespace = plane.namespace("beneath");
    let config_maps = Api::<ConfigMap>::namespaced(plane.client().await, &namespace);
    let mut stored = config_maps.create(&PostParams::default(), &config_map("one")).await.unwrap();
    let version = stored.metadata.resource_version.take().unwrap();
    // A controller creates another one in each new namespace.
    let only = WatchParams::default().fields("metadata.name=one");
    let mut events = pin!(config_maps.watch(&only, &version).await.unwrap());
    stored.data = Some([("key".to_owned(), "value".to_owned())].into());
    let etcd: Etcd = plane.etcd();
    etcd.put([(format!("configmaps/{namespace}/one"), serde_json::to_string(&stored).unwrap())]).await;
    let Some(Ok(WatchEvent::Modified(changed))) = events.next().await else { panic!("no change") };
    assert_eq!(changed.data, stored.data);
    assert_eq!(config_maps.get("one").await.unwrap(), changed);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn an_api_server_that_was_killed_comes_back_with_its_objects() {
    let plane = ControlPlane::start();
    let namespace = plane.namespace("killed");
    let config_maps = Api::<ConfigMap>::namespaced(plane.client().await, &namespace);
    let before = config_maps.create(&PostParams::default(), &config_map("kept")).await.unwrap();
    plane.kill_api_server();
    assert!(matches!(
        config_maps.get("kept").await,
        Err(kube::Error::Service(_) | kube::Error::HyperError(_))
    ));
    plane.start_api_server();
    assert_eq!(config_maps.get("kept").await.unwrap(), before);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_frozen_api_server_answers_nothing_until_it_resumes() {
    let plane = ControlPlane::start();
    let mut config = config_of(plane.kubeconfig()).await;
    config.default_retry = false;
    let client = Client::try_from(config).unwrap();
    plane.pause_api_server();
    assert!(tokio::time::timeout(Duration::from_secs(5), client.apiserver_version()).await.is_err());
    plane.resume_api_server();
    assert!(plane.client().await.apiserver_version().await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn without_a_watch_cache_a_compaction_takes_effect_at_once() {
    let plane = ControlPlane::start_with(&["--watch-cache=false"]);
    let past = Past::of(&plane).await;
    assert_eq!(past.codes().await, Codes { watch: None, list: None, page: None });
    plane.compact_etcd();
    assert_eq!(past.codes().await, Codes { watch: Some(410), list: Some(410), page: Some(410) });
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_watch_cache_hides_a_compaction_until_a_restart() {
    let plane = ControlPlane::start();
    let past = Past::of(&plane).await;
    plane.compact_etcd();
    assert_eq!(past.codes().await, Codes { watch: None, list: None, page: None });
    plane.kill_api_server();
    plane.start_api_server();
    assert_eq!(past.codes().await, Codes { watch: Some(410), list: Some(410), page: Some(410) });
}

/// A client's resourceVersion and continue token from before a compaction.
struct Past {
    config_maps: Api<ConfigMap>,
    resource_version: String,
    next_page: String,
}

/// The error codes with which the API server refuses to continue from there, if it does.
#[derive(Debug, PartialEq, Eq)]
struct Codes {
    watch: Option<u16>,
    list: Option<u16>,
    page: Option<u16>,
}

impl Past {
    async fn of(plane: &ControlPlane) -> Self {
        let config_maps = Api::<ConfigMap>::namespaced(plane.client().await, &plane.namespace("past"));
        for name in ["one", "two", "three"] {
            config_maps.create(&PostParams::default(), &config_map(name)).await.unwrap();
        }
        let list = config_maps.list(&ListParams::default().limit(1)).await.unwrap().metadata;
        config_maps.create(&PostParams::default(), &config_map("later")).await.unwrap();
        Self {
            config_maps,
            resource_version: list.resource_version.unwrap(),
            next_page: list.continue_.unwrap(),
        }
    }

    async fn codes(&self) -> Codes {
        let exact = ListParams::default().at(&self.resource_version).matching(VersionMatch::Exact);
        let page = ListParams::default().limit(1).continue_token(&self.next_page);
        let mut events =
            pin!(self.config_maps.watch(&WatchParams::default(), &self.resource_version).await.unwrap());
        let watch = match events.next().await.unwrap().unwrap() {
            WatchEvent::Error(status) => Some(status.code),
            _ => None,
        };
        let refusal = |outcome: kube::Result<_>| outcome.is_err().then(|| status(outcome));
        Codes {
            watch,
            list: refusal(self.config_maps.list(&exact).await),
            page: refusal(self.config_maps.list(&page).await),
        }
    }
}

#[test]
#[ignore = "needs a control plane: make test"]
fn a_killed_test_process_leaves_nothing_behind() {
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "harness::a_victim_prints_its_traces_and_sleeps", "--ignored", "--nocapture"])
        .env(VICTIM, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(victim.stdout.take().unwrap()).lines().map_while(Result::ok);
    let traces = lines.find_map(|line| line.split_once("traces: ").map(|(_, traces)| traces.to_owned()));
    let traces = traces.expect("the victim has started");
    let (home, pids) = traces.split_once(' ').unwrap();
    let pids: Vec<_> = pids.split(' ').collect();
    assert_eq!(pids.iter().filter(|pid| lives(pid)).count(), 3);
    victim.kill().unwrap();
    victim.wait().unwrap();
    let gone = || !Path::new(home).exists() && !pids.iter().any(|pid| lives(pid));
    let deadline = Instant::now() + Duration::from_secs(10);
    while !gone() {
        assert!(Instant::now() < deadline, "left behind: {traces}");
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
#[ignore = "needs a control plane: make test"]
fn a_victim_prints_its_traces_and_sleeps() {
    #[expect(clippy::disallowed_methods, reason = "a test binary has no flags of its own")]
    let Some(_) = std::env::var_os(VICTIM) else { return };
    let plane = ControlPlane::start();
    let (pids, home) = plane.traces();
    println!("traces: {} {}", home.display(), pids.join(" "));
    thread::sleep(Duration::from_mins(10));
}

fn lives(pid: &str) -> bool {
    Command::new("kill").args(["-0", pid]).stderr(Stdio::null()).status().unwrap().success()
}

fn status<T: std::fmt::Debug>(outcome: kube::Result<T>) -> u16 {
    match outcome {
        Err(kube::Error::Api(status)) => status.code,
        other => panic!("not refused by the API server: {other:?}"),
    }
}

fn rule(verbs: &[&str], resource: &str) -> PolicyRule {
    PolicyRule {
        api_groups: Some(vec![String::new()]),
        resources: Some(vec![resource.into()]),
        verbs: verbs.iter().map(ToString::to_string).collect(),
        ..PolicyRule::default()
    }
}

fn config_map(name: &str) -> ConfigMap {
    serde_json::from_value(json!({ "metadata": { "name": name } })).unwrap()
}

fn deployment(name: &str, replicas: u32) -> Deployment {
    serde_json::from_value(json!({
        "metadata": { "name": name },
        "spec": {
            "replicas": replicas,
            "selector": { "matchLabels": { "app": name } },
            "template": {
                "metadata": { "labels": { "app": name } },
                "spec": { "containers": [{ "name": name, "image": "registry.example/web:1.0" }] },
            },
        },
    }))
    .unwrap()
}
