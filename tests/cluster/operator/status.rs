//! The status that the operator writes, beside the fields of other writers.

use super::fixture::{OperatorFixture, pod};
use super::life::condition;
use crate::analyze::on;
use crate::eventually::eventually;
use crate::kubelet::set_pod_status;
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Resource as _, ResourceExt};
use kube_devops::operator::FINALIZER;
use kube_devops::policy::{DevOpsPolicy, DevOpsPolicyStatus};
use serde_json::json;
use std::time::Duration;

const OTHER: &str = "example.com/other";

fn reason<'p>(policy: &'p DevOpsPolicy, of: &str) -> &'p str {
    &condition(policy, of).reason
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_pod_pending_for_too_long_counts_without_an_event() {
    let fixture = OperatorFixture::shared().await;
    let shop = fixture.plane.namespace("shop");
    let _operator = fixture.operator();
    let waiting = serde_json::from_value(pod("waits", "nginx:1")).unwrap();
    fixture.pods(&shop).create(&PostParams::default(), &waiting).await.unwrap();
    fixture.policy(&shop, "patient", "{forbidPendingDuration: 4}").await;
    let early = fixture.until(&shop, "patient", "healthy", |status| status.healthy == Some(true)).await;
    let late = fixture.until(&shop, "patient", "unhealthy", |status| status.healthy == Some(false)).await;
    let created = fixture.pods(&shop).get("waits").await.unwrap().creation_timestamp().unwrap().0;
    let took = late.status.unwrap().last_evaluated.unwrap().0.duration_since(created).as_secs();
    assert!((4..=6).contains(&took), "{took} s");
    assert!(early.status.unwrap().last_evaluated.unwrap().0.duration_since(created).as_secs() < 4);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_completed_pod_does_not_hide_its_cron_job() {
    let fixture = OperatorFixture::shared().await;
    let shop = fixture.plane.namespace("shop");
    let _operator = fixture.replica("operator-0", &["--audit-interval", "1s"]);
    let template = json!({ "spec": {
        "restartPolicy": "Never", "containers": [{ "name": "main", "image": "report:latest" }],
    } });
    let cron_job: CronJob = serde_json::from_value(json!({
        "metadata": { "name": "report" },
        "spec": {
            "schedule": "0 0 * * *", "suspend": true, "jobTemplate": { "spec": { "template": &template } },
        },
    }))
    .unwrap();
    let cron_jobs = Api::<CronJob>::namespaced(fixture.client.clone(), &shop);
    let cron_job = cron_jobs.create(&PostParams::default(), &cron_job).await.unwrap();
    let mut job: Job = serde_json::from_value(json!({
        "metadata": { "name": "report-by-hand" }, "spec": { "template": &template },
    }))
    .unwrap();
    job.metadata.owner_references = Some(vec![cron_job.controller_owner_ref(&()).unwrap()]);
    let jobs = Api::<Job>::namespaced(fixture.client.clone(), &shop);
    jobs.create(&PostParams::default(), &job).await.unwrap();
    fixture.policy(&shop, "base", "{forbidLatestTag: true}").await;
    let entry = async || {
        let result = fixture.results(&shop, "base").await.pop()?;
        let [entry] = &result.spec.violations[..] else { return None };
        Some((entry.kind.clone(), entry.name.clone(), entry.pods))
    };

    // The Job controller creates the pod, which then completes.
    let pod = eventually("a pod of the Job", async || {
        let pods = fixture.pods(&shop).list(&ListParams::default()).await.unwrap().items;
        pods.into_iter().next().map(|pod| pod.name_any())
    })
    .await;
    set_pod_status(&fixture.client, &shop, &pod, &json!({ "phase": "Succeeded" })).await;
    eventually("a completed Job", async || {
        let status = jobs.get("report-by-hand").await.unwrap().status?;
        (status.succeeded == Some(1)).then_some(())
    })
    .await;
    assert_eq!(fixture.pods(&shop).list(&ListParams::default()).await.unwrap().items.len(), 1);
    fixture
        .until(&shop, "base", "one violation in one pod", |status| {
            status.violations == Some(1)
                && status.message.as_deref() == Some("1 violation in 1 pod: 1 x latest-tag")
        })
        .await;
    let found = eventually("an audit result about the CronJob", async || {
        entry().await.filter(|(kind, ..)| kind == "CronJob")
    })
    .await;
    assert_eq!(found, ("CronJob".to_owned(), "report".to_owned(), 1));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_foreign_change_of_the_status_is_repaired_despite_conflicts() {
    let fixture = OperatorFixture::shared().await;
    let shop = fixture.plane.namespace("shop");
    let operator = fixture.operator();
    fixture.run(&shop, &pod("web", "nginx:1")).await;
    fixture.policy(&shop, "base", "{forbidLatestTag: true}").await;
    let before =
        fixture.until(&shop, "base", "healthy", |status| status.healthy == Some(true)).await.status.unwrap();
    // A removed condition is created again, with a new transition time.
    let same = |status: &DevOpsPolicyStatus| {
        let mut status =
            DevOpsPolicyStatus { last_evaluated: before.last_evaluated.clone(), ..status.clone() };
        for (condition, known) in status.conditions.iter_mut().zip(&before.conditions) {
            condition.last_transition_time = known.last_transition_time.clone();
        }
        status == before
    };
    // Another manager changes one of our fields and adds a foreign condition and field.
    let foreign = json!([{
        "type": "Foreign", "status": "True", "reason": "Because", "message": "",
        "lastTransitionTime": "2020-01-01T00:00:00Z",
    }]);
    let params = PatchParams::apply("intruder").force();
    let apply = json!({
        "apiVersion": "devops.stochastic.io/v1", "kind": "DevOpsPolicy", "metadata": { "name": "base" },
        "status": { "healthScore": 3, "conditions": foreign },
    });
    for patch in [
        (PatchParams::default(), Patch::Merge(json!({ "status": { "healthy": false, "violations": 9 } }))),
        (params, Patch::Apply(apply)),
        (PatchParams::default(), Patch::Merge(json!({ "status": null }))),
    ] {
        // The repair happens in a later second.
        tokio::time::sleep(Duration::from_millis(1100)).await;
        fixture.policies(&shop).patch_status("base", &patch.0, &patch.1).await.unwrap();
        fixture.until(&shop, "base", "repaired", same).await;
    }
    // In a system namespace, the operator removes its fields even if another manager owns them.
    let quiet = "quiet-system";
    fixture.namespace_named(quiet).await;
    fixture.policy(quiet, "base", "{forbidLatestTag: true}").await;
    fixture.until(quiet, "base", "no effect", |status| status.healthy.is_none()).await;
    let claim = Patch::Merge(json!({ "status": { "healthScore": 3, "classification": "Critical" } }));
    fixture.policies(quiet).patch_status("base", &PatchParams::default(), &claim).await.unwrap();
    fixture.until(quiet, "base", "no claim", |status| status.health_score.is_none()).await;

    // A busy second writer causes conflicts, but the operator's fields win.
    let contested = fixture.plane.mark();
    let refused = || fixture.writes_since(contested).iter().filter(|event| event.code == 409).count();
    let mut rounds = 0;
    while refused() < 3 {
        for score in rounds..rounds + 30 {
            let patch = Patch::Merge(json!({ "status": { "healthScore": score % 100 } }));
            fixture.policies(&shop).patch_status("base", &PatchParams::default(), &patch).await.unwrap();
            let label = Patch::Merge(json!({ "metadata": { "labels": { "round": score.to_string() } } }));
            fixture.policies(&shop).patch("base", &PatchParams::default(), &label).await.unwrap();
        }
        rounds += 30;
        assert!(rounds < 3_000, "no conflict came of {rounds} rounds");
    }
    fixture.until(&shop, "base", "repaired", same).await;
    let quiet_since = fixture.plane.mark();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let writes = fixture.writes_since(quiet_since);
    assert!(writes.is_empty(), "it rests when all is said: {writes:?}");
    assert!(operator.metric(r#"devopspolicy_reconcile_total{result="success"}"#).unwrap() > 0.0);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn the_finalizer_keeps_foreign_ones_and_does_not_block_a_namespace() {
    let fixture = OperatorFixture::shared().await;
    let shop = fixture.plane.namespace("shop");
    let _operator = fixture.operator();
    let policy = serde_json::from_value(json!({
        "metadata": { "name": "held", "finalizers": [OTHER] }, "spec": { "forbidLatestTag": true },
    }))
    .unwrap();
    fixture.policies(&shop).create(&PostParams::default(), &policy).await.unwrap();
    let evaluated = fixture.until(&shop, "held", "evaluated", |status| status.healthy.is_some()).await;
    assert_eq!(evaluated.finalizers(), [OTHER, FINALIZER]);
    fixture.policies(&shop).delete("held", &DeleteParams::default()).await.unwrap();
    let gone = async |name: &str, left: &[&str]| {
        eventually("the finalizer is removed", async || {
            let policy = fixture.policies(&shop).get(name).await.unwrap();
            (policy.finalizers() == left).then_some(())
        })
        .await;
    };
    gone("held", &[OTHER]).await;
    // The policy now waits for the other finalizer, and the operator writes no more.
    let mark = fixture.plane.mark();
    fixture.run(&shop, &pod("bad", "nginx")).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut writes = fixture.writes_since(mark);
    // An event about the last verdict may come later.
    writes.retain(|write| write.resource != "events");
    assert!(writes.is_empty(), "{writes:?}");

    fixture.policy(&shop, "base", "{forbidLatestTag: true}").await;
    fixture.until(&shop, "base", "evaluated", |status| status.healthy == Some(false)).await;
    eventually("an event", async || fixture.events(&shop, "base").await.pop()).await;
    eventually("an audit result", async || fixture.results(&shop, "base").await.pop()).await;
    let namespaces = Api::<Namespace>::all(fixture.client.clone());
    // A policy that remains until the end observes the deletion of its pods.
    let hold = Patch::Merge(json!({ "metadata": { "finalizers": [OTHER, FINALIZER] } }));
    fixture.policies(&shop).patch("base", &PatchParams::default(), &hold).await.unwrap();
    let mark = fixture.plane.mark();
    namespaces.delete(&shop, &DeleteParams::default()).await.unwrap();
    eventually("its pods go", async || {
        let pods = fixture.pods(&shop).list(&ListParams::default()).await.unwrap();
        pods.items.is_empty().then_some(())
    })
    .await;
    gone("base", &[OTHER]).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let writes = fixture.writes_since(mark).into_iter();
    let writes: Vec<_> =
        writes.map(|event| (event.verb, event.resource, event.subresource, event.code)).collect();
    let finalizer = |code| ("patch".to_owned(), "devopspolicies".to_owned(), String::new(), code);
    assert_eq!(writes, [finalizer(200)], "the finalizer, and nothing else");
    let free = Patch::Merge(json!({ "metadata": { "finalizers": null } }));
    fixture.policies(&shop).patch("base", &PatchParams::default(), &free).await.unwrap();
    eventually("the policy is deleted with its namespace", async || {
        fixture.policies(&shop).get_opt("base").await.unwrap().is_none().then_some(())
    })
    .await;
    fixture.policies(&shop).patch("held", &PatchParams::default(), &free).await.unwrap();
    eventually("the namespace is gone", async || {
        namespaces.get_opt(&shop).await.unwrap().is_none().then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn each_policy_has_a_verdict_except_in_system_namespaces() {
    let fixture = OperatorFixture::shared().await;
    let (shop, other) = (fixture.plane.namespace("shop"), fixture.plane.namespace("other"));
    let operator = fixture.operator();
    fixture.run(&shop, &pod("web", "nginx")).await;
    fixture.policy(&shop, "tags", "{forbidLatestTag: true}").await;
    fixture.policy(&shop, "restarts", "{maxRestartCount: 3, enforcementMode: enforce}").await;
    fixture.policy(&other, "tags", "{forbidLatestTag: true}").await;
    fixture.until(&shop, "tags", "unhealthy", |status| status.violations == Some(1)).await;
    let enforcing = fixture.until(&shop, "restarts", "healthy", |status| status.violations == Some(0)).await;
    assert_eq!(reason(&enforcing, "Enforcing"), "Enforcing");
    let empty = fixture.until(&other, "tags", "healthy", |status| status.violations == Some(0)).await;
    assert_eq!(empty.status.unwrap().message.as_deref(), Some("nothing in 0 pods violates the policy"));
    let mode =
        |name: &str| operator.metric(&format!(r#"enforcement_mode{{namespace="{shop}",policy="{name}"}}"#));
    assert_eq!((mode("tags"), mode("restarts")), (Some(0.0), Some(1.0)));

    fixture.policy("kube-public", "tags", "{forbidLatestTag: true}").await;
    let nothing =
        fixture.until("kube-public", "tags", "no effect", |status| !status.conditions.is_empty()).await;
    assert_eq!(reason(&nothing, "Ready"), "SystemNamespace");
    let status = nothing.status.unwrap();
    assert_eq!((status.healthy, status.health_score), (None, None));
    assert!(status.message.unwrap().starts_with("no effect: this is a system namespace"));
    assert!(fixture.results("kube-public", "tags").await.is_empty());
    fixture.policies("kube-public").delete("tags", &DeleteParams::default()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn an_invalid_policy_does_not_affect_others() {
    let fixture = OperatorFixture::shared().await;
    let shop = fixture.plane.namespace("shop");
    // A CRD without validation, as an older one may be.
    let definitions = Api::<CustomResourceDefinition>::all(fixture.client.clone());
    let anything = json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
    let schema = json!([
        { "op": "replace", "path": "/spec/versions/0/schema/openAPIV3Schema/properties/spec", "value": anything },
    ]);
    let lax = Patch::Json::<()>(serde_json::from_value(schema).unwrap());
    definitions.patch("devopspolicies.devops.stochastic.io", &PatchParams::default(), &lax).await.unwrap();
    let resource = kube::api::ApiResource::erase::<DevOpsPolicy>(&());
    let anything = Api::<DynamicObject>::namespaced_with(fixture.client.clone(), &shop, &resource);
    let object = |name: &str, spec: serde_json::Value| -> DynamicObject {
        serde_json::from_value(json!({
            "apiVersion": "devops.stochastic.io/v1", "kind": "DevOpsPolicy",
            "metadata": { "name": name, "finalizers": [FINALIZER] }, "spec": spec,
        }))
        .unwrap()
    };
    eventually("the lax CRD is served", async || {
        let bad = object("unreadable", json!({ "forbidLatestTag": "yes" }));
        anything.create(&PostParams::default(), &bad).await.ok()
    })
    .await;
    let unknown = object("unknown", json!({ "rules": [{ "id": "nope" }] }));
    anything.create(&PostParams::default(), &unknown).await.unwrap();
    let operator = fixture.operator();
    fixture.run(&shop, &pod("web", "nginx")).await;
    fixture.policy(&shop, "base", "{forbidLatestTag: true}").await;
    fixture.until(&shop, "base", "evaluated", |status| status.violations == Some(1)).await;
    let invalid = fixture.until(&shop, "unknown", "invalid", |status| !status.conditions.is_empty()).await;
    assert_eq!((reason(&invalid, "Ready"), reason(&invalid, "Degraded")), ("InvalidSpec", "InvalidSpec"));
    let event = eventually("an event", async || fixture.events(&shop, "unknown").await.pop()).await;
    assert_eq!((event.0.as_str(), event.1.as_str()), ("Warning", "PolicyInvalid"));
    let followable = Patch::Merge(json!({ "spec": { "rules": [{ "id": "high-restarts" }] } }));
    anything.patch("unknown", &PatchParams::default(), &followable).await.unwrap();
    let event = eventually("an event about the recovery", async || {
        fixture.events(&shop, "unknown").await.pop().filter(|event| event.0 == "Normal")
    })
    .await;
    assert_eq!(event.1, "PolicySatisfied");
    // A policy that becomes unreadable no longer applies in its former version.
    let series = format!(r#"devopspolicy_violations{{namespace="{shop}",policy="base"}}"#);
    assert_eq!(operator.metric(&series), Some(1.0));
    let spoil = Patch::Merge(json!({ "spec": { "forbidLatestTag": "yes" } }));
    anything.patch("base", &PatchParams::default(), &spoil).await.unwrap();
    eventually("it is skipped", async || operator.metric(&series).is_none().then_some(())).await;
    assert!(operator.text().contains("skipped an object that can't be read"));
    assert!(operator.metric(r#"devopspolicy_reconcile_errors_total{category="unreadable"}"#).unwrap() > 0.0);
    // An unreadable policy is deleted like any other.
    let leaving = object("leaving", json!({ "forbidLatestTag": "yes" }));
    anything.create(&PostParams::default(), &leaving).await.unwrap();
    anything.delete("leaving", &DeleteParams::default()).await.unwrap();
    eventually("it is deleted", async || anything.get_opt("leaving").await.unwrap().is_none().then_some(()))
        .await;
    // A repaired policy is evaluated again.
    let mend = Patch::Merge(json!({ "spec": { "forbidLatestTag": true } }));
    anything.patch("base", &PatchParams::default(), &mend).await.unwrap();
    eventually("it is evaluated", async || operator.metric(&series)).await;
    drop(operator);

    // An uninstall releases unreadable policies, too.
    let released = on(fixture.plane.kubeconfig(), &["policy", "release", "-n", &shop]);
    assert_eq!(released.code, 0, "{}", released.stderr);
    for name in ["base", "unknown", "unreadable"] {
        assert!(released.stdout.contains(&format!("policy {shop}/{name} released\n")), "{}", released.stdout);
        anything.delete(name, &DeleteParams::default()).await.unwrap();
        assert!(anything.get_opt(name).await.unwrap().is_none(), "{name}");
    }
    assert_eq!(on(fixture.plane.kubeconfig(), &["crd", "install"]).code, 0);
}
