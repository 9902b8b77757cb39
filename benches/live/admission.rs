//! The time that admission adds to the creation of a pod: native admission, and the webhook.
//!
//! Pods are created in turns without admission, with each form of it, and without it once more. The difference of the two
//! measurements without admission is the noise. The turns run on an idle machine, then beside two threads that keep two
//! cores busy, and then with 200 other namespaces that have a verdict.

use std::collections::BTreeMap;
use std::hint::spin_loop;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{Namespace, Pod, ServiceAccount};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use kube_devops::policy::{
    ADMISSION_DENY, ADMISSION_DENY_AND_WARN, ADMISSION_LABEL, DENY_ANNOTATION, DevOpsPolicy, WARN_ANNOTATION,
};
use kube_devops::rules::RULES;
use serde_json::{Value, json};

use crate::control_plane::{ControlPlane, free_port};
use crate::eventually::eventually;
use crate::process::Process;
use crate::usage::percentile;

/// The pods of each form, in each part.
const PODS: usize = 300;
/// The other namespaces.
const OTHERS: usize = 200;
const WITHOUT: &str = "admission-none";
const NATIVE: &str = "admission-native";
const ALL_RULES: &str = "admission-native-all-rules";
const WEBHOOK: &str = "admission-webhook";
/// The forms, in the order of a turn, each with its namespace.
const FORMS: [(&str, &str); 5] = [
    ("without", WITHOUT),
    ("native, 4 rules deny", NATIVE),
    ("native, all rules warn", ALL_RULES),
    ("webhook, 4 rules deny", WEBHOOK),
    ("without, again", WITHOUT),
];
/// The rules that deny.
const RULES_TO_DENY: &str =
    "latest-tag;a,missing-liveness;a,missing-readiness;a,missing-resources;a;cpuLimit=false";

pub(crate) async fn admit(plane: &ControlPlane, client: &Client) {
    for (_, namespace) in &FORMS[..4] {
        create_namespace(client, namespace, &json!({})).await;
    }
    run(plane, &["policy", "compile", "--apply"]);
    let all: Vec<_> =
        RULES.iter().filter(|rule| rule.expression.is_some()).map(|rule| rule.id.as_str()).collect();
    annotate(client, NATIVE, &json!({ DENY_ANNOTATION: RULES_TO_DENY })).await;
    let warned: Vec<_> = all.iter().map(|id| format!("{id};a")).collect();
    annotate(
        client,
        ALL_RULES,
        &json!({ DENY_ANNOTATION: "latest-tag;a", WARN_ANNOTATION: warned.join(",") }),
    )
    .await;
    let _webhook = start_webhook(plane, client).await;
    for (_, namespace) in &FORMS[1..4] {
        eventually("a denial", async || create(client, namespace, "nginx").await.err()).await;
    }
    println!("pod create, ms       form                     median   p90    added");
    turns("idle", client).await;
    let ends = Arc::new(AtomicBool::new(false));
    for _ in 0..2 {
        let ends = Arc::clone(&ends);
        thread::spawn(move || {
            while !ends.load(Ordering::Relaxed) {
                spin_loop();
            }
        });
    }
    turns("two busy cores", client).await;
    for number in 0..OTHERS {
        let verdict = json!({ DENY_ANNOTATION: RULES_TO_DENY, WARN_ANNOTATION: warned.join(",") });
        create_namespace(client, &format!("admission-other-{number}"), &verdict).await;
    }
    turns("and 200 policies", client).await;
    ends.store(true, Ordering::Relaxed);
}

/// Creates pods in turns, and prints the times of each form.
async fn turns(part: &str, client: &Client) {
    let mut times = BTreeMap::<usize, Vec<Duration>>::new();
    for turn in 0..PODS + PODS / 10 {
        for (place, (_, namespace)) in FORMS.iter().enumerate() {
            let start = Instant::now();
            create(client, namespace, "nginx:1").await.unwrap();
            // The first turns open connections and fill caches.
            if turn >= PODS / 10 {
                times.entry(place).or_default().push(start.elapsed());
            }
        }
    }
    let medians: Vec<_> = times.values_mut().map(|times| percentile(times, 50)).collect();
    for (place, times) in &mut times {
        let milliseconds = |time: Duration| time.as_secs_f64() * 1000.0;
        let added = milliseconds(medians[*place]) - milliseconds(medians[0]);
        println!(
            "{part:<20} {:<24} {:<8.2} {:<6.2} {added:+.2}",
            FORMS[*place].0,
            milliseconds(medians[*place]),
            milliseconds(percentile(times, 90)),
        );
    }
    for (_, namespace) in &FORMS[..4] {
        let pods = Api::<Pod>::namespaced(client.clone(), namespace);
        let now = DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() };
        pods.delete_collection(&now, &ListParams::default()).await.unwrap();
    }
}

