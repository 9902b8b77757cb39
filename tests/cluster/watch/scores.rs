//! The watched scores equal a fresh count after any change of pods, and the steady state costs no list.

use super::helpers::{account, agree, create, degrade, events_of, fresh, pod, running, user};
use crate::control_plane::ControlPlane;
use crate::eventually::within;
use crate::kubelet::set_pod_status;
use crate::process::Process;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use std::time::Duration;

/// The maximum delay of the scores after a change, including the run of `analyze` for the comparison.
const LIMIT: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn scores_follow_every_change_of_a_pod_without_a_list() {
    let plane = ControlPlane::shared();
    let client = plane.client().await;
    let [one, other] = [plane.namespace("scores"), plane.namespace("scores")];
    create(&client, &one, &pod("there-before")).await;
    let kubeconfig = account(plane, &one, "watch").await;
    let flags = ["-n", &one, "-n", &other];
    let replica =
        Process::start("watch", &kubeconfig, "a", &[&["--no-leader-election"], &flags[..]].concat()).synced();
    let steady = plane.mark();
    let agreed = async || agree(plane, &replica, LIMIT, &flags).await;
    agreed().await;

    for name in ["web", "db"] {
        create(&client, &one, &pod(name)).await;
        create(&client, &other, &pod(name)).await;
    }
    agreed().await;
    assert_eq!(replica.scores()["summary"]["counts"]["pending"], 5);

    let pods = Api::<Pod>::namespaced(client.clone(), &one);
    let image = json!({ "spec": { "containers": [{ "name": "one", "image": "registry.example/main" }] } });
    pods.patch("web", &PatchParams::default(), &Patch::Strategic(image)).await.unwrap();
    agreed().await;
    assert_eq!(replica.scores()["summary"]["counts"]["latest-tag"], 1);

    for (restarts, counted) in [(3, 0), (4, 8), (9, 10), (0, 0)] {
        set_pod_status(&client, &one, "db", &running(restarts)).await;
        agreed().await;
        assert_eq!(replica.scores()["summary"]["counts"]["high-restarts"], counted, "{restarts} restarts");
    }

    for (phase, evaluated) in [("Running", 5), ("Succeeded", 4)] {
        set_pod_status(&client, &other, "db", &json!({ "phase": phase })).await;
        agreed().await;
        assert_eq!(replica.scores()["summary"]["pods"], evaluated, "{phase}");
    }

    pods.delete("db", &DeleteParams::default()).await.unwrap();
    agreed().await;
    assert_eq!(replica.scores()["summary"]["pods"], 3);

    Api::<Namespace>::all(client.clone()).delete(&other, &DeleteParams::default()).await.unwrap();
    within(Duration::from_secs(30), "the namespace leaves no trace", async || {
        let (scores, metrics) = (replica.scores().to_string(), replica.get("/metrics").1);
        (!scores.contains(&other) && !metrics.contains(&other)).then_some(())
    })
    .await;
    assert_eq!(
        figure(&replica, &one),
        Some(fresh(plane, &["-n", &one])["summary"]["score"].as_f64().unwrap())
    );

    pods.delete_collection(&DeleteParams::default(), &ListParams::default()).await.unwrap();
    within(LIMIT, "an empty namespace leaves no trace", async || {
        let metrics = replica.get("/metrics").1;
        (replica.scores()["namespaces"] == json!([]) && !metrics.contains(&one)).then_some(())
    })
    .await;
    assert_eq!(replica.scores()["summary"]["score"], 100);

    let mut requests = plane.requests_since(steady);
    requests.retain(|request| request.by(&user(&one, "watch")));
    assert!(requests.iter().all(|request| request.verb != "list"), "{requests:?}");
    // On a busy machine a class lasts long enough to be reported in an event. The empty namespace is looked up once
    // after its list.
    requests.retain(|request| !["events", "namespaces"].contains(&request.resource.as_str()));
    assert!(requests.len() <= 2, "a watch of each namespace, and nothing else: {requests:?}");
}

