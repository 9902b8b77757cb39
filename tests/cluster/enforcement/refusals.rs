//! Patches that the API server or the cluster refuses.

use super::fixture::{
    EnforcementFixture, PROBES, PROBES_WITH_DOWNTIME, PodState, RESOURCES, VERIFY, is_patched, template,
    workload,
};
use crate::analyze::on;
use crate::eventually::eventually;
use k8s_openapi::api::admissionregistration::v1::{
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding, ValidatingWebhookConfiguration,
};
use k8s_openapi::api::core::v1::{LimitRange, ResourceQuota};
use kube::Api;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube_devops::enforcement::{FIELD_MANAGER, PATCHED_BY, RefusalClass};
use kube_devops::policy::{RemediationPhase, RemediationReason};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::time::sleep;

/// Longer than the re-check interval of a transient blocker.
const A_WHILE: Duration = Duration::from_secs(17);

/// Makes admission deny objects with our annotation in the fixture's namespace. Returns once that is in effect.
async fn deny_patches(fixture: &EnforcementFixture) {
    let allowed = format!("!('{PATCHED_BY}' in object.metadata.?annotations.orValue({{}}))");
    deny(fixture, &allowed, &json!({ "name": "probe", "annotations": { PATCHED_BY: "somebody" } })).await;
}

