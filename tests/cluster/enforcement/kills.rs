//! Operators that are killed and replaced: each workload is patched once, and ends either patched and verified or
//! exactly as before.

use super::fixture::{EnforcementFixture, PROBES, PodState, is_patched};
use crate::analyze::on;
use crate::eventually::eventually;
use crate::soak::rounds;
use kube::ResourceExt;
use kube::api::{DynamicObject, Patch, PatchParams};
use kube_devops::policy::{Remediation, RemediationPhase, RemediationReason};
use serde_json::json;
use std::time::Duration;
use tokio::time::sleep;

/// Counts the changes of a spec. The audit log may lack a write whose client was killed before the answer.
fn writes(before: &DynamicObject, after: &DynamicObject) -> i64 {
    after.metadata.generation.unwrap() - before.metadata.generation.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_patch_and_a_withdrawal_cost_one_write_each_across_kills() {
    let kills = rounds(12, 50);
    let good = EnforcementFixture::alone(|_| PodState::Ready).await;
    let bad = good.beside(|pod| if is_patched(pod) { PodState::Crash } else { PodState::Ready }).await;
    let unpatched = good.run("Deployment", "web", |web| web["spec"]["replicas"] = 2.into()).await;
    let before = bad.run("Deployment", "web", |web| web["spec"]["replicas"] = 2.into()).await;
    let mark = good.base.plane.mark();
    for fixture in [&good, &bad] {
        fixture.policy("standard", PROBES).await;
    }
    for kill in 0..kills {
        let operator = good.base.replica("operator-0", &["--no-leader-election"]);
        operator.wait_until_ready();
        // Two thirds of the kills come near a patch or a withdrawal, the rest at any time.
        let longest = if kill < kills * 2 / 3 { 400 } else { 4000 };
        sleep(Duration::from_millis(fastrand::u64(0..longest))).await;
        operator.kill();
    }
    let _operator = good.base.replica("operator-0", &["--no-leader-election"]);

    good.until("standard", "Deployment/web", RemediationPhase::Verified).await;
    let patched = good.get("Deployment", "web").await;
    assert_eq!(writes(&unpatched, &patched), 1);
    assert!(good.patches_since(mark, "web") <= 1, "no write without an effect");
    let status = good.status("standard").await;
    assert_eq!((status.remediations_applied, status.remediations_failed), (Some(1), None));

    bad.until("standard", "Deployment/web", RemediationPhase::Withdrawn).await;
    let after = bad.until_available("Deployment", "web").await;
    assert_eq!(writes(&before, &after), 2, "one patch and one withdrawal");
    assert!(bad.patches_since(mark, "web") <= 2, "no write without an effect");
    assert_eq!(after.data["spec"]["template"], before.data["spec"]["template"]);
    let status = bad.status("standard").await;
    assert_eq!((status.remediations_applied, status.remediations_failed), (Some(1), Some(1)));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn an_unrecorded_undo_is_respected_and_an_unsent_patch_is_sent() {
    let fixture = EnforcementFixture::alone(|_| PodState::Ready).await;
    fixture.run("Deployment", "undone", |_| ()).await;
    let operator = fixture.base.operator();
    fixture.policy("standard", PROBES).await;
    let undone = fixture.until("standard", "Deployment/undone", RemediationPhase::Applied).await;
    operator.kill();
    let other = fixture.run("Deployment", "other", |_| ()).await;
    // The state after a kill: one patch was sent and the other wasn't. The records say neither.
    let planned = |of: &DynamicObject, generation: i64| Remediation {
        phase: RemediationPhase::Planned,
        name: of.name_any(),
        uid: of.uid(),
        generation: Some(generation),
        ..undone.clone()
    };
    let web = fixture.get("Deployment", "undone").await;
    let records =
        [planned(&other, other.metadata.generation.unwrap()), planned(&web, undone.generation.unwrap())];
    fixture.set_records("standard", &records).await;
    let undo = ["undo", "deployment/undone", "-n", &fixture.namespace];
    assert_eq!(on(fixture.base.plane.kubeconfig(), &undo).code, 0);
    // Times in managed fields have whole seconds. Writes in the second of the plan are not told from our own.
    sleep(Duration::from_millis(1100)).await;
    for image in ["x:2", "x:3"] {
        let container = json!({ "name": "main", "image": image });
        let change = json!({ "spec": { "template": { "spec": { "containers": [container] } } } });
        fixture.edit("Deployment", "other", "kubectl-set", &change).await;
    }
    fixture.until_available("Deployment", "other").await;
    let mark = fixture.base.plane.mark();

    let _operator = fixture.base.operator();
    fixture.until("standard", "Deployment/other", RemediationPhase::Applied).await;
    let record = fixture.until("standard", "Deployment/undone", RemediationPhase::Failed).await;
    assert_eq!(record.reason, Some(RemediationReason::TakenOut), "{record:?}");
    let message = record.message.unwrap_or_default();
    assert!(message.starts_with("the patch was undone by kube-devops undo"), "{message}");
    assert_eq!(fixture.patches_since(mark, "undone"), 0);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn fields_left_by_a_withdrawal_are_reported_after_a_kill() {
    let fixture = EnforcementFixture::alone(|_| PodState::Ready).await;
    fixture.run("Deployment", "web", |_| ()).await;
    let operator = fixture.base.operator();
    fixture.policy("standard", PROBES).await;
    let verified = fixture.until("standard", "Deployment/web", RemediationPhase::Verified).await;
    operator.kill();
    let same = json!({ "tcpSocket": { "port": 8080 }, "periodSeconds": 10, "timeoutSeconds": 1,
        "successThreshold": 1, "failureThreshold": 3 });
    let document = json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "web" },
        "spec": { "template": { "spec": { "containers": [{ "name": "main", "readinessProbe": same }] } } } });
    let apply = Patch::Apply(&document);
    fixture.api("Deployment").patch("web", &PatchParams::apply("flux"), &apply).await.unwrap();

    // The state after a kill: the withdrawal is recorded and done.
    let (phase, reason) = (RemediationPhase::Withdrawing, Some(RemediationReason::CrashLoop));
    fixture.set_records("standard", &[Remediation { phase, reason, ..verified }]).await;
    let undo = ["undo", "deployment/web", "-n", &fixture.namespace];
    assert_eq!(on(fixture.base.plane.kubeconfig(), &undo).code, 2, "flux keeps a field");

    let _operator = fixture.base.operator();
    let record = fixture.until("standard", "Deployment/web", RemediationPhase::Failed).await;
    assert_eq!(record.reason, Some(RemediationReason::CoOwned), "{record:?}");
    let words = "main/readinessProbe stays, because flux set it too";
    assert_eq!(record.message.as_deref(), Some(words));
    fixture.until_event("standard", "PatchNotWithdrawn", words).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_new_leader_continues_the_verification_without_repeating_the_patch() {
    let fixture = EnforcementFixture::alone(|_| PodState::Ready).await;
    fixture.run("Deployment", "web", |_| ()).await;
    let short = ["--lease-duration", "6s", "--lease-renew-deadline", "4s", "--lease-retry-period", "1s"];
    let mut leader = fixture.base.replica("operator-0", &short);
    leader.wait_until_ready();
    eventually("a leader", async || leader.leads().then_some(())).await;
    let standby = fixture.base.replica("operator-1", &short);
    standby.wait_until_ready();
    let mark = fixture.base.plane.mark();
    fixture.policy("standard", PROBES).await;
    fixture.until("standard", "Deployment/web", RemediationPhase::Applied).await;

    leader.signal("-STOP");
    eventually("the standby leads", async || standby.leads().then_some(())).await;
    leader.signal("-CONT");
    let status = leader.end(Duration::from_secs(20));
    assert_eq!(status.code(), Some(2), "{}", leader.text());
    fixture.until("standard", "Deployment/web", RemediationPhase::Verified).await;
    assert_eq!(fixture.patches_since(mark, "web"), 1);
    let status = fixture.status("standard").await;
    assert_eq!((status.remediations_applied, status.remediations_failed), (Some(1), None));
    let counted = standby.metric("enforcement_remediations_applied_total").unwrap();
    assert!(counted >= 1.0, "the successor counts what its predecessor did: {counted}");
}
