//! An owner who writes under the name of enforcement's field manager.

use super::fixture::{EnforcementFixture, PROBES, PodState};
use crate::analyze::on;
use kube::api::{Patch, PatchParams};
use kube_devops::enforcement::FIELD_MANAGER;
use kube_devops::policy::RemediationPhase;
use serde_json::{Value, json};

impl EnforcementFixture {
    /// Applies part of the Deployment under enforcement's name, in place of what was applied before.
    async fn squat(&self, part: Value) {
        let mut document =
            json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "web" } });
        document.as_object_mut().unwrap().extend(part.as_object().unwrap().clone());
        let params = PatchParams::apply(FIELD_MANAGER).force();
        self.api("Deployment").patch("web", &params, &Patch::Apply(document)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn fields_of_another_client_under_our_manager_name_are_kept() {
    let fixture = EnforcementFixture::shared(|_| PodState::Ready).await;
    fixture.run("Deployment", "web", |_| ()).await;
    fixture.squat(json!({ "spec": { "replicas": 2 } })).await;
    let before = fixture.until_available("Deployment", "web").await;
    let mark = fixture.base.plane.mark();
    fixture.policy("standard", PROBES).await;
    fixture.until_condition("standard", "Enforcing", "Enforcing", "ManagerTaken").await;
    fixture.until_condition("standard", "Enforcing", "Enforcing", "spec.replicas").await;
    for flags in [&["--dry-run"][..], &[]] {
        let arguments = [&["undo", "--all", "-n", &fixture.namespace][..], flags].concat();
        let outcome = on(fixture.base.plane.kubeconfig(), &arguments);
        assert_eq!((outcome.code, &*outcome.stdout), (2, ""), "{}", outcome.stderr);
        assert!(outcome.stderr.contains("spec.replicas"), "{}", outcome.stderr);
    }
    let after = fixture.get("Deployment", "web").await;
    assert_eq!((&after.data["spec"], fixture.attempts_since(mark, "web")), (&before.data["spec"], 0));

    // Once the name is free, the workload is patched like any other. Another manager has to own the replicas.
    fixture.edit("Deployment", "web", "kubectl", &json!({ "spec": { "replicas": 3 } })).await;
    fixture.squat(json!({})).await;
    fixture.until_available("Deployment", "web").await;
    fixture.change_policy("standard", json!({ "maxRestartCount": 9 })).await;
    fixture.until("standard", "Deployment/web", RemediationPhase::Verified).await;
    assert_eq!(fixture.get("Deployment", "web").await.data["spec"]["replicas"], 3);
}
