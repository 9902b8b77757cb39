//! Patches that are taken back by hand, and with their policy.

use super::stage::{Fate, PROBES, Stage, is_marked, template};
use crate::analyze::on;
use crate::eventually::eventually;
use kube::ResourceExt;
use kube::api::{Patch, PatchParams};
use kube_devops::cluster::FIELD_MANAGER;
use kube_devops::enforcement::PATCHED_BY;
use kube_devops::policy::RemediationPhase;
use serde_json::json;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn what_is_undone_stays_undone_and_what_others_made_of_it_is_named() {
    let stage = Stage::shared(|_| Fate::Ready).await;
    let before = stage.run("Deployment", "web", |_| ()).await;
    stage.policy("standard", PROBES).await;
    stage.until("standard", "Deployment/web", RemediationPhase::Verified).await;

    let tuning = json!({ "spec": { "template": { "spec": { "containers": [
        { "name": "main", "livenessProbe": { "periodSeconds": 7 } },
    ] } } } });
    stage.edit("Deployment", "web", "kubectl-edit", &tuning).await;
    let kubeconfig = stage.world.plane.kubeconfig();
    let outcome = on(kubeconfig, &["undo", "deployment/web", "-n", &stage.namespace]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert!(
        outcome.stdout.contains("with main/livenessProbe went what kubectl-edit had set"),
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

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn what_others_left_of_a_patch_is_undone_too() {
    let stage = Stage::shared(|_| Fate::Ready).await;
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
    assert!(undo(&["--dry-run"]).contains("would take out what others left of a patch"));
    assert!(undo(&[]).contains("took out what others left of a patch"));
    let after = stage.get("Deployment", "web").await;
    assert!(!is_marked(&after));
    assert_eq!(after.data["spec"], before.data["spec"]);
    assert_eq!(undo(&[]), "");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn what_was_set_for_one_policy_is_undone_alone() {
    let stage = Stage::shared(|_| Fate::Ready).await;
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
    assert!(told.ends_with("took out main/readinessProbe\n"), "{told}");
    let object = stage.get("Deployment", "web").await;
    let container = &template(&object)["spec"]["containers"][0];
    assert!(container.get("readinessProbe").is_none() && container.get("livenessProbe").is_some());
    assert_eq!(object.annotations()[PATCHED_BY], "first", "it is whose the rest is");
    let record = stage.until("second", "Deployment/web", RemediationPhase::Failed).await;
    assert_eq!(record.reason.as_deref(), Some("TakenOut"));

    // The records go with their policy.
    stage.delete_policy("first").await;
    stage.until_policy_is_gone("first").await;
    let (told, note) = undo("first");
    assert!(told.ends_with("took out main/livenessProbe, main/startupProbe\n"), "{told}");
    assert!(note.contains("policy first has no record of deployment/web"), "{note}");
    assert!(!is_marked(&stage.get("Deployment", "web").await));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_policy_that_reverts_goes_after_its_patches() {
    let stage = Stage::shared(|_| Fate::Ready).await;
    let before = stage.run("Deployment", "web", |_| ()).await;
    let spec = PROBES.replace("verifySeconds: 30", "verifySeconds: 30, onDelete: revert");
    stage.policy("standard", &spec).await;
    stage.until("standard", "Deployment/web", RemediationPhase::Verified).await;
    stage.delete_policy("standard").await;
    stage.until_policy_is_gone("standard").await;
    let after = stage.get("Deployment", "web").await;
    assert_eq!(after.data["spec"]["template"], before.data["spec"]["template"]);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_rehearsal_shows_the_patch_and_changes_nothing() {
    let stage = Stage::shared(|_| Fate::Ready).await;
    let before = stage.run("Deployment", "web", |_| ()).await;
    // One that may patch nothing has no say here either.
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
