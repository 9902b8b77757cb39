//! An owner who writes under the name of enforcement's field manager.

use super::stage::{PROBES, PodState, Stage};
use crate::analyze::on;
use kube::api::{Patch, PatchParams};
use kube_devops::enforcement::FIELD_MANAGER;
use kube_devops::policy::RemediationPhase;
use serde_json::{Value, json};

impl Stage {
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
    let stage = Stage::shared(|_| PodState::Ready).await;
    stage.run("Deployment", "web", |_| ()).await;
    stage.squat(json!({ "spec": { "replicas": 2 } })).await;
    let before = stage.until_available("Deployment", "web").await;
    let mark = stage.world.plane.mark();
    stage.policy("standard", PROBES).await;
    stage.until_condition("standard", "Enforcing", "Enforcing", "ManagerTaken").await;
    stage.until_condition("standard", "Enforcing", "Enforcing", "spec.replicas").await;
    for flags in [&["--dry-run"][..], &[]] {
        let arguments = [&["undo", "--all", "-n", &stage.namespace][..], flags].concat();
        let outcome = on(stage.world.plane.kubeconfig(), &arguments);
        assert_eq!((outcome.code, &*outcome.stdout), (2, ""), "{}", outcome.stderr);
        assert!(outcome.stderr.contains("spec.replicas"), "{}", outcome.stderr);
    }
    let after = stage.get("Deployment", "web").await;
    assert_eq!((&after.data["spec"], stage.attempts_since(mark, "web")), (&before.data["spec"], 0));

    // Once the name is free, the workload is patched like any other. Another manager has to own the replicas.
    stage.edit("Deployment", "web", "kubectl", &json!({ "spec": { "replicas": 3 } })).await;
    stage.squat(json!({})).await;
    stage.until_available("Deployment", "web").await;
    stage.change_policy("standard", json!({ "maxRestartCount": 9 })).await;
    stage.until("standard", "Deployment/web", RemediationPhase::Verified).await;
    assert_eq!(stage.get("Deployment", "web").await.data["spec"]["replicas"], 3);
}
