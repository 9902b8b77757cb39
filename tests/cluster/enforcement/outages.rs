//! Outages that are nobody's fault: nodes and DNS that fail, and an API server that is away.

use super::fixture::{EnforcementFixture, PROBES, PodState, VERIFY, is_patched};
use super::harm::{fail_readiness, pods, restart, run_on, tell_of_readiness};
use crate::eventually::eventually;
use crate::soak::soak;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::ResourceExt;
use kube::api::{Api, Patch, PatchParams};
use kube_devops::policy::{RemediationPhase, RemediationReason};
use serde_json::json;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The workloads in trouble: fewer than an incident needs, so only the nodes or the gap excuse them.
const NAMES: [&str; 2] = ["a", "b"];

/// The time for which the API server is away under `make soak`.
const OUTAGE: Duration = Duration::from_mins(10);

/// Runs workloads on one node, with verified patches.
async fn verified(fixture: &EnforcementFixture) -> String {
    let node = fixture.node("one").await;
    for name in NAMES {
        run_on(fixture, &node, name).await;
    }
    fixture.policy("standard", PROBES).await;
    for name in NAMES {
        fixture.until("standard", &format!("Deployment/{name}"), RemediationPhase::Verified).await;
    }
    node
}

/// Asserts that no patch is withdrawn for longer than the evidence of harm would need.
async fn stay_verified(fixture: &EnforcementFixture) {
    for name in NAMES {
        let time = (VERIFY * 3) / 2;
        fixture.stays("standard", &format!("Deployment/{name}"), RemediationPhase::Verified, time).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn nodes_that_fail_withdraw_no_patch() {
    let fixture = EnforcementFixture::alone(|_| PodState::Ready).await;
    let _operator = fixture.base.operator();
    let node = verified(&fixture).await;
    let nodes = Api::<Node>::all(fixture.base.client.clone());
    let lost = json!({ "status": { "conditions": [{ "type": "Ready", "status": "Unknown" }] } });
    nodes.patch_status(&node, &PatchParams::default(), &Patch::Merge(lost)).await.unwrap();
    for name in NAMES {
        fail_readiness(&fixture, name).await;
    }
    stay_verified(&fixture).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn dns_that_fails_costs_one_trial_and_no_other_withdrawal() {
    let fixture = EnforcementFixture::alone(|_| PodState::Ready).await;
    let _operator = fixture.base.operator();
    let node = verified(&fixture).await;
    fixture
        .run("Deployment", "theirs", |object| {
            object["metadata"]["annotations"] = json!({ "devops.stochastic.io/ignore": "true" });
            object["spec"]["template"]["spec"]["nodeName"] = json!(node);
        })
        .await;
    // A server that resolves no name exits, with and without a probe.
    for count in 1..=3 {
        for name in ["theirs", NAMES[0], NAMES[1]] {
            restart(&fixture, &pods(&fixture, name).await[0], count).await;
        }
    }
    fixture
        .until_condition("standard", "Degraded", "Incident", "many workloads are in trouble at once")
        .await;
    let withdrawn = async || {
        let mut records = fixture.status("standard").await.remediations;
        records.retain(|record| record.phase != RemediationPhase::Verified);
        records
    };
    let trial = eventually("a trial", async || withdrawn().await.into_iter().next()).await;
    let fails_too = |pod: &Pod| pod.labels()["app"] == trial.name && !is_patched(pod);
    let pod = fixture.pod("the trial's new pod", fails_too).await;
    for count in 1..=2 {
        restart(&fixture, &pod, count).await;
    }
    // Longer than a trial that helps takes.
    let end = Instant::now() + Duration::from_secs(90);
    while Instant::now() < end {
        let all = withdrawn().await;
        assert!(all.len() == 1 && all[0].reason == Some(RemediationReason::Incident), "{all:#?}");
        sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(fixture.status("standard").await.withdrawals_in_a_row, None, "it stops no policy");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn an_operator_that_outlives_an_outage_of_the_api_server_begins_the_evidence_anew() {
    let fixture = EnforcementFixture::apart(|_| PodState::Ready).await;
    // An operator without a Lease does not end when it cannot renew it.
    let mut operator = fixture.base.replica("operator-0", &["--no-leader-election"]);
    verified(&fixture).await;
    // The pods are in trouble for most of the time that harm needs, and then the operator sees nothing.
    for name in NAMES {
        fail_readiness(&fixture, name).await;
    }
    sleep(VERIFY / 2).await;
    fixture.base.plane.kill_api_server();
    sleep(if soak() { OUTAGE } else { VERIFY }).await;
    fixture.base.plane.start_api_server();
    sleep(VERIFY / 3).await;
    let second = Duration::from_secs(1);
    for name in NAMES {
        fixture.stays("standard", &format!("Deployment/{name}"), RemediationPhase::Verified, second).await;
    }
    // The trouble goes on in full view.
    for name in NAMES {
        tell_of_readiness(&fixture, name).await;
    }
    let record = fixture.until("standard", "Deployment/a", RemediationPhase::Withdrawn).await;
    assert_eq!(record.reason, Some(RemediationReason::NotReady), "{record:?}");
    assert_eq!(operator.ended(), None, "it is still the same process");
}
