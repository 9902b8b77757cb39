//! Evidence for a verdict: deadlines, full nodes, unavailable nodes, and pods that come from scaling.

use super::fixture::{
    EnforcementFixture, PROBES, PodState, RESOURCES, VERIFY, has_requests, is_patched, template,
};
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
    let fixture = EnforcementFixture::shared(new_pods_wait).await;
    let impatient = |web: &mut serde_json::Value| web["spec"]["progressDeadlineSeconds"] = json!(5);
    let before = fixture.run("Deployment", "web", impatient).await;
    fixture.policy("standard", PROBES).await;
    let applied = fixture.until("standard", "Deployment/web", RemediationPhase::Applied).await;
    let record = fixture.until("standard", "Deployment/web", RemediationPhase::Withdrawn).await;
    assert_eq!(record.reason, Some(RemediationReason::ProgressDeadlineExceeded), "{record:?}");
    let took = record.time.unwrap().0.duration_since(applied.time.unwrap().0).unsigned_abs();
    assert!(took + Duration::from_secs(5) < VERIFY, "{took:?}");
    assert_eq!(template(&fixture.until_available("Deployment", "web").await), template(&before));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn an_unschedulable_pod_is_reported_and_its_patch_withdrawn() {
    let probed =
        EnforcementFixture::shared(
            |pod| if is_patched(pod) { PodState::Unschedulable } else { PodState::Ready },
        )
        .await;
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
    let fixture = EnforcementFixture::shared(new_pods_wait).await;
    let node = fixture.node("one").await;
    let there = |web: &mut serde_json::Value| web["spec"]["template"]["spec"]["nodeName"] = json!(node);
    let before = fixture.run("Deployment", "web", there).await;
    let cordon = async |away: bool| {
        let nodes = Api::<Node>::all(fixture.base.client.clone());
        let patch = Patch::Merge(json!({ "spec": { "unschedulable": away } }));
        nodes.patch(&node, &PatchParams::default(), &patch).await.unwrap();
    };
    fixture.policy("standard", PROBES).await;
    fixture.until("standard", "Deployment/web", RemediationPhase::Applied).await;
    let pod = fixture.pod("the new pod", is_patched).await;
    cordon(true).await;
    fixture.set_pod_state(&pod, PodState::Crash).await;
    fixture.stays("standard", "Deployment/web", RemediationPhase::Applied, TOO_LONG).await;
    cordon(false).await;
    let record = fixture.until("standard", "Deployment/web", RemediationPhase::Withdrawn).await;
    assert_eq!(record.reason, Some(RemediationReason::CrashLoop), "{record:?}");
    assert_eq!(template(&fixture.until_available("Deployment", "web").await), template(&before));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_patch_of_a_workload_scaled_to_zero_is_withdrawn() {
    let fixture = EnforcementFixture::shared(new_pods_wait).await;
    let before = fixture.run("Deployment", "a", |_| ()).await;
    fixture.policy("standard", PROBES).await;
    fixture.until("standard", "Deployment/a", RemediationPhase::Applied).await;
    fixture.run("Deployment", "b", |_| ()).await;
    fixture.edit("Deployment", "a", "kubectl", &json!({ "spec": { "replicas": 0 } })).await;
    let record = fixture.until("standard", "Deployment/a", RemediationPhase::Withdrawn).await;
    assert_eq!(record.reason, Some(RemediationReason::NoVerdict), "{record:?}");
    assert_eq!(template(&fixture.get("Deployment", "a").await), template(&before));
    assert_eq!(fixture.status("standard").await.withdrawals_in_a_row, None, "it did no harm");
    fixture.until("standard", "Deployment/b", RemediationPhase::Applied).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn pods_from_scaling_up_do_not_fail_a_patch() {
    static SCALED: AtomicBool = AtomicBool::new(false);
    let late = |_: &Pod| if SCALED.load(Ordering::Relaxed) { PodState::Stuck } else { PodState::Ready };
    let fixture = EnforcementFixture::shared(late).await;
    fixture.run("Deployment", "web", |web| web["spec"]["replicas"] = json!(2)).await;
    fixture.policy("standard", PROBES).await;
    fixture.until("standard", "Deployment/web", RemediationPhase::Applied).await;
    fixture.until_available("Deployment", "web").await;
    // New pods are distinguished from those of the rollout by their creation time in whole seconds.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    SCALED.store(true, Ordering::Relaxed);
    fixture.edit("Deployment", "web", "kubectl", &json!({ "spec": { "replicas": 3 } })).await;
    let is_stuck = |pod: &Pod| {
        let mut conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
        conditions.any(|condition| condition.type_ == "Ready" && condition.status == "False")
    };
    let pod = fixture.pod("the third pod", is_stuck).await;
    fixture.stays("standard", "Deployment/web", RemediationPhase::Applied, TOO_LONG).await;
    fixture.set_pod_state(&pod, PodState::Ready).await;
    fixture.until("standard", "Deployment/web", RemediationPhase::Verified).await;
}
