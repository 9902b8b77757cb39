//! `kube-devops reconcile` under 200 policies: its cost while idle, the time until a change is in the status of all
//! policies of its namespace, and the number of writes for it.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Pod;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use kube_devops::policy::{DevOpsPolicy, EffectivePolicy};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::control_plane::ControlPlane;
use crate::eventually::within;
use crate::pods;
use crate::process::Process;
use crate::usage::{cpu_seconds, percentile, resident};

/// The number of policies in each namespace.
const POLICIES: usize = 4;
const CHANGES: usize = 200;
const WINDOW: Duration = Duration::from_secs(20);
const LIMIT: Duration = Duration::from_mins(3);

pub(crate) async fn reconcile(
    plane: &ControlPlane,
    client: &Client,
    pods: &[pods::Pod],
    rules: Option<&str>,
) {
    let namespaces: BTreeSet<_> = pods.iter().map(|pod| pod.namespace.as_str()).collect();
    prepare(plane, client, &namespaces, rules).await;
    let start = Instant::now();
    let operator = Process::start("reconcile", plane.kubeconfig(), "bench", &[]);
    operator.until(LIMIT, "synced");
    let policies = namespaces.len() * POLICIES;
    within(LIMIT, "a first audit result of every policy", async || {
        (operator.metric("audit_results_total")? >= f64::from(u32::try_from(policies).ok()?)).then_some(())
    })
    .await;
    println!(
        "reconcile: {policies} policies evaluated and recorded after {:.1} s",
        start.elapsed().as_secs_f64()
    );
    sleep(Duration::from_secs(2)).await;
    let cpu = cpu_seconds(operator.pid());
    sleep(WINDOW).await;
    let idle = (cpu_seconds(operator.pid()) - cpu) / WINDOW.as_secs_f64();
    println!("idle: {:.2} % of a core, {} MiB", 100.0 * idle, resident(operator.pid()) >> 20);

    let mark = plane.mark();
    let mut times = Vec::new();
    for pod in pods.iter().step_by((pods.len() / CHANGES).max(1)).take(CHANGES) {
        times.push(change(client, pod).await);
    }
    sleep(Duration::from_secs(1)).await;
    println!(
        "{} changes: in the status of {POLICIES} policies after {:?} (median), {:?} (p99)",
        times.len(),
        percentile(&mut times, 50),
        percentile(&mut times, 99)
    );
    let mut writes = BTreeMap::<_, u32>::new();
    for event in plane.requests_since(mark) {
        if event.by("kube-devops/") && !["get", "list", "watch"].contains(&&*event.verb) {
            *writes.entry((event.resource, event.subresource, event.verb)).or_default() += 1;
        }
    }
    println!("written meanwhile: {writes:?}");
    println!("memory: {} MiB, {} MiB at most", resident(operator.pid()) >> 20, operator.peak_memory() >> 10);
}

/// Returns the spec of a policy with the rules of the score, or with chosen ones. A pending pod is a violation at once.
fn spec(rules: Option<&str>) -> Value {
    let Some(rules) = rules else {
        return json!({
            "forbidLatestTag": true,
            "requireLivenessProbe": true,
            "requireReadinessProbe": true,
            "requireResources": true,
            "maxRestartCount": 3,
            "forbidPendingDuration": 0,
        });
    };
    let chosen = EffectivePolicy::select(rules).unwrap();
    let ids = chosen.rules().iter().map(|enabled| enabled.rule.id.as_str()).filter(|id| *id != "pending");
    let ids: Vec<_> = ids.map(|id| json!({ "id": id })).collect();
    json!({ "rules": ids, "forbidPendingDuration": 0 })
}

/// Installs the CRDs, and creates policies.
async fn prepare(plane: &ControlPlane, client: &Client, namespaces: &BTreeSet<&str>, rules: Option<&str>) {
    let installed = Command::new(env!("CARGO_BIN_EXE_kube-devops"))
        .args(["crd", "install", "--kubeconfig"])
        .arg(plane.kubeconfig())
        .status();
    assert!(installed.unwrap().success());
    for namespace in namespaces {
        for index in 0..POLICIES {
            let policy = json!({
                "metadata": { "name": format!("policy-{index}") },
                "spec": spec(rules),
            });
            let policies = Api::<DevOpsPolicy>::namespaced(client.clone(), namespace);
            policies.create(&PostParams::default(), &serde_json::from_value(policy).unwrap()).await.unwrap();
        }
    }
}

/// Makes a running pod pending. Returns the time from just before the write until all policies show it.
async fn change(client: &Client, pod: &pods::Pod) -> Duration {
    let policies = Api::<DevOpsPolicy>::namespaced(client.clone(), &pod.namespace);
    let violations = async || -> Vec<Option<u64>> {
        let policies = policies.list(&ListParams::default()).await.unwrap();
        policies.into_iter().map(|policy| policy.status?.violations).collect()
    };
    let wanted: Vec<_> = violations().await.into_iter().map(|count| Some(count? + 1)).collect();
    let patch = Patch::Merge(json!({ "status": { "phase": "Pending" } }));
    let start = Instant::now();
    Api::<Pod>::namespaced(client.clone(), &pod.namespace)
        .patch_status(&pod.name, &PatchParams::default(), &patch)
        .await
        .unwrap();
    while violations().await != wanted {
        assert!(start.elapsed() < LIMIT, "{}", pod.namespace);
        sleep(Duration::from_millis(5)).await;
    }
    start.elapsed()
}
