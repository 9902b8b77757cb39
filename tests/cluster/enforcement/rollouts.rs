//! What becomes of a patch: a rollout that is well, one that crashes, one that is stuck.

use super::stage::{Fate, PROBES, Stage, is_patched, template};
use kube_devops::policy::{RemediationPhase, RemediationReason};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_good_patch_is_verified_and_costs_one_write() {
    let stage = Stage::alone(|_| Fate::Ready).await;
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
    assert!((applied() - before - 1.0).abs() < f64::EPSILON, "policies of other tests may be there");
    stage.world.until(&stage.namespace, "standard", "healthy", |status| status.healthy == Some(true)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_patch_under_which_pods_crash_is_withdrawn_and_the_workload_left_alone() {
    let stage = Stage::shared(|pod| if is_patched(pod) { Fate::Crash } else { Fate::Ready }).await;
    let before = stage.run("Deployment", "web", |web| web["spec"]["replicas"] = json!(2)).await;
    let mark = stage.world.plane.mark();
    stage.policy("standard", PROBES).await;

    let record = stage.until("standard", "Deployment/web", RemediationPhase::Withdrawn).await;
    assert_eq!(record.reason, Some(RemediationReason::CrashLoop), "{record:?}");
    let after = stage.until_available("Deployment", "web").await;
    assert_eq!(template(&after), template(&before));
    stage.until_condition("standard", "Enforcing", "Enforcing", "FailedBefore").await;
    assert_eq!(stage.patches_since(mark, "web"), 2, "one there, one back");
    let status = stage.status("standard").await;
    assert_eq!((status.remediations_applied, status.remediations_failed), (Some(1), Some(1)));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_stuck_pod_of_a_stateful_set_goes_after_the_withdrawal() {
    let stage = Stage::shared(|pod| if is_patched(pod) { Fate::Stuck } else { Fate::Ready }).await;
    let before = stage.run("StatefulSet", "db", |db| db["spec"]["replicas"] = json!(2)).await;
    stage.policy("standard", PROBES).await;

    let record = stage.until("standard", "StatefulSet/db", RemediationPhase::Withdrawn).await;
    assert_eq!(record.reason, Some(RemediationReason::NotReady), "{record:?}");
    let after = stage.until_available("StatefulSet", "db").await;
    assert_eq!(template(&after), template(&before));
}
