//! Evidence for a verdict: deadlines, full nodes, unavailable nodes, and pods that come from scaling.

use super::stage::{PROBES, PodState, RESOURCES, Stage, VERIFY, has_requests, is_patched, template};
use crate::eventually::eventually;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::Api;
use kube::api::{Patch, PatchParams};
use kube_devops::policy::{RemediationPhase, RemediationReason};
use serde_json::json;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Longer than the time in which a new pod has to become ready.
const TOO_LONG: Duration = Duration::from_secs(VERIFY.as_secs() + 6);

fn new_pods_wait(pod: &Pod) -> PodState {
    if is_patched(pod) { PodState::Stuck } else { PodState::Ready }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_deployments_progress_deadline_ends_the_wait() {
    let stage = Stage::shared(new_pods_wait).await;
    let impatient = |web: &mut serde_json::Value| web["spec"]["progressDeadlineSeconds"] = json!(5);
    let before = stage.run("Deployment", "web", impatient).await;
    stage.policy("standard", PROBES).await;
    let applied = stage.until("standard", "Deployment/web", RemediationPhase::Applied).await;
    let record = stage.until("standard", "Deployment/web", RemediationPhase::Withdrawn).await;
    assert_eq!(record.reason, Some(RemediationReason::ProgressDeadlineExceeded), "{record:?}");
    let took = record.time.unwrap().0.duration_since(applied.time.unwrap().0).unsigned_abs();
    assert!(took + Duration::from_secs(5) < VERIFY, "{took:?}");
    assert_eq!(template(&stage.until_available("Deployment", "web").await), template(&before));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn an_unschedulable_pod_is_reported_and_its_patch_withdrawn() {
    let probed =
        Stage::shared(|pod| if is_patched(pod) { PodState::Unschedulable } else { PodState::Ready }).await;
    let greedy =
        probed.beside(|pod| if has_requests(pod) { PodState::Unschedulable } else { PodState::Ready }).await;
    let lucky = async {
        probed.run("Deployment", "web", |_| ()).await;
        probed.policy("standard", PROBES).await;
        let pod = probed.pod("the new pod", is_patched).await;
        let has_no_room = async || {
            let record = probed.until("standard", "Deployment/web", RemediationPhase::Applied).await;
            (record.reason == Some(RemediationReason::Unschedulable)).then_some(record)
        };
        let record = eventually("the record says why nothing happens", has_no_room).await;
        assert!(record.message.unwrap().contains("3 Insufficient cpu"));
        probed.set_pod_state(&pod, PodState::Ready).await;
        probed.until("standard", "Deployment/web", RemediationPhase::Verified).await;
    };
    let refused = async {
        let before = greedy.run("Deployment", "web", |_| ()).await;
        greedy.policy("standard", RESOURCES).await;
        let record = greedy.until("standard", "Deployment/web", RemediationPhase::Withdrawn).await;
        assert_eq!(record.reason, Some(RemediationReason::Unschedulable), "{record:?}");
        assert!(record.message.unwrap().contains("3 Insufficient cpu"));
        assert_eq!(template(&greedy.until_available("Deployment", "web").await), template(&before));
    };
    tokio::join!(lucky, refused);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn failures_on_a_cordoned_node_are_no_evidence_until_it_is_back() {
    let stage = Stage::shared(new_pods_wait).await;
    let node = stage.node("one").await;
    let there = |web: &mut serde_json::Value| web["spec"]["template"]["spec"]["nodeName"] = json!(node);
    let before = stage.run("Deployment", "web", there).await;
    let cordon = async |away: bool| {
        let nodes = Api::<Node>::all(stage.world.client.clone());
        let patch = Patch::Merge(json!({ "spec": { "unschedulable": away } }));
        nodes.patch(&node, &PatchParams::default(), &patch).await.unwrap();
    };
    stage.policy("standard", PROBES).await;
    stage.until("standard", "Deployment/web", RemediationPhase::Applied).await;
    let pod = stage.pod("the new pod", is_patched).await;
    cordon(true).await;
    stage.set_pod_state(&pod, PodState::Crash).await;
    stage.stays("standard", "Deployment/web", RemediationPhase::Applied, TOO_LONG).await;
    cordon(false).await;
    let record = stage.until("standard", "Deployment/web", RemediationPhase::Withdrawn).await;
    assert_eq!(record.reason, Some(RemediationReason::CrashLoop), "{record:?}");
    assert_eq!(template(&stage.until_available("Deployment", "web").await), template(&before));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_patch_of_a_workload_scaled_to_zero_is_withdrawn() {
    let stage = Stage::shared(new_pods_wait).await;
    let before = stage.run("Deployment", "a", |_| ()).await;
    stage.policy("standard", PROBES).await;
    stage.until("standard", "Deployment/a", RemediationPhase::Applied).await;
    stage.run("Deployment", "b", |_| ()).await;
    stage.edit("Deployment", "a", "kubectl", &json!({ "spec": { "replicas": 0 } })).await;
    let record = stage.until("standard", "Deployment/a", RemediationPhase::Withdrawn).await;
    assert_eq!(record.reason, Some(RemediationReason::NoVerdict), "{record:?}");
    assert_eq!(template(&stage.get("Deployment", "a").await), template(&before));
    assert_eq!(stage.status("standard").await.withdrawals_in_a_row, None, "it did no harm");
    stage.until("standard", "Deployment/b", RemediationPhase::Applied).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn pods_from_scaling_up_do_not_fail_a_patch() {
    static SCALED: AtomicBool = AtomicBool::new(false);
    let late = |_: &Pod| if SCALED.load(Ordering::Relaxed) { PodState::Stuck } else { PodState::Ready };
    let stage = Stage::shared(late).await;
    stage.run("Deployment", "web", |web| web["spec"]["replicas"] = json!(2)).await;
    stage.policy("standard", PROBES).await;
    stage.until("standard", "Deployment/web", RemediationPhase::Applied).await;
    stage.until_available("Deployment", "web").await;
    // New pods are distinguished from those of the rollout by their creation time in whole seconds.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    SCALED.store(true, Ordering::Relaxed);
    stage.edit("Deployment", "web", "kubectl", &json!({ "spec": { "replicas": 3 } })).await;
    let is_stuck = |pod: &Pod| {
        let mut conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
        conditions.any(|condition| condition.type_ == "Ready" && condition.status == "False")
    };
    let pod = stage.pod("the third pod", is_stuck).await;
    stage.stays("standard", "Deployment/web", RemediationPhase::Applied, TOO_LONG).await;
    stage.set_pod_state(&pod, PodState::Ready).await;
    stage.until("standard", "Deployment/web", RemediationPhase::Verified).await;
}
