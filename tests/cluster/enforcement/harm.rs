//! Harm long after a patch was verified. The tests play the kubelet, with its events.

use super::stage::{PROBES, PodState, RESOURCES, Stage, is_patched, template};
use crate::eventually::within;
use crate::kubelet::set_pod_status;
use k8s_openapi::api::core::v1::{Event, LimitRange, Pod};
use kube::api::{Api, ListParams, PostParams};
use kube_devops::policy::{RemediationPhase, RemediationReason};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::sleep;

/// Runs a Deployment whose pods are on a node.
pub(super) async fn run_on(stage: &Stage, node: &str, name: &str) -> kube::api::DynamicObject {
    let there = |object: &mut Value| object["spec"]["template"]["spec"]["nodeName"] = json!(node);
    stage.run("Deployment", name, there).await
}

/// Records an event of the kubelet about the container of a pod.
async fn tell(stage: &Stage, pod: &str, reason: &str, note: &str) {
    #[expect(clippy::disallowed_methods, reason = "a kubelet goes by the clock")]
    let now = jiff::Timestamp::from_second(jiff::Timestamp::now().as_second()).unwrap();
    let about = json!({ "apiVersion": "v1", "kind": "Pod", "name": pod, "namespace": stage.namespace,
        "fieldPath": "spec.containers{main}" });
    let event = json!({
        "metadata": { "generateName": pod }, "involvedObject": about, "reason": reason, "message": note,
        "type": "Warning", "count": 1, "firstTimestamp": now, "lastTimestamp": now,
        "source": { "component": "kubelet" },
    });
    let events = Api::<Event>::namespaced(stage.world.client.clone(), &stage.namespace);
    events.create(&PostParams::default(), &serde_json::from_value(event).unwrap()).await.unwrap();
}

/// Returns the names of the pods of a workload.
async fn pods(stage: &Stage, name: &str) -> Vec<String> {
    let params = ListParams::default().labels(&format!("app={name}"));
    let pods = stage.world.pods(&stage.namespace).list(&params).await.unwrap();
    pods.into_iter().map(|pod| pod.metadata.name.unwrap()).collect()
}

/// Makes all pods of a workload fail their readiness probe.
pub(super) async fn fail_readiness(stage: &Stage, name: &str) {
    for pod in pods(stage, name).await {
        stage.set_pod_state(&pod, PodState::Stuck).await;
    }
    tell_of_readiness(stage, name).await;
}

