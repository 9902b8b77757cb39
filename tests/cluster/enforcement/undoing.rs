//! Patches that are reverted by command or with their policy.

use super::blast_radius::under_way;
use super::fixture::{EnforcementFixture, PROBES, PodState, is_marked, is_patched, template};
use super::refusals::deny;
use crate::analyze::on;
use crate::eventually::{eventually, within};
use kube::ResourceExt;
use kube::api::{Patch, PatchParams};
use kube_devops::enforcement::{FIELD_MANAGER, PATCHED_BY};
use kube_devops::policy::{RemediationPhase, RemediationReason};
use serde_json::json;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn undone_patches_stay_undone_and_fields_of_others_are_named() {
    let fixture = EnforcementFixture::shared(|_| PodState::Ready).await;
    let before = fixture.run("Deployment", "web", |_| ()).await;
    fixture.policy("standard", PROBES).await;
    fixture.until("standard", "Deployment/web", RemediationPhase::Verified).await;

    let tuning = json!({ "spec": { "template": { "spec": { "containers": [
        { "name": "main", "livenessProbe": { "periodSeconds": 7 } },
    ] } } } });
    fixture.edit("Deployment", "web", "kubectl-edit", &tuning).await;
    let kubeconfig = fixture.base.plane.kubeconfig();
    let dry_run = |arguments: &[&str]| {
        on(kubeconfig, &[&["undo", "--dry-run", "-n", &fixture.namespace], arguments].concat())
    };
    let outcome = dry_run(&["deployment/web"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let would = "main/livenessProbe would be removed, with the settings of kubectl-edit";
    assert!(outcome.stdout.contains(would), "{}", outcome.stdout);
    let outcome = on(kubeconfig, &["undo", "deployment/web", "-n", &fixture.namespace]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert!(
        outcome.stdout.contains("main/livenessProbe was removed, with the settings of kubectl-edit"),
        "{}",
        outcome.stdout
    );
    let after = fixture.get("Deployment", "web").await;
    assert_eq!(after.data["spec"]["template"], before.data["spec"]["template"]);

    tokio::time::sleep(Duration::from_secs(20)).await;
    let later = fixture.get("Deployment", "web").await;
    assert_eq!(later.metadata.generation, after.metadata.generation, "it is not set again");

    let same = json!({ "tcpSocket": { "port": 8080 }, "periodSeconds": 10, "timeoutSeconds": 1,
        "successThreshold": 1, "failureThreshold": 3 });
    fixture.change_policy("standard", json!({ "maxRestartCount": 9 })).await;
    eventually("the changed policy patches again", async || {
        fixture.container("Deployment", "web").await.get("livenessProbe").is_some().then_some(())
    })
    .await;
    let document = json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "web" },
        "spec": { "template": { "spec": { "containers": [{ "name": "main", "readinessProbe": same }] } } } });
    let apply = Patch::Apply(&document);
    fixture.api("Deployment").patch("web", &PatchParams::apply("flux"), &apply).await.unwrap();
    let outcome = dry_run(&["--all"]);
    assert_eq!(outcome.code, 2, "{}", outcome.stdout);
    let would = "main/readinessProbe would stay, because flux set the same value";
    assert!(outcome.stdout.contains(would), "{}", outcome.stdout);
    let outcome = on(kubeconfig, &["undo", "--all", "-n", &fixture.namespace]);
    assert_eq!(outcome.code, 2, "{}", outcome.stdout);
    assert!(
        outcome.stdout.contains("main/readinessProbe stays, because flux set the same value"),
        "{}",
        outcome.stdout
    );
    let container = fixture.container("Deployment", "web").await;
    assert!(container.get("livenessProbe").is_none() && container.get("readinessProbe").is_some());
}

