//! Patches that are reverted by command or with their policy.

use super::blast_radius::under_way;
use super::refusals::deny;
use super::stage::{PROBES, PodState, Stage, is_marked, is_patched, template};
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
    let stage = Stage::shared(|_| PodState::Ready).await;
    let before = stage.run("Deployment", "web", |_| ()).await;
    stage.policy("standard", PROBES).await;
    stage.until("standard", "Deployment/web", RemediationPhase::Verified).await;

    let tuning = json!({ "spec": { "template": { "spec": { "containers": [
        { "name": "main", "livenessProbe": { "periodSeconds": 7 } },
    ] } } } });
    stage.edit("Deployment", "web", "kubectl-edit", &tuning).await;
    let kubeconfig = stage.world.plane.kubeconfig();
    let dry_run = |arguments: &[&str]| {
        on(kubeconfig, &[&["undo", "--dry-run", "-n", &stage.namespace], arguments].concat())
    };
    let outcome = dry_run(&["deployment/web"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let would = "main/livenessProbe would be removed, with the settings of kubectl-edit";
    assert!(outcome.stdout.contains(would), "{}", outcome.stdout);
    let outcome = on(kubeconfig, &["undo", "deployment/web", "-n", &stage.namespace]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert!(
        outcome.stdout.contains("main/livenessProbe was removed, with the settings of kubectl-edit"),
        "{}",
        outcome.stdout
    );
    let after = stage.get("Deployment", "web").await;
    assert_eq!(after.data["spec"]["template"], before.data["spec"]["template"]);

    tokio::time::sleep(Duration::from_secs(20)).await;
    let later = stage.get("Deployment", "web").await;
    assert_eq!(later.metadata.generation, after.metadata.generation, "it is not set again");

    let same = json!({ "tcpSocket": { "port": 8080 }, "periodSeconds": 10, "timeoutSeconds": 1,
        "successThreshold": 1, "failureThreshold": 3 });
    stage.change_policy("standard", json!({ "maxRestartCount": 9 })).await;
    eventually("the changed policy patches again", async || {
        stage.container("Deployment", "web").await.get("livenessProbe").is_some().then_some(())
    })
    .await;
    let document = json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "web" },
        "spec": { "template": { "spec": { "containers": [{ "name": "main", "readinessProbe": same }] } } } });
    let apply = Patch::Apply(&document);
    stage.api("Deployment").patch("web", &PatchParams::apply("flux"), &apply).await.unwrap();
    let outcome = dry_run(&["--all"]);
    assert_eq!(outcome.code, 2, "{}", outcome.stdout);
    let would = "main/readinessProbe would stay, because flux set the same value";
    assert!(outcome.stdout.contains(would), "{}", outcome.stdout);
    let outcome = on(kubeconfig, &["undo", "--all", "-n", &stage.namespace]);
    assert_eq!(outcome.code, 2, "{}", outcome.stdout);
    assert!(
        outcome.stdout.contains("main/readinessProbe stays, because flux set the same value"),
        "{}",
        outcome.stdout
    );
    let container = stage.container("Deployment", "web").await;
    assert!(container.get("livenessProbe").is_none() && container.get("readinessProbe").is_some());
}

