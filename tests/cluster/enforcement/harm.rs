//! Harm long after a patch was verified. The tests play the kubelet, with its events.

use super::fixture::{
    EnforcementFixture, PROBES, PROBES_WITH_DOWNTIME, PodState, RESOURCES, is_patched, template,
};
use crate::analyze::on;
use crate::eventually::{eventually, within};
use crate::kubelet::set_pod_status;
use k8s_openapi::api::core::v1::{Event, LimitRange, Pod};
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube_devops::policy::{RemediationPhase, RemediationReason};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::net::TcpSocket;
use tokio::time::sleep;

/// Runs a Deployment whose pods are on a node.
pub(super) async fn run_on(fixture: &EnforcementFixture, node: &str, name: &str) -> kube::api::DynamicObject {
    let there = |object: &mut Value| object["spec"]["template"]["spec"]["nodeName"] = json!(node);
    fixture.run("Deployment", name, there).await
}

/// Records an event of the kubelet about the container of a pod.
async fn tell(fixture: &EnforcementFixture, pod: &str, reason: &str, note: &str) {
    #[expect(clippy::disallowed_methods, reason = "a kubelet goes by the clock")]
    let now = jiff::Timestamp::from_second(jiff::Timestamp::now().as_second()).unwrap();
    let about = json!({ "apiVersion": "v1", "kind": "Pod", "name": pod, "namespace": fixture.namespace,
        "fieldPath": "spec.containers{main}" });
    let event = json!({
        "metadata": { "generateName": pod }, "involvedObject": about, "reason": reason, "message": note,
        "type": "Warning", "count": 1, "firstTimestamp": now, "lastTimestamp": now,
        "source": { "component": "kubelet" },
    });
    let events = Api::<Event>::namespaced(fixture.base.client.clone(), &fixture.namespace);
    events.create(&PostParams::default(), &serde_json::from_value(event).unwrap()).await.unwrap();
}

fn containers(object: &kube::api::DynamicObject) -> &Value {
    &object.data["spec"]["template"]["spec"]["containers"]
}

/// Returns the names of the pods of a workload.
pub(super) async fn pods(fixture: &EnforcementFixture, name: &str) -> Vec<String> {
    let params = ListParams::default().labels(&format!("app={name}"));
    let pods = fixture.base.pods(&fixture.namespace).list(&params).await.unwrap();
    pods.into_iter().map(|pod| pod.metadata.name.unwrap()).collect()
}

/// Sets the number of restarts of a pod's container, and gives the operator the time to see each.
pub(super) async fn restart(fixture: &EnforcementFixture, pod: &str, count: u32) {
    let status = json!({ "containerStatuses": [{
        "name": "main", "image": "x:1", "imageID": "", "ready": true, "restartCount": count, "started": true,
        "state": { "running": {} },
        "lastState": { "terminated": { "exitCode": 137, "reason": "Error" } },
    }] });
    set_pod_status(&fixture.base.client, &fixture.namespace, pod, &status).await;
    sleep(Duration::from_secs(1)).await;
}

/// Makes all pods of a workload fail their readiness probe.
pub(super) async fn fail_readiness(fixture: &EnforcementFixture, name: &str) {
    for pod in pods(fixture, name).await {
        fixture.set_pod_state(&pod, PodState::Stuck).await;
    }
    tell_of_readiness(fixture, name).await;
}

