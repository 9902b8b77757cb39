//! Limits on concurrent and hourly patches hold when operators, policies or the ledger come and go.

use super::fixture::{EnforcementFixture, PodState, is_patched};
use crate::eventually::within;
use crate::soak::rounds;
use futures::future::join_all;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams};
use kube_devops::enforcement::records::is_under_way;
use kube_devops::manifests::LEDGER_NAME;
use kube_devops::policy::{DevOpsPolicy, RemediationPhase};
use serde_json::json;
use std::time::Duration;
use tokio::time::sleep;

const WORKLOADS: usize = 10;
const ROLLOUTS: usize = 3;
const PER_HOUR: usize = 7;

/// The number of workloads in the cluster whose patch is under way.
pub(super) async fn under_way(fixture: &EnforcementFixture) -> usize {
    let all = Api::<DevOpsPolicy>::all(fixture.base.client.clone());
    let policies = all.list(&ListParams::default()).await.unwrap();
    let records = policies.iter().filter_map(|policy| policy.status.as_ref());
    records.flat_map(|status| &status.remediations).filter(|record| is_under_way(record)).count()
}

/// A policy with an hourly patch budget.
fn policy(per_hour: usize) -> String {
    format!(
        "{{requireLivenessProbe: true, enforcementMode: enforce, remediation: {{verifySeconds: 30, maxPerHour: {per_hour}}}}}"
    )
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_deleted_ledger_frees_no_budget() {
    // Patched pods stay stuck, so that each rollout takes its full time.
    let pod_state = |pod: &Pod| if is_patched(pod) { PodState::Stuck } else { PodState::Ready };
    let first = EnforcementFixture::alone(pod_state).await;
    let others = join_all((1..5).map(|_| first.beside(pod_state))).await;
    let fixtures: Vec<&EnforcementFixture> = std::iter::once(&first).chain(&others).collect();
    join_all(fixtures.iter().map(|fixture| fixture.run("Deployment", "web", |_| ()))).await;
    let _operator = first.base.replica("operator-0", &["--no-leader-election", "--max-rollouts", "2"]);
    let spec = policy(10);
    join_all(fixtures.iter().map(|fixture| fixture.policy("standard", &spec))).await;
    let two = async || (under_way(&first).await == 2).then_some(());
    within(Duration::from_mins(1), "two at a time", two).await;
    let ledgers = Api::<ConfigMap>::namespaced(first.base.client.clone(), &first.base.home);
    ledgers.delete(LEDGER_NAME, &DeleteParams::default()).await.unwrap();
    within(Duration::from_mins(2), "other workloads are patched", async || {
        let at_a_time = under_way(&first).await;
        assert!(at_a_time <= 2, "{at_a_time} at a time");
        let statuses = join_all(fixtures.iter().map(|fixture| fixture.status("standard"))).await;
        (statuses.iter().filter(|status| !status.remediations.is_empty()).count() > 3).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn waiting_for_the_budget_is_cheap_and_is_reported() {
    let pod_state = |pod: &Pod| if is_patched(pod) { PodState::Stuck } else { PodState::Ready };
    let first = EnforcementFixture::alone(pod_state).await;
    let others = join_all((0..6).map(|_| first.beside(pod_state))).await;
    join_all(others.iter().chain([&first]).map(|fixture| fixture.run("Deployment", "web", |_| ()))).await;
    let _operator = first.base.replica("operator-0", &["--no-leader-election", "--max-rollouts", "1"]);
    // The verification outlasts the rest of the test.
    let patient = policy(10).replace("verifySeconds: 30", "verifySeconds: 300");
    first.policy("standard", &patient).await;
    first.until("standard", "Deployment/web", RemediationPhase::Applied).await;
    join_all(others.iter().map(|fixture| fixture.policy("standard", &patient))).await;
    let told = async |words: &str| {
        let told =
            others.iter().map(|fixture| fixture.until_condition("standard", "Enforcing", "Enforcing", words));
        join_all(told).await;
    };
    told("1 waiting for their turn (1 workloads of the cluster are rolling out (--max-rollouts 1))").await;

    let mark = first.base.plane.mark();
    sleep(Duration::from_secs(20)).await;
    let mut requests = first.base.plane.requests_since(mark);
    requests.retain(|event| event.user == first.base.user && ["get", "list"].contains(&&*event.verb));
    // The first audit result of the last policy may follow its status, and asks for the Namespace first.
    let looks = requests.iter().filter(|event| {
        let is_there = others.iter().any(|fixture| fixture.namespace == event.namespace);
        is_there && event.resource != "namespaces"
    });
    assert_eq!(looks.count(), 0, "nobody looks at what has no room: {requests:#?}");
    let asked = requests.iter().filter(|event| event.resource == "configmaps").count();
    assert!((6..=30).contains(&asked), "{asked} in 20 s for six that wait");

    let ledgers = Api::<ConfigMap>::namespaced(first.base.client.clone(), &first.base.home);
    let broken = Patch::Merge(json!({ "data": { "ledger": "{}" } }));
    ledgers.patch(LEDGER_NAME, &PatchParams::default(), &broken).await.unwrap();
    told("is no ledger").await;
    ledgers.delete(LEDGER_NAME, &DeleteParams::default()).await.unwrap();
    told("1 workloads of the cluster are rolling out").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn many_workloads_are_patched_exactly_within_the_budgets() {
    let first = EnforcementFixture::alone(|_| PodState::Ready).await;
    let others = join_all((1..rounds(8, 50)).map(|_| first.beside(|_| PodState::Ready))).await;
    let fixtures: Vec<&EnforcementFixture> = std::iter::once(&first).chain(&others).collect();
    for index in 0..WORKLOADS {
        let name = format!("web-{index}");
        join_all(fixtures.iter().map(|fixture| fixture.create("Deployment", &name, |_| ()))).await;
    }
    for index in 0..WORKLOADS {
        let name = format!("web-{index}");
        join_all(fixtures.iter().map(|fixture| fixture.until_available("Deployment", &name))).await;
    }
    let mark = first.base.plane.mark();
    let patches = |fixtures: &[&EnforcementFixture]| {
        let writes = fixtures.iter().map(|fixture| fixture.workload_writes_since(mark).len());
        writes.sum::<usize>()
    };
    let (rollouts, per_hour) = (ROLLOUTS.to_string(), PER_HOUR.to_string());
    let flags = ["--no-leader-election", "--max-rollouts", &rollouts, "--max-per-hour", &per_hour];
    let operator = first.base.replica("operator-0", &flags);
    operator.wait_until_ready();

    // One patch an hour. A new policy of the same name gets no new hour.
    first.policy("standard", &policy(1)).await;
    within(Duration::from_mins(2), "the first patch is verified", async || {
        let records = first.status("standard").await.remediations;
        records.iter().any(|record| record.phase == RemediationPhase::Verified).then_some(())
    })
    .await;
    first.base.policies(&first.namespace).delete("standard", &DeleteParams::default()).await.unwrap();
    sleep(Duration::from_secs(2)).await;
    join_all(fixtures.iter().map(async |fixture| {
        let per_hour = if fixture.namespace == first.namespace { 1 } else { 10 };
        fixture.policy("standard", &policy(per_hour)).await
    }))
    .await;

    let mut seen = 0;
    let mut first_operator = Some(operator);
    let mut second = None;
    within(Duration::from_mins(4), "the hour's patches are made", async || {
        let at_a_time = under_way(&first).await;
        assert!(at_a_time <= ROLLOUTS, "{at_a_time} at a time");
        seen = seen.max(at_a_time);
        let made = patches(&fixtures);
        assert!(made <= PER_HOUR, "{made} in an hour");
        if made > ROLLOUTS
            && let Some(operator) = first_operator.take()
        {
            operator.kill();
            second = Some(first.base.replica("operator-1", &flags));
        }
        (made == PER_HOUR).then_some(())
    })
    .await;
    assert!(second.is_some(), "another operator continued");
    assert_eq!(seen, ROLLOUTS);
    sleep(Duration::from_secs(40)).await;
    assert_eq!(patches(&fixtures), PER_HOUR, "no more patches after those were verified");
    assert_eq!(patches(&[&first]), 1, "a new policy has no new budget");
}
