//! The outcome of a patch: a good rollout, a crashing one, and a stuck one.

use super::fixture::{EnforcementFixture, PROBES, PROBES_WITH_DOWNTIME, PodState, is_patched, template};
use kube_devops::policy::{RemediationPhase, RemediationReason};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_good_patch_is_verified_and_costs_one_write() {
    let fixture = EnforcementFixture::alone(|_| PodState::Ready).await;
    fixture.run("Deployment", "web", |web| web["spec"]["replicas"] = json!(2)).await;
    let operator = fixture.base.operator();
    let applied = || operator.metric("enforcement_remediations_applied_total").unwrap();
    let (mark, before) = (fixture.base.plane.mark(), applied());
    fixture.policy("standard", PROBES).await;

    let record = fixture.until("standard", "Deployment/web", RemediationPhase::Verified).await;
    let expected = ["main/livenessProbe", "main/readinessProbe", "main/startupProbe"];
    assert_eq!(record.fields, expected);
    let container = fixture.container("Deployment", "web").await;
    assert_eq!(container["livenessProbe"]["tcpSocket"]["port"], json!(8080));
    assert_eq!(fixture.patches_since(mark, "web"), 1);
    let status = fixture.status("standard").await;
    assert_eq!((status.remediations_applied, status.remediations_failed), (Some(1), None));
    assert_eq!(status.remediated_workloads, ["Deployment/web"]);
    assert!((applied() - before - 1.0).abs() < f64::EPSILON, "policies of other tests may exist");
    fixture
        .base
        .until(&fixture.namespace, "standard", "healthy", |status| status.healthy == Some(true))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_crashing_patch_is_withdrawn_and_not_repeated() {
    let fixture =
        EnforcementFixture::shared(|pod| if is_patched(pod) { PodState::Crash } else { PodState::Ready })
            .await;
    let before = fixture.run("Deployment", "web", |web| web["spec"]["replicas"] = json!(2)).await;
    let mark = fixture.base.plane.mark();
    fixture.policy("standard", PROBES).await;

    let record = fixture.until("standard", "Deployment/web", RemediationPhase::Withdrawn).await;
    assert_eq!(record.reason, Some(RemediationReason::CrashLoop), "{record:?}");
    let after = fixture.until_available("Deployment", "web").await;
    assert_eq!(template(&after), template(&before));
    fixture.until_condition("standard", "Enforcing", "Enforcing", "FailedBefore").await;
    assert_eq!(fixture.patches_since(mark, "web"), 2, "one patch and one withdrawal");
    let status = fixture.status("standard").await;
    assert_eq!((status.remediations_applied, status.remediations_failed), (Some(1), Some(1)));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_withdrawal_deletes_the_stuck_pod_of_a_stateful_set() {
    let fixture =
        EnforcementFixture::shared(|pod| if is_patched(pod) { PodState::Stuck } else { PodState::Ready })
            .await;
    let before = fixture.run("StatefulSet", "db", |db| db["spec"]["replicas"] = json!(2)).await;
    fixture.policy("standard", PROBES_WITH_DOWNTIME).await;

    let record = fixture.until("standard", "StatefulSet/db", RemediationPhase::Withdrawn).await;
    assert_eq!(record.reason, Some(RemediationReason::NotReady), "{record:?}");
    let after = fixture.until_available("StatefulSet", "db").await;
    assert_eq!(template(&after), template(&before));
}
