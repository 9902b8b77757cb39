//! A cluster policy: its namespaces, its one status, and its audit results.

use std::time::{Duration, Instant};

use futures::stream::{self, StreamExt as _};
use k8s_openapi::api::batch::v1::CronJob;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use kube_devops::manifests::Mode;
use kube_devops::policy::{ClusterDevOpsPolicy, ClusterDevOpsPolicyStatus, ConditionType, PolicyAuditResult};
use serde_json::json;

use super::fixture::OperatorFixture;
use crate::analyze::on;
use crate::control_plane::Mark;
use crate::eventually::{eventually, within};
use crate::soak::soak;

/// The number of namespaces.
const NAMESPACES: usize = 200;
/// The longest time from a change of the policy to the status that has it, for all namespaces.
const LIMIT: Duration = Duration::from_secs(5);
/// The factor for a machine that other tests use too. `make soak` runs one test at a time.
const BUSY: u32 = 4;
/// Below the longest wait of a reconcile for verdicts on Namespaces.
const BELOW_WAIT: Duration = Duration::from_secs(9);

/// Creates a namespace with a label and a suspended `CronJob`, whose template is evaluated.
async fn fill(client: &Client, name: &str) {
    let namespace = json!({ "metadata": { "name": name, "labels": { "team": "wide" } } });
    let namespace: Namespace = serde_json::from_value(namespace).unwrap();
    Api::all(client.clone()).create(&PostParams::default(), &namespace).await.unwrap();
    let pod =
        json!({ "restartPolicy": "Never", "containers": [{ "name": "main", "image": "report:latest" }] });
    let cron_job: CronJob = serde_json::from_value(json!({
        "metadata": { "name": "report" },
        "spec": {
            "schedule": "0 0 * * *", "suspend": true,
            "jobTemplate": { "spec": { "template": { "spec": pod } } },
        },
    }))
    .unwrap();
    Api::namespaced(client.clone(), name).create(&PostParams::default(), &cron_job).await.unwrap();
}

/// Waits until the status of the policy satisfies `is`.
async fn until(
    policies: &Api<ClusterDevOpsPolicy>,
    what: &str,
    is: impl Fn(&ClusterDevOpsPolicyStatus) -> bool,
) -> ClusterDevOpsPolicyStatus {
    eventually(what, async || policies.get("wide").await.ok()?.status.filter(|status| is(status))).await
}

/// Waits until the policy has this number of audit results.
async fn until_audited(client: &Client, number: usize) -> Vec<PolicyAuditResult> {
    let results = Api::<PolicyAuditResult>::all(client.clone());
    eventually("the audit results", async || {
        let mut found = results.list(&ListParams::default()).await.unwrap().items;
        found.retain(|result| result.spec.policy_name == "cluster/wide");
        (found.len() == number).then_some(found)
    })
    .await
}

/// Counts the lists of the operator since a mark, and its writes of statuses.
fn lists_and_status_writes(fixture: &OperatorFixture<'_>, mark: Mark) -> (usize, usize) {
    let mut requests = fixture.plane.requests_since(mark);
    requests.retain(|request| request.by(&fixture.user));
    let lists = requests.iter().filter(|request| request.verb == "list").count();
    (lists, requests.iter().filter(|request| request.subresource == "status").count())
}

/// Checks the time since a change that all namespaces have now.
fn check_time(what: &str, start: Instant) {
    let took = start.elapsed();
    println!("{NAMESPACES} namespaces {what}: {took:?}");
    assert!(took < if soak() { LIMIT } else { LIMIT * BUSY }, "{what}: {took:?}");
}

