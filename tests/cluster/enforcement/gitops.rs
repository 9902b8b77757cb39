//! Workloads that a tool manages: patched where the policy says so, and else left with the patch for their source.

use super::stage::{Fate, PROBES, Stage};
use crate::analyze::on;
use crate::eventually::eventually;
use kube_devops::policy::RemediationPhase;
use serde_json::{Value, json};

/// What Helm leaves on an object.
fn helm(object: &mut Value) {
    object["metadata"]["labels"] = json!({ "app.kubernetes.io/managed-by": "Helm" });
    object["metadata"]["annotations"] = json!({ "meta.helm.sh/release-name": "shop" });
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_managed_workload_is_patched_where_the_policy_says_so() {
    let stage = Stage::shared(|_| Fate::Ready).await;
    stage.run("Deployment", "web", helm).await;
    stage.policy("standard", &PROBES.replace("30}", "30, gitops: patch}")).await;
    stage.until("standard", "Deployment/web", RemediationPhase::Verified).await;
    let container = stage.container("Deployment", "web").await;
    assert_eq!(container["livenessProbe"]["tcpSocket"]["port"], json!(8080));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn the_patch_for_the_source_of_a_managed_workload_makes_its_violations_go_away() {
    let stage = Stage::shared(|_| Fate::Ready).await;
    stage.run("Deployment", "web", helm).await;
    let mark = stage.world.plane.mark();
    stage.policy("standard", PROBES).await;
    stage.until_condition("standard", "Enforcing", "Enforcing", "ManagedByGitOps").await;
    let fixes = eventually("the fix is in the audit result", async || {
        let arguments = ["policy", "fixes", "standard", "-n", &stage.namespace];
        let printed = on(stage.world.plane.kubeconfig(), &arguments);
        assert_eq!(printed.code, 0, "{}", printed.stderr);
        printed.stdout.contains("livenessProbe").then_some(printed.stdout)
    })
    .await;
    assert!(fixes.contains(&format!("# Deployment/web in {}, by policy standard", stage.namespace)));

    // As the tool does once its source has it.
    let patch: Value = yaml_serde::from_str(&fixes).unwrap();
    assert_eq!((&patch["kind"], &patch["metadata"]["name"]), (&json!("Deployment"), &json!("web")));
    stage.edit("Deployment", "web", "helm", &patch).await;
    stage.until_available("Deployment", "web").await;
    stage
        .world
        .until(&stage.namespace, "standard", "nothing is violated", |status| status.healthy == Some(true))
        .await;
    assert_eq!(stage.patches_since(mark, "web"), 0, "the operator left it alone");
}
