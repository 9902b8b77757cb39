//! The outcome of a patch: a good rollout, a crashing one, and a stuck one.

use super::stage::{PROBES, PROBES_WITH_DOWNTIME, PodState, Stage, is_patched, template};
use kube_devops::policy::{RemediationPhase, RemediationReason};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_good_patch_is_verified_and_costs_one_write() {
    let stage = Stage::alone(|_| PodState::Ready).await;
    stage.run("Deployment", "web", |web| web["spec"]["replicas"] = json!(2)).await;
    let operator = stage.world.operator();
    let applied = || operator.metric("enforcement_remediations_applied_total").unwrap();
    let (mark, before) = (stage.world.plane.mark(), applied());
    stage.policy("standard", PROBES).await;

    let record = stage.until("standard", "Deployment/web", RemediationPhase::Verified).await;
    let expected = ["main/livenessProbe", "main/readinessProbe", "main/startupProbe"];
    assert_eq!(record.fields, expected);
    let container = stage.container("Deployment", "web").await;
    assert_eq!(container["livenessProbe"]["tcpSocket"]["port"], json!(8080));
    assert_eq!(stage.patches_since(mark, "web"), 1);
    let status = stage.status("standard").await;
    assert_eq!((status.remediations_applied, status.remediations_failed), (Some(1), None));
    assert_eq!(status.remediated_workloads, ["Deployment/web"]);
    assert!((applied() - before - 1.0).abs() < f64::EPSILON, "policies of other tests may exist");
    stage.world.until(&stage.namespace, "standard", "healthy", |status| status.healthy == Some(true)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_crashing_patch_is_withdrawn_and_not_repeated() {
    let stage = Stage::shared(|pod| if is_patched(pod) { PodState::Crash } else { PodState::Ready }).await;
    let before = stage.run("Deployment", "web", |web| web["spec"]["replicas"] = json!(2)).await;
    let mark = stage.world.plane.mark();
    stage.policy("standard", PROBES).await;

    let record = stage.until("standard", "Deployment/web", RemediationPhase::Withdrawn).await;
    assert_eq!(record.reason, Some(RemediationReason::CrashLoop), "{record:?}");
    let after = stage.until_available("Deployment", "web").await;
    assert_eq!(template(&after), template(&before));
    stage.until_condition("standard", "Enforcing", "Enforcing", "FailedBefore").await;
    assert_eq!(stage.patches_since(mark, "web"), 2, "one patch and one withdrawal");
    let status = stage.status("standard").await;
    assert_eq!((status.remediations_applied, status.remediations_failed), (Some(1), Some(1)));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_withdrawal_deletes_the_stuck_pod_of_a_stateful_set() {
    let stage = Stage::shared(|pod| if is_patched(pod) { PodState::Stuck } else { PodState::Ready }).await;
    let before = stage.run("StatefulSet", "db", |db| db["spec"]["replicas"] = json!(2)).await;
    stage.policy("standard", PROBES_WITH_DOWNTIME).await;

    let record = stage.until("standard", "StatefulSet/db", RemediationPhase::Withdrawn).await;
    assert_eq!(record.reason, Some(RemediationReason::NotReady), "{record:?}");
    let after = stage.until_available("StatefulSet", "db").await;
    assert_eq!(template(&after), template(&before));
}
