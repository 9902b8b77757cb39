//! The conflict policy, by which enforcement's fields yield: a missing or changed one is reported, and not repaired.

use super::fixture::{EnforcementFixture, PROBES, PodState};
use crate::analyze::on;
use crate::eventually::eventually;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube_devops::manifests::CONFLICT_POLICY;
use serde_json::json;

fn api(fixture: &EnforcementFixture, kind: &str) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("admissionregistration.k8s.io", "v1", kind);
    Api::all_with(fixture.base.client.clone(), &ApiResource::from_gvk(&kind))
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_missing_or_changed_conflict_policy_is_reported_and_left_alone() {
    let fixture = EnforcementFixture::apart(|_| PodState::Ready).await;
    let install = || on(fixture.base.plane.kubeconfig(), &["policy", "compile", "--apply"]);
    let outcome = install();
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let operator = fixture.base.replica("operator-0", &["--yield-interval", "1s"]);
    operator.wait_until_ready();
    fixture.policy("standard", PROBES).await;
    fixture.until_condition("standard", "Enforcing", "Enforcing", "0 patched").await;
    let policies = api(&fixture, "MutatingAdmissionPolicy");
    let changed = Patch::Merge(json!({ "spec": { "matchConditions": null } }));
    policies.patch(CONFLICT_POLICY, &PatchParams::default(), &changed).await.unwrap();
    fixture.until_condition("standard", "Enforcing", "Enforcing", "differs from that of this version").await;
    api(&fixture, "MutatingAdmissionPolicyBinding")
        .delete(CONFLICT_POLICY, &DeleteParams::default())
        .await
        .unwrap();
    policies.delete(CONFLICT_POLICY, &DeleteParams::default()).await.unwrap();
    fixture.until_condition("standard", "Enforcing", "Enforcing", "is not installed").await;
    assert!(policies.get_opt(CONFLICT_POLICY).await.unwrap().is_none());
    let outcome = install();
    assert!(
        outcome.stdout.contains("mutatingadmissionpolicy kube-devops-yield created\n"),
        "{}",
        outcome.stdout
    );
    eventually("the condition is back to normal", async || {
        let policy = fixture.base.policies(&fixture.namespace).get("standard").await.ok()?;
        let conditions = policy.status?.conditions;
        let enforcing = conditions.into_iter().find(|condition| condition.type_ == "Enforcing")?;
        (!enforcing.message.contains("not in effect")).then_some(())
    })
    .await;
}
