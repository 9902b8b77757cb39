//! The audit trail: its results, their number, and the retention.

use super::fixture::{OperatorFixture, pod};
use crate::eventually::eventually;
use crate::kubelet::{ready, set_pod_status};
use jiff::{SignedDuration, Timestamp};
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Resource, ResourceExt};
use kube_devops::governance::AnnotatedExemptions;
use kube_devops::operator::{Past, Step, evaluate_namespace, next_step};
use kube_devops::policy::{DevOpsPolicy, EffectivePolicy, PolicyAuditResult};
use kube_devops::workload::{Workload, WorkloadKind};
use serde_json::json;
use std::time::Duration;
use tokio::time::sleep;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn the_newest_ten_results_stay_and_a_restart_repeats_none() {
    let fixture = OperatorFixture::shared().await;
    let shop = fixture.plane.namespace("shop");
    let flags = ["--audit-interval", "1s"];
    let operator = fixture.replica("operator-0", &flags);
    operator.wait_until_ready();
    let policy = fixture.policy(&shop, "base", "{forbidLatestTag: true, requireLivenessProbe: true}").await;
    let newest = async |sequence: u64| {
        eventually("the next audit result", async || {
            let results = fixture.results(&shop, "base").await;
            let last = results.last()?.annotations()["devops.stochastic.io/sequence"].parse::<u64>().unwrap();
            (last == sequence).then_some(results)
        })
        .await
    };
    newest(1).await;
    for round in 2..=12_u64 {
        // Another bad workload changes the set of violations.
        fixture.run(&shop, &pod(&format!("web-{round}"), "nginx")).await;
        newest(round).await;
    }
    let kept = eventually("ten are left", async || {
        let results = fixture.results(&shop, "base").await;
        (results.len() == 10).then_some(results)
    })
    .await;
    assert_eq!(kept[0].annotations()["devops.stochastic.io/sequence"], "3");
    assert_eq!((kept[9].spec.total_pods, kept[9].spec.total_violations), (11, 22));
    assert!(
        kept.iter().all(|result| result.labels()["devops.stochastic.io/policy-uid"] == policy.uid().unwrap())
    );
    for pair in kept.windows(2) {
        let between = pair[1].spec.timestamp.0.duration_since(pair[0].spec.timestamp.0).as_secs();
        assert!(between >= 1, "at most one in its time: {between}");
    }
    // The operator reads only their metadata.
    let watches: Vec<_> = fixture
        .plane
        .requests()
        .into_iter()
        .filter(|event| {
            event.by(&fixture.user) && event.resource == "policyauditresults" && event.verb != "create"
        })
        .map(|event| event.verb)
        .collect();
    assert!(watches.iter().all(|verb| ["list", "watch", "delete"].contains(&verb.as_str())), "{watches:?}");
    let log = operator.text();
    let synced = |log: &str| {
        let line = log.lines().find(|line| line.contains("policyauditresults in all")).unwrap().to_owned();
        serde_json::from_str::<serde_json::Value>(&line).unwrap()
    };
    assert!(synced(&log)["objects"].as_u64().is_some());

    // After a kill and a restart it adds nothing. If it was killed before it observed a change, it adds that change
    // once.
    operator.kill();
    let operator = fixture.replica("operator-1", &[&flags[..], &["--no-leader-election"]].concat());
    operator.wait_until_ready();
    let sync = synced(&operator.text());
    let (objects, bytes) = (sync["objects"].as_u64().unwrap(), sync["bytes"].as_u64().unwrap());
    assert!(objects >= 10 && bytes / objects < 2_000, "metadata only: {sync}");
    sleep(Duration::from_secs(2)).await;
    assert_eq!(names(&fixture.results(&shop, "base").await), names(&kept));
    operator.kill();
    fixture.pods(&shop).delete("web-12", &DeleteParams::default().grace_period(0)).await.unwrap();
    let operator = fixture.replica("operator-2", &[&flags[..], &["--no-leader-election"]].concat());
    newest(13).await;
    assert_eq!(operator.metric("audit_results_total"), Some(1.0));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_large_result_stays_below_its_limit_in_the_api_server() {
    let fixture = OperatorFixture::shared().await;
    let shop = fixture.plane.namespace("shop");
    let _operator = fixture.operator();
    // Bare pods with the longest possible names.
    for index in 0..150 {
        let name = format!("{}-{index}", "n".repeat(230));
        let made = serde_json::from_value(pod(&name, "nginx")).unwrap();
        fixture.pods(&shop).create(&PostParams::default(), &made).await.unwrap();
    }
    let last = format!("{}-149", "n".repeat(230));
    set_pod_status(&fixture.client, &shop, &last, &ready()).await;
    fixture
        .policy(
            &shop,
            "base",
            "{forbidLatestTag: true, requireLivenessProbe: true, requireReadinessProbe: true}",
        )
        .await;
    let result = eventually("an audit result", async || fixture.results(&shop, "base").await.pop()).await;
    let bytes = serde_json::to_vec(&result).unwrap().len();
    assert!((25_000..=32 * 1024).contains(&bytes), "{bytes}");
    assert_eq!((result.spec.total_pods, result.spec.total_violations), (150, 450));
    assert!(result.spec.violations.len() < 450);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn an_existing_result_is_adopted_once_observed() {
    let fixture = OperatorFixture::shared().await;
    let shop = fixture.plane.namespace("shop");
    let results = Api::<PolicyAuditResult>::namespaced(fixture.client.clone(), &shop);
    fixture.run(&shop, &pod("web-1", "nginx")).await;
    let policy = fixture.policy(&shop, "base", "{forbidLatestTag: true}").await;
    // The operator died before it observed its own result. The label hides the result from its successor, too.
    let mut made = due(&fixture, &policy, None).await;
    let labels = made.metadata.labels.take().expect("the policy's uid");
    results.create(&PostParams::default(), &made).await.unwrap();

    let operator = fixture.replica("operator-0", &["--audit-interval", "1s"]);
    operator.wait_until_ready();
    let refused = async || {
        let mut requests = fixture.plane.requests();
        requests.retain(|event| event.by(&fixture.user) && event.resource == "policyauditresults");
        requests.retain(|event| event.namespace == shop && event.verb == "create" && event.code == 409);
        requests.len()
    };
    eventually("AlreadyExists", async || (refused().await > 0).then_some(())).await;
    fixture.until(&shop, "base", "evaluated anyway", |status| status.violations == Some(1)).await;
    sleep(Duration::from_secs(2)).await;
    assert_eq!(refused().await, 1, "the request is not repeated");
    assert_eq!(names(&fixture.results(&shop, "base").await), [made.name_any()]);
    assert!(!operator.text().contains("not reconciled"), "{}", operator.text());

    // Once observed, it is the predecessor of the next result.
    let heard = Patch::Merge(json!({ "metadata": { "labels": labels } }));
    let first = results.patch(&made.name_any(), &PatchParams::default(), &heard).await.unwrap();
    fixture.run(&shop, &pod("web-2", "nginx")).await;
    let both = eventually("the next result", async || {
        let results = fixture.results(&shop, "base").await;
        (results.last()?.spec.total_violations == 2).then_some(results)
    })
    .await;
    let second = due(&fixture, &policy, Past::of(first.meta()).as_ref()).await;
    assert_eq!(names(&both), [made.name_any(), second.name_any()]);
    assert_eq!(both[1].annotations()["devops.stochastic.io/sequence"], "2");
    assert_eq!((refused().await, operator.metric("audit_results_total")), (1, Some(1.0)));
}

/// Returns the result that an operator creates for the existing pods after the latest one.
async fn due(
    fixture: &OperatorFixture<'_>,
    policy: &DevOpsPolicy,
    latest: Option<&Past>,
) -> PolicyAuditResult {
    let namespace = policy.namespace().unwrap();
    let pods = fixture.pods(&namespace).list(&ListParams::default()).await.unwrap().items;
    let pods: Vec<_> = pods
        .iter()
        .map(|pod| Workload::from_json_owned(WorkloadKind::Pod, &json!(pod).to_string()).unwrap())
        .collect();
    let now = latest.map_or(Timestamp::UNIX_EPOCH, |latest| latest.created);
    let rules = EffectivePolicy::from_spec(&policy.spec).unwrap();
    let verdict = evaluate_namespace(&rules, &namespace, pods.iter(), AnnotatedExemptions::default(), now);
    match next_step(policy, &verdict, &[], latest, SignedDuration::ZERO, None, now) {
        Step::Create(result) => *result,
        step => panic!("nothing to create: {step:?}"),
    }
}

fn names(results: &[PolicyAuditResult]) -> Vec<String> {
    results.iter().map(ResourceExt::name_any).collect()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn two_concurrent_operators_create_a_result_only_once() {
    let fixture = OperatorFixture::shared().await;
    let shop = fixture.plane.namespace("shop");
    let flags = ["--no-leader-election", "--audit-interval", "100ms"];
    let operators = ["operator-0", "operator-1"].map(|name| fixture.replica(name, &flags));
    for operator in &operators {
        operator.wait_until_ready();
    }
    let mark = fixture.plane.mark();
    fixture.policy(&shop, "base", "{forbidLatestTag: true}").await;
    let mut round = 0;
    loop {
        let results = eventually("the next result", async || {
            let results = fixture.results(&shop, "base").await;
            (results.last()?.spec.total_violations == round).then_some(results)
        })
        .await;
        // The second operator has its answer by now.
        sleep(Duration::from_millis(500)).await;
        let sequences: Vec<_> =
            results.iter().map(|result| &*result.annotations()["devops.stochastic.io/sequence"]).collect();
        let each_once: Vec<_> = (1..=round + 1).map(|sequence| sequence.to_string()).collect();
        assert_eq!(sequences, each_once, "one result for each content");
        let mut created = fixture.writes_since(mark);
        created.retain(|event| event.resource == "policyauditresults" && event.verb == "create");
        assert!(created.iter().all(|event| [201, 409].contains(&event.code)), "{created:?}");
        if created.iter().any(|event| event.code == 409) {
            println!("AlreadyExists in round {round}");
            break;
        }
        round += 1;
        assert!(round < 10, "two that write at once never met: {created:?}");
        fixture.run(&shop, &pod(&format!("web-{round}"), "nginx")).await;
    }
    let written: f64 = operators.iter().filter_map(|operator| operator.metric("audit_results_total")).sum();
    assert_eq!(written.to_string(), (round + 1).to_string());
    for operator in &operators {
        assert!(!operator.text().contains("create an audit result"), "{}", operator.text());
    }
}