/// A policy that sets probes and reverts them when it is deleted.
fn reverting() -> String {
    PROBES.replace("verifySeconds: 30", "verifySeconds: 30, onDelete: revert")
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_partly_removed_patch_can_be_undone() {
    let stage = Stage::shared(|_| PodState::Ready).await;
    let before = stage.run("Deployment", "web", |_| ()).await;
    let probed = json!([{ "name": "main", "livenessProbe": { "tcpSocket": { "port": 8080 } } }]);
    let document = json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "web" },
        "spec": { "template": { "spec": { "containers": probed } } } });
    let ours = PatchParams::apply(FIELD_MANAGER);
    stage.api("Deployment").patch("web", &ours, &Patch::Apply(&document)).await.unwrap();
    let theirs = json!({ "spec": { "template": { "spec": { "containers": [
        { "name": "main", "livenessProbe": null },
    ] } } } });
    stage.edit("Deployment", "web", "kubectl-patch", &theirs).await;
    assert!(is_marked(&stage.get("Deployment", "web").await));
    let undo = |flags: &[&str]| {
        let arguments = [&["undo", "--all", "-n", &stage.namespace][..], flags].concat();
        let outcome = on(stage.world.plane.kubeconfig(), &arguments);
        assert_eq!(outcome.code, 0, "{}", outcome.stderr);
        outcome.stdout
    };
    assert!(undo(&["--dry-run"]).contains("would remove the rest of a patch"));
    assert!(undo(&[]).contains("removed the rest of a patch"));
    let after = stage.get("Deployment", "web").await;
    assert!(!is_marked(&after));
    assert_eq!(after.data["spec"], before.data["spec"]);
    assert_eq!(undo(&[]), "");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn undo_for_one_policy_keeps_the_fields_of_others() {
    let stage = Stage::shared(|_| PodState::Ready).await;
    stage.run("Deployment", "web", |_| ()).await;
    let spec = |rule: &str| {
        format!("{{{rule}: true, enforcementMode: enforce, remediation: {{verifySeconds: 30}}}}")
    };
    for (name, rule) in [("first", "requireLivenessProbe"), ("second", "requireReadinessProbe")] {
        stage.policy(name, &spec(rule)).await;
        stage.until(name, "Deployment/web", RemediationPhase::Verified).await;
    }
    let undo = |policy: &str| {
        let arguments = ["undo", "--policy", policy, "-n", &stage.namespace];
        let outcome = on(stage.world.plane.kubeconfig(), &arguments);
        assert_eq!(outcome.code, 0, "{}", outcome.stderr);
        (outcome.stdout, outcome.stderr)
    };
    let (told, _) = undo("second");
    assert!(told.ends_with("removed main/readinessProbe\n"), "{told}");
    let object = stage.get("Deployment", "web").await;
    let container = &template(&object)["spec"]["containers"][0];
    assert!(container.get("readinessProbe").is_none() && container.get("livenessProbe").is_some());
    assert_eq!(
        object.annotations()[PATCHED_BY],
        "first",
        "the annotation names the policy of the remaining fields"
    );
    let record = stage.until("second", "Deployment/web", RemediationPhase::Failed).await;
    assert_eq!(record.reason, Some(RemediationReason::TakenOut));

    // The records are deleted with their policy.
    stage.delete_policy("first").await;
    stage.until_policy_is_gone("first").await;
    let (told, note) = undo("first");
    assert!(told.ends_with("removed main/livenessProbe, main/startupProbe\n"), "{told}");
    assert!(note.contains("policy first has no record of deployment/web"), "{note}");
    assert!(!is_marked(&stage.get("Deployment", "web").await));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_reverting_policy_is_deleted_after_its_patches() {
    let stage = Stage::shared(|_| PodState::Ready).await;
    let before = stage.run("Deployment", "web", |_| ()).await;
    stage.policy("standard", &reverting()).await;
    stage.until("standard", "Deployment/web", RemediationPhase::Verified).await;
    stage.delete_policy("standard").await;
    stage.until_policy_is_gone("standard").await;
    let after = stage.get("Deployment", "web").await;
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
    let one = Stage::alone(pod_state).await;
    let other = one.beside(pod_state).await;
    let stages = [&one, &other];
    let _operator = one.world.replica("operator-0", &["--max-rollouts", "3"]);
    for stage in stages {
        // The rollback keeps no old pod, which would be ready at once.
        let strategy = json!({ "rollingUpdate": { "maxSurge": 0, "maxUnavailable": 1 } });
        for name in ["a", "b"] {
            stage.run("Deployment", name, |web| web["spec"]["strategy"] = strategy.clone()).await;
        }
        stage.policy("standard", &reverting().replace("30,", "30, allowDowntime: true,")).await;
    }
    for stage in stages {
        for workload in ["Deployment/a", "Deployment/b"] {
            stage.until("standard", workload, RemediationPhase::Verified).await;
        }
    }
    LATER.store(true, Ordering::Relaxed);
    for stage in stages {
        stage.delete_policy("standard").await;
    }
    let mut most = 0;
    within(Duration::from_mins(3), "both policies are gone", async || {
        let at_a_time = under_way(&one).await;
        assert!(at_a_time <= 3, "{at_a_time} at a time");
        most = most.max(at_a_time);
        let mut there = 0;
        for stage in stages {
            let policies = stage.world.policies(&stage.namespace);
            there += usize::from(policies.get_opt("standard").await.unwrap().is_some());
        }
        (there == 0).then_some(())
    })
    .await;
    assert_eq!(most, 3);
    for stage in stages {
        for name in ["a", "b"] {
            assert!(stage.container("Deployment", name).await.get("livenessProbe").is_none());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn the_cleanup_time_starts_when_an_operator_sees_the_deletion() {
    let stage = Stage::alone(|_| PodState::Ready).await;
    let operator = stage.world.replica("operator-0", &["--no-leader-election"]);
    for name in ["a", "b"] {
        stage.run("Deployment", name, |_| ()).await;
    }
    stage.policy("standard", &reverting()).await;
    for workload in ["Deployment/a", "Deployment/b"] {
        stage.until("standard", workload, RemediationPhase::Verified).await;
    }
    operator.kill();
    stage.delete_policy("standard").await;
    deny(&stage, "!(object.metadata.name in ['a', 'probe'])", &json!({ "name": "probe" })).await;
    tokio::time::sleep(Duration::from_secs(17)).await;

    // A patch that can't be withdrawn takes the only slot until the cleanup time is over.
    let flags = ["--no-leader-election", "--max-rollouts", "1", "--cleanup-time", "15s"];
    let operator = stage.world.replica("operator-1", &flags);
    stage.until_condition("standard", "Enforcing", "Deleting", "the policy was deleted").await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    operator.kill();
    let has_probe = async |name| stage.container("Deployment", name).await.get("livenessProbe").is_some();
    assert_eq!((has_probe("a").await, has_probe("b").await), (true, true));
    let _operator = stage.world.replica("operator-2", &flags);
    stage.until_policy_is_gone("standard").await;
    assert_eq!((has_probe("a").await, has_probe("b").await), (true, false));
    let events = stage.world.events(&stage.namespace, "standard").await;
    let notes: Vec<_> = events.iter().filter(|(_, reason, ..)| reason == "CleanupIncomplete").collect();
    assert_eq!(notes.len(), 1, "{events:?}");
    assert_eq!(notes[0].3, "the policy is removed with unfinished work on Deployment/a");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_rehearsal_shows_the_patch_and_changes_nothing() {
    let stage = Stage::shared(|_| PodState::Ready).await;
    let before = stage.run("Deployment", "web", |_| ()).await;
    // A policy that may patch nothing has no effect here either.
    let never = "{requireLivenessProbe: true, defaultProbe: {tcpPort: 9999}, enforcementMode: enforce, \
         remediation: {maxPerHour: 0}}";
    stage.policy("never", never).await;
    stage.policy("standard", &PROBES.replace("enforcementMode: enforce", "enforcementMode: audit")).await;
    let outcome =
        on(stage.world.plane.kubeconfig(), &["policy", "rehearse", "standard", "-n", &stage.namespace]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert!(outcome.stdout.contains("+    livenessProbe:"), "{}", outcome.stdout);
    assert!(!outcome.stdout.contains("9999"), "{}", outcome.stdout);
    assert!(outcome.stdout.contains("(1 pod): would be patched\n"), "{}", outcome.stdout);
    assert!(outcome.stdout.contains("1 would be patched, 0 refused, 0 left"), "{}", outcome.stdout);
    let after = stage.get("Deployment", "web").await;
    assert_eq!(after.metadata.resource_version, before.metadata.resource_version);
}
