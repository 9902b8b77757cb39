//! Somebody who may write the status of a policy forges records and counts, or fills it up.

use super::fixture::{
    EnforcementFixture, PROBES, PROBES_WITH_DOWNTIME, PodState, is_marked, is_patched, template,
};
use crate::eventually::eventually;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{Patch, PatchParams};
use kube_devops::manifests::LEDGER_NAME;
use kube_devops::policy::{DevOpsPolicyStatus, Remediation, RemediationPhase, RemediationReason};
use serde_json::{Value, json};

/// Merges fields into the status of a policy.
async fn forge(fixture: &EnforcementFixture, policy: &str, status: Value) -> kube::Result<()> {
    let patch = Patch::Merge(json!({ "status": status }));
    let policies = fixture.base.policies(&fixture.namespace);
    policies.patch_status(policy, &PatchParams::default(), &patch).await.map(|_| ())
}

/// Returns the record of a workload that was never patched, in some phase.
fn forged(name: &str, uid: Option<&str>, phase: &str) -> Value {
    #[expect(clippy::disallowed_methods, reason = "a record of this hour")]
    let now = jiff::Timestamp::from_second(jiff::Timestamp::now().as_second()).unwrap();
    json!({
        "kind": "Deployment", "name": name, "uid": uid, "phase": phase, "reason": "CrashLoop", "time": now,
        "fields": ["main/livenessProbe", "main/readinessProbe"], "generation": 1, "policyGeneration": 1,
    })
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn forged_records_change_no_workload_no_metric_and_no_budget() {
    let fixture = EnforcementFixture::alone(|_| PodState::Ready).await;
    let other = fixture.beside(|_| PodState::Ready).await;
    fixture.run("Deployment", "web", |_| ()).await;
    other.run("Deployment", "web", |_| ()).await;
    let phases = ["Planned", "Applied", "Verified", "Withdrawing", "Withdrawn", "Failed"];
    let ignored = |object: &mut Value| {
        object["metadata"]["annotations"] = json!({ "devops.stochastic.io/ignore": "true" });
    };
    let mut records = Vec::new();
    for phase in phases {
        let name = format!("never-{}", phase.to_lowercase());
        let object = fixture.run("Deployment", &name, ignored).await;
        records.push(forged(&name, object.metadata.uid.as_deref(), phase));
    }
    let flags = ["--no-leader-election", "--max-per-hour", "3"];
    let operator = fixture.base.replica("operator-0", &flags);
    operator.wait_until_ready();
    fixture.policy("standard", PROBES).await;
    let genuine = fixture.until("standard", "Deployment/web", RemediationPhase::Verified).await;
    let metrics = || {
        let sum = |name: &str| operator.metric(name).unwrap_or_default();
        [
            sum("enforcement_remediations_applied_total"),
            sum("enforcement_remediations_failed_total{category=\"crash_loop\"}"),
            sum("enforcement_withdrawals_total{category=\"crash_loop\"}"),
        ]
    };
    let (before, mark) = (metrics(), fixture.base.plane.mark());
    records.push(json!(genuine));
    let counts = json!({
        "remediationsApplied": 1_000_000, "remediationsFailed": 1_000_000, "remediations": records,
    });
    forge(&fixture, "standard", counts).await.unwrap();
    fixture
        .base
        .until(&fixture.namespace, "standard", "no record is under way", |status: &DevOpsPolicyStatus| {
            use RemediationPhase::{Applied, Planned, Withdrawing};
            !status.remediations.iter().any(|record| matches!(record.phase, Planned | Applied | Withdrawing))
        })
        .await;
    other.policy("standard", PROBES).await;
    other.until("standard", "Deployment/web", RemediationPhase::Verified).await;
    let writes = fixture.workload_writes_since(mark);
    assert!(writes.is_empty(), "{writes:#?}");
    let [applied, failed, withdrawn] = metrics();
    assert!((applied - before[0] - 1.0).abs() < f64::EPSILON, "the patch of the other namespace: {applied}");
    assert!((failed - before[1]).abs() < f64::EPSILON && (withdrawn - before[2]).abs() < f64::EPSILON);
    assert!(is_marked(&fixture.get("Deployment", "web").await), "the genuine patch stays");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_patch_is_withdrawn_though_the_status_is_full() {
    let fixture =
        EnforcementFixture::alone(|pod| if is_patched(pod) { PodState::Stuck } else { PodState::Ready })
            .await;
    let before = fixture.run("StatefulSet", "web", |_| ()).await;
    let uid = before.metadata.uid.clone().unwrap();
    let operator = fixture.base.operator();
    fixture.policy("standard", PROBES_WITH_DOWNTIME).await;
    let applied = fixture.until("standard", "StatefulSet/web", RemediationPhase::Applied).await;
    operator.kill();

    // Records of workloads that exist are kept. Each makes up for a dozen kilobytes.
    let mut records = vec![json!(applied)];
    let fields: Vec<String> = (0..120).map(|index| format!("{index:0>100}/livenessProbe")).collect();
    let ignored = |object: &mut Value| {
        object["metadata"]["annotations"] = json!({ "devops.stochastic.io/ignore": "true" });
        object["spec"]["replicas"] = json!(0);
    };
    for index in 0..95 {
        let name = format!("other-{index:02}");
        let object = fixture.create("Deployment", &name, ignored).await;
        let mut record = forged(&name, object.metadata.uid.as_deref(), "Withdrawn");
        record["earlierFields"] = json!(fields);
        record["message"] = json!("ä".repeat(1000));
        record["withdrawalRefused"] = json!("ä".repeat(1000));
        records.push(record);
    }
    let takes = async |records: &[Value]| {
        forge(&fixture, "standard", json!({ "remediations": records })).await.is_ok()
    };
    while !takes(&records).await {
        records.pop();
    }
    // Half of the next record fits too: less is left than the operator's own entry of managed fields needs.
    let object = fixture.create("Deployment", "last", ignored).await;
    records.push(forged("last", object.metadata.uid.as_deref(), "Withdrawn"));
    for count in (0..=240).rev().step_by(5) {
        let long: Vec<String> = (0..count).map(|index| format!("{index:0>99}/readinessProbe")).collect();
        records.last_mut().unwrap()["earlierFields"] = json!(long);
        if takes(&records).await {
            break;
        }
    }
    let _operator = fixture.base.operator();
    eventually("the workload is as it was", async || {
        let object = fixture.get("StatefulSet", "web").await;
        (template(&object) == template(&before)).then_some(())
    })
    .await;
    fixture.until_available("StatefulSet", "web").await;
    let ledgers = Api::<ConfigMap>::namespaced(fixture.base.client.clone(), &fixture.base.home);
    let note = eventually("the ledger has a note that is done", async || {
        let ledger = ledgers.get(LEDGER_NAME).await.ok()?.data?;
        let ledger: Value = serde_json::from_str(&ledger["ledger"]).unwrap();
        let note = ledger["notes"].as_array()?.iter().find(|note| note["uid"] == json!(uid))?.clone();
        (note["done"] == json!(true)).then_some(note)
    })
    .await;
    assert_eq!(note["reason"], "NotReady", "{note}");

    // Once there is room, the status tells of it, and the note goes.
    let records: Vec<Remediation> = fixture.status("standard").await.remediations;
    let own: Vec<_> = records.into_iter().filter(|record| record.name == "web").collect();
    assert_eq!(own[0].phase, RemediationPhase::Applied, "there was no room");
    fixture.set_records("standard", &own).await;
    let record = fixture.until("standard", "StatefulSet/web", RemediationPhase::Withdrawn).await;
    assert_eq!(record.reason, Some(RemediationReason::NotReady), "{record:?}");
    fixture.until_condition("standard", "Enforcing", "Enforcing", "FailedBefore").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_patch_is_withdrawn_from_a_workload_that_is_ignored_and_in_audit_mode() {
    let fixture =
        EnforcementFixture::shared(|pod| if is_patched(pod) { PodState::Stuck } else { PodState::Ready })
            .await;
    let before = fixture.run("Deployment", "web", |_| ()).await;
    fixture.policy("standard", PROBES).await;
    fixture.until("standard", "Deployment/web", RemediationPhase::Applied).await;
    let ignore = json!({ "metadata": { "annotations": { "devops.stochastic.io/ignore": "true" } } });
    fixture.edit("Deployment", "web", "kubectl", &ignore).await;
    fixture.change_policy("standard", json!({ "enforcementMode": "audit" })).await;
    let record = fixture.until("standard", "Deployment/web", RemediationPhase::Withdrawn).await;
    assert_eq!(record.reason, Some(RemediationReason::NotReady), "{record:?}");
    assert_eq!(template(&fixture.until_available("Deployment", "web").await), template(&before));
}
