//! Operators that are killed and replaced: each workload is patched once, and ends either patched and verified or
//! exactly as before.

use super::stage::{PROBES, PodState, Stage, is_patched};
use crate::analyze::on;
use crate::eventually::eventually;
use crate::soak::rounds;
use kube::ResourceExt;
use kube::api::{DynamicObject, Patch, PatchParams};
use kube_devops::policy::{Remediation, RemediationPhase, RemediationReason};
use serde_json::json;
use std::time::Duration;
use tokio::time::sleep;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_patch_and_a_withdrawal_cost_one_write_each_across_kills() {
    let kills = rounds(12, 50);
    let good = Stage::alone(|_| PodState::Ready).await;
    let bad = good.beside(|pod| if is_patched(pod) { PodState::Crash } else { PodState::Ready }).await;
    good.run("Deployment", "web", |web| web["spec"]["replicas"] = 2.into()).await;
    let before = bad.run("Deployment", "web", |web| web["spec"]["replicas"] = 2.into()).await;
    let mark = good.world.plane.mark();
    for stage in [&good, &bad] {
        stage.policy("standard", PROBES).await;
    }
    for kill in 0..kills {
        let operator = good.world.replica("operator-0", &["--no-leader-election"]);
        operator.wait_until_ready();
        // Two thirds of the kills come near a patch or a withdrawal, the rest at any time.
        let longest = if kill < kills * 2 / 3 { 400 } else { 4000 };
        sleep(Duration::from_millis(fastrand::u64(0..longest))).await;
        operator.kill();
    }
    let _operator = good.world.replica("operator-0", &["--no-leader-election"]);

    good.until("standard", "Deployment/web", RemediationPhase::Verified).await;
    assert_eq!(good.patches_since(mark, "web"), 1);
    let status = good.status("standard").await;
    assert_eq!((status.remediations_applied, status.remediations_failed), (Some(1), None));

    bad.until("standard", "Deployment/web", RemediationPhase::Withdrawn).await;
    assert_eq!(bad.patches_since(mark, "web"), 2, "one patch and one withdrawal");
    let after = bad.until_available("Deployment", "web").await;
    assert_eq!(after.data["spec"]["template"], before.data["spec"]["template"]);
    let status = bad.status("standard").await;
    assert_eq!((status.remediations_applied, status.remediations_failed), (Some(1), Some(1)));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn an_unrecorded_undo_is_respected_and_an_unsent_patch_is_sent() {
    let stage = Stage::alone(|_| PodState::Ready).await;
    stage.run("Deployment", "undone", |_| ()).await;
    let operator = stage.world.operator();
    stage.policy("standard", PROBES).await;
    let undone = stage.until("standard", "Deployment/undone", RemediationPhase::Applied).await;
    operator.kill();
    let other = stage.run("Deployment", "other", |_| ()).await;
    // The state after a kill: one patch was sent and the other wasn't. The records say neither.
    let planned = |of: &DynamicObject, generation: i64| Remediation {
        phase: RemediationPhase::Planned,
        name: of.name_any(),
        uid: of.uid(),
        generation: Some(generation),
        ..undone.clone()
    };
    let web = stage.get("Deployment", "undone").await;
    let records =
        [planned(&other, other.metadata.generation.unwrap()), planned(&web, undone.generation.unwrap())];
    stage.set_records("standard", &records).await;
    let undo = ["undo", "deployment/undone", "-n", &stage.namespace];
    assert_eq!(on(stage.world.plane.kubeconfig(), &undo).code, 0);
    for image in ["x:2", "x:3"] {
        let container = json!({ "name": "main", "image": image });
        let change = json!({ "spec": { "template": { "spec": { "containers": [container] } } } });
        stage.edit("Deployment", "other", "kubectl-set", &change).await;
    }
    stage.until_available("Deployment", "other").await;
    let mark = stage.world.plane.mark();

    let _operator = stage.world.operator();
    stage.until("standard", "Deployment/other", RemediationPhase::Applied).await;
    let record = stage.until("standard", "Deployment/undone", RemediationPhase::Failed).await;
    assert_eq!(record.reason, Some(RemediationReason::TakenOut), "{record:?}");
    assert_eq!(stage.patches_since(mark, "undone"), 0);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn fields_left_by_a_withdrawal_are_reported_after_a_kill() {
    let stage = Stage::alone(|_| PodState::Ready).await;
    stage.run("Deployment", "web", |_| ()).await;
    let operator = stage.world.operator();
    stage.policy("standard", PROBES).await;
    let verified = stage.until("standard", "Deployment/web", RemediationPhase::Verified).await;
    operator.kill();
    let same = json!({ "tcpSocket": { "port": 8080 }, "periodSeconds": 10, "timeoutSeconds": 1,
        "successThreshold": 1, "failureThreshold": 3 });
    let document = json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "web" },
        "spec": { "template": { "spec": { "containers": [{ "name": "main", "readinessProbe": same }] } } } });
    let apply = Patch::Apply(&document);
    stage.api("Deployment").patch("web", &PatchParams::apply("flux"), &apply).await.unwrap();

    // The state after a kill: the withdrawal is recorded and done.
    let (phase, reason) = (RemediationPhase::Withdrawing, Some(RemediationReason::CrashLoop));
    stage.set_records("standard", &[Remediation { phase, reason, ..verified }]).await;
    let undo = ["undo", "deployment/web", "-n", &stage.namespace];
    assert_eq!(on(stage.world.plane.kubeconfig(), &undo).code, 2, "flux keeps a field");

    let _operator = stage.world.operator();
    let record = stage.until("standard", "Deployment/web", RemediationPhase::Failed).await;
    assert_eq!(record.reason, Some(RemediationReason::CoOwned), "{record:?}");
    let words = "main/readinessProbe stays, because flux set it too";
    assert_eq!(record.message.as_deref(), Some(words));
    stage.until_event("standard", "PatchNotWithdrawn", words).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_new_leader_continues_the_verification_without_repeating_the_patch() {
    let stage = Stage::alone(|_| PodState::Ready).await;
    stage.run("Deployment", "web", |_| ()).await;
    let short = ["--lease-duration", "6s", "--lease-renew-deadline", "4s", "--lease-retry-period", "1s"];
    let mut leader = stage.world.replica("operator-0", &short);
    leader.wait_until_ready();
    eventually("a leader", async || leader.leads().then_some(())).await;
    let standby = stage.world.replica("operator-1", &short);
    standby.wait_until_ready();
    let mark = stage.world.plane.mark();
    stage.policy("standard", PROBES).await;
    stage.until("standard", "Deployment/web", RemediationPhase::Applied).await;

    leader.signal("-STOP");
    eventually("the standby leads", async || standby.leads().then_some(())).await;
    leader.signal("-CONT");
    let status = leader.end(Duration::from_secs(20));
    assert_eq!(status.code(), Some(2), "{}", leader.text());
    stage.until("standard", "Deployment/web", RemediationPhase::Verified).await;
    assert_eq!(stage.patches_since(mark, "web"), 1);
    let status = stage.status("standard").await;
    assert_eq!((status.remediations_applied, status.remediations_failed), (Some(1), None));
    let counted = standby.metric("enforcement_remediations_applied_total").unwrap();
    assert!(counted >= 1.0, "the successor counts what its predecessor did: {counted}");
}
