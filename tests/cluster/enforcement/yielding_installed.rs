//! The admission policy that makes enforcement's fields yield: its installation and removal.

use super::ledger::cluster;
use super::stage::{PROBES, PodState, Stage};
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

/// Counts the installed objects: the policy and its binding.
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
async fn a_removed_admission_policy_is_restored_or_the_condition_says_why_not() {
    let stage = Stage::apart(|_| PodState::Ready).await;
    let operator = stage.world.replica("operator-0", &["--yield-interval", "2s"]);
    operator.wait_until_ready();
    // There is nothing to fix, so only the periodic check repairs the admission policy.
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
async fn the_admission_policy_stays_while_fields_remain_and_orphans_are_deleted() {
    let stage = Stage::apart(|_| PodState::Ready).await;
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
    assert_eq!(installed().await, 2, "patched fields stay and yield");
    policies.delete("standard", &DeleteParams::default()).await.unwrap();
    eventually("the policy is gone", async || {
        policies.get_opt("standard").await.unwrap().is_none().then_some(())
    })
    .await;
    sleep(Duration::from_secs(2)).await;
    assert_eq!(installed().await, 2, "the remaining fields yield");

    let outcome = on(stage.world.plane.kubeconfig(), &["undo", "--all", "-n", &stage.namespace]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    operator.kill();
    let _operator = stage.world.replica("operator-1", &["--no-leader-election"]);
    eventually("the admission policy is removed with the last field", async || {
        (installed().await == 0).then_some(())
    })
    .await;
}