async fn create(client: &Client, namespace: &str, image: &str) -> kube::Result<Pod> {
    let probe = json!({ "httpGet": { "path": "/", "port": 80 } });
    let amounts = json!({ "cpu": "10m", "memory": "64Mi" });
    let container = json!({
        "name": "web", "image": image, "livenessProbe": probe, "readinessProbe": probe,
        "resources": { "requests": amounts, "limits": amounts }, "ports": [{ "containerPort": 80 }],
    });
    let pod = json!({
        "metadata": { "generateName": "web-", "labels": { "app": "web" } }, "spec": { "containers": [container] },
    });
    let pod = serde_json::from_value(pod).unwrap();
    Api::namespaced(client.clone(), namespace).create(&PostParams::default(), &pod).await
}

/// Creates a namespace with a verdict, and the account that the controllers would make.
async fn create_namespace(client: &Client, name: &str, verdict: &Value) {
    let is_native = verdict.as_object().is_some_and(|verdict| !verdict.is_empty());
    let labels = if is_native { json!({ ADMISSION_LABEL: label(verdict) }) } else { json!({}) };
    let namespace = json!({ "metadata": { "name": name, "labels": labels, "annotations": verdict } });
    let namespace: Namespace = serde_json::from_value(namespace).unwrap();
    Api::all(client.clone()).create(&PostParams::default(), &namespace).await.unwrap();
    let account: ServiceAccount =
        serde_json::from_value(json!({ "metadata": { "name": "default" } })).unwrap();
    let accounts = Api::<ServiceAccount>::namespaced(client.clone(), name);
    // A controller may have been faster.
    let _ = accounts.create(&PostParams::default(), &account).await;
}

async fn annotate(client: &Client, namespace: &str, verdict: &Value) {
    let labels = json!({ ADMISSION_LABEL: label(verdict) });
    let patch = json!({ "metadata": { "labels": labels, "annotations": verdict } });
    let namespaces = Api::<Namespace>::all(client.clone());
    namespaces.patch(namespace, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
}

/// Returns the label for a verdict that denies.
fn label(verdict: &Value) -> &'static str {
    if verdict[WARN_ANNOTATION].is_null() { ADMISSION_DENY } else { ADMISSION_DENY_AND_WARN }
}

/// Starts a webhook that evaluates one namespace.
async fn start_webhook(plane: &ControlPlane, client: &Client) -> Process {
    run(plane, &["crd", "install"]);
    let policy: DevOpsPolicy = serde_json::from_value(json!({
        "metadata": { "name": "a" },
        "spec": {
            "enforcementMode": "enforce", "forbidLatestTag": true, "requireLivenessProbe": true,
            "requireReadinessProbe": true, "requireResources": true, "admission": { "denyAt": "low" },
        },
    }))
    .unwrap();
    eventually("the kind is served", async || {
        Api::namespaced(client.clone(), WEBHOOK).create(&PostParams::default(), &policy).await.ok()
    })
    .await;
    let listen = format!("127.0.0.1:{}", free_port().unwrap());
    let arguments = ["--secure-listen", &listen, "--lease-namespace", "default", "--tls-name", "127.0.0.1"];
    let webhook = Process::start("webhook serve", plane.kubeconfig(), "webhook-0", &arguments).synced();
    let url = format!("https://{listen}");
    let mut arguments = vec!["webhook", "install-config", "-n", "default", "--url", &url];
    for namespace in [WITHOUT, NATIVE, ALL_RULES] {
        arguments.extend(["--system-namespace", namespace]);
    }
    run(plane, &arguments);
    webhook
}

fn run(plane: &ControlPlane, arguments: &[&str]) {
    let command = Command::new(env!("CARGO_BIN_EXE_kube-devops"))
        .args(arguments)
        .arg("--kubeconfig")
        .arg(plane.kubeconfig())
        .output()
        .unwrap();
    assert!(command.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&command.stderr));
}
