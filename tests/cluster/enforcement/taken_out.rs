//! Users remove fields that enforcement set: they stay removed until the policy changes.

use super::fixture::{EnforcementFixture, PROBES, PodState, is_marked, is_patched, template};
use crate::control_plane::Mark;
use crate::eventually::eventually;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube_devops::policy::{RemediationPhase, RemediationReason};
use serde_json::json;
use std::time::Duration;
use tokio::time::sleep;

impl EnforcementFixture {
    /// Expects the Deployment to stay as it was before until the policy changes.
    async fn it_stays_out(&self, before: &DynamicObject, mark: Mark) {
        let record = self.until("standard", "Deployment/web", RemediationPhase::Failed).await;
        assert_eq!(record.reason, Some(RemediationReason::TakenOut));
        self.until_event("standard", "PatchTakenOut", "TakenOut").await;
        assert!(self.status("standard").await.remediated_workloads.is_empty(), "nothing carries a patch");
        assert!(!is_marked(&self.get("Deployment", "web").await), "enforcement owns no field");
        // Longer than the re-check interval of a transient blocker.
        sleep(Duration::from_secs(17)).await;
        assert_eq!(template(&self.get("Deployment", "web").await), template(before));
        assert_eq!(
            self.patches_since(mark, "web"),
            2,
            "one patch, and one that releases the remaining fields"
        );
        self.change_policy("standard", json!({ "maxRestartCount": 9 })).await;
        eventually("the changed policy patches again", async || {
            self.container("Deployment", "web").await.get("livenessProbe").is_some().then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_field_removed_during_a_rollout_stays_removed() {
    let new_pods_wait = |pod: &Pod| if is_patched(pod) { PodState::Stuck } else { PodState::Ready };
    let fixture = EnforcementFixture::shared(new_pods_wait).await;
    let before = fixture.run("Deployment", "web", |_| ()).await;
    let mark = fixture.base.plane.mark();
    fixture.policy("standard", PROBES).await;
    fixture.until("standard", "Deployment/web", RemediationPhase::Applied).await;
    let remove =
        |field| json!({ "op": "remove", "path": format!("/spec/template/spec/containers/0/{field}") });
    let steps = ["livenessProbe", "readinessProbe", "startupProbe"].map(remove);
    let patch: Patch<()> = Patch::Json(serde_json::from_value(json!(steps)).unwrap());
    let params = PatchParams { field_manager: Some("kubectl-patch".to_owned()), ..PatchParams::default() };
    fixture.api("Deployment").patch("web", &params, &patch).await.unwrap();
    fixture.it_stays_out(&before, mark).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_removed_field_stays_removed_until_the_policy_changes() {
    let fixture = EnforcementFixture::shared(|_| PodState::Ready).await;
    fixture.run("Deployment", "web", |_| ()).await;
    fixture.policy("standard", PROBES).await;
    fixture.until("standard", "Deployment/web", RemediationPhase::Verified).await;
    let steps = json!([{ "op": "remove", "path": "/spec/template/spec/containers/0/readinessProbe" }]);
    let patch: Patch<()> = Patch::Json(serde_json::from_value(steps).unwrap());
    let params = PatchParams { field_manager: Some("kubectl-patch".to_owned()), ..PatchParams::default() };
    fixture.api("Deployment").patch("web", &params, &patch).await.unwrap();
    let mark = fixture.base.plane.mark();
    eventually("the record counts it as set earlier", async || {
        let records = fixture.status("standard").await.remediations;
        let earlier = ["main/readinessProbe".to_owned()];
        records.iter().any(|record| record.earlier_fields == earlier).then_some(())
    })
    .await;
    assert_eq!(fixture.patches_since(mark, "web"), 0);
    fixture.change_policy("standard", json!({ "maxRestartCount": 9 })).await;
    eventually("the changed policy sets it again", async || {
        fixture.container("Deployment", "web").await.get("readinessProbe").is_some().then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_recreated_workload_is_a_new_one_even_if_the_deletion_was_missed() {
    let fixture = EnforcementFixture::alone(|_| PodState::Ready).await;
    fixture.run("Deployment", "web", |_| ()).await;
    let operator = fixture.base.operator();
    let spec = "{requireLivenessProbe: true, enforcementMode: enforce, remediation: {verifySeconds: 30}}";
    fixture.policy("standard", spec).await;
    let former = fixture.until("standard", "Deployment/web", RemediationPhase::Verified).await;
    operator.kill();
    fixture.api("Deployment").delete("web", &DeleteParams::background()).await.unwrap();
    fixture
        .create("Deployment", "web", |web| {
            // The Deployment already has its probe, so there is nothing to fix.
            let probe = json!({ "tcpSocket": { "port": 8080 } });
            web["spec"]["template"]["spec"]["containers"][0]["livenessProbe"] = probe;
        })
        .await;
    let _operator = fixture.base.operator();
    fixture
        .base
        .until(&fixture.namespace, "standard", "the former one is forgotten", |status| {
            status.remediations.is_empty() && status.remediated_workloads.is_empty()
        })
        .await;
    let uid = fixture.get("Deployment", "web").await.metadata.uid;
    assert!(former.uid.is_some() && former.uid != uid);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_rollout_undone_after_verification_stays_undone() {
    let undone = EnforcementFixture::shared(|_| PodState::Ready).await;
    let replaced = undone.beside(|_| PodState::Ready).await;
    let undo = async {
        let before = undone.run("Deployment", "web", |_| ()).await;
        let mark = undone.base.plane.mark();
        undone.policy("standard", PROBES).await;
        undone.until("standard", "Deployment/web", RemediationPhase::Verified).await;
        // The patch that `kubectl rollout undo` sends.
        let steps = json!([
            { "op": "replace", "path": "/spec/template", "value": template(&before) },
            { "op": "replace", "path": "/metadata/annotations", "value": before.metadata.annotations },
        ]);
        let patch: Patch<()> = Patch::Json(serde_json::from_value(steps).unwrap());
        let params =
            PatchParams { field_manager: Some("kubectl-rollout".to_owned()), ..PatchParams::default() };
        undone.api("Deployment").patch("web", &params, &patch).await.unwrap();
        undone.it_stays_out(&before, mark).await;
    };
    let replace = async {
        let before = replaced.run("Deployment", "web", |_| ()).await;
        let mark = replaced.base.plane.mark();
        replaced.policy("standard", PROBES).await;
        replaced.until("standard", "Deployment/web", RemediationPhase::Verified).await;
        let mut manifest = before.clone();
        manifest.metadata.resource_version = None;
        manifest.metadata.managed_fields = None;
        let params =
            PostParams { field_manager: Some("kubectl-replace".to_owned()), ..PostParams::default() };
        replaced.api("Deployment").replace("web", &params, &manifest).await.unwrap();
        replaced.it_stays_out(&before, mark).await;
    };
    tokio::join!(undo, replace);
}