/// Records that all pods of a workload fail their readiness probe.
pub(super) async fn tell_of_readiness(fixture: &EnforcementFixture, name: &str) {
    let note = "Readiness probe failed: dial tcp 10.0.0.1:8080: connect: connection refused";
    for pod in pods(fixture, name).await {
        tell(fixture, &pod, "Unhealthy", note).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_probe_that_does_harm_later_is_withdrawn_also_in_audit_mode() {
    let fixture = EnforcementFixture::alone(|_| PodState::Ready).await;
    let node = fixture.node("one").await;
    let unready = run_on(&fixture, &node, "unready").await;
    let restarting = run_on(&fixture, &node, "restarting").await;
    restart(&fixture, &pods(&fixture, "unready").await[0], 2).await;
    let there = |object: &mut Value| object["spec"]["template"]["spec"]["nodeName"] = json!(node);
    let set = fixture.run("StatefulSet", "set", there).await;
    let _operator = fixture.base.operator();
    fixture.policy("standard", PROBES_WITH_DOWNTIME).await;
    let usual = [("Deployment/unready", 2), ("Deployment/restarting", 0), ("StatefulSet/set", 0)];
    for (workload, usual_restarts) in usual {
        let record = fixture.until("standard", workload, RemediationPhase::Verified).await;
        assert_eq!(record.usual_restarts, Some(usual_restarts), "{record:?}");
    }
    fixture.change_policy("standard", json!({ "enforcementMode": "audit" })).await;
    // The owner removes one of our probes; enforcement answers for the others.
    let without = json!({ "name": "main", "livenessProbe": null, "startupProbe": null });
    let without = json!({ "spec": { "template": { "spec": { "containers": [without] } } } });
    fixture.edit("Deployment", "unready", "kubectl", &without).await;
    fixture.until_available("Deployment", "unready").await;
    // The owner releases a StatefulSet, whose pods are then of another revision than the patch's own.
    let release = json!({ "metadata": { "annotations": { "release": "2" } } });
    fixture.edit("StatefulSet", "set", "kubectl", &json!({ "spec": { "template": release } })).await;
    fixture.until_available("StatefulSet", "set").await;
    let pod = pods(&fixture, "restarting").await.remove(0);
    for count in 1..=3 {
        tell(&fixture, &pod, "Killing", "Container main failed liveness probe, will be restarted").await;
        restart(&fixture, &pod, count).await;
    }
    let record = fixture.until("standard", "Deployment/restarting", RemediationPhase::Withdrawn).await;
    assert_eq!(record.reason, Some(RemediationReason::ProbeRestarts), "{record:?}");
    let words = "the probe did its job; it is withdrawn all the same";
    fixture.until_event("standard", "PatchWithdrawn", words).await;
    assert_eq!(template(&fixture.get("Deployment", "restarting").await), template(&restarting));

    fail_readiness(&fixture, "unready").await;
    fail_readiness(&fixture, "set").await;
    let record = fixture.until("standard", "Deployment/unready", RemediationPhase::Withdrawn).await;
    assert_eq!(record.reason, Some(RemediationReason::NotReady), "{record:?}");
    assert!(record.message.unwrap().contains("Readiness probe failed"));
    assert_eq!(template(&fixture.get("Deployment", "unready").await), template(&unready));
    // The controller replaces no pod that is not ready, so the operator deletes it.
    fixture.until("standard", "StatefulSet/set", RemediationPhase::Withdrawn).await;
    let after = fixture.until_available("StatefulSet", "set").await;
    assert_eq!(containers(&after), containers(&set));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn in_an_incident_one_withdrawal_is_a_trial_for_the_others() {
    static OUTAGE: AtomicBool = AtomicBool::new(false);
    const NAMES: [&str; 2] = ["a", "b"];
    // Without a readiness probe, the kubelet calls every pod ready that runs.
    let by_outage = |pod: &Pod| {
        if OUTAGE.load(Ordering::Relaxed) && is_patched(pod) { PodState::Stuck } else { PodState::Ready }
    };
    // Nothing listens there as yet.
    let server = TcpSocket::new_v4().unwrap();
    server.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = server.local_addr().unwrap().port();
    // The workloads are in two namespaces, under two policies.
    let fixture = EnforcementFixture::alone(by_outage).await;
    let fixtures = [fixture.beside(by_outage).await, fixture];
    let node = fixtures[0].node("one").await;
    let _operator = fixtures[0].base.operator();
    let probe = format!("{{defaultProbe: {{tcpPort: {port}}}, ");
    for fixture in &fixtures {
        for name in NAMES {
            run_on(fixture, &node, name).await;
        }
        fixture.policy("standard", &PROBES.replacen('{', &probe, 1)).await;
    }
    for fixture in &fixtures {
        for name in NAMES {
            fixture.until("standard", &format!("Deployment/{name}"), RemediationPhase::Verified).await;
        }
    }
    OUTAGE.store(true, Ordering::Relaxed);
    for fixture in &fixtures {
        for name in NAMES {
            fail_readiness(fixture, name).await;
        }
    }
    let withdrawn = async || {
        let mut gone = Vec::new();
        for fixture in &fixtures {
            let mut records = fixture.status("standard").await.remediations;
            records.retain(|record| record.phase != RemediationPhase::Verified);
            gone.extend(records.into_iter().map(|record| (fixture, record.reason)));
        }
        gone
    };
    for fixture in &fixtures {
        fixture
            .until_condition("standard", "Degraded", "Incident", "many workloads are in trouble at once")
            .await;
    }
    let (fixture, reason) =
        within(Duration::from_mins(1), "a trial", async || withdrawn().await.into_iter().next()).await;
    assert_eq!(reason, Some(RemediationReason::Incident));
    let pod = fixture.pod("the trial's new pod", |pod| !is_patched(pod)).await;
    let here = json!({ "status": { "podIP": "127.0.0.1", "podIPs": [{ "ip": "127.0.0.1" }] } });
    let api = fixture.base.pods(&fixture.namespace);
    api.patch_status(&pod, &PatchParams::default(), &Patch::Merge(here)).await.unwrap();
    sleep(Duration::from_secs(75)).await;
    assert_eq!(withdrawn().await.len(), 1, "the trial's pod is ready, but its server does not listen");

    let _server = server.listen(16).unwrap();
    within(Duration::from_mins(3), "others follow", async || {
        let all = withdrawn().await;
        let is_over = all.len() == fixtures.len() * NAMES.len();
        is_over.then(|| assert!(all.iter().all(|(_, reason)| *reason == Some(RemediationReason::Incident))))
    })
    .await;
    for fixture in &fixtures {
        assert_eq!(fixture.status("standard").await.withdrawals_in_a_row, None, "they stop no policy");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn an_amount_that_a_later_limit_range_forbids_is_withdrawn_and_the_rest_stays() {
    let fixture = EnforcementFixture::shared(|_| PodState::Ready).await;
    fixture.run("Deployment", "web", |_| ()).await;
    fixture.policy("standard", RESOURCES).await;
    fixture.until("standard", "Deployment/web", RemediationPhase::Verified).await;
    forbid_our_limit(&fixture).await;
    let record = fixture.until("standard", "Deployment/web", RemediationPhase::Withdrawn).await;
    assert_eq!(record.reason, Some(RemediationReason::NotCreated), "{record:?}");
    assert_eq!(record.fields, ["main/resources.limits.memory"]);
    fixture.until_available("Deployment", "web").await;
    let container = fixture.container("Deployment", "web").await;
    assert_eq!(container["resources"]["requests"]["cpu"], "10m", "the rest stays");
}

/// Forbids the memory limit of [`RESOURCES`], and then rolls out the next release of the owner.
async fn forbid_our_limit(fixture: &EnforcementFixture) {
    let limits = json!([{ "type": "Container", "max": { "memory": "20Mi" } }]);
    let range = json!({ "metadata": { "name": "small" }, "spec": { "limits": limits } });
    let ranges = Api::<LimitRange>::namespaced(fixture.base.client.clone(), &fixture.namespace);
    ranges.create(&PostParams::default(), &serde_json::from_value(range).unwrap()).await.unwrap();
    let release = json!({ "spec": { "template": { "metadata": { "annotations": { "release": "2" } } } } });
    fixture.edit("Deployment", "web", "kubectl", &release).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn harm_by_a_patch_of_a_deleted_policy_is_withdrawn_and_not_done_again() {
    let fixture = EnforcementFixture::alone(|_| PodState::Ready).await;
    fixture.run("Deployment", "web", |_| ()).await;
    let operator = fixture.base.operator();
    fixture.policy("standard", RESOURCES).await;
    fixture.until("standard", "Deployment/web", RemediationPhase::Verified).await;
    fixture.delete_policy("standard").await;
    fixture.until_policy_is_gone("standard").await;
    // The next operator knows the policy by the ledger alone.
    operator.kill();
    let _operator = fixture.base.operator();
    forbid_our_limit(&fixture).await;
    within(Duration::from_mins(3), "the limit is withdrawn", async || {
        let resources = fixture.container("Deployment", "web").await["resources"].clone();
        (resources["limits"]["memory"].is_null() && resources["requests"]["cpu"] == "10m").then_some(())
    })
    .await;
    fixture.until_available("Deployment", "web").await;
    eventually("an event on the workload", async || {
        let events = fixture.base.events_about(&fixture.namespace, "Deployment", "web").await;
        events.into_iter().find(|(_, told, _, note)| told == "PatchWithdrawn" && note.contains("NotCreated"))
    })
    .await;
    let ranges = Api::<LimitRange>::namespaced(fixture.base.client.clone(), &fixture.namespace);
    ranges.delete("small", &DeleteParams::default()).await.unwrap();
    fixture.policy("again", RESOURCES).await;
    fixture.until_condition("again", "Enforcing", "Enforcing", "FailedBefore").await;
    let rehearse = ["policy", "rehearse", "again", "-n", &fixture.namespace];
    let rehearsed = on(fixture.base.plane.kubeconfig(), &rehearse);
    assert!(rehearsed.stdout.contains("FailedBefore"), "only a note says so: {}", rehearsed.stdout);
    let retry = ["policy", "retry", "deployment/web", "-n", &fixture.namespace];
    let asked = on(fixture.base.plane.kubeconfig(), &retry);
    assert_eq!(asked.code, 0, "{}", asked.stderr);
    fixture.until("again", "Deployment/web", RemediationPhase::Verified).await;
}