/// Makes admission deny all Deployments of the fixture's namespace that a CEL expression doesn't allow. Returns once a
/// Deployment with the metadata `denied` is refused.
pub(super) async fn deny(fixture: &EnforcementFixture, allowed: &str, denied: &Value) {
    let client = fixture.base.client.clone();
    let name = format!("frozen-{}", fixture.namespace);
    let params = PostParams::default();
    let rule = json!({ "apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"],
        "resources": ["deployments"] });
    let policy = json!({
        "metadata": { "name": name },
        "spec": {
            "matchConstraints": { "resourceRules": [rule] },
            "validations": [{
                "expression": allowed,
                // Longer than the note of an event may be, in characters and in bytes.
                "message": format!("this namespace is frozen: {}", "凍結".repeat(600)),
            }],
        },
    });
    let policy = serde_json::from_value(policy).unwrap();
    Api::<ValidatingAdmissionPolicy>::all(client.clone()).create(&params, &policy).await.unwrap();
    let selector = json!({ "matchLabels": { "kubernetes.io/metadata.name": fixture.namespace } });
    let binding = json!({
        "metadata": { "name": name },
        "spec": {
            "policyName": name, "validationActions": ["Deny"], "matchResources": { "namespaceSelector": selector },
        },
    });
    let binding = serde_json::from_value(binding).unwrap();
    Api::<ValidatingAdmissionPolicyBinding>::all(client).create(&params, &binding).await.unwrap();

    let mut probe = workload("Deployment", "probe");
    probe["metadata"] = denied.clone();
    let probe: DynamicObject = serde_json::from_value(probe).unwrap();
    let dry_run = PostParams { dry_run: true, ..PostParams::default() };
    eventually("patches are denied", async || {
        fixture.api("Deployment").create(&dry_run, &probe).await.is_err().then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_patch_denied_by_admission_is_recorded_and_not_resent() {
    let fixture = EnforcementFixture::shared(|_| PodState::Ready).await;
    let before = fixture.run("Deployment", "web", |_| ()).await;
    deny_patches(&fixture).await;
    let counted = || fixture.metric("enforcement_remediations_failed_total{category=\"admission_refused\"}");
    let (mark, counted_before) = (fixture.base.plane.mark(), counted());
    fixture.policy("standard", PROBES).await;
    let record = fixture.until("standard", "Deployment/web", RemediationPhase::Failed).await;
    assert_eq!(record.reason, Some(RemediationReason::AdmissionRefused));
    assert!(record.message.unwrap().contains("this namespace is frozen"));
    fixture.until_event("standard", "PatchFailed", "this namespace is frozen").await;
    fixture.until_condition("standard", "Enforcing", "Enforcing", "FailedBefore").await;
    assert!(counted() > counted_before);
    sleep(A_WHILE).await;
    assert_eq!(fixture.attempts_since(mark, "web"), 1);
    assert_eq!(fixture.get("Deployment", "web").await.metadata.generation, before.metadata.generation);
    let status = fixture.status("standard").await;
    assert_eq!((status.remediations_applied, status.remediations_failed), (None, Some(1)));
}

fn quotas(fixture: &EnforcementFixture) -> Api<ResourceQuota> {
    Api::namespaced(fixture.base.client.clone(), &fixture.namespace)
}

/// Sets a quota for the number of pods in the fixture's namespace.
async fn allow_pods(fixture: &EnforcementFixture, pods: u32) {
    let quotas = quotas(fixture);
    let quota = json!({ "metadata": { "name": "full" }, "spec": { "hard": { "pods": pods.to_string() } } });
    quotas.create(&PostParams::default(), &serde_json::from_value(quota).unwrap()).await.unwrap();
    eventually("the pods are counted", async || {
        let used = quotas.get("full").await.unwrap().status?.used?;
        (used.get("pods")?.0 != "0").then_some(())
    })
    .await;
}

/// Classifies the refusal of a call.
fn class<T>(outcome: kube::Result<T>) -> Option<RefusalClass> {
    match outcome {
        Err(kube::Error::Api(status)) => Some(RefusalClass::of(&status)),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn refusals_of_the_api_server_are_classified() {
    let fixture = EnforcementFixture::shared(|_| PodState::Ready).await;
    let deployments = fixture.api("Deployment");
    fixture.create("Deployment", "web", |_| ()).await;
    let patch = async |params: &PatchParams, change: Value| {
        let mut document =
            json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "web" } });
        document.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        class(deployments.patch("web", params, &Patch::Apply(&document)).await)
    };
    let ours = PatchParams::apply(FIELD_MANAGER);
    let spec = json!({ "spec": { "replicas": 2 } });
    assert_eq!(patch(&ours, spec.clone()).await, Some(RefusalClass::FieldConflict));
    let outdated = json!({ "metadata": { "name": "web", "resourceVersion": "1" } });
    assert_eq!(patch(&ours, outdated).await, Some(RefusalClass::Stale));
    let invalid = json!({ "spec": { "replicas": -1 } });
    assert_eq!(patch(&ours.clone().force(), invalid).await, Some(RefusalClass::Invalid));

    // A document with a UID doesn't create a deleted workload.
    let gone =
        json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "nope", "uid": "u" } });
    let applied = class(deployments.patch("nope", &ours, &Patch::Apply(&gone)).await);
    assert_eq!(applied, Some(RefusalClass::Gone));
    assert_eq!(class(deployments.get("nope").await), Some(RefusalClass::Gone));

    let quota =
        json!({ "metadata": { "name": "none" }, "spec": { "hard": { "count/deployments.apps": "1" } } });
    quotas(&fixture).create(&PostParams::default(), &serde_json::from_value(quota).unwrap()).await.unwrap();
    let second: DynamicObject = serde_json::from_value(workload("Deployment", "second")).unwrap();
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    eventually("the quota counts", async || {
        let refused = class(deployments.create(&dry, &second).await);
        (refused == Some(RefusalClass::QuotaExceeded)).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_patch_that_exceeds_a_quota_is_not_started_or_is_withdrawn() {
    let fixture = EnforcementFixture::shared(|_| PodState::Ready).await;
    fixture.run("Deployment", "web", |_| ()).await;
    let mark = fixture.base.plane.mark();
    allow_pods(&fixture, 1).await;
    fixture.policy("standard", PROBES).await;
    let why = "ResourceQuota full has no room for one more pod";
    fixture.until_condition("standard", "Enforcing", "Enforcing", why).await;
    assert_eq!(fixture.attempts_since(mark, "web"), 0);

    // The quota is set once the first of two new pods exists.
    let fixture = fixture.beside(|_| PodState::Ready).await;
    let slow = |web: &mut serde_json::Value| {
        web["spec"]["replicas"] = json!(2);
        web["spec"]["minReadySeconds"] = json!(5);
    };
    let before = fixture.run("Deployment", "web", slow).await;
    fixture.policy("standard", PROBES).await;
    fixture.until("standard", "Deployment/web", RemediationPhase::Applied).await;
    fixture.pod("the first new pod", is_patched).await;
    allow_pods(&fixture, 2).await;
    let record = fixture.until("standard", "Deployment/web", RemediationPhase::Withdrawn).await;
    assert_eq!(record.reason, Some(RemediationReason::QuotaExceeded), "{record:?}");
    assert!(record.message.unwrap().contains("exceeded quota: full"));
    fixture.until_event("standard", "PatchWithdrawn", "QuotaExceeded").await;
    // The rollback needs one more pod for a moment, too.
    quotas(&fixture).delete("full", &DeleteParams::default()).await.unwrap();
    assert_eq!(template(&fixture.until_available("Deployment", "web").await), template(&before));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn amounts_that_a_limit_range_supplies_are_not_set() {
    let fixture = EnforcementFixture::shared(|_| PodState::Ready).await;
    let ranges = Api::<LimitRange>::namespaced(fixture.base.client.clone(), &fixture.namespace);
    let small = json!({ "metadata": { "name": "small" },
        "spec": { "limits": [{ "type": "Container", "max": { "memory": "20Mi" } }] } });
    ranges.create(&PostParams::default(), &serde_json::from_value(small).unwrap()).await.unwrap();
    fixture.run("Deployment", "web", |_| ()).await;
    let mark = fixture.base.plane.mark();
    fixture.policy("standard", &RESOURCES.replace("cpuRequest: 10m, ", "")).await;
    let why = "resources.limits.memory is not set: LimitRange small supplies it";
    fixture.until_condition("standard", "Enforcing", "Enforcing", why).await;
    let arguments = ["policy", "rehearse", "standard", "-n", &fixture.namespace];
    let rehearsed = on(fixture.base.plane.kubeconfig(), &arguments);
    assert!(rehearsed.stdout.contains("left as it is (NoFix)"), "{}", rehearsed.stdout);
    assert!(rehearsed.stdout.contains(why), "{}", rehearsed.stdout);
    assert_eq!(fixture.attempts_since(mark, "web"), 0);

    // Amounts without a default in the `LimitRange` are still set.
    fixture.change_policy("standard", json!({ "defaultResources": { "cpuRequest": "10m" } })).await;
    let record = fixture.until("standard", "Deployment/web", RemediationPhase::Applied).await;
    assert_eq!(record.fields, ["main/resources.requests.cpu"]);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_refused_withdrawal_is_reported_in_the_record_and_the_condition() {
    let fixture =
        EnforcementFixture::alone(|pod| if is_patched(pod) { PodState::Stuck } else { PodState::Ready })
            .await;
    fixture.run("Deployment", "web", |_| ()).await;
    let _operator = fixture.base.operator();
    fixture.policy("standard", PROBES).await;
    fixture.until("standard", "Deployment/web", RemediationPhase::Applied).await;
    fixture.base.forbid("patch", "apps", "deployments").await;
    let tuned = json!({ "name": "main", "livenessProbe": { "periodSeconds": 7 } });
    let tuning = json!({ "spec": { "template": { "spec": { "containers": [tuned] } } } });
    fixture.edit("Deployment", "web", "kubectl-edit", &tuning).await;

    let condition = "withdrawals refused: 1, such as Deployment/web: ";
    fixture.until_condition("standard", "Enforcing", "Enforcing", condition).await;
    let record = fixture.until("standard", "Deployment/web", RemediationPhase::Withdrawing).await;
    let refused = record.withdrawal_refused.unwrap();
    assert!(refused.contains("cannot patch"), "{refused}");
    fixture.until_event("standard", "WithdrawalRefused", "cannot patch").await;
    fixture.until_event("standard", "TuningLost", "kubectl-edit").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_forbidden_patch_is_recorded_and_others_proceed() {
    let fixture = EnforcementFixture::alone(|_| PodState::Ready).await;
    fixture.base.forbid("patch", "apps", "statefulsets").await;
    let few = |object: &mut Value| object["spec"]["replicas"] = json!(2);
    let (before, _) =
        tokio::join!(fixture.run("StatefulSet", "db", few), fixture.run("Deployment", "web", |_| ()));
    let mark = fixture.base.plane.mark();
    let _operator = fixture.base.operator();
    fixture.policy("standard", PROBES_WITH_DOWNTIME).await;
    let record = fixture.until("standard", "StatefulSet/db", RemediationPhase::Failed).await;
    assert_eq!(record.reason, Some(RemediationReason::Forbidden));
    fixture.until_event("standard", "PatchFailed", "cannot patch resource").await;
    fixture.until("standard", "Deployment/web", RemediationPhase::Verified).await;
    sleep(VERIFY / 2).await;
    assert_eq!(fixture.attempts_since(mark, "db"), 1);
    assert_eq!(fixture.get("StatefulSet", "db").await.metadata.generation, before.metadata.generation);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn missing_permissions_block_only_the_patches_that_need_them() {
    let fixture = EnforcementFixture::alone(|_| PodState::Ready).await;
    let sets = fixture.beside(|pod| if is_patched(pod) { PodState::Crash } else { PodState::Ready }).await;
    let missing = [
        ("list", "autoscaling.k8s.io", "verticalpodautoscalers"),
        ("list", "apps", "controllerrevisions"),
        ("delete", "", "pods"),
    ];
    for (verb, group, resource) in missing {
        fixture.base.forbid(verb, group, resource).await;
    }
    fixture.node("one").await;
    let agents = |set: &mut Value| {
        set["spec"]["template"]["spec"]["nodeSelector"] = json!({ "fixture": fixture.namespace });
    };
    let few = |object: &mut Value| object["spec"]["replicas"] = json!(2);
    let (_, _, before, _) = tokio::join!(
        fixture.run("Deployment", "web", |_| ()),
        fixture.run("DaemonSet", "agent", agents),
        sets.run("StatefulSet", "db", few),
        sets.run("Deployment", "web", |_| ()),
    );
    let mark = fixture.base.plane.mark();
    let _operator = fixture.base.operator();
    let reads = async {
        fixture.policy("standard", PROBES_WITH_DOWNTIME).await;
        fixture.until_condition("standard", "Enforcing", "Enforcing", "controllerrevisions").await;
        fixture.until("standard", "Deployment/web", RemediationPhase::Applied).await;
        assert_eq!(fixture.attempts_since(mark, "agent"), 0, "its new pods can't be identified");
    };
    let deletes = async {
        sets.policy("standard", PROBES_WITH_DOWNTIME).await;
        sets.until_event("standard", "WithdrawalRefused", "cannot delete resource").await;
        let record = sets.until("standard", "StatefulSet/db", RemediationPhase::Withdrawn).await;
        assert_eq!(record.reason, Some(RemediationReason::CrashLoop));
        assert_eq!(template(&sets.get("StatefulSet", "db").await), template(&before));
        sets.until("standard", "Deployment/web", RemediationPhase::Withdrawn).await;
    };
    tokio::join!(reads, deletes);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_patch_that_can_no_longer_be_verified_is_withdrawn() {
    let fixture =
        EnforcementFixture::alone(|pod| if is_patched(pod) { PodState::Stuck } else { PodState::Ready })
            .await;
    fixture.node("one").await;
    let agents = |set: &mut Value| {
        set["spec"]["template"]["spec"]["nodeSelector"] = json!({ "fixture": fixture.namespace });
    };
    let before = fixture.run("DaemonSet", "agent", agents).await;
    let _operator = fixture.base.operator();
    fixture.policy("standard", PROBES_WITH_DOWNTIME).await;
    fixture.until("standard", "DaemonSet/agent", RemediationPhase::Applied).await;
    fixture.base.forbid("list", "apps", "controllerrevisions").await;
    let record = fixture.until("standard", "DaemonSet/agent", RemediationPhase::Withdrawn).await;
    assert_eq!(record.reason, Some(RemediationReason::Unwatched));
    assert!(record.message.unwrap().contains("controllerrevisions"));
    assert_eq!(template(&fixture.get("DaemonSet", "agent").await), template(&before));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_workload_with_too_many_containers_is_skipped() {
    let fixture = EnforcementFixture::shared(|_| PodState::Ready).await;
    let wide = |containers: usize| {
        move |web: &mut Value| {
            let container = |index: usize| {
                let ports = json!([{ "containerPort": 8080 + index }]);
                json!({ "name": format!("c{index}"), "image": "x:1", "ports": ports })
            };
            web["spec"]["template"]["spec"]["containers"] = (0..containers).map(container).collect();
        }
    };
    tokio::join!(fixture.run("Deployment", "wider", wide(37)), fixture.run("Deployment", "wide", wide(36)));
    let sizes = RESOURCES
        .replace("{cpu", "{cpuLimit: 1, cpu")
        .replace("{default", "{requireLivenessProbe: true, requireReadinessProbe: true, default");
    fixture.policy("standard", &sizes).await;
    let record = fixture.until("standard", "Deployment/wide", RemediationPhase::Applied).await;
    assert_eq!(record.fields.len(), 36 * 7);
    fixture.until_condition("standard", "Enforcing", "Enforcing", "TooManyFields").await;
    assert!(fixture.status("standard").await.violations.is_some());
}

/// Creates a webhook that never answers, so that the API server takes two seconds to write a status with a planned
/// patch in the fixture's namespace. A connection to the returned listener means that such a write is under way.
async fn slow_plans(fixture: &EnforcementFixture) -> TcpListener {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let planned = "object.?status.remediations.orValue([]).exists(r, r.phase == 'Planned')";
    let webhook = json!({
        "metadata": { "name": format!("slow-{}", fixture.namespace) },
        "webhooks": [{
            "name": "slow.example.com", "failurePolicy": "Ignore", "timeoutSeconds": 2, "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
            "clientConfig": { "url": format!("https://{}", listener.local_addr().unwrap()) },
            "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": fixture.namespace } },
            "rules": [{
                "apiGroups": ["devops.stochastic.io"], "apiVersions": ["v1"], "operations": ["UPDATE"],
                "resources": ["devopspolicies/status"],
            }],
            "matchConditions": [{ "name": "planned", "expression": planned }],
        }],
    });
    let webhooks = Api::<ValidatingWebhookConfiguration>::all(fixture.base.client.clone());
    webhooks.create(&PostParams::default(), &serde_json::from_value(webhook).unwrap()).await.unwrap();
    // The API server uses the webhook within a second.
    sleep(Duration::from_secs(2)).await;
    listener
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_workload_deleted_before_its_patch_is_not_recreated() {
    let fixture = EnforcementFixture::shared(|_| PodState::Ready).await;
    let web = fixture.run("Deployment", "web", |_| ()).await;
    let plans = slow_plans(&fixture).await;
    let counted = || fixture.metric("enforcement_remediations_failed_total{category=\"gone\"}");
    let (mark, counted_before) = (fixture.base.plane.mark(), counted());
    fixture.policy("standard", PROBES).await;
    let _connection = plans.accept().await.unwrap();
    fixture.api("Deployment").delete("web", &DeleteParams::default()).await.unwrap();
    fixture.until_event("standard", "PatchFailed", "Deployment/web: Gone: the workload is gone").await;
    assert!(counted() > counted_before);
    assert_eq!(fixture.attempts_since(mark, "web"), 1);
    assert!(fixture.workload_writes_since(mark).is_empty());
    assert!(fixture.api("Deployment").get_opt("web").await.unwrap().is_none());
    let status = fixture.status("standard").await;
    assert_eq!((status.remediations_applied, status.remediations_failed), (None, Some(1)));

    // A new workload of the same name is another workload.
    let again = fixture.run("Deployment", "web", |_| ()).await;
    assert_ne!(again.metadata.uid, web.metadata.uid);
    let record = fixture.until("standard", "Deployment/web", RemediationPhase::Verified).await;
    assert_eq!(record.uid, again.metadata.uid);
}
