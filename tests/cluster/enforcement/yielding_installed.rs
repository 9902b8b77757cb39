//! When the admission policy that makes our fields yield is installed, and when it goes.

use super::ledger::cluster;
use super::stage::{Fate, PROBES, Stage};
use crate::analyze::on;
use crate::eventually::eventually;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube_devops::manifests::YIELD_NAME;
use kube_devops::policy::RemediationPhase;
use kube_devops::remediation::install_conflict_policy;
use serde_json::json;
use std::time::Duration;
use tokio::time::sleep;

/// How much of it there is: the policy, and what puts it into effect.
async fn installed(stage: &Stage) -> usize {
    let mut found = 0;
    for api in apis(stage) {
        found += usize::from(api.get_opt(YIELD_NAME).await.unwrap().is_some());
    }
    found
}

fn apis(stage: &Stage) -> [Api<DynamicObject>; 2] {
    ["MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding"].map(|kind| {
        let kind = GroupVersionKind::gvk("admissionregistration.k8s.io", "v1", kind);
        Api::all_with(stage.world.client.clone(), &ApiResource::from_gvk(&kind))
    })
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn what_somebody_removed_comes_back_and_the_condition_says_when_it_can_not() {
    let stage = Stage::apart(|_| Fate::Ready).await;
    let operator = stage.world.replica("operator-0", &["--yield-interval", "2s"]);
    operator.wait_until_ready();
    // Nothing is there to mend: only the time that passes has the policy looked at.
    stage.policy("standard", PROBES).await;
    for _ in 0..2 {
        eventually("it is installed", async || (installed(&stage).await == 2).then_some(())).await;
        for api in apis(&stage) {
            api.delete(YIELD_NAME, &DeleteParams::default()).await.unwrap();
        }
    }
    eventually("it is back", async || (installed(&stage).await == 2).then_some(())).await;
    stage.world.forbid("patch", "admissionregistration.k8s.io", "mutatingadmissionpolicies").await;
    stage.until_condition("standard", "Enforcing", "Enforcing", "kube-devops-yield can't be installed").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn our_fields_yield_as_long_as_there_are_any_and_what_a_former_operator_left_goes() {
    let stage = Stage::apart(|_| Fate::Ready).await;
    let installed = async || installed(&stage).await;
    let policies = stage.world.policies(&stage.namespace);
    install_conflict_policy(&cluster(stage.world.plane).await).await.unwrap();
    assert_eq!(installed().await, 2);
    let operator = stage.world.operator();
    eventually("what was left behind is gone", async || (installed().await == 0).then_some(())).await;

    stage.run("Deployment", "web", |_| ()).await;
    stage.policy("standard", PROBES).await;
    stage.until("standard", "Deployment/web", RemediationPhase::Verified).await;
    assert_eq!(installed().await, 2);
    let audit = Patch::Merge(json!({ "spec": { "enforcementMode": "audit" } }));
    policies.patch("standard", &PatchParams::default(), &audit).await.unwrap();
    stage
        .world
        .until(&stage.namespace, "standard", "it audits", |status| {
            let mut conditions = status.conditions.iter();
            conditions.any(|condition| condition.reason == "AuditMode")
        })
        .await;
    sleep(Duration::from_secs(2)).await;
    assert_eq!(installed().await, 2, "what is patched stays patched, and yields");
    policies.delete("standard", &DeleteParams::default()).await.unwrap();
    eventually("the policy is gone", async || {
        policies.get_opt("standard").await.unwrap().is_none().then_some(())
    })
    .await;
    sleep(Duration::from_secs(2)).await;
    assert_eq!(installed().await, 2, "what it kept yields");

    let outcome = on(stage.world.plane.kubeconfig(), &["undo", "--all", "-n", &stage.namespace]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    operator.kill();
    let _operator = stage.world.replica("operator-1", &["--no-leader-election"]);
    eventually("it goes with the last field", async || (installed().await == 0).then_some(())).await;
}
