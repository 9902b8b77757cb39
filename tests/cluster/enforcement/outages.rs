//! Outages that are nobody's fault: nodes that fail, and an API server that is away.

use super::harm::{fail_readiness, run_on, tell_of_readiness};
use super::stage::{PROBES, PodState, Stage, VERIFY};
use k8s_openapi::api::core::v1::Node;
use kube::api::{Api, Patch, PatchParams};
use kube_devops::policy::{RemediationPhase, RemediationReason};
use serde_json::json;
use std::time::Duration;
use tokio::time::sleep;

/// The workloads in trouble: fewer than an incident needs, so only the nodes or the gap excuse them.
const NAMES: [&str; 2] = ["a", "b"];

/// Runs workloads on one node, with verified patches.
async fn verified(stage: &Stage) -> String {
    let node = stage.node("one").await;
    for name in NAMES {
        run_on(stage, &node, name).await;
    }
    stage.policy("standard", PROBES).await;
    for name in NAMES {
        stage.until("standard", &format!("Deployment/{name}"), RemediationPhase::Verified).await;
    }
    node
}

/// Asserts that no patch is withdrawn for longer than the evidence of harm would need.
async fn stay_verified(stage: &Stage) {
    for name in NAMES {
        let time = (VERIFY * 3) / 2;
        stage.stays("standard", &format!("Deployment/{name}"), RemediationPhase::Verified, time).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn nodes_that_fail_withdraw_no_patch() {
    let stage = Stage::alone(|_| PodState::Ready).await;
    let _operator = stage.world.operator();
    let node = verified(&stage).await;
    let nodes = Api::<Node>::all(stage.world.client.clone());
    let lost = json!({ "status": { "conditions": [{ "type": "Ready", "status": "Unknown" }] } });
    nodes.patch_status(&node, &PatchParams::default(), &Patch::Merge(lost)).await.unwrap();
    for name in NAMES {
        fail_readiness(&stage, name).await;
    }
    stay_verified(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn evidence_begins_anew_after_the_api_server_was_away() {
    let stage = Stage::apart(|_| PodState::Ready).await;
    let operator = stage.world.operator();
    verified(&stage).await;
    // The pods are in trouble for most of the time that harm needs, and then the operator sees nothing.
    for name in NAMES {
        fail_readiness(&stage, name).await;
    }
    sleep(VERIFY / 2).await;
    stage.world.plane.kill_api_server();
    sleep(VERIFY).await;
    stage.world.plane.start_api_server();
    // An operator that loses its Lease ends, and is restarted.
    drop(operator);
    let _operator = stage.world.operator();
    sleep(VERIFY / 3).await;
    let second = Duration::from_secs(1);
    for name in NAMES {
        stage.stays("standard", &format!("Deployment/{name}"), RemediationPhase::Verified, second).await;
    }
    // The trouble goes on in full view.
    for name in NAMES {
        tell_of_readiness(&stage, name).await;
    }
    let record = stage.until("standard", "Deployment/a", RemediationPhase::Withdrawn).await;
    assert_eq!(record.reason, Some(RemediationReason::NotReady), "{record:?}");
}
