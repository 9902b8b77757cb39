//! Objects without a namespace, such as bindings of cluster roles, under a cluster policy.

use kube::api::{Api, DeleteParams, PostParams};
use kube_devops::policy::{
    ClusterDevOpsPolicy, ClusterDevOpsPolicyStatus, ClusterObjectViolation, ConditionReason, ConditionType,
};
use serde_json::{Value, json};

use super::fixture::OperatorFixture;
use crate::analyze::on;
use crate::apply::{api_of, apply};
use crate::eventually::eventually;

/// Returns the violation in a `ClusterRoleBinding`.
fn violation_in(status: &ClusterDevOpsPolicyStatus, name: &str) -> Option<ClusterObjectViolation> {
    let worst = &status.cluster_objects.as_ref()?.worst;
    worst.iter().find(|one| one.kind == "ClusterRoleBinding" && one.name == name).cloned()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_cluster_policy_without_namespaces_finds_what_analyze_finds_in_objects_of_the_cluster() {
    let fixture = OperatorFixture::shared().await;
    let name = fixture.plane.namespace("admins");
    let group = "rbac.authorization.k8s.io";
    let binding = json!({
        "apiVersion": format!("{group}/v1"), "kind": "ClusterRoleBinding", "metadata": { "name": name },
        "roleRef": { "apiGroup": group, "kind": "ClusterRole", "name": "cluster-admin" },
        "subjects": [{ "apiGroup": group, "kind": "Group", "name": "everybody" }],
    });
    apply(&fixture.client, &binding).await.unwrap();
    let _operator = fixture.operator();
    let policies = Api::<ClusterDevOpsPolicy>::all(fixture.client.clone());
    let spec = json!({
        "namespaceSelector": { "matchLabels": { "none": "has-this-label" } },
        "rules": [{ "id": "cluster-admin-binding" }, { "id": "unhealthy-node" }],
    });
    let policy = json!({ "metadata": { "name": "rights" }, "spec": spec });
    policies.create(&PostParams::default(), &serde_json::from_value(policy).unwrap()).await.unwrap();
    let until = async |what: &str, is: &dyn Fn(&ClusterDevOpsPolicyStatus) -> bool| {
        eventually(what, async || policies.get("rights").await.ok()?.status.filter(|status| is(status))).await
    };
    let complete = |status: &ClusterDevOpsPolicyStatus| {
        let condition = ConditionType::Complete.of(&status.totals.conditions)?;
        Some((condition.reason.clone(), condition.message.clone()))
    };

    // Without the permissions, nothing is claimed.
    let refused = until("the missing permissions are named", &|status| {
        complete(status).is_some_and(|(reason, _)| reason == ConditionReason::NoPermission.to_string())
    })
    .await;
    let (_, unread) = complete(&refused).unwrap();
    for kind in ["nodes (for unhealthy-node)", "clusterrolebindings (for cluster-admin-binding)"] {
        assert!(unread.contains(kind), "{unread}");
    }
    assert_eq!((refused.totals.violations, refused.namespaces), (Some(0), Some(0)));

    fixture.permit_rules().await;
    let found = until("the binding is reported", &|status| violation_in(status, &name).is_some()).await;
    let found = violation_in(&found, &name).unwrap();
    until("everything is read", &|status| {
        complete(status).is_some_and(|(reason, _)| reason == ConditionReason::Evaluated.to_string())
    })
    .await;
    let live = on(fixture.plane.kubeconfig(), &["analyze", "--rules", "cluster-admin-binding", "-o", "json"]);
    let live: Value = live.json();
    let same = live["violations"].as_array().unwrap().iter().find(|one| one["name"] == *name).unwrap();
    assert_eq!((&same["rule"], &same["message"]), (&json!(found.rule), &json!(found.message)));

    // A change of an object without a namespace is a change for the policy.
    api_of(&fixture.client, &binding).delete(&name, &DeleteParams::default()).await.unwrap();
    until("the binding is gone", &|status| violation_in(status, &name).is_none()).await;
    policies.delete("rights", &DeleteParams::default()).await.unwrap();
    eventually("the policy is gone", async || policies.get_opt("rights").await.ok()?.is_none().then_some(()))
        .await;
}