/// Records that all pods of a workload fail their readiness probe.
pub(super) async fn tell_of_readiness(stage: &Stage, name: &str) {
    let note = "Readiness probe failed: dial tcp 10.0.0.1:8080: connect: connection refused";
    for pod in pods(stage, name).await {
        tell(stage, &pod, "Unhealthy", note).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_probe_that_does_harm_later_is_withdrawn_also_in_audit_mode() {
    let stage = Stage::alone(|_| PodState::Ready).await;
    let node = stage.node("one").await;
    let unready = run_on(&stage, &node, "unready").await;
    let restarting = run_on(&stage, &node, "restarting").await;
    let _operator = stage.world.operator();
    stage.policy("standard", PROBES).await;
    for workload in ["Deployment/unready", "Deployment/restarting"] {
        stage.until("standard", workload, RemediationPhase::Verified).await;
    }
    stage.change_policy("standard", json!({ "enforcementMode": "audit" })).await;
    let pod = pods(&stage, "restarting").await.remove(0);
    for count in 1..=3 {
        tell(&stage, &pod, "Killing", "Container main failed liveness probe, will be restarted").await;
        let status = json!({ "containerStatuses": [{
            "name": "main", "image": "x:1", "imageID": "", "ready": true, "restartCount": count, "started": true,
            "state": { "running": {} },
            "lastState": { "terminated": { "exitCode": 137, "reason": "Error" } },
        }] });
        set_pod_status(&stage.world.client, &stage.namespace, &pod, &status).await;
        // Each has to be seen as one.
        sleep(Duration::from_secs(1)).await;
    }
    let record = stage.until("standard", "Deployment/restarting", RemediationPhase::Withdrawn).await;
    assert_eq!(record.reason, Some(RemediationReason::ProbeRestarts), "{record:?}");
    let words = "the probe did its job; it is withdrawn all the same";
    stage.until_event("standard", "PatchWithdrawn", words).await;
    assert_eq!(template(&stage.get("Deployment", "restarting").await), template(&restarting));

    fail_readiness(&stage, "unready").await;
    let record = stage.until("standard", "Deployment/unready", RemediationPhase::Withdrawn).await;
    assert_eq!(record.reason, Some(RemediationReason::NotReady), "{record:?}");
    assert!(record.message.unwrap().contains("Readiness probe failed"));
    assert_eq!(template(&stage.get("Deployment", "unready").await), template(&unready));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn in_an_incident_one_withdrawal_is_a_trial_for_the_others() {
    static OUTAGE: AtomicBool = AtomicBool::new(false);
    const NAMES: [&str; 4] = ["a", "b", "c", "d"];
    let by_outage = |_: &Pod| if OUTAGE.load(Ordering::Relaxed) { PodState::Stuck } else { PodState::Ready };
    let stage = Stage::alone(by_outage).await;
    let node = stage.node("one").await;
    for name in NAMES {
        run_on(&stage, &node, name).await;
    }
    let _operator = stage.world.operator();
    stage.policy("standard", PROBES).await;
    for name in NAMES {
        stage.until("standard", &format!("Deployment/{name}"), RemediationPhase::Verified).await;
    }
    OUTAGE.store(true, Ordering::Relaxed);
    for name in NAMES {
        fail_readiness(&stage, name).await;
    }
    let withdrawn = async || {
        let records = stage.status("standard").await.remediations.into_iter();
        let gone = records.filter(|record| record.phase != RemediationPhase::Verified);
        gone.map(|record| (record.name, record.reason)).collect::<Vec<_>>()
    };
    stage.until_condition("standard", "Degraded", "Incident", "many workloads are in trouble at once").await;
    let trial =
        within(Duration::from_mins(1), "a trial", async || withdrawn().await.into_iter().next()).await;
    assert_eq!(trial.1, Some(RemediationReason::Incident));
    sleep(Duration::from_secs(75)).await;
    assert_eq!(withdrawn().await.len(), 1, "the trial did not help");

    OUTAGE.store(false, Ordering::Relaxed);
    let pod = stage.pod("the trial's new pod", |pod| !is_patched(pod)).await;
    stage.set_pod_state(&pod, PodState::Ready).await;
    within(Duration::from_mins(3), "others follow", async || {
        let all = withdrawn().await;
        let is_over = all.len() == NAMES.len();
        is_over.then(|| assert!(all.iter().all(|(_, reason)| *reason == Some(RemediationReason::Incident))))
    })
    .await;
    assert_eq!(stage.status("standard").await.withdrawals_in_a_row, None, "they stop no policy");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn an_amount_that_a_later_limit_range_forbids_is_withdrawn_and_the_rest_stays() {
    let stage = Stage::shared(|_| PodState::Ready).await;
    stage.run("Deployment", "web", |_| ()).await;
    stage.policy("standard", RESOURCES).await;
    stage.until("standard", "Deployment/web", RemediationPhase::Verified).await;
    let limits = json!([{ "type": "Container", "max": { "memory": "20Mi" } }]);
    let range = json!({ "metadata": { "name": "small" }, "spec": { "limits": limits } });
    let ranges = Api::<LimitRange>::namespaced(stage.world.client.clone(), &stage.namespace);
    ranges.create(&PostParams::default(), &serde_json::from_value(range).unwrap()).await.unwrap();
    // The next release of the owner.
    let release = json!({ "spec": { "template": { "metadata": { "annotations": { "release": "2" } } } } });
    stage.edit("Deployment", "web", "kubectl", &release).await;
    let record = stage.until("standard", "Deployment/web", RemediationPhase::Withdrawn).await;
    assert_eq!(record.reason, Some(RemediationReason::NotCreated), "{record:?}");
    assert_eq!(record.fields, ["main/resources.limits.memory"]);
    stage.until_available("Deployment", "web").await;
    let container = stage.container("Deployment", "web").await;
    assert_eq!(container["resources"]["requests"]["cpu"], "10m", "the rest stays");
}
