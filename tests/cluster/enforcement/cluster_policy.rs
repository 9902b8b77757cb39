//! A cluster policy that enforces: where it patches, where it does not, and what is left after it.

use k8s_openapi::api::core::v1::Namespace;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use kube_devops::enforcement::PATCHED_BY;
use kube_devops::policy::{ClusterDevOpsPolicy, ENFORCEMENT_ANNOTATION, RemediationPhase};
use serde_json::{Value, json};
use std::time::Duration;

use super::fixture::{EnforcementFixture, PROBES, PodState};
use crate::analyze::on;
use crate::eventually::within;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_cluster_policy_patches_unless_the_namespace_says_audit_and_takes_its_patches_back() {
    let fixture = EnforcementFixture::shared(|_| PodState::Ready).await;
    let kept = fixture.beside(|_| PodState::Ready).await;
    let client = fixture.base.client.clone();
    let name = format!("wide-{}", fixture.namespace);
    for (place, mode) in [(&fixture, Value::Null), (&kept, json!("audit"))] {
        place.run("Deployment", "web", |_| ()).await;
        let patch = Patch::Merge(json!({ "metadata": {
            "labels": { "guarded": name }, "annotations": { ENFORCEMENT_ANNOTATION: mode },
        } }));
        let namespaces = Api::<Namespace>::all(client.clone());
        namespaces.patch(&place.namespace, &PatchParams::default(), &patch).await.unwrap();
    }
    let mut spec: Value =
        yaml_serde::from_str(&PROBES.replace("verifySeconds: 30", "verifySeconds: 30, onDelete: revert"))
            .unwrap();
    spec["namespaceSelector"] = json!({ "matchLabels": { "guarded": name } });
    let policy = serde_json::from_value(json!({ "metadata": { "name": name }, "spec": spec })).unwrap();
    let policies = Api::<ClusterDevOpsPolicy>::all(client);
    policies.create(&PostParams::default(), &policy).await.unwrap();

    let status = within(Duration::from_mins(3), "a verified patch", async || {
        let status = policies.get(&name).await.unwrap().status?;
        let [record] = &status.totals.remediations[..] else { return None };
        (record.phase == RemediationPhase::Verified && status.totals.violations == Some(2)).then_some(status)
    })
    .await;
    let record = &status.totals.remediations[0];
    assert_eq!(record.namespace.as_deref(), Some(&*fixture.namespace));
    assert_eq!(status.totals.remediated_workloads, [format!("{}/Deployment/web", fixture.namespace)]);
    let patched = fixture.get("Deployment", "web").await;
    assert_eq!(patched.annotations().get(PATCHED_BY), Some(&format!("cluster/{name}")));
    assert!(kept.container("Deployment", "web").await.get("livenessProbe").is_none());
    assert_eq!(status.worst_namespaces[0].namespace, kept.namespace);

    let run = |arguments: &[&str]| on(fixture.base.plane.kubeconfig(), arguments);
    let cluster_name = format!("cluster/{name}");
    let rehearsed = run(&["policy", "rehearse", &cluster_name, "-n", &kept.namespace]);
    assert!(rehearsed.code == 0 && rehearsed.stdout.contains("livenessProbe"), "{rehearsed:?}");
    let undone = run(&["undo", "--policy", &cluster_name, "-n", &fixture.namespace, "--dry-run"]);
    assert!(undone.stdout.contains("would remove main/livenessProbe"), "{undone:?}");

    policies.delete(&name, &DeleteParams::default()).await.unwrap();
    within(Duration::from_mins(3), "the policy is gone", async || {
        policies.get_opt(&name).await.unwrap().is_none().then_some(())
    })
    .await;
    assert!(fixture.container("Deployment", "web").await.get("livenessProbe").is_none());
}