fn figure(replica: &Process, namespace: &str) -> Option<f64> {
    replica.metric(&format!("namespace_health_score{{namespace=\"{namespace}\"}}"))
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn flags_limit_the_watched_pods() {
    let plane = ControlPlane::shared();
    let client = plane.client().await;
    let [home, system] = [plane.namespace("narrow"), plane.namespace("kube-narrow")];
    for namespace in [&home, &system] {
        create(&client, namespace, &pod("web")).await;
        create(&client, namespace, &pod("db")).await;
    }
    let watched = |flags: &[&str]| {
        let replica =
            Process::start("watch", plane.kubeconfig(), "a", &[&["--no-leader-election"], flags].concat())
                .synced();
        let scores = replica.scores();
        let namespaces = scores["namespaces"].as_array().unwrap();
        let of = |name: &str| {
            namespaces.iter().find(|one| one["namespace"] == name).map(|one| one["pods"].clone())
        };
        (of(&home), of(&system), namespaces.len())
    };
    let (two, one): (Option<Value>, Option<Value>) = (Some(2.into()), Some(1.into()));
    let (all, hidden, _) = watched(&[]);
    assert_eq!((all, hidden), (two.clone(), None));
    let (all, shown, _) = watched(&["--include-system"]);
    assert_eq!((all, shown), (two.clone(), two.clone()));
    let (all, hidden, _) = watched(&["--system-namespace", &home]);
    assert_eq!((all, hidden), (None, None));
    assert_eq!(watched(&["-n", &system]), (None, two.clone(), 1), "a system namespace that is named");
    assert_eq!(watched(&["-n", &home, "-n", &system, "-l", "app=web"]), (one.clone(), one, 2));
    assert_eq!(watched(&["-n", &home, "-l", "app=none"]), (None, None, 0));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn the_leader_records_a_change_of_class_and_every_replica_logs_it() {
    let plane = ControlPlane::shared();
    let client = plane.client().await;
    let home = plane.namespace("events");
    create(&client, &home, &pod("web")).await;
    degrade(&client, &home, "web", false).await;
    let kubeconfig = account(plane, &home, "watch").await;
    let flags = ["-n", &home, "--lease-namespace", &home];
    let replicas = ["told-a", "told-b"].map(|pod| Process::start("watch", &kubeconfig, pod, &flags).synced());
    let leader = super::helpers::leader(&replicas, LIMIT).await;
    assert!(!replicas[1 - leader].leads());

    // The first classes are recorded within a second of the sync.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let log = "score class changed";
    for (times, degraded) in [(1, true), (2, false), (3, true)] {
        degrade(&client, &home, "web", degraded).await;
        for replica in &replicas {
            within(LIMIT, "a line in every log", async || (replica.lines(log).len() == times).then_some(()))
                .await;
        }
    }
    let line = &replicas[1 - leader].lines(log)[0];
    assert_eq!(
        (&line["namespace"], &line["from"], &line["to"]),
        (&json!(home), &json!("Healthy"), &json!("Degraded"))
    );

    let found = within(LIMIT, "the third is a repetition of the first", async || {
        let events = events_of(&client, &home, "told-").await;
        events.iter().any(|event| event.series.is_some()).then_some(events)
    })
    .await;
    let said: Vec<_> = found.iter().map(|event| (event.reason.as_deref(), event.type_.as_deref())).collect();
    assert_eq!(
        said,
        [(Some("HealthDropped"), Some("Warning")), (Some("HealthImproved"), Some("Normal"))],
        "{found:?}"
    );
    for event in &found {
        assert_eq!(event.reporting_instance.as_deref(), Some(&*replicas[leader].identity()));
        assert_eq!(event.reporting_controller.as_deref(), Some("kube-devops-watch"));
        let regarding = event.regarding.as_ref().unwrap();
        assert_eq!((regarding.kind.as_deref(), regarding.name.as_deref()), (Some("Namespace"), Some(&*home)));
    }
    assert!(core_events(&client, &home).await.contains("HealthDropped"), "kubectl get events shows it");

    // A repetition of a deleted event is created as new.
    let events = Api::<k8s_openapi::api::events::v1::Event>::namespaced(client.clone(), &home);
    events.delete_collection(&DeleteParams::default(), &ListParams::default()).await.unwrap();
    degrade(&client, &home, "web", false).await;
    within(LIMIT, "an event in place of the one that was deleted", async || {
        let events = events_of(&client, &home, "told-").await;
        (events.len() == 1 && events[0].reason.as_deref() == Some("HealthImproved")).then_some(())
    })
    .await;
}

async fn core_events(client: &Client, namespace: &str) -> String {
    let request = http::Request::get(format!("/api/v1/namespaces/{namespace}/events")).body(Vec::new());
    client.request_text(request.unwrap()).await.unwrap()
}
