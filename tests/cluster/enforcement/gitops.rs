//! Workloads that a GitOps tool manages: patched if the policy allows it, otherwise reported with a patch for their
//! source.

use super::fixture::{EnforcementFixture, PROBES, PodState};
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
    let fixture = EnforcementFixture::shared(|_| PodState::Ready).await;
    fixture.run("Deployment", "web", helm).await;
    fixture.policy("standard", &PROBES.replace("30}", "30, gitops: patch}")).await;
    fixture.until("standard", "Deployment/web", RemediationPhase::Verified).await;
    let container = fixture.container("Deployment", "web").await;
    assert_eq!(container["livenessProbe"]["tcpSocket"]["port"], json!(8080));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn policy_fixes_prints_patches_that_exceed_a_result() {
    let fixture = EnforcementFixture::shared(|_| PodState::Ready).await;
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
        fixture.create("Deployment", &format!("web-{number}"), large).await;
    }
    fixture.policy("standard", PROBES).await;
    let result = eventually("a result counts all fixes", async || {
        let results = fixture.base.results(&fixture.namespace, "standard").await;
        results.into_iter().next_back().filter(|result| result.spec.total_fixes == Some(MANY as u64))
    })
    .await;
    assert!(result.spec.fixes.len() < MANY);
    let arguments = ["policy", "fixes", "standard", "-n", &fixture.namespace];
    let printed = on(fixture.base.plane.kubeconfig(), &arguments);
    assert_eq!(printed.code, 0, "{}", printed.stderr);
    let comment = format!("\n# {}/Deployment/web-", fixture.namespace);
    assert_eq!(printed.stdout.matches(&comment).count(), MANY);
    fixture.change_policy("standard", json!({ "enforcementMode": "audit" })).await;
    let printed = on(fixture.base.plane.kubeconfig(), &arguments);
    assert_eq!((printed.code, printed.stdout.as_str()), (0, ""), "the result suggests no more changes");
    assert!(printed.stderr.starts_with("note: no fixes in namespace"), "{}", printed.stderr);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn the_suggested_source_patch_fixes_the_violations() {
    let fixture = EnforcementFixture::shared(|_| PodState::Ready).await;
    fixture.run("Deployment", "web", helm).await;
    let mark = fixture.base.plane.mark();
    fixture.policy("standard", PROBES).await;
    fixture.until_condition("standard", "Enforcing", "Enforcing", "ManagedByGitOps").await;
    let fixes = eventually("the fix is in the audit result", async || {
        let arguments = ["policy", "fixes", "standard", "-n", &fixture.namespace];
        let printed = on(fixture.base.plane.kubeconfig(), &arguments);
        assert_eq!(printed.code, 0, "{}", printed.stderr);
        printed.stdout.contains("livenessProbe").then_some(printed.stdout)
    })
    .await;
    assert!(fixes.contains(&format!("# {0}/Deployment/web, by policy {0}/standard", fixture.namespace)));

    // Applies the patch as the tool does once its source has it.
    let patch: Value = yaml_serde::from_str(&fixes).unwrap();
    assert_eq!((&patch["kind"], &patch["metadata"]["name"]), (&json!("Deployment"), &json!("web")));
    fixture.edit("Deployment", "web", "helm", &patch).await;
    fixture.until_available("Deployment", "web").await;
    fixture
        .base
        .until(&fixture.namespace, "standard", "nothing is violated", |status| status.healthy == Some(true))
        .await;
    assert_eq!(fixture.patches_since(mark, "web"), 0, "the operator did not patch it");
}
