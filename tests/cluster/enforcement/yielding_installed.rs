//! The conflict policy, by which enforcement's fields yield: a missing or changed one is reported, and not repaired.

use super::stage::{PROBES, PodState, Stage};
use crate::analyze::on;
use crate::eventually::eventually;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube_devops::manifests::YIELD_NAME;
use serde_json::json;

fn api(stage: &Stage, kind: &str) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("admissionregistration.k8s.io", "v1", kind);
    Api::all_with(stage.world.client.clone(), &ApiResource::from_gvk(&kind))
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_missing_or_changed_conflict_policy_is_reported_and_left_alone() {
    let stage = Stage::apart(|_| PodState::Ready).await;
    let install = || on(stage.world.plane.kubeconfig(), &["policy", "compile", "--apply"]);
    let outcome = install();
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let operator = stage.world.replica("operator-0", &["--yield-interval", "1s"]);
    operator.wait_until_ready();
    stage.policy("standard", PROBES).await;
    stage.until_condition("standard", "Enforcing", "Enforcing", "0 patched").await;
    let policies = api(&stage, "MutatingAdmissionPolicy");
    let changed = Patch::Merge(json!({ "spec": { "matchConditions": null } }));
    policies.patch(YIELD_NAME, &PatchParams::default(), &changed).await.unwrap();
    stage.until_condition("standard", "Enforcing", "Enforcing", "differs from that of this version").await;
    api(&stage, "MutatingAdmissionPolicyBinding").delete(YIELD_NAME, &DeleteParams::default()).await.unwrap();
    policies.delete(YIELD_NAME, &DeleteParams::default()).await.unwrap();
    stage.until_condition("standard", "Enforcing", "Enforcing", "is not installed").await;
    assert!(policies.get_opt(YIELD_NAME).await.unwrap().is_none());
    let outcome = install();
    assert!(
        outcome.stdout.contains("mutatingadmissionpolicy kube-devops-yield created\n"),
        "{}",
        outcome.stdout
    );
    eventually("the condition is back to normal", async || {
        let policy = stage.world.policies(&stage.namespace).get("standard").await.ok()?;
        let conditions = policy.status?.conditions;
        let enforcing = conditions.into_iter().find(|condition| condition.type_ == "Enforcing")?;
        (!enforcing.message.contains("not in effect")).then_some(())
    })
    .await;
}
