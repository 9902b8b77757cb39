//! Workloads that are left alone after a withdrawal, and the time for which they are.

use super::fixture::{EnforcementFixture, PROBES, PodState, is_patched};
use crate::analyze::on;
use jiff::SignedDuration;
use kube_devops::policy::{Remediation, RemediationPhase, RemediationReason};
use serde_json::json;

/// The whole days between the end of a withdrawal and the earliest next attempt. The withdrawal itself takes some time.
fn days(record: &Remediation) -> i64 {
    let (retry, ended) = (record.retry_after.as_ref().unwrap().0, record.time.as_ref().unwrap().0);
    (retry.duration_since(ended) + SignedDuration::from_hours(1)).as_hours() / 24
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_withdrawn_workload_is_skipped_by_the_next_operator_until_a_retry_is_requested() {
    let fixture =
        EnforcementFixture::alone(|pod| if is_patched(pod) { PodState::Crash } else { PodState::Ready })
            .await;
    let retry = ["policy", "retry", "deployment/web", "-n", &fixture.namespace];
    fixture.run("Deployment", "web", |_| ()).await;
    let operator = fixture.base.operator();
    fixture.policy("standard", PROBES).await;
    let none = on(
        fixture.base.plane.kubeconfig(),
        &["policy", "retry", "deployment/other", "-n", &fixture.namespace],
    );
    assert!(none.code == 2 && none.stderr.contains("there is no Deployment \"other\""), "{}", none.stderr);
    let record = fixture.until("standard", "Deployment/web", RemediationPhase::Withdrawn).await;
    assert_eq!(
        (record.reason, record.withdrawals, days(&record)),
        (Some(RemediationReason::CrashLoop), Some(1), 1)
    );

    operator.kill();
    let mark = fixture.base.plane.mark();
    let restarted = json!({ "kubectl.kubernetes.io/restartedAt": "2026-01-02T03:04:05Z" });
    let container = json!({ "name": "main", "image": "x:2" });
    let template = json!({ "metadata": { "annotations": restarted }, "spec": { "containers": [container] } });
    fixture.edit("Deployment", "web", "kubectl-rollout", &json!({ "spec": { "template": template } })).await;
    fixture.until_available("Deployment", "web").await;
    let _operator = fixture.base.replica("operator-1", &["--no-leader-election"]);
    // Another workload shows that the next operator has looked at all of them.
    fixture
        .run("Deployment", "other", |other| {
            other["spec"]["template"]["spec"]["containers"][0]["ports"] = json!(null);
        })
        .await;
    fixture.until_condition("standard", "Enforcing", "Enforcing", "FailedBefore").await;
    fixture.until_condition("standard", "Enforcing", "Enforcing", "NoFix").await;
    assert_eq!(fixture.patches_since(mark, "web"), 0, "a restart and a new tag are no reason");
    // Another image is one, once its time has come.
    let container = json!({ "name": "main", "image": "y:1" });
    let other = json!({ "spec": { "template": { "spec": { "containers": [container] } } } });
    fixture.edit("Deployment", "web", "kubectl-edit", &other).await;
    fixture.until_available("Deployment", "web").await;
    fixture.until_condition("standard", "Enforcing", "Enforcing", "BackingOff").await;
    assert_eq!(fixture.patches_since(mark, "web"), 0, "its time has not come");

    let asked = on(fixture.base.plane.kubeconfig(), &retry);
    assert_eq!(asked.code, 0, "{}", asked.stderr);
    let expected = format!("deployment/web -n {}: policy standard may patch it again\n", fixture.namespace);
    assert_eq!(asked.stdout, expected);
    let record = fixture.until_withdrawn("standard", "Deployment/web", 2).await;
    assert_eq!(days(&record), 2, "it was tried again once");
    assert_eq!(record.reason, Some(RemediationReason::CrashLoop), "{record:?}");
    for _ in 0..15 {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
    fixture.until_condition("standard", "Enforcing", "Enforcing", "FailedBefore").await;
    let nothing =
        on(fixture.base.plane.kubeconfig(), &["policy", "retry", "deploy/other", "-n", &fixture.namespace]);
    assert!(nothing.code == 2 && nothing.stderr.contains("no policy of namespace"), "{}", nothing.stderr);
}
