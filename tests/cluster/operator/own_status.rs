//! Rules about workloads themselves say the same by the operator, on the cluster and in files.

use std::fs;
use std::time::Duration;

use http::Request;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use kube::api::Api;
use serde_json::{Value, json};

use super::fixture::OperatorFixture;
use crate::analyze::{on, run, sourceless};
use crate::eventually::within;
use crate::kubelet::set_pod_status;
use crate::relations::create;

/// The rules to compare: those about workloads, one about the status of pods, and one about pods and templates.
const RULES: [&str; 8] = [
    "colocated-replicas",
    "deprecated-api",
    "failing-job",
    "lingering-job",
    "privileged-container",
    "short-start-deadline",
    "stalled-rollout",
    "unready-pod",
];

/// The lists of a namespace with the objects.
const LISTS: [&str; 6] = [
    "api/v1/NS/pods",
    "apis/apps/v1/NS/deployments",
    "apis/apps/v1/NS/replicasets",
    "apis/apps/v1/NS/statefulsets",
    "apis/batch/v1/NS/jobs",
    "apis/batch/v1/NS/cronjobs",
];

/// Returns workloads that break the rules, each with the path of its list.
fn workloads() -> [(&'static str, Value); 5] {
    let template = |privileged: bool, restart: &str| {
        let context = json!({ "privileged": privileged });
        let container = json!({ "name": "main", "image": "a:1", "securityContext": context });
        let spec = json!({ "containers": [container], "restartPolicy": restart });
        json!({ "metadata": { "labels": { "app": "a" } }, "spec": spec })
    };
    let scaled = |name: &str, replicas: u32, annotations: &Value| {
        json!({
            "metadata": { "name": name, "annotations": annotations },
            "spec": {
                "replicas": replicas, "selector": { "matchLabels": { "app": "a" } },
                "template": template(replicas == 0, "Always"),
            },
        })
    };
    let applied = json!({ "apiVersion": "extensions/v1beta1", "kind": "Deployment" }).to_string();
    let last_applied = json!({ "kubectl.kubernetes.io/last-applied-configuration": applied });
    let job = json!({ "template": template(false, "Never"), "activeDeadlineSeconds": 1 });
    let cron = json!({
        "schedule": "0 0 1 1 *", "suspend": true, "startingDeadlineSeconds": 5,
        "jobTemplate": { "spec": { "template": template(true, "Never") } },
    });
    [
        ("apis/apps/v1/NS/deployments", scaled("web", 1, &json!({}))),
        ("apis/apps/v1/NS/deployments", scaled("off", 0, &last_applied)),
        ("apis/apps/v1/NS/statefulsets", scaled("db", 3, &json!({}))),
        ("apis/batch/v1/NS/jobs", json!({ "metadata": { "name": "import" }, "spec": job })),
        ("apis/batch/v1/NS/cronjobs", json!({ "metadata": { "name": "backup" }, "spec": cron })),
    ]
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn workloads_without_pods_and_an_unready_pod_are_reported_in_every_way() {
    let fixture = OperatorFixture::shared().await;
    let namespace = fixture.plane.namespace("status");
    let at = |path: &str| path.replace("NS", &format!("namespaces/{namespace}"));
    let pod = json!({
        "metadata": { "name": "unready" }, "spec": { "containers": [{ "name": "main", "image": "a:1" }] },
    });
    fixture.run(&namespace, &pod).await;
    let since = "2026-01-01T00:00:00Z";
    let conditions = json!([
        { "type": "PodScheduled", "status": "True", "lastTransitionTime": since },
        { "type": "Ready", "status": "False", "lastTransitionTime": since },
    ]);
    let status = json!({ "phase": "Running", "conditions": conditions });
    set_pod_status(&fixture.client, &namespace, "unready", &status).await;

    // The quota refuses the pods of the workloads.
    let quota = json!({ "metadata": { "name": "none" }, "spec": { "hard": { "pods": "0" } } });
    create(&fixture.client, &at("api/v1/NS/resourcequotas"), &quota).await;
    for (path, object) in workloads() {
        create(&fixture.client, &at(path), &object).await;
    }
    let deployments = Api::<Deployment>::namespaced(fixture.client.clone(), &namespace);
    let jobs = Api::<Job>::namespaced(fixture.client.clone(), &namespace);
    within(Duration::from_mins(3), "the Deployment is stalled, and the Job has failed", async || {
        let (web, import) = (deployments.get("web").await.ok()?, jobs.get("import").await.ok()?);
        let stalled = web.status?.conditions?.into_iter().any(|one| one.type_ == "ReplicaFailure");
        let failed = import.status?.conditions?.into_iter().any(|one| one.type_ == "Failed");
        (stalled && failed).then_some(())
    })
    .await;

    let select = ["-n", namespace.as_str(), "--rules", &RULES.join(","), "-o", "json"];
    let live = on(fixture.plane.kubeconfig(), &[&["analyze"], &select[..]].concat());
    assert_eq!(live.code, 0, "{live:?}");
    let live = live.json();
    for rule in RULES {
        assert!(live["summary"]["counts"][rule].as_u64() > Some(0), "{rule}: {live}");
    }

    let directory = tempfile::tempdir().unwrap();
    for (index, path) in LISTS.iter().enumerate() {
        let request = Request::get(format!("/{}", at(path))).body(Vec::new()).unwrap();
        let list: Value = fixture.client.request(request).await.unwrap();
        fs::write(directory.path().join(format!("{index}.json")), list.to_string()).unwrap();
    }
    let path = directory.path().display().to_string();
    let read = run(&[&["analyze", "-f", &path], &select[..]].concat(), "").json();
    assert_eq!(sourceless(&read), sourceless(&live));
    assert_eq!(read["summary"], live["summary"]);

    let rules: Vec<Value> = RULES.iter().map(|id| json!({ "id": id })).collect();
    fixture.policy(&namespace, "status", &json!({ "rules": rules }).to_string()).await;
    let _operator = fixture.operator();
    let counts: Vec<String> =
        RULES.iter().map(|id| format!("{} x {id}", live["summary"]["counts"][id])).collect();
    fixture
        .until(&namespace, "status", "the operator finds the same", |status| {
            status.message.as_ref().is_some_and(|message| message.ends_with(&counts.join(", ")))
        })
        .await;
}
