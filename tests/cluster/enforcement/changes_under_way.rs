//! A policy or an operator goes away while a patch is being verified.

use super::fixture::{EnforcementFixture, PROBES, PodState, VERIFY, is_patched, template};
use crate::eventually::within;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{DynamicObject, Patch, PatchParams};
use kube_devops::policy::{ConditionType, RemediationPhase, RemediationReason, SkipReason};
use serde_json::json;
use std::time::Duration;
use tokio::time::sleep;

/// New pods start and are not ready until the test says so.
fn new_pods_wait(pod: &Pod) -> PodState {
    if is_patched(pod) { PodState::Stuck } else { PodState::Ready }
}

impl EnforcementFixture {
    /// Patches a Deployment. Returns the object before the patch and the name of its new pod, which is not ready.
    async fn patched(&self) -> (DynamicObject, String) {
        let before = self.run("Deployment", "web", |_| ()).await;
        self.policy("standard", PROBES).await;
        self.until("standard", "Deployment/web", RemediationPhase::Applied).await;
        (before, self.pod("the new pod", is_patched).await)
    }

    /// Deletes the policy while its patch is under way. The policy has to outlast the patch.
    async fn delete_too_early(&self) {
        self.delete_policy("standard").await;
        sleep(Duration::from_secs(3)).await;
        let policy = self.base.policies(&self.namespace).get("standard").await.unwrap();
        assert!(policy.metadata.deletion_timestamp.is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_patch_is_verified_even_if_its_policy_now_only_audits() {
    let well = EnforcementFixture::shared(new_pods_wait).await;
    let ill = well.beside(new_pods_wait).await;
    let good = async {
        let (_, pod) = well.patched().await;
        well.change_policy("standard", json!({ "enforcementMode": "audit" })).await;
        well.until_condition("standard", "Enforcing", "AuditMode", "").await;
        well.set_pod_state(&pod, PodState::Ready).await;
        well.until("standard", "Deployment/web", RemediationPhase::Verified).await;
        assert!(well.container("Deployment", "web").await.get("livenessProbe").is_some(), "it stays");
    };
    let bad = async {
        let (before, pod) = ill.patched().await;
        ill.change_policy("standard", json!({ "enforcementMode": "audit" })).await;
        ill.until_condition("standard", "Enforcing", "AuditMode", "").await;
        ill.set_pod_state(&pod, PodState::Crash).await;
        let record = ill.until("standard", "Deployment/web", RemediationPhase::Withdrawn).await;
        assert_eq!(record.reason, Some(RemediationReason::CrashLoop));
        assert_eq!(template(&ill.get("Deployment", "web").await), template(&before));
    };
    tokio::join!(good, bad);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_deleted_policy_remains_until_its_patch_has_a_verdict() {
    let well = EnforcementFixture::shared(new_pods_wait).await;
    let ill = well.beside(new_pods_wait).await;
    let good = async {
        let (_, pod) = well.patched().await;
        well.delete_too_early().await;
        well.set_pod_state(&pod, PodState::Ready).await;
        well.until_policy_is_gone("standard").await;
        assert!(well.container("Deployment", "web").await.get("livenessProbe").is_some(), "it is kept");
        well.until_event("standard", "PatchVerified", "Deployment/web").await;
    };
    let bad = async {
        let (before, pod) = ill.patched().await;
        ill.delete_too_early().await;
        ill.set_pod_state(&pod, PodState::Crash).await;
        ill.until_policy_is_gone("standard").await;
        assert_eq!(template(&ill.get("Deployment", "web").await), template(&before));
        ill.until_event("standard", "PatchWithdrawn", "CrashLoop").await;
    };
    tokio::join!(good, bad);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_restarted_operator_decides_by_the_current_state() {
    let well = EnforcementFixture::alone(new_pods_wait).await;
    let (ill, stuck) = (well.beside(new_pods_wait).await, well.beside(new_pods_wait).await);
    let operator = well.base.replica("operator-0", &["--no-leader-election"]);
    let ((_, pod), (before, crashing), (former, _)) =
        tokio::join!(well.patched(), ill.patched(), stuck.patched());
    operator.kill();
    well.set_pod_state(&pod, PodState::Ready).await;
    ill.set_pod_state(&crashing, PodState::Crash).await;
    sleep(VERIFY + Duration::from_secs(2)).await;

    let back = well.base.replica("operator-0", &["--no-leader-election"]);
    back.wait_until_ready();
    let (verified, withdrawn, late) = tokio::join!(
        well.until("standard", "Deployment/web", RemediationPhase::Verified),
        ill.until("standard", "Deployment/web", RemediationPhase::Withdrawn),
        stuck.until("standard", "Deployment/web", RemediationPhase::Withdrawn),
    );
    assert_eq!(verified.reason, Some(RemediationReason::Verified));
    assert_eq!(withdrawn.reason, Some(RemediationReason::CrashLoop));
    assert_eq!(late.reason, Some(RemediationReason::NotReady));
    assert_eq!(template(&ill.get("Deployment", "web").await), template(&before));
    assert_eq!(template(&stuck.get("Deployment", "web").await), template(&former));
    let at_once = [&withdrawn, &late].map(|record| record.time.clone().unwrap().0);
    let apart = verified.time.unwrap().0.duration_since(at_once[0].min(at_once[1])).unsigned_abs();
    assert!(apart < Duration::from_secs(15), "nobody's time begins anew: {apart:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn frequent_annotation_changes_do_not_block_a_patch_unnoticed() {
    let fixture = EnforcementFixture::shared(|_| PodState::Ready).await;
    fixture.run("Deployment", "web", |_| ()).await;
    let deployments = fixture.api("Deployment");
    let busy = tokio::spawn(async move {
        let mut pause = tokio::time::interval(Duration::from_millis(38));
        for count in 0_u64.. {
            pause.tick().await;
            let annotations = json!({ "metadata": { "annotations": { "count": count.to_string() } } });
            let patch = Patch::Merge(&annotations);
            deployments.patch("web", &PatchParams::default(), &patch).await.unwrap();
        }
    });
    fixture.policy("standard", PROBES).await;
    // A slow machine may have no moment between two writes, and its controller may observe none of them in time.
    within(Duration::from_mins(3), "it is patched, or the status says why not", async || {
        let status = fixture.status("standard").await;
        let enforcing = ConditionType::Enforcing.of(&status.conditions)?;
        if enforcing.message.contains(SkipReason::RollingOut.as_str()) {
            return Some(());
        }
        let record = status.remediations.into_iter().next()?;
        let is_explained = record.reason == Some(RemediationReason::Stale)
            && record.message.is_some_and(|message| message.contains("another client wrote the workload"));
        // The workload's own controller has as hard a time, so a verdict may take long.
        let is_patched = matches!(record.phase, RemediationPhase::Applied | RemediationPhase::Verified);
        (is_patched || is_explained).then_some(())
    })
    .await;
    busy.abort();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_policy_with_another_finalizer_reports_its_deletion() {
    let fixture = EnforcementFixture::shared(|_| PodState::Ready).await;
    fixture.policy("standard", PROBES).await;
    fixture.until_condition("standard", "Ready", "Evaluated", "").await;
    let policies = fixture.base.policies(&fixture.namespace);
    let policy = policies.get("standard").await.unwrap();
    let finalizers = policy.finalizers().iter().map(String::as_str).chain(["example.com/hold"]);
    let finalizers: Vec<&str> = finalizers.collect();
    let held = json!({ "metadata": { "finalizers": finalizers } });
    policies.patch("standard", &PatchParams::default(), &Patch::Merge(held)).await.unwrap();
    fixture.delete_policy("standard").await;
    for type_ in ["Ready", "Enforcing", "Degraded"] {
        fixture.until_condition("standard", type_, "Deleting", "the policy was deleted").await;
    }
    let released = json!({ "metadata": { "finalizers": null } });
    policies.patch("standard", &PatchParams::default(), &Patch::Merge(released)).await.unwrap();
    fixture.until_policy_is_gone("standard").await;
}
