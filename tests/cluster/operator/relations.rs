//! Rules about how objects fit together: the operator finds what `analyze` finds, as far as it may read.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Namespace, Service};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use kube_devops::manifests::installation::{self, Installation};
use kube_devops::manifests::{Mode, RECONCILE_LEASE, RulePermissions};
use kube_devops::policy::{ClusterDevOpsPolicy, ConditionType, DevOpsPolicyStatus, EffectivePolicy};
use serde_json::{Value, json};

use super::fixture::OperatorFixture;
use crate::analyze::on;
use crate::eventually::eventually;
use crate::relations::{RULES, create, objects};

/// Returns the status, the reason and the message of the condition `Complete`.
fn complete(status: &DevOpsPolicyStatus) -> Option<(String, String, String)> {
    let condition = ConditionType::Complete.of(&status.conditions)?;
    Some((condition.status.clone(), condition.reason.clone(), condition.message.clone()))
}

impl OperatorFixture<'_> {
    /// Gives the operator's account the permissions to read what all rules read.
    pub(super) async fn permit_rules(&self) {
        let chosen = Installation {
            namespace: self.home.clone(),
            modes: vec![Mode::Reconcile],
            rule_permissions: RulePermissions::All,
            ..Installation::default()
        };
        let name = format!("{}-rules", self.home);
        for mut object in installation::rbac(&chosen) {
            if object["metadata"]["name"] != RECONCILE_LEASE {
                continue;
            }
            object["metadata"]["name"] = name.clone().into();
            match object["kind"].as_str().unwrap() {
                "ClusterRole" => {
                    let role: ClusterRole = serde_json::from_value(object).unwrap();
                    Api::all(self.client.clone()).create(&PostParams::default(), &role).await.unwrap();
                }
                "ClusterRoleBinding" => {
                    object["roleRef"]["name"] = name.clone().into();
                    let binding: ClusterRoleBinding = serde_json::from_value(object).unwrap();
                    Api::all(self.client.clone()).create(&PostParams::default(), &binding).await.unwrap();
                }
                _ => {}
            }
        }
    }

    /// Returns the number of findings of each rule that has some, by `analyze`.
    fn analyzed(&self, namespace: &str) -> BTreeMap<String, u64> {
        let arguments = ["analyze", "-n", namespace, "--rules", RULES, "-o", "json"];
        let report: Value = on(self.plane.kubeconfig(), &arguments).json();
        assert_eq!(report["summary"].get("unknown"), None, "{report}");
        let counts: BTreeMap<String, u64> =
            serde_json::from_value(report["summary"]["counts"].clone()).unwrap();
        counts.into_iter().filter(|(_, count)| *count > 0).collect()
    }

    /// Waits until the newest audit result has exactly the findings that `analyze` has now.
    async fn agrees_with_analyze(&self, namespace: &str) {
        let expected = self.analyzed(namespace);
        let rules: Vec<String> = expected.iter().map(|(rule, count)| format!("{count} x {rule}")).collect();
        let found = expected.values().sum::<u64>();
        let mut last = String::new();
        eventually("the operator finds what analyze finds", async || {
            let status = self.policies(namespace).get("fit").await.ok()?.status?;
            last = status.message.clone().unwrap_or_default();
            let agrees = status.violations == Some(found) && last.ends_with(&rules.join(", "));
            agrees.then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn the_operator_finds_what_analyze_finds_while_a_policy_asks_for_it() {
    let fixture = OperatorFixture::shared().await;
    let namespace = fixture.plane.namespace("fit");
    for (path, object) in objects() {
        create(&fixture.client, &path.replace("NS", &format!("namespaces/{namespace}")), &object).await;
    }
    let chosen = EffectivePolicy::select(RULES).unwrap();
    let rules: Vec<Value> = chosen.rules().iter().map(|one| json!({ "id": one.rule.id.as_str() })).collect();
    let _operator = fixture.operator();
    fixture.policy(&namespace, "fit", &json!({ "rules": rules }).to_string()).await;

    // Without the permissions, nothing is claimed about Ingresses. Services are followed anyway.
    let policy = fixture
        .until(&namespace, "fit", "the missing permissions are named", |status| {
            complete(status).is_some_and(|(status, reason, _)| status == "False" && reason == "NoPermission")
        })
        .await;
    let status = policy.status.unwrap();
    let message = status.message.clone().unwrap();
    assert!(
        message.contains("dangling-ingress can't tell") && !message.contains("x dangling-ingress"),
        "{message}"
    );
    let (_, _, unread) = complete(&status).unwrap();
    assert!(unread.contains("no permission to list and watch ingresses (for "), "{unread}");
    assert!(!unread.contains("list and watch services"), "{unread}");

    fixture.permit_rules().await;
    fixture.agrees_with_analyze(&namespace).await;
    fixture
        .until(&namespace, "fit", "everything could be read", |status| {
            complete(status) == Some(("True".to_owned(), "Evaluated".to_owned(), String::new()))
        })
        .await;

    // A change of another object is a change of the namespace.
    let services = Api::<Service>::namespaced(fixture.client.clone(), &namespace);
    services.delete("nothing", &DeleteParams::default()).await.unwrap();
    fixture.agrees_with_analyze(&namespace).await;

    // Without the rules, nothing is left of them.
    let without = Patch::Merge(json!({ "spec": { "rules": null, "forbidLatestTag": true } }));
    fixture.policies(&namespace).patch("fit", &PatchParams::default(), &without).await.unwrap();
    fixture
        .until(&namespace, "fit", "the policy is satisfied", |status| {
            status.violations == Some(0) && complete(status).is_none()
        })
        .await;
    fixture.policies(&namespace).delete("fit", &DeleteParams::default()).await.unwrap();

    // A cluster policy is read for the first time when a Namespace gets its label.
    let policies = Api::<ClusterDevOpsPolicy>::all(fixture.client.clone());
    let spec = json!({
        "namespaceSelector": { "matchLabels": { "fit": namespace } }, "rules": [{ "id": "dangling-ingress" }],
    });
    let policy = serde_json::from_value(json!({ "metadata": { "name": "fit" }, "spec": spec })).unwrap();
    policies.create(&PostParams::default(), &policy).await.unwrap();
    let until = async |what: &str, namespaces: u64, violations: u64| {
        eventually(what, async || {
            let status = policies.get("fit").await.ok()?.status?;
            let found = (status.namespaces, status.totals.violations);
            (found == (Some(namespaces), Some(violations))).then_some(())
        })
        .await;
    };
    until("the cluster policy selects nothing", 0, 0).await;
    let label = Patch::Merge(json!({ "metadata": { "labels": { "fit": namespace } } }));
    let namespaces = Api::<Namespace>::all(fixture.client.clone());
    namespaces.patch(&namespace, &PatchParams::default(), &label).await.unwrap();
    until("the cluster policy finds the Ingress", 1, 1).await;
    policies.delete("fit", &DeleteParams::default()).await.unwrap();
    eventually("the cluster policy is gone", async || {
        policies.get_opt("fit").await.ok()?.is_none().then_some(())
    })
    .await;
}
