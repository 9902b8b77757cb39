//! Helpers of the tests of `watch`: accounts, pods, short leases and fresh counts.

use crate::analyze::on;
use crate::control_plane::{ControlPlane, Reach};
use crate::eventually::within;
use crate::kubelet::set_pod_status;
use crate::process::Process;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::api::rbac::v1::PolicyRule;
use kube::api::{ListParams, PostParams};
use kube::{Api, Client};
use kube_devops::manifests::{Mode, Permission};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// The default name of the Lease.
pub(super) const LEASE: &str = "kube-devops-watch";
/// Flags of a lease that lasts 3 s, is renewed every half second and is given up after 2 s.
pub(super) const SHORT: [&str; 3] =
    ["--lease-duration=3s", "--lease-renew-deadline=2s", "--lease-retry-period=500ms"];

/// Creates an account with exactly the permissions that `check` and the manifests name, in all namespaces.
pub(super) async fn account(plane: &ControlPlane, namespace: &str, name: &str) -> PathBuf {
    let rules: Vec<_> = Mode::Watch.permissions().iter().map(rule).collect();
    plane.restricted(namespace, name, &rules, Reach::Cluster).await
}

/// Returns the name of an account in the audit log.
pub(super) fn user(namespace: &str, name: &str) -> String {
    format!("system:serviceaccount:{namespace}:{name}")
}

pub(crate) fn rule(permission: &Permission) -> PolicyRule {
    PolicyRule {
        api_groups: Some(vec![permission.group.to_owned()]),
        resources: Some(vec![permission.path()]),
        verbs: permission.verbs.iter().map(ToString::to_string).collect(),
        ..PolicyRule::default()
    }
}

pub(crate) fn object<K: serde::de::DeserializeOwned>(value: Value) -> K {
    serde_json::from_value(value).unwrap()
}

/// Returns a pod with two containers. Its only violation is that it is pending at first.
pub(crate) fn pod(name: &str) -> Pod {
    let probe = json!({ "tcpSocket": { "port": 80 } });
    let container = |name: &str| {
        json!({
            "name": name, "image": "registry.example/main:1.0", "livenessProbe": probe, "readinessProbe": probe,
        })
    };
    object(json!({
        "metadata": { "name": name, "labels": { "app": name } },
        "spec": { "containers": [container("one"), container("two")] },
    }))
}

pub(crate) async fn create(client: &Client, namespace: &str, pod: &Pod) {
    Api::namespaced(client.clone(), namespace).create(&PostParams::default(), pod).await.unwrap();
}

/// Returns the status of a running pod with this many restarts of its two containers.
pub(super) fn running(restarts: u32) -> Value {
    let container = |name: &str| json!({ "name": name, "image": "i", "imageID": "", "ready": true, "restartCount": restarts });
    json!({ "phase": "Running", "containerStatuses": [container("one"), container("two")] })
}

/// Changes the class of a namespace, whose only pod is `pod`, to Degraded or back to Healthy.
pub(crate) async fn degrade(client: &Client, namespace: &str, pod: &str, degraded: bool) {
    set_pod_status(client, namespace, pod, &running(if degraded { 12 } else { 0 })).await;
}

/// Waits until a replica's figures equal those of a fresh count with the same flags. Returns the time that it took.
pub(super) async fn agree(
    plane: &ControlPlane,
    replica: &Process,
    limit: Duration,
    flags: &[&str],
) -> Duration {
    let start = Instant::now();
    loop {
        let (fresh, watched) = (figures(&fresh(plane, flags)), figures(&replica.scores()));
        if fresh == watched {
            return start.elapsed();
        }
        assert!(
            start.elapsed() < limit,
            "a fresh count: {fresh:#}\nwatched: {watched:#}\nlog: {:#?}",
            replica.log()
        );
        sleep(Duration::from_millis(50)).await;
    }
}

/// Returns the report of `analyze`.
pub(super) fn fresh(plane: &ControlPlane, flags: &[&str]) -> Value {
    let outcome = on(plane.kubeconfig(), &[&["analyze", "-o", "json"], flags].concat());
    assert_eq!(outcome.code, 0, "{outcome:?}");
    serde_json::from_str(&outcome.stdout).unwrap()
}

/// Returns the comparable part of a report and of scores: all figures, and the violations of each workload.
fn figures(report: &Value) -> Value {
    let mut wrong: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for violation in report["violations"].as_array().into_iter().flatten() {
        let text = |key: &str| violation[key].as_str().unwrap_or_default().to_owned();
        let owner =
            violation["owner"].as_str().map_or_else(|| format!("Pod/{}", text("name")), str::to_owned);
        // A restart violation counts once a container in a report and more in the scores; Pending counts once a pod.
        wrong.entry(format!("{} {owner}", text("namespace"))).or_default().push(text("rule"));
    }
    for offender in report["offenders"].as_array().into_iter().flatten() {
        let text = |key: &str| offender[key].as_str().unwrap_or_default();
        let rules = offender["counts"].as_object().unwrap().keys().cloned().collect();
        wrong.insert(format!("{} {}", text("namespace"), text("workload")), rules);
    }
    for rules in wrong.values_mut() {
        rules.sort();
        rules.dedup();
    }
    // The scores name only the worst twenty workloads.
    let wrong = (wrong.len() < 20).then_some(wrong);
    json!({ "summary": report["summary"], "namespaces": report["namespaces"], "wrong": wrong })
}

/// Returns the events in a namespace by reporters whose names begin with `who`. Other tests may write events there,
/// too.
pub(super) async fn events_of(client: &Client, namespace: &str, who: &str) -> Vec<Event> {
    let events = Api::<Event>::namespaced(client.clone(), namespace);
    let mut events = events.list(&ListParams::default()).await.unwrap().items;
    events.retain(|event| event.reporting_instance.as_ref().is_some_and(|name| name.starts_with(who)));
    events
}

/// Returns the holder of a Lease; empty if there is none.
pub(super) async fn holder(client: &Client, namespace: &str) -> String {
    let lease = Api::<Lease>::namespaced(client.clone(), namespace).get_opt(LEASE).await.ok().flatten();
    lease.and_then(|lease| lease.spec?.holder_identity).unwrap_or_default()
}

/// Waits until one of the replicas leads. Returns its index.
pub(crate) async fn leader(replicas: &[Process], limit: Duration) -> usize {
    within(limit, "a leader", async || {
        replicas.iter().position(|replica| !replica.is_stopped() && replica.leads())
    })
    .await
}
