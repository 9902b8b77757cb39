//! The whole life of a policy, and the permissions that it needs.

use super::fixture::{OperatorFixture, plane, pod};
use crate::eventually::eventually;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::{Api, ResourceExt};
use kube_devops::manifests::Mode;
use kube_devops::operator::FINALIZER;
use kube_devops::policy::DevOpsPolicy;
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;

pub(super) const LEADER: &str = r#"leader{name="kube-devops-reconcile"}"#;

/// Returns a condition of a policy.
pub(super) fn condition<'c>(policy: &'c DevOpsPolicy, of: &str) -> &'c Condition {
    let status = policy.status.as_ref().expect("a status");
    status.conditions.iter().find(|condition| condition.type_ == of).expect("a condition")
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn the_life_of_a_policy_needs_exactly_the_documented_permissions() {
    let plane = plane();
    let fixture = OperatorFixture::on(&plane).await;
    let operator = fixture.operator();
    eventually("a leader", async || (operator.metric(LEADER) == Some(1.0)).then_some(())).await;
    let standby = fixture.replica("operator-1", &[]);
    standby.wait_until_ready();
    let shop = plane.namespace("shop");
    fixture.run(&shop, &pod("web", "nginx:1.27")).await;
    let made = fixture.policy(&shop, "base", "{forbidLatestTag: true, requireLivenessProbe: false}").await;

    // The policy is healthy.
    let healthy = fixture.until(&shop, "base", "healthy", |status| status.healthy == Some(true)).await;
    assert_eq!(healthy.finalizers(), [FINALIZER]);
    let status = healthy.status.clone().unwrap();
    assert_eq!(status.observed_generation, made.metadata.generation);
    assert_eq!((status.health_score, status.classification.as_deref()), (Some(100), Some("Healthy")));
    assert_eq!(status.violations, Some(0));
    assert_eq!(status.message.as_deref(), Some("nothing in 1 pod violates the policy"));
    for (of, state, reason) in [
        ("Ready", "True", "Evaluated"),
        ("Enforcing", "False", "AuditMode"),
        ("Degraded", "False", "AsExpected"),
    ] {
        let condition = condition(&healthy, of);
        assert_eq!((condition.status.as_str(), condition.reason.as_str()), (state, reason), "{of}");
    }
    let first = eventually("a first audit result", async || fixture.results(&shop, "base").await.pop()).await;
    assert_eq!((first.spec.total_pods, first.spec.total_violations), (1, 0));
    let owner = &first.owner_references()[0];
    assert_eq!((&owner.uid, owner.controller), (&made.uid().unwrap(), None));
    assert_eq!(owner.block_owner_deletion, Some(false));
    assert!(fixture.events(&shop, "base").await.is_empty(), "a healthy new policy causes no event");

    // A change that doesn't affect the verdict causes no write.
    let version = healthy.resource_version();
    let label = Patch::Merge(json!({ "metadata": { "labels": { "a": "b" } } }));
    fixture.pods(&shop).patch("web", &PatchParams::default(), &label).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(fixture.policies(&shop).get("base").await.unwrap().resource_version(), version);

    // A pod changes.
    fixture.run(&shop, &pod("bad", "nginx")).await;
    let unhealthy = fixture.until(&shop, "base", "unhealthy", |status| status.healthy == Some(false)).await;
    let status = unhealthy.status.clone().unwrap();
    assert_eq!((status.violations, status.health_score), (Some(1), Some(97)), "{status:?}");
    assert_eq!(status.message.as_deref(), Some("1 violation in 2 pods: 1 x latest-tag"));
    let ready = |policy| condition(policy, "Ready").last_transition_time.clone();
    assert_eq!(ready(&unhealthy), ready(&healthy), "the condition never changed");
    let violated = eventually("an event", async || fixture.events(&shop, "base").await.pop()).await;
    assert_eq!((violated.0.as_str(), violated.1.as_str(), violated.2), ("Warning", "PolicyViolated", 1));
    assert_eq!(operator.metric(&gauge("devopspolicy_violations", &shop)), Some(1.0));
    assert_eq!(operator.metric(r#"violations_by_severity{severity="high"}"#), Some(1.0));

    // The policy changes, and then the pod is deleted.
    let strict = json!({ "requireLivenessProbe": true, "requireResources": true });
    let change = Patch::Merge(json!({ "spec": strict }));
    let changed = fixture.policies(&shop).patch("base", &PatchParams::default(), &change).await.unwrap();
    assert_eq!(changed.metadata.generation, Some(2));
    let stricter = fixture.until(&shop, "base", "stricter", |status| status.violations == Some(5)).await;
    let status = stricter.status.as_ref().unwrap();
    assert_eq!(status.observed_generation, Some(2));
    assert!(status.conditions.iter().all(|condition| condition.observed_generation == Some(2)));
    let undo = Patch::Merge(json!({ "spec": { "requireLivenessProbe": null, "requireResources": null } }));
    fixture.policies(&shop).patch("base", &PatchParams::default(), &undo).await.unwrap();
    fixture.pods(&shop).delete("bad", &DeleteParams::default().grace_period(0)).await.unwrap();
    fixture.until(&shop, "base", "healthy again", |status| status.healthy == Some(true)).await;
    let reasons = eventually("a second event", async || {
        let events = fixture.events(&shop, "base").await;
        (events.len() == 2).then(|| events.into_iter().map(|event| event.1).collect::<Vec<_>>())
    })
    .await;
    assert_eq!(reasons, ["PolicyViolated", "PolicySatisfied"]);
    fixture.run(&shop, &pod("bad", "nginx")).await;
    eventually("the repeated event is grouped", async || {
        let events = fixture.events(&shop, "base").await;
        (events.len() == 2 && events[0].2 == 2).then_some(())
    })
    .await;
    assert_eq!(fixture.results(&shop, "base").await.len(), 1, "one in five minutes");

    // A user deletes all events: the next one is created as new.
    let all = Api::<Event>::namespaced(fixture.client.clone(), &shop);
    all.delete_collection(&DeleteParams::default(), &ListParams::default()).await.unwrap();
    fixture.pods(&shop).delete("bad", &DeleteParams::default().grace_period(0)).await.unwrap();
    eventually("the event is created separately", async || {
        let events = fixture.events(&shop, "base").await;
        (events.len() == 1 && events[0].1 == "PolicySatisfied" && events[0].2 == 1).then_some(())
    })
    .await;

    // The policy is deleted.
    fixture.policies(&shop).delete("base", &DeleteParams::default()).await.unwrap();
    eventually("the policy is gone", async || {
        fixture.policies(&shop).get_opt("base").await.unwrap().is_none().then_some(())
    })
    .await;
    eventually("its audit results are deleted with it", async || {
        fixture.results(&shop, "base").await.is_empty().then_some(())
    })
    .await;
    eventually("its series are deleted", async || {
        operator.metric(&gauge("devopspolicy_health_score", &shop)).is_none().then_some(())
    })
    .await;

    assert_eq!(standby.metric(LEADER), Some(0.0));
    assert_used_as_asked(&fixture);
    let (status, time, log) = operator.terminate();
    assert_eq!(status, Some(0), "{log}");
    assert!(time < Duration::from_secs(5), "{time:?}");
    assert!(!log.contains(r#""level":"WARN""#) && !log.contains(r#""level":"ERROR""#), "{log}");
}

/// Asserts that the operator used every granted permission and was denied none.
fn assert_used_as_asked(fixture: &OperatorFixture<'_>) {
    // Deletions of surplus results take longer than a test; they and cluster policies are covered elsewhere.
    let used: BTreeSet<_> = fixture
        .plane
        .requests()
        .into_iter()
        .filter(|event| event.by(&fixture.user) && !event.resource.is_empty())
        .map(|event| {
            assert!(![401, 403].contains(&event.code), "refused: {event:?}");
            let (resource, subresource) = (event.resource, event.subresource);
            let path = if subresource.is_empty() { resource } else { format!("{resource}/{subresource}") };
            (path, event.verb)
        })
        .collect();
    let asked: BTreeSet<_> = Mode::Reconcile
        .permissions()
        .iter()
        .flat_map(|permission| permission.verbs.iter().map(|verb| (permission.path(), (*verb).to_owned())))
        .collect();
    let unused: Vec<_> = asked.difference(&used).collect();
    let elsewhere = [
        ("clusterdevopspolicies", "patch"),
        ("clusterdevopspolicies/status", "patch"),
        ("policyauditresults", "delete"),
    ];
    assert_eq!(unused, elsewhere.map(|(path, verb)| (path.to_owned(), verb.to_owned())).each_ref());
}

fn gauge(name: &str, namespace: &str) -> String {
    format!(r#"{name}{{namespace="{namespace}",policy="base"}}"#)
}
