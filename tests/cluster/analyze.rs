//! `analyze`, `check` and `list pods` as a user runs them: the binary, its exit status and its output.

use crate::control_plane::{AuditEvent, ControlPlane, Reach, client_of};
use crate::eventually::eventually;
use crate::kubelet::{ready, set_pod_status};
use assert_cmd::Command;
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::rbac::v1::{PolicyRule, Role, RoleBinding};
use kube::api::{ListParams, PostParams};
use kube::{Api, Client, Resource as _, ResourceExt};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// Spans many pages; the last page is not full.
const MANY: usize = 10_100;
/// The maximum number of pods in a page.
const PAGE: usize = 500;
/// The number of pods created concurrently.
const CONCURRENT: usize = 64;
/// Limits each call, so that a call that hangs fails only its own test.
const PATIENCE: Duration = Duration::from_mins(1);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_live_namespace_and_its_objects_in_a_file_get_the_same_verdict() {
    let plane = ControlPlane::shared();
    let (client, namespace) = (plane.client().await, plane.namespace("verdict"));
    populate(&client, &namespace).await;
    let live = on(plane.kubeconfig(), &["analyze", "-n", &namespace, "-o", "json"]);
    assert_eq!(live.code, 0, "{live:?}");
    let live = live.json();
    let figures = |pointer| live.pointer(pointer).unwrap().as_u64().unwrap();
    assert_eq!(figures("/summary/pods"), 5);
    assert_eq!(figures("/summary/counts/latest-tag"), 2);
    assert_eq!(figures("/summary/counts/high-restarts"), 5);
    assert_eq!(figures("/summary/counts/pending"), 4);
    let owned = |violation: &&Value| violation["owner"] == "Deployment/web";
    assert!(live["violations"].as_array().unwrap().iter().any(|violation| owned(&violation)), "{live}");

    let list = kubectl_list(&client, &namespace).await;
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (compact, pretty) = (list.to_string(), serde_json::to_string_pretty(&list).unwrap());
    let yaml = kube_devops::yaml::to_string(&list).unwrap();
    for (path, stdin) in [
        (file("list.json", &pretty), ""),
        (file("compact.json", &compact), ""),
        (file("list.yaml", &yaml), ""),
        ("-".to_owned(), pretty.as_str()),
        ("-".to_owned(), yaml.as_str()),
    ] {
        let read = run(&["analyze", "-f", &path, "-n", &namespace, "-o", "json"], stdin);
        assert_eq!((read.code, read.stderr.as_str()), (0, ""), "{path}");
        let read = read.json();
        assert_eq!(read["summary"], live["summary"], "{path}");
        assert_eq!(read["namespaces"], live["namespaces"], "{path}");
        assert_eq!(sourceless(&read), sourceless(&live), "{path}");
        assert_eq!((&read["skipped"], &read["errors"]), (&json!([]), &json!([])), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn an_unreadable_pod_is_named_and_the_others_are_evaluated() {
    // An own control plane: this test makes reports of the whole cluster partial.
    let plane = ControlPlane::start();
    let (client, namespace) = (plane.client().await, plane.namespace("odd"));
    let pods = Api::<Pod>::namespaced(client.clone(), &namespace);
    for name in ["odd", "well"] {
        pods.create(&PostParams::default(), &pod(name, &json!({}))).await.unwrap();
    }
    // The API server accepts a negative restart count from a kubelet.
    let odd = json!({ "name": "main", "image": "x", "imageID": "", "ready": true, "restartCount": -1 });
    set_pod_status(&client, &namespace, "odd", &json!({ "phase": "Running", "containerStatuses": [odd] }))
        .await;
    let live = on(plane.kubeconfig(), &["analyze", "-n", &namespace, "-o", "json"]);
    assert_eq!(live.code, 2, "{live:?}");
    let report = live.json();
    let summary = &report["summary"];
    assert_eq!((&summary["pods"], &summary["partial"]), (&json!(1), &json!(true)), "{report}");
    assert_eq!(report["errors"].as_array().unwrap().len(), 1, "{report}");
    assert_eq!(report["errors"][0]["source"], format!("pod {namespace}/odd"));
    let message = report["errors"][0]["message"].as_str().unwrap();
    assert!(message.starts_with("status.containerStatuses[0].restartCount: "), "{message}");
    assert!(live.stderr.contains(&format!("error: pod {namespace}/odd: status.")), "{}", live.stderr);

    let file = serde_json::to_string(&pods.list(&ListParams::default()).await.unwrap()).unwrap();
    let read = run(&["analyze", "-f", "-", "-n", &namespace, "-o", "json"], &file).json();
    assert_eq!(read["summary"], *summary);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn many_pods_are_read_in_pages_and_selected_by_the_server() {
    let plane = ControlPlane::shared();
    let namespace = plane.namespace("pages");
    let pods = Api::<Pod>::namespaced(plane.client().await, &namespace);
    let half = |index| if index % 2 == 0 { "even" } else { "odd" };
    stream::iter(0..MANY)
        .map(|index| {
            let pod = pod(&format!("pod-{index}"), &json!({ "half": half(index) }));
            let pods = pods.clone();
            async move { pods.create(&PostParams::default(), &pod).await }
        })
        .buffer_unordered(CONCURRENT)
        .try_for_each(async |_| Ok(()))
        .await
        .unwrap();
    let kubeconfig = plane.restricted(&namespace, "reader", &[rule("list", "pods")], Reach::Namespace).await;
    let user = format!("system:serviceaccount:{namespace}:reader");
    let requests = |arguments: &[&str]| -> (u64, Vec<AuditEvent>) {
        let mark = plane.mark();
        let outcome = on(&kubeconfig, &[&["analyze", "-n", &namespace, "-o", "json"], arguments].concat());
        assert_eq!(outcome.code, 0, "{outcome:?}");
        let mut requests = plane.requests_since(mark);
        // It also asks for the Namespace, whose annotations may exempt the pods.
        requests.retain(|request| request.by(&user) && request.resource != "namespaces");
        for request in &requests {
            assert_eq!((request.verb.as_str(), request.resource.as_str()), ("list", "pods"));
            assert!(request.user_agent.starts_with("kube-devops/"), "{request:?}");
            assert!(request.uri.contains("limit=500"), "{request:?}");
        }
        (outcome.json()["summary"]["pods"].as_u64().unwrap(), requests)
    };

    let (evaluated, lists) = requests(&[]);
    assert_eq!((evaluated, lists.len()), (MANY as u64, MANY.div_ceil(PAGE)), "{lists:?}");
    assert!(lists.iter().all(|list| !list.uri.contains("labelSelector")), "{lists:?}");
    let continued = lists.iter().filter(|list| list.uri.contains("continue=")).count();
    assert_eq!(continued, lists.len() - 1, "{lists:?}");

    let (evaluated, lists) = requests(&["-l", "half=even"]);
    assert_eq!((evaluated, lists.len()), (MANY as u64 / 2, (MANY / 2).div_ceil(PAGE)), "{lists:?}");
    assert!(lists.iter().all(|list| list.uri.contains("labelSelector=half%3Deven")), "{lists:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn access_to_one_namespace_yields_a_partial_report_of_all() {
    let plane = ControlPlane::shared();
    let (home, _elsewhere) = two_namespaces(plane).await;
    let kubeconfig = plane.restricted(&home, "reader", &[rule("list", "pods")], Reach::Namespace).await;

    let all = on(&kubeconfig, &["analyze", "-o", "json"]);
    assert_eq!(all.code, 2, "{all:?}");
    let report = all.json();
    assert_eq!(report["summary"]["partial"], true);
    assert_eq!(evaluated(&report), [(home.as_str(), 1)]);
    assert_eq!(report["errors"][0]["source"], "list pods in all namespaces");
    let message = report["errors"][0]["message"].as_str().unwrap();
    assert!(message.contains("forbidden") && message.contains("-n"), "{message}");
    assert!(all.stderr.contains(message), "{}", all.stderr);

    let own = on(&kubeconfig, &["analyze", "-n", &home, "-o", "json"]);
    let note = "note: no permission to read the annotations of namespaces, so they exempt nothing";
    assert!(own.code == 0 && own.stderr.starts_with(note) && own.stderr.lines().count() == 1, "{own:?}");
    assert_eq!(own.json()["summary"]["partial"], false);
    assert_eq!(evaluated(&own.json()), [(home.as_str(), 1)]);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn no_access_yields_no_score() {
    let plane = ControlPlane::shared();
    let (home, elsewhere) = two_namespaces(plane).await;
    let kubeconfig = plane.restricted(&home, "nobody", &[], Reach::Cluster).await;
    for arguments in [vec!["analyze"], vec!["analyze", "-n", &home], vec!["analyze", "-n", &elsewhere]] {
        let json = on(&kubeconfig, &[arguments.as_slice(), &["-o", "json"]].concat());
        assert_eq!(json.code, 2, "{json:?}");
        let summary = &json.json()["summary"];
        assert_eq!((&summary["score"], &summary["status"]), (&Value::Null, &Value::Null));
        assert_eq!((&summary["partial"], &summary["pods"]), (&json!(true), &json!(0)));

        let text = on(&kubeconfig, &arguments);
        assert_eq!((text.code, text.stdout.as_str()), (2, ""), "{text:?}");
        assert!(text.stderr.contains("forbidden"), "{}", text.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn unreadable_namespaces_are_named() {
    let plane = ControlPlane::shared();
    let (home, elsewhere) = two_namespaces(plane).await;
    let kubeconfig = plane.restricted(&home, "finder", &[rule("list", "namespaces")], Reach::Cluster).await;
    let client = plane.client().await;
    let role: Role = object(json!({ "metadata": { "name": "pods" }, "rules": [rule("list", "pods")] }));
    Api::namespaced(client.clone(), &home).create(&PostParams::default(), &role).await.unwrap();
    let binding: RoleBinding = object(json!({
        "metadata": { "name": "pods" },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "pods" },
        "subjects": [{ "kind": "ServiceAccount", "name": "finder", "namespace": home }],
    }));
    Api::namespaced(client, &home).create(&PostParams::default(), &binding).await.unwrap();
    let pods = Api::<Pod>::namespaced(client_of(&kubeconfig).await, &home);
    eventually("the API server grants the role", async || pods.list(&ListParams::default()).await.ok()).await;

    let all = on(&kubeconfig, &["analyze", "-o", "json"]);
    assert_eq!(all.code, 2, "{all:?}");
    let report = all.json();
    assert_eq!(report["summary"]["partial"], true);
    assert_eq!(evaluated(&report), [(home.as_str(), 1)]);
    let unread: Vec<_> =
        report["errors"].as_array().unwrap().iter().map(|error| error["source"].as_str().unwrap()).collect();
    let list = |namespace: &str| format!("list pods in namespace {namespace:?}");
    assert!(unread.contains(&list(&elsewhere).as_str()), "{unread:?}");
    assert!(!unread.contains(&list(&home).as_str()), "{unread:?}");
    assert!(!unread.contains(&list("kube-system").as_str()), "{unread:?}");
    let note = all.stderr.lines().find(|line| line.starts_with("note: ")).unwrap();
    assert!(note.starts_with("note: system namespaces were not read: kube-"), "{note}");
    assert!(note.contains("kube-system") && note.ends_with("(--include-system evaluates them)"), "{note}");
}

#[test]
#[ignore = "needs a control plane: make test"]
fn a_namespace_that_does_not_exist_is_an_error_and_an_empty_one_is_not() {
    let plane = ControlPlane::shared();
    let empty = plane.namespace("empty");
    let missing = on(plane.kubeconfig(), &["analyze", "-n", "no-such-namespace", "-o", "json"]);
    assert_eq!(missing.code, 2, "{missing:?}");
    assert_eq!(missing.json()["summary"]["score"], Value::Null);
    assert!(missing.stderr.contains("namespace \"no-such-namespace\" not found"), "{}", missing.stderr);

    let both = on(plane.kubeconfig(), &["analyze", "-n", "no-such-namespace", "-n", &empty, "-o", "json"]);
    assert_eq!(both.code, 2, "{both:?}");
    assert_eq!(both.json()["errors"].as_array().unwrap().len(), 1);

    let empty = on(plane.kubeconfig(), &["analyze", "-n", &empty, "-o", "json"]);
    assert_eq!(empty.code, 0, "{empty:?}");
    assert_eq!(empty.json()["summary"]["score"], 100);
    assert!(empty.stderr.contains("nothing was evaluated"), "{}", empty.stderr);
}

#[test]
#[ignore = "needs a control plane: make test"]
fn a_cluster_that_cannot_be_reached_is_an_error_at_once() {
    let plane = ControlPlane::shared();
    let directory = tempfile::tempdir().unwrap();
    let nowhere = directory.path().join("no-such-kubeconfig");
    for command in [&["analyze"][..], &["check"], &["list", "pods"]] {
        let outcome = on(&nowhere, command);
        assert_eq!(outcome.code, 2, "{outcome:?}");
        let message = format!("cannot read the kubeconfig {}: No such file", nowhere.display());
        assert!(outcome.stderr.starts_with("error: "), "{}", outcome.stderr);
        assert!(outcome.stderr.contains(&message), "{}", outcome.stderr);
    }

    let mut config: Value = serde_json::from_slice(&fs::read(plane.kubeconfig()).unwrap()).unwrap();
    // Nothing listens on port 1 (tcpmux).
    config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1".into();
    let dead = directory.path().join("dead");
    fs::write(&dead, config.to_string()).unwrap();
    for command in [&["analyze"][..], &["analyze", "-n", "a", "-n", "b"], &["check"], &["list", "pods"]] {
        let start = Instant::now();
        let outcome = on(&dead, command);
        assert!(start.elapsed() < Duration::from_secs(5), "{command:?} took {:?}", start.elapsed());
        assert_eq!(outcome.code, 2, "{outcome:?}");
        assert!(outcome.stderr.contains("cannot reach https://127.0.0.1:1: "), "{}", outcome.stderr);
        assert!(outcome.stderr.contains("onnection refused"), "{}", outcome.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn check_reports_whether_a_mode_would_work() {
    let plane = ControlPlane::shared();
    let home = plane.namespace("check");
    let analyze = on(plane.kubeconfig(), &["check", "--for", "analyze"]);
    assert_eq!((analyze.code, analyze.stderr.as_str()), (0, ""), "{}", analyze.stdout);
    assert!(analyze.stdout.contains("v1.36.3"), "{}", analyze.stdout);
    assert!(analyze.stdout.ends_with("analyze would work here\n"), "{}", analyze.stdout);
    assert!(!analyze.stdout.contains(" NO "), "{}", analyze.stdout);
    assert!(!analyze.stdout.contains("reconcile") && !analyze.stdout.contains("CRD"), "{}", analyze.stdout);

    let all = on(plane.kubeconfig(), &["check", "--for", "all", "-o", "json"]);
    assert_eq!(all.code, 1, "{all:?}");
    let all: serde_json::Value = serde_json::from_str(&all.stdout).unwrap();
    let works: Vec<_> = all["modes"].as_array().unwrap().iter().map(|mode| &mode["works"]).collect();
    // Every mode but these two needs the CRDs.
    let without: Vec<_> = works.iter().map(|works| **works == true).collect();
    assert!(without[..2] == [true, true] && !without[2..].contains(&true), "{all}");
    assert!(all["permissions"].as_array().unwrap().iter().all(|one| one["allowed"] == true), "{all}");

    let reconcile = on(plane.kubeconfig(), &["check", "--for", "reconcile"]);
    assert_eq!(reconcile.code, 1, "{reconcile:?}");
    let verdict = reconcile.stdout.lines().last().unwrap();
    assert!(verdict.starts_with("reconcile would not work here: CRDs "), "{verdict}");
    assert!(verdict.contains("devopspolicies.devops.stochastic.io"), "{verdict}");
    assert!(verdict.ends_with(" are missing: run `kube-devops crd install`"), "{verdict}");

    let rules = [rule("list", "pods")];
    let reader = plane.restricted(&home, "reader", &rules, Reach::Namespace).await;
    let all = on(&reader, &["check", "--for", "analyze"]);
    assert_eq!(all.code, 1, "{all:?}");
    assert!(all.stdout.contains("\nanalyze would be partial at best here: "), "{}", all.stdout);
    let own = on(&reader, &["check", "-n", &home]);
    assert_eq!(own.code, 0, "{own:?}");
    assert!(own.stdout.ends_with(&format!("analyze would work in namespace {home}\n")), "{}", own.stdout);
    let other = on(&reader, &["check", "-n", "default"]);
    assert_eq!(other.code, 1, "{other:?}");
    let verdict =
        "analyze would not work in namespace default: no permission to list pods in namespace default\n";
    assert!(other.stdout.ends_with(verdict), "{}", other.stdout);

    let nowhere = on(plane.kubeconfig(), &["check", "-n", "no-such-namespace"]);
    assert_eq!(nowhere.code, 1, "{nowhere:?}");
    let verdict =
        "analyze would not work in namespace no-such-namespace: namespace no-such-namespace was not found\n";
    assert!(nowhere.stdout.ends_with(verdict), "{}", nowhere.stdout);

    let auditor = plane.restricted(&home, "auditor", &rules, Reach::Cluster).await;
    let auditor = on(&auditor, &["check", "--for", "analyze"]);
    assert_eq!(auditor.code, 0, "{auditor:?}");
    assert!(auditor.stdout.contains("(optional)"), "{}", auditor.stdout);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn list_pods_prints_phases_and_nodes() {
    let plane = ControlPlane::shared();
    let (client, namespace) = (plane.client().await, plane.namespace("list"));
    let pods = Api::<Pod>::namespaced(client.clone(), &namespace);
    for name in ["web-b", "web-a"] {
        pods.create(&PostParams::default(), &pod(name, &json!({ "app": name }))).await.unwrap();
    }
    set_pod_status(&client, &namespace, "web-b", &ready()).await;
    let listed = |arguments: &[&str]| {
        let outcome = on(plane.kubeconfig(), &[&["list", "pods", "-n", &namespace], arguments].concat());
        assert_eq!(outcome.code, 0, "{outcome:?}");
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        (outcome.stdout.lines().map(words).collect::<Vec<_>>(), outcome.stderr)
    };
    let header = ["NAMESPACE", "NAME", "PHASE", "NODE"];
    let pending = [&namespace, "web-a", "Pending", "<none>"];
    let running = [&namespace, "web-b", "Running", "<none>"];
    assert_eq!(listed(&[]).0, [header, pending, running]);
    assert_eq!(listed(&["-l", "app=web-b"]).0, [header, running]);
    assert_eq!(listed(&["-l", "app=none"]), (Vec::<Vec<String>>::new(), "note: no pods found\n".to_owned()));
}

/// The outcome of one run of the binary.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Outcome {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

pub(crate) fn on(kubeconfig: &Path, arguments: &[&str]) -> Outcome {
    run(&[arguments, &["--kubeconfig", kubeconfig.to_str().unwrap()]].concat(), "")
}

pub(crate) fn run(arguments: &[&str], stdin: &str) -> Outcome {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kube-devops"));
    let output = command.args(arguments).write_stdin(stdin).timeout(PATIENCE).output().unwrap();
    Outcome {
        code: output.status.code().unwrap_or_else(|| panic!("{arguments:?} was killed: {output:?}")),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Creates a Deployment with a restarting pod and a waiting pod, a bare pod, and two Jobs with their pods. One Job has
/// a name like those of a `CronJob`; the other was created from a `CronJob` by hand.
async fn populate(client: &Client, namespace: &str) {
    let deployment: Deployment = object(json!({
        "metadata": { "name": "web" },
        "spec": {
            "replicas": 2,
            "selector": { "matchLabels": { "app": "web" } },
            "template": {
                "metadata": { "labels": { "app": "web" } },
                "spec": { "containers": [{ "name": "web", "image": "nginx:latest" }] },
            },
        },
    }));
    let deployments = Api::namespaced(client.clone(), namespace);
    deployments.create(&PostParams::default(), &deployment).await.unwrap();
    let template = json!({ "template": { "spec": {
        "restartPolicy": "Never",
        "containers": [{ "name": "import", "image": "registry.example/import:1.0" }],
    } } });
    let nightly: CronJob = object(json!({
        "metadata": { "name": "nightly" },
        "spec": { "schedule": "0 0 1 1 *", "suspend": true, "jobTemplate": { "spec": template } },
    }));
    let nightly =
        Api::namespaced(client.clone(), namespace).create(&PostParams::default(), &nightly).await.unwrap();
    let owner = nightly.controller_owner_ref(&()).unwrap();
    for (name, owners) in [("import-25122026", json!([])), ("by-hand", json!([owner]))] {
        let job: Job =
            object(json!({ "metadata": { "name": name, "ownerReferences": owners }, "spec": template }));
        Api::namespaced(client.clone(), namespace).create(&PostParams::default(), &job).await.unwrap();
    }
    let pods = Api::<Pod>::namespaced(client.clone(), namespace);
    pods.create(&PostParams::default(), &pod("bare", &json!({}))).await.unwrap();
    let made = async |selector: &str, count: usize| {
        eventually("the pods of a controller", async || {
            let pods = pods.list(&ListParams::default().labels(selector)).await.unwrap().items;
            (pods.len() == count).then_some(pods)
        })
        .await
    };
    made("job-name", 2).await;
    let web = made("app=web", 2).await;
    let status = json!({
        "phase": "Running",
        "containerStatuses": [{
            "name": "web", "image": "nginx:latest", "imageID": "", "ready": true, "restartCount": 12,
        }],
    });
    set_pod_status(client, namespace, &web[0].name_any(), &status).await;
    set_pod_status(client, namespace, &web[1].name_any(), &json!({ "phase": "Pending" })).await;
}

/// Returns the output of `kubectl get pods,deploy,rs,jobs,cronjobs -o json`.
async fn kubectl_list(client: &Client, namespace: &str) -> Value {
    let mut items = Vec::new();
    for (path, version, kind, plural) in [
        ("api/v1", "v1", "Pod", "pods"),
        ("apis/apps/v1", "apps/v1", "Deployment", "deployments"),
        ("apis/apps/v1", "apps/v1", "ReplicaSet", "replicasets"),
        ("apis/batch/v1", "batch/v1", "Job", "jobs"),
        ("apis/batch/v1", "batch/v1", "CronJob", "cronjobs"),
    ] {
        let request = http::Request::get(format!("/{path}/namespaces/{namespace}/{plural}"));
        let mut list: Value = client.request(request.body(Vec::new()).unwrap()).await.unwrap();
        let found = list["items"].as_array_mut().unwrap();
        assert!(!found.is_empty(), "no {plural}");
        for mut item in found.drain(..) {
            item["apiVersion"] = version.into();
            item["kind"] = kind.into();
            items.push(item);
        }
    }
    json!({ "apiVersion": "v1", "items": items, "kind": "List", "metadata": { "resourceVersion": "" } })
}

/// Creates two namespaces with one pod each.
async fn two_namespaces(plane: &ControlPlane) -> (String, String) {
    let client = plane.client().await;
    let namespaces = (plane.namespace("access"), plane.namespace("access"));
    for namespace in [&namespaces.0, &namespaces.1] {
        let pods = Api::<Pod>::namespaced(client.clone(), namespace);
        pods.create(&PostParams::default(), &pod("only", &json!({}))).await.unwrap();
    }
    namespaces
}

/// Returns the evaluated namespaces and the number of pods in each.
fn evaluated(report: &Value) -> Vec<(&str, u64)> {
    let namespaces = report["namespaces"].as_array().unwrap().iter();
    namespaces.map(|one| (one["namespace"].as_str().unwrap(), one["pods"].as_u64().unwrap())).collect()
}

/// Returns the violations without their sources.
pub(crate) fn sourceless(report: &Value) -> Value {
    let mut violations = report["violations"].clone();
    for violation in violations.as_array_mut().unwrap() {
        violation.as_object_mut().unwrap().remove("source").unwrap();
    }
    violations
}

fn pod(name: &str, labels: &Value) -> Pod {
    object(json!({
        "metadata": { "name": name, "labels": labels },
        "spec": { "containers": [{ "name": "main", "image": "registry.example/main:1.0" }] },
    }))
}

pub(crate) fn rule(verb: &str, resource: &str) -> PolicyRule {
    object(json!({ "apiGroups": [""], "resources": [resource], "verbs": [verb] }))
}

fn object<K: serde::de::DeserializeOwned>(value: Value) -> K {
    serde_json::from_value(value).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_selector_selects_the_same_pods_on_a_cluster_and_in_files() {
    let plane = ControlPlane::shared();
    let (client, namespace) = (plane.client().await, plane.namespace("selector"));
    populate(&client, &namespace).await;
    let list = kubectl_list(&client, &namespace).await.to_string();
    let pods = |outcome: &Outcome| outcome.json()["summary"]["pods"].as_u64().unwrap();
    let mut differences = Vec::new();
    // In files, the template of a workload counts if the selector excludes all of its pods.
    for (selector, pods_selected, templates_selected) in [
        ("app=web", 2, 0),
        ("app!=web", 3, 0),
        ("app in (web,api)", 2, 0),
        ("!app", 3, 0),
        ("job-name", 2, 0),
        ("pod-template-hash", 2, 0),
        ("!pod-template-hash", 3, 1),
        ("app=web,!pod-template-hash", 0, 1),
    ] {
        let arguments = ["analyze", "-n", &namespace, "-l", selector, "-o", "json"];
        let live = on(plane.kubeconfig(), &arguments);
        let file = run(&[&arguments[..], &["-f", "-"]].concat(), &list);
        let found = (pods(&live), pods(&file));
        let expected = (pods_selected, pods_selected + templates_selected);
        if found != expected {
            differences.push((selector, expected, found));
        }
    }
    assert!(differences.is_empty(), "selector, expected (live, file), found: {differences:?}");
}

#[test]
#[ignore = "needs a control plane: make test"]
fn all_of_stderr_is_in_our_own_words() {
    let plane = ControlPlane::shared();
    let directory = tempfile::tempdir().unwrap();
    let mut config: Value = serde_json::from_slice(&fs::read(plane.kubeconfig()).unwrap()).unwrap();
    config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1".into();
    let dead = directory.path().join("dead");
    fs::write(&dead, config.to_string()).unwrap();
    for command in [&["analyze"][..], &["check"], &["list", "pods"]] {
        let outcome = on(&dead, command);
        assert!(outcome.stderr.lines().all(|line| line.starts_with("error: ")), "{}", outcome.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_skipped_system_namespace_is_not_reported_as_unreadable() {
    let plane = ControlPlane::shared();
    let home = plane.namespace("kube-own");
    let pods = Api::<Pod>::namespaced(plane.client().await, &home);
    pods.create(&PostParams::default(), &pod("only", &json!({}))).await.unwrap();
    let kubeconfig = plane.restricted(&home, "reader", &[rule("list", "pods")], Reach::Namespace).await;
    let user = format!("system:serviceaccount:{home}:reader");
    let mark = plane.mark();
    let all = on(&kubeconfig, &["analyze", "-o", "json"]);
    assert_eq!(all.code, 2, "{all:?}");
    let tried =
        plane.requests_since(mark).iter().any(|request| request.by(&user) && request.namespace == home);
    let said = all.stderr.contains(&format!("only {home:?} was tried"));
    assert_eq!(tried, said, "{}", all.stderr);
}
