//! The apply document on a real API server: its target version and UID, and the fields that it keeps.

use super::fixture::{EnforcementFixture, PROBES, PodState, template};
use super::ledger::cluster;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube_devops::enforcement::{self, Constraints, EnforcingPolicy, IGNORE, Subject};
use kube_devops::policy::{CompiledPolicy, DevOpsPolicy, RemediationPhase};
use kube_devops::remediation::{self, ApplyError};
use kube_devops::workload::WorkloadKind;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Plans the probes of a workload.
fn plan(subject: &Subject) -> Value {
    let spec: Value = yaml_serde::from_str(PROBES).unwrap();
    let policy: DevOpsPolicy =
        serde_json::from_value(json!({ "metadata": { "name": "standard" }, "spec": spec })).unwrap();
    #[expect(clippy::disallowed_methods, reason = "a test of its own")]
    let now = jiff::Timestamp::now();
    let policies = [EnforcingPolicy::new(&CompiledPolicy::new(policy)).unwrap()];
    let plan = enforcement::plan(subject, &policies, &Constraints::default(), &BTreeSet::new(), now).unwrap();
    assert!(!plan.is_empty());
    plan.document
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_plan_applies_only_to_its_version_and_uid() {
    let fixture = EnforcementFixture::shared(|_| PodState::Ready).await;
    let cluster = cluster(fixture.base.plane).await;
    let fetch = async || {
        let found = remediation::fetch(&cluster, WorkloadKind::Deployment, &fixture.namespace, "web").await;
        found.unwrap().unwrap()
    };
    fixture.run("Deployment", "web", |_| ()).await;
    let planned = fetch().await;
    let ignore = Patch::Merge(json!({ "metadata": { "annotations": { IGNORE: "true" } } }));
    fixture.api("Deployment").patch("web", &PatchParams::default(), &ignore).await.unwrap();
    let late = remediation::apply(&cluster, &planned, &plan(&planned)).await.unwrap_err();
    assert!(matches!(late, ApplyError::Stale), "{late:?}");

    // A recreated workload of the same name is refused, both by its version and by its UID alone.
    let planned = fetch().await;
    fixture.api("Deployment").delete("web", &DeleteParams::background()).await.unwrap();
    fixture.run("Deployment", "web", |_| ()).await;
    let mut document = plan(&planned);
    let late = remediation::apply(&cluster, &planned, &document).await.unwrap_err();
    assert!(matches!(late, ApplyError::Stale), "{late:?}");
    document["metadata"].as_object_mut().unwrap().remove("resourceVersion");
    let refused = remediation::apply(&cluster, &planned, &document).await.unwrap_err();
    assert!(refused.to_string().contains("metadata.uid"), "{refused:?}");
    fixture.api("Deployment").delete("web", &DeleteParams::background()).await.unwrap();
    let gone = remediation::apply(&cluster, &planned, &document).await.unwrap_err();
    assert!(matches!(gone, ApplyError::Gone), "{gone:?}");
    assert!(fixture.api("Deployment").get_opt("web").await.unwrap().is_none(), "nothing is created");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_second_patch_keeps_the_first_and_a_revert_removes_both() {
    let fixture = EnforcementFixture::shared(|_| PodState::Ready).await;
    let before = fixture.run("Deployment", "web", |_| ()).await;
    let mark = fixture.base.plane.mark();
    let spec = "{requireLivenessProbe: true, enforcementMode: enforce, remediation: {verifySeconds: 30, onDelete: revert}}";
    fixture.policy("standard", spec).await;
    fixture.until("standard", "Deployment/web", RemediationPhase::Verified).await;
    fixture.change_policy("standard", json!({ "requireReadinessProbe": true })).await;
    fixture.until("standard", "Deployment/web", RemediationPhase::Applied).await;
    let record = fixture.until("standard", "Deployment/web", RemediationPhase::Verified).await;
    assert_eq!(record.fields, ["main/readinessProbe"]);
    assert_eq!(record.earlier_fields, ["main/livenessProbe", "main/startupProbe"]);
    let container = fixture.container("Deployment", "web").await;
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        assert_eq!(container[probe]["tcpSocket"]["port"], json!(8080), "{probe}");
    }
    assert_eq!(fixture.patches_since(mark, "web"), 2);

    // A user tunes one field of a probe. Without our fields the probe would be invalid, so all of it is removed and
    // reported.
    let tuning = json!({ "spec": { "template": { "spec": { "containers": [
        { "name": "main", "livenessProbe": { "periodSeconds": 7 } },
    ] } } } });
    fixture.edit("Deployment", "web", "kubectl-edit", &tuning).await;
    fixture.until_available("Deployment", "web").await;
    fixture.delete_policy("standard").await;
    fixture.until_event("standard", "TuningLost", "kubectl-edit").await;
    fixture.until_policy_is_gone("standard").await;
    assert_eq!(template(&fixture.get("Deployment", "web").await), template(&before));
}
