//! Tenants share the cluster's rollouts: whoever never finishes holds up nobody else for long.

use super::fixture::{EnforcementFixture, PodState, is_patched};
use futures::future::join_all;
use kube_devops::policy::RemediationPhase;

/// A policy that waits an hour for its pods.
const PATIENT: &str =
    "{requireLivenessProbe: true, enforcementMode: enforce, remediation: {verifySeconds: 3600}}";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn five_tenants_that_never_finish_do_not_hold_up_a_sixth() {
    let first =
        EnforcementFixture::alone(
            |pod| if is_patched(pod) { PodState::Unschedulable } else { PodState::Ready },
        )
        .await;
    let others = join_all((0..4).map(|_| {
        first.beside(|pod| if is_patched(pod) { PodState::Unschedulable } else { PodState::Ready })
    }))
    .await;
    let sixth = first.beside(|_| PodState::Ready).await;
    let five: Vec<&EnforcementFixture> = others.iter().chain([&first]).collect();
    join_all(five.iter().map(|fixture| fixture.run("Deployment", "web", |_| ()))).await;
    sixth.run("Deployment", "web", |_| ()).await;
    let flags = ["--no-leader-election", "--max-rollouts", "5", "--stall", "20s"];
    let operator = first.base.replica("operator-0", &flags);
    join_all(five.iter().map(|fixture| fixture.policy("standard", PATIENT))).await;
    join_all(
        five.iter().map(|fixture| fixture.until("standard", "Deployment/web", RemediationPhase::Applied)),
    )
    .await;
    sixth.policy("standard", PATIENT).await;
    let words = "5 workloads of the cluster are rolling out (--max-rollouts 5)";
    sixth.until_condition("standard", "Enforcing", "Enforcing", words).await;

    // Another operator does not begin that time anew.
    operator.kill();
    let _operator = first.base.replica("operator-1", &flags);
    sixth.until("standard", "Deployment/web", RemediationPhase::Verified).await;
    for fixture in five {
        let records = fixture.status("standard").await.remediations;
        assert_eq!(records[0].phase, RemediationPhase::Applied, "it is watched still");
    }
}