/// Waits until a namespace has no audit results.
async fn until_without_results(client: &Client, namespace: &str) {
    let results = Api::<PolicyAuditResult>::namespaced(client.clone(), namespace);
    eventually("no audit results", async || {
        results.list(&ListParams::default()).await.unwrap().items.is_empty().then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn one_change_is_evaluated_in_200_namespaces_without_a_list_and_with_one_status_write() {
    let fixture = OperatorFixture::shared_as(Mode::Native).await;
    let compiled = on(fixture.plane.kubeconfig(), &["policy", "compile", "--apply", "-n", &fixture.home]);
    assert_eq!(compiled.code, 0, "{}", compiled.stderr);
    let client = fixture.client.clone();
    let names: Vec<String> = (0..NAMESPACES).map(|number| format!("wide-{number}")).collect();
    stream::iter(&names).for_each_concurrent(16, |name| fill(&client, name)).await;
    let operator = fixture.replica("operator-0", &["--audit-interval", "1s"]);
    operator.wait_until_ready();
    let policies = Api::<ClusterDevOpsPolicy>::all(client.clone());
    let selector = json!({ "matchLabels": { "team": "wide" } });
    let policy = json!({
        "metadata": { "name": "wide" },
        "spec": { "namespaceSelector": selector, "requireReadinessProbe": true },
    });
    policies.create(&PostParams::default(), &serde_json::from_value(policy).unwrap()).await.unwrap();
    let healthy = until(&policies, "all namespaces", |status| status.namespaces == Some(200)).await;
    assert_eq!((healthy.totals.healthy, healthy.totals.pods), (Some(true), Some(200)));
    until_audited(&client, NAMESPACES).await;

    let mark = fixture.plane.mark();
    let edit = Patch::Merge(json!({ "spec": { "forbidLatestTag": true } }));
    let start = Instant::now();
    policies.patch("wide", &PatchParams::default(), &edit).await.unwrap();
    let unhealthy = until(&policies, "violations", |status| status.totals.violations == Some(200)).await;
    check_time("without native admission", start);
    assert_eq!((unhealthy.namespaces, unhealthy.worst_namespaces.len()), (Some(200), 10));
    assert_eq!(unhealthy.totals.message.unwrap(), "200 violations in 200 pods: 200 x latest-tag");
    let results = until_audited(&client, 2 * NAMESPACES).await;
    let owner = results[0].metadata.owner_references.as_ref().unwrap();
    assert_eq!((owner[0].kind.as_str(), owner[0].name.as_str()), ("ClusterDevOpsPolicy", "wide"));
    assert_eq!(lists_and_status_writes(&fixture, mark), (0, 1));

    // A namespace that loses its label is no longer evaluated, and loses its results.
    let unlabel = async |name: &str| {
        let unlabel = Patch::Merge(json!({ "metadata": { "labels": { "team": null } } }));
        Api::<Namespace>::all(client.clone()).patch(name, &PatchParams::default(), &unlabel).await.unwrap();
    };
    unlabel("wide-0").await;
    let fewer = until(&policies, "one namespace less", |status| status.namespaces == Some(199)).await;
    assert_eq!(fewer.totals.violations, Some(199));
    until_without_results(&client, "wide-0").await;
    // The next operator finds what it missed.
    operator.terminate();
    unlabel("wide-1").await;
    let operator = fixture.replica("operator-1", &["--audit-interval", "1s", "--admission", "native"]);
    operator.wait_until_ready();
    until_without_results(&client, "wide-1").await;

    // With native admission, the status waits for the verdicts on all Namespaces.
    let is_held = |status: &ClusterDevOpsPolicyStatus| {
        let admission = ConditionType::Admission.of(&status.totals.conditions);
        admission.is_some_and(|condition| condition.status == "True")
    };
    until(&policies, "verdicts", |status| status.namespaces == Some(198) && is_held(status)).await;
    let mark = fixture.plane.mark();
    let edit = Patch::Merge(json!({ "spec": { "forbidLatestTag": false } }));
    let start = Instant::now();
    policies.patch("wide", &PatchParams::default(), &edit).await.unwrap();
    until(&policies, "no violations", |status| status.totals.violations == Some(0) && is_held(status)).await;
    check_time("with native admission", start);
    until_audited(&client, 3 * (NAMESPACES - 2)).await;
    assert_eq!(lists_and_status_writes(&fixture, mark), (0, 1));

    // A new policy is woken by the first verdict too.
    let selector = json!({ "matchLabels": { "kubernetes.io/metadata.name": "wide-2" } });
    let late = json!({
        "metadata": { "name": "late" },
        "spec": { "namespaceSelector": selector, "requireReadinessProbe": true },
    });
    policies.create(&PostParams::default(), &serde_json::from_value(late).unwrap()).await.unwrap();
    within(BELOW_WAIT, "the status of a new policy", async || policies.get("late").await.ok()?.status).await;
    policies.delete("late", &DeleteParams::default()).await.unwrap();
    policies.delete("wide", &DeleteParams::default()).await.unwrap();
    eventually("the policy is gone", async || {
        policies.get_opt("wide").await.unwrap().is_none().then_some(())
    })
    .await;
}