/// A policy that sets probes and reverts them when it is deleted.
fn reverting() -> String {
    PROBES.replace("verifySeconds: 30", "verifySeconds: 30, onDelete: revert")
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_partly_removed_patch_can_be_undone() {
    let fixture = EnforcementFixture::shared(|_| PodState::Ready).await;
    let before = fixture.run("Deployment", "web", |_| ()).await;
    let probed = json!([{ "name": "main", "livenessProbe": { "tcpSocket": { "port": 8080 } } }]);
    let document = json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "web" },
        "spec": { "template": { "spec": { "containers": probed } } } });
    let ours = PatchParams::apply(FIELD_MANAGER);
    fixture.api("Deployment").patch("web", &ours, &Patch::Apply(&document)).await.unwrap();
    let theirs = json!({ "spec": { "template": { "spec": { "containers": [
        { "name": "main", "livenessProbe": null },
    ] } } } });
    fixture.edit("Deployment", "web", "kubectl-patch", &theirs).await;
    assert!(is_marked(&fixture.get("Deployment", "web").await));
    let undo = |flags: &[&str]| {
        let arguments = [&["undo", "--all", "-n", &fixture.namespace][..], flags].concat();
        let outcome = on(fixture.base.plane.kubeconfig(), &arguments);
        assert_eq!(outcome.code, 0, "{}", outcome.stderr);
        outcome.stdout
    };
    assert!(undo(&["--dry-run"]).contains("would remove the rest of a patch"));
    assert!(undo(&[]).contains("removed the rest of a patch"));
    let after = fixture.get("Deployment", "web").await;
    assert!(!is_marked(&after));
    assert_eq!(after.data["spec"], before.data["spec"]);
    assert_eq!(undo(&[]), "");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn undo_for_one_policy_keeps_the_fields_of_others() {
    let fixture = EnforcementFixture::shared(|_| PodState::Ready).await;
    fixture.run("Deployment", "web", |_| ()).await;
    let spec = |rule: &str| {
        format!("{{{rule}: true, enforcementMode: enforce, remediation: {{verifySeconds: 30}}}}")
    };
    for (name, rule) in [("first", "requireLivenessProbe"), ("second", "requireReadinessProbe")] {
        fixture.policy(name, &spec(rule)).await;
        fixture.until(name, "Deployment/web", RemediationPhase::Verified).await;
    }
    let undo = |policy: &str| {
        let arguments = ["undo", "--policy", policy, "-n", &fixture.namespace];
        let outcome = on(fixture.base.plane.kubeconfig(), &arguments);
        assert_eq!(outcome.code, 0, "{}", outcome.stderr);
        (outcome.stdout, outcome.stderr)
    };
    let (told, _) = undo("second");
    assert!(told.ends_with("removed main/readinessProbe\n"), "{told}");
    let object = fixture.get("Deployment", "web").await;
    let container = &template(&object)["spec"]["containers"][0];
    assert!(container.get("readinessProbe").is_none() && container.get("livenessProbe").is_some());
    assert_eq!(
        object.annotations()[PATCHED_BY],
        "first",
        "the annotation names the policy of the remaining fields"
    );
    let record = fixture.until("second", "Deployment/web", RemediationPhase::Failed).await;
    assert_eq!(record.reason, Some(RemediationReason::TakenOut));

    // The records are deleted with their policy.
    fixture.delete_policy("first").await;
    fixture.until_policy_is_gone("first").await;
    let (told, note) = undo("first");
    assert!(told.ends_with("removed main/livenessProbe, main/startupProbe\n"), "{told}");
    assert!(note.contains("policy first has no record of deployment/web"), "{note}");
    assert!(!is_marked(&fixture.get("Deployment", "web").await));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_reverting_policy_is_deleted_after_its_patches() {
    let fixture = EnforcementFixture::shared(|_| PodState::Ready).await;
    let before = fixture.run("Deployment", "web", |_| ()).await;
    fixture.policy("standard", &reverting()).await;
    fixture.until("standard", "Deployment/web", RemediationPhase::Verified).await;
    fixture.delete_policy("standard").await;
    fixture.until_policy_is_gone("standard").await;
    let after = fixture.get("Deployment", "web").await;
    assert_eq!(after.data["spec"]["template"], before.data["spec"]["template"]);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn reverts_of_deleted_policies_respect_the_rollout_limit() {
    static LATER: AtomicBool = AtomicBool::new(false);
    // The rollout of a reverted workload takes time.
    let pod_state = |pod: &k8s_openapi::api::core::v1::Pod| {
        if !is_patched(pod) && LATER.load(Ordering::Relaxed) { PodState::Stuck } else { PodState::Ready }
    };
    let one = EnforcementFixture::alone(pod_state).await;
    let other = one.beside(pod_state).await;
    let fixtures = [&one, &other];
    let _operator = one.base.replica("operator-0", &["--max-rollouts", "3"]);
    for fixture in fixtures {
        // The rollback keeps no old pod, which would be ready at once.
        let strategy = json!({ "rollingUpdate": { "maxSurge": 0, "maxUnavailable": 1 } });
        for name in ["a", "b"] {
            fixture.run("Deployment", name, |web| web["spec"]["strategy"] = strategy.clone()).await;
        }
        fixture.policy("standard", &reverting().replace("30,", "30, allowDowntime: true,")).await;
    }
    for fixture in fixtures {
        for workload in ["Deployment/a", "Deployment/b"] {
            fixture.until("standard", workload, RemediationPhase::Verified).await;
        }
    }
    LATER.store(true, Ordering::Relaxed);
    for fixture in fixtures {
        fixture.delete_policy("standard").await;
    }
    let mut most = 0;
    within(Duration::from_mins(3), "both policies are gone", async || {
        let at_a_time = under_way(&one).await;
        assert!(at_a_time <= 3, "{at_a_time} at a time");
        most = most.max(at_a_time);
        let mut there = 0;
        for fixture in fixtures {
            let policies = fixture.base.policies(&fixture.namespace);
            there += usize::from(policies.get_opt("standard").await.unwrap().is_some());
        }
        (there == 0).then_some(())
    })
    .await;
    assert_eq!(most, 3);
    for fixture in fixtures {
        for name in ["a", "b"] {
            assert!(fixture.container("Deployment", name).await.get("livenessProbe").is_none());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn the_cleanup_time_starts_when_an_operator_sees_the_deletion() {
    let fixture = EnforcementFixture::alone(|_| PodState::Ready).await;
    let operator = fixture.base.replica("operator-0", &["--no-leader-election"]);
    for name in ["a", "b"] {
        fixture.run("Deployment", name, |_| ()).await;
    }
    fixture.policy("standard", &reverting()).await;
    for workload in ["Deployment/a", "Deployment/b"] {
        fixture.until("standard", workload, RemediationPhase::Verified).await;
    }
    operator.kill();
    fixture.delete_policy("standard").await;
    deny(&fixture, "!(object.metadata.name in ['a', 'probe'])", &json!({ "name": "probe" })).await;
    tokio::time::sleep(Duration::from_secs(17)).await;

    // A patch that can't be withdrawn takes the only slot until the cleanup time is over.
    let flags = ["--no-leader-election", "--max-rollouts", "1", "--cleanup-time", "15s"];
    let operator = fixture.base.replica("operator-1", &flags);
    fixture.until_condition("standard", "Enforcing", "Deleting", "the policy was deleted").await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    operator.kill();
    let has_probe = async |name| fixture.container("Deployment", name).await.get("livenessProbe").is_some();
    assert_eq!((has_probe("a").await, has_probe("b").await), (true, true));
    let _operator = fixture.base.replica("operator-2", &flags);
    fixture.until_policy_is_gone("standard").await;
    assert_eq!((has_probe("a").await, has_probe("b").await), (true, false));
    let events = fixture.base.events(&fixture.namespace, "standard").await;
    let notes: Vec<_> = events.iter().filter(|(_, reason, ..)| reason == "CleanupIncomplete").collect();
    assert_eq!(notes.len(), 1, "{events:?}");
    assert_eq!(notes[0].3, "the policy is removed with unfinished work on Deployment/a");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_rehearsal_shows_the_patch_and_changes_nothing() {
    let fixture = EnforcementFixture::shared(|_| PodState::Ready).await;
    let before = fixture.run("Deployment", "web", |_| ()).await;
    // A policy that may patch nothing has no effect here either.
    let never = "{requireLivenessProbe: true, defaultProbe: {tcpPort: 9999}, enforcementMode: enforce, \
         remediation: {maxPerHour: 0}}";
    fixture.policy("never", never).await;
    fixture.policy("standard", &PROBES.replace("enforcementMode: enforce", "enforcementMode: audit")).await;
    let outcome =
        on(fixture.base.plane.kubeconfig(), &["policy", "rehearse", "standard", "-n", &fixture.namespace]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert!(outcome.stdout.contains("+    livenessProbe:"), "{}", outcome.stdout);
    assert!(!outcome.stdout.contains("9999"), "{}", outcome.stdout);
    assert!(outcome.stdout.contains("(1 pod): would be patched\n"), "{}", outcome.stdout);
    assert!(outcome.stdout.contains("1 would be patched, 0 refused, 0 left"), "{}", outcome.stdout);
    let after = fixture.get("Deployment", "web").await;
    assert_eq!(after.metadata.resource_version, before.metadata.resource_version);
}
