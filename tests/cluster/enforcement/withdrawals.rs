//! Patches that are withdrawn late, in part or repeatedly.

use super::fixture::{
    EnforcementFixture, PROBES, PROBES_WITH_DOWNTIME, PodState, RESOURCES, is_patched, template,
};
use super::harm::run_on;
use crate::eventually::eventually;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube_devops::policy::{RemediationPhase, RemediationReason};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn an_oom_kill_withdraws_only_our_memory_limit() {
    let fixture = EnforcementFixture::shared(|_| PodState::Ready).await;
    let node = fixture.node("one").await;
    let before = run_on(&fixture, &node, "web").await;
    let spec = RESOURCES.replace("{defaultResources", "{requireLivenessProbe: true, defaultResources");
    fixture.policy("standard", &spec.replace("30}", "30, onDelete: revert}")).await;
    let verified = fixture.until("standard", "Deployment/web", RemediationPhase::Verified).await;
    assert!(verified.fields.contains(&"main/resources.limits.memory".to_owned()), "{verified:?}");
    let counted = || fixture.metric("enforcement_withdrawals_total{category=\"oom_killed\"}");
    let (mark, counted_before) = (fixture.base.plane.mark(), counted());

    // The pod runs out of memory with the next image. The limit isn't set again for that image either.
    let image =
        json!({ "spec": { "template": { "spec": { "containers": [{ "name": "main", "image": "x:2" }] } } } });
    fixture.edit("Deployment", "web", "kubectl-set", &image).await;
    fixture.until_available("Deployment", "web").await;
    let is_next =
        |pod: &Pod| pod.spec.as_ref().is_some_and(|spec| spec.containers[0].image.as_deref() == Some("x:2"));
    let pod = fixture.pod("the new pod", is_next).await;
    fixture.set_pod_state(&pod, PodState::OutOfMemory).await;
    let record = fixture.until("standard", "Deployment/web", RemediationPhase::Withdrawn).await;
    assert_eq!(record.reason, Some(RemediationReason::OomKilled));
    assert_eq!(record.fields, ["main/resources.limits.memory"]);
    let words = format!("container main of pod {pod} ran out of memory");
    assert_eq!(record.message.as_ref(), Some(&words));
    fixture.until_event("standard", "PatchWithdrawn", &words).await;
    let container = fixture.container("Deployment", "web").await;
    assert_eq!(container["resources"], json!({ "requests": { "cpu": "10m", "memory": "16Mi" } }));
    assert_eq!(container["livenessProbe"]["tcpSocket"]["port"], json!(8080));
    fixture.until_available("Deployment", "web").await;
    fixture.until_condition("standard", "Enforcing", "Enforcing", "FailedBefore").await;
    assert_eq!(fixture.patches_since(mark, "web"), 1);
    assert!(counted() > counted_before);
    assert_eq!(
        fixture.status("standard").await.remediated_workloads,
        ["Deployment/web"],
        "the other fields remain"
    );

    fixture.delete_policy("standard").await;
    fixture.until_policy_is_gone("standard").await;
    let mut after = fixture.get("Deployment", "web").await;
    after.data["spec"]["template"]["spec"]["containers"][0]["image"] = json!("x:1");
    assert_eq!(template(&after), template(&before), "the rest of the patch is reverted with the policy");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn an_oom_kill_under_a_foreign_limit_withdraws_nothing() {
    let fixture = EnforcementFixture::shared(|_| PodState::Ready).await;
    let node = fixture.node("one").await;
    run_on(&fixture, &node, "web").await;
    fixture.policy("standard", RESOURCES).await;
    fixture.until("standard", "Deployment/web", RemediationPhase::Verified).await;
    let container = json!({ "name": "main", "resources": { "limits": { "memory": "64Mi" } } });
    let theirs = json!({ "spec": { "template": { "spec": { "containers": [container] } } } });
    fixture.edit("Deployment", "web", "kubectl-set", &theirs).await;
    fixture.until_available("Deployment", "web").await;
    let is_theirs = |pod: &Pod| {
        let resources = pod.spec.as_ref().and_then(|spec| spec.containers[0].resources.clone());
        let limits = resources.and_then(|resources| resources.limits).unwrap_or_default();
        limits.get("memory").is_some_and(|memory| memory.0 == "64Mi")
    };
    let pod = fixture.pod("the pod with their limit", is_theirs).await;
    fixture.set_pod_state(&pod, PodState::OutOfMemory).await;
    // One reconciliation would be enough for a withdrawal. A whole patch takes many.
    fixture.run("Deployment", "other", |_| ()).await;
    fixture.until("standard", "Deployment/other", RemediationPhase::Verified).await;
    let status = fixture.status("standard").await;
    assert_eq!(status.withdrawals_in_a_row.unwrap_or_default(), 0);
    let record = status.remediations.iter().find(|record| record.name == "web").unwrap();
    assert_eq!(record.phase, RemediationPhase::Verified, "{record:?}");
    let container = fixture.container("Deployment", "web").await;
    assert_eq!(container["resources"]["limits"]["memory"], "64Mi");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_later_patch_is_withdrawn_without_the_earlier_one() {
    let fixture = EnforcementFixture::shared(|pod| {
        let container = pod.spec.as_ref().map(|spec| &spec.containers[0]);
        let is_asked = container.is_some_and(|container| container.readiness_probe.is_some());
        if is_asked { PodState::Crash } else { PodState::Ready }
    })
    .await;
    let before = fixture.run("Deployment", "web", |_| ()).await;
    let spec = "{requireLivenessProbe: true, enforcementMode: enforce, \
         remediation: {verifySeconds: 30, onDelete: revert}}";
    fixture.policy("standard", spec).await;
    fixture.until("standard", "Deployment/web", RemediationPhase::Verified).await;
    fixture.change_policy("standard", json!({ "requireReadinessProbe": true })).await;
    let record = fixture.until("standard", "Deployment/web", RemediationPhase::Withdrawn).await;
    assert_eq!(record.fields, ["main/readinessProbe"]);
    assert_eq!(record.earlier_fields, ["main/livenessProbe", "main/startupProbe"]);
    let container = fixture.container("Deployment", "web").await;
    assert!(container.get("readinessProbe").is_none() && container.get("livenessProbe").is_some());
    assert_eq!(fixture.status("standard").await.remediated_workloads, ["Deployment/web"]);

    fixture.delete_policy("standard").await;
    fixture.until_policy_is_gone("standard").await;
    assert_eq!(template(&fixture.get("Deployment", "web").await), template(&before));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn the_next_patch_waits_for_the_rollback_of_a_withdrawal() {
    static LATER: AtomicBool = AtomicBool::new(false);
    let fixture = EnforcementFixture::shared(|pod| match (is_patched(pod), LATER.load(Ordering::Relaxed)) {
        (true, _) => PodState::Crash,
        (false, true) => PodState::Stuck,
        (false, false) => PodState::Ready,
    })
    .await;
    for (name, replicas) in [("a", 2), ("b", 3)] {
        let without_surge = |web: &mut Value| {
            web["spec"]["replicas"] = json!(replicas);
            web["spec"]["strategy"] = json!({ "rollingUpdate": { "maxSurge": 0, "maxUnavailable": 1 } });
        };
        fixture.run("Deployment", name, without_surge).await;
    }
    LATER.store(true, Ordering::Relaxed);
    fixture.policy("standard", PROBES_WITH_DOWNTIME).await;
    let withdrawing = RemediationPhase::Withdrawing;
    fixture.until("standard", "Deployment/a", withdrawing).await;
    let is_stuck = |pod: &Pod| {
        let mut conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
        conditions.any(|condition| condition.type_ == "Ready" && condition.status == "False")
    };
    let is_back = |pod: &Pod| pod.name_any().starts_with("a-") && !is_patched(pod) && is_stuck(pod);
    let pod = fixture.pod("the pod that comes back", is_back).await;
    fixture.stays("standard", "Deployment/a", withdrawing, Duration::from_secs(8)).await;
    assert_eq!(fixture.status("standard").await.remediations.len(), 1, "the next patch has not started");
    fixture.set_pod_state(&pod, PodState::Ready).await;
    fixture.until("standard", "Deployment/a", RemediationPhase::Withdrawn).await;
    eventually("the next one begins", async || {
        (fixture.status("standard").await.remediations.len() == 2).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn three_withdrawals_in_a_row_stop_a_policy_until_it_changes() {
    let fixture =
        EnforcementFixture::shared(|pod| if is_patched(pod) { PodState::Crash } else { PodState::Ready })
            .await;
    for name in ["a", "b", "c", "d"] {
        fixture.run("Deployment", name, |_| ()).await;
    }
    let mark = fixture.base.plane.mark();
    fixture.policy("standard", PROBES).await;
    fixture.until_condition("standard", "Degraded", "Withdrawals", "nothing is patched until").await;
    fixture.until_condition("standard", "Enforcing", "Stopped", "the last three patches").await;
    fixture.until_event("standard", "EnforcementStopped", "the last three patches").await;
    let phases = fixture.status("standard").await.remediations;
    let phases: Vec<_> = phases.iter().map(|record| (record.name.as_str(), record.phase)).collect();
    assert_eq!(phases, ["a", "b", "c"].map(|name| (name, RemediationPhase::Withdrawn)));

    // Longer than the re-check interval of a transient blocker.
    tokio::time::sleep(std::time::Duration::from_secs(17)).await;
    let patches = ["a", "b", "c", "d"].map(|name| fixture.patches_since(mark, name));
    assert_eq!(patches, [2, 2, 2, 0], "three are patched and withdrawn, and the fourth is not touched");

    let mark = fixture.base.plane.mark();
    fixture.change_policy("standard", json!({ "maxRestartCount": 9 })).await;
    eventually("a patch after the change", async || (fixture.patches_since(mark, "d") > 0).then_some(()))
        .await;
    assert_eq!(fixture.patches_since(mark, "a"), 0, "what failed is left alone");
}
