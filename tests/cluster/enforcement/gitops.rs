//! Workloads that a GitOps tool manages: patched if the policy allows it, otherwise reported with a patch for their
//! source.

use super::stage::{PROBES, PodState, Stage};
use crate::analyze::on;
use crate::eventually::eventually;
use kube_devops::policy::RemediationPhase;
use serde_json::{Value, json};

/// More workloads than an audit result has room to show patches for. The operator looks at all of them in one step.
const MANY: usize = 20;

/// Adds the marks that Helm leaves on an object.
fn helm(object: &mut Value) {
    object["metadata"]["labels"] = json!({ "app.kubernetes.io/managed-by": "Helm" });
    object["metadata"]["annotations"] = json!({ "meta.helm.sh/release-name": "shop" });
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_managed_workload_is_patched_if_the_policy_allows_it() {
    let stage = Stage::shared(|_| PodState::Ready).await;
    stage.run("Deployment", "web", helm).await;
    stage.policy("standard", &PROBES.replace("30}", "30, gitops: patch}")).await;
    stage.until("standard", "Deployment/web", RemediationPhase::Verified).await;
    let container = stage.container("Deployment", "web").await;
    assert_eq!(container["livenessProbe"]["tcpSocket"]["port"], json!(8080));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn policy_fixes_prints_patches_that_exceed_a_result() {
    let stage = Stage::shared(|_| PodState::Ready).await;
    for number in 0..MANY {
        let large = |object: &mut Value| {
            helm(object);
            object["spec"]["replicas"] = json!(0);
            let container = |number: u16| {
                let port = json!({ "containerPort": 8080 + number });
                json!({ "name": format!("main-{number}"), "image": "x:1", "ports": [port] })
            };
            object["spec"]["template"]["spec"]["containers"] = (0..4).map(container).collect();
        };
        stage.create("Deployment", &format!("web-{number}"), large).await;
    }
    stage.policy("standard", PROBES).await;
    let result = eventually("a result has fixes", async || {
        let results = stage.world.results(&stage.namespace, "standard").await;
        results.into_iter().next_back().filter(|result| !result.spec.fixes.is_empty())
    })
    .await;
    assert_eq!(result.spec.total_fixes, Some(MANY as u64));
    assert!(result.spec.fixes.len() < MANY);
    let arguments = ["policy", "fixes", "standard", "-n", &stage.namespace];
    let printed = on(stage.world.plane.kubeconfig(), &arguments);
    assert_eq!(printed.code, 0, "{}", printed.stderr);
    let comment = format!("\n# {}/Deployment/web-", stage.namespace);
    assert_eq!(printed.stdout.matches(&comment).count(), MANY);
    stage.change_policy("standard", json!({ "enforcementMode": "audit" })).await;
    let printed = on(stage.world.plane.kubeconfig(), &arguments);
    assert_eq!((printed.code, printed.stdout.as_str()), (0, ""), "the result suggests no more changes");
    assert!(printed.stderr.starts_with("note: no fixes in namespace"), "{}", printed.stderr);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn the_suggested_source_patch_fixes_the_violations() {
    let stage = Stage::shared(|_| PodState::Ready).await;
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
    assert!(fixes.contains(&format!("# {0}/Deployment/web, by policy {0}/standard", stage.namespace)));

    // Applies the patch as the tool does once its source has it.
    let patch: Value = yaml_serde::from_str(&fixes).unwrap();
    assert_eq!((&patch["kind"], &patch["metadata"]["name"]), (&json!("Deployment"), &json!("web")));
    stage.edit("Deployment", "web", "helm", &patch).await;
    stage.until_available("Deployment", "web").await;
    stage
        .world
        .until(&stage.namespace, "standard", "nothing is violated", |status| status.healthy == Some(true))
        .await;
    assert_eq!(stage.patches_since(mark, "web"), 0, "the operator did not patch it");
}
