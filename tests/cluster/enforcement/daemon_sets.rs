//! `DaemonSet`s with one pod a node. The nodes are objects without kubelets.

use super::fixture::{
    EnforcementFixture, PROBES, PROBES_WITH_DOWNTIME, PodState, VERIFY, is_patched, template,
};
use crate::eventually::eventually;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::ResourceExt;
use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams};
use kube_devops::policy::{RemediationPhase, RemediationReason};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::sleep;

fn new_pods_crash(pod: &Pod) -> PodState {
    if is_patched(pod) { PodState::Crash } else { PodState::Ready }
}

/// Starts the new pod beside the old one in an update.
fn surge(set: &mut Value) {
    let rolling = json!({ "maxSurge": 1, "maxUnavailable": 0 });
    set["spec"]["updateStrategy"] = json!({ "type": "RollingUpdate", "rollingUpdate": rolling });
}

impl EnforcementFixture {
    /// Runs a `DaemonSet` on two new nodes.
    async fn agents(&self, change: impl FnOnce(&mut Value)) -> DynamicObject {
        for name in ["one", "two"] {
            self.node(name).await;
        }
        self.run("DaemonSet", "agent", |set| {
            set["spec"]["template"]["spec"]["nodeSelector"] = json!({ "fixture": self.namespace });
            change(set);
        })
        .await
    }

    /// Makes a node not ready or ready again.
    async fn node_is_ready(&self, name: &str, ready: bool) {
        let status = if ready { "True" } else { "Unknown" };
        let patch = json!({ "status": { "conditions": [{ "type": "Ready", "status": status }] } });
        let nodes = Api::<Node>::all(self.base.client.clone());
        nodes.patch_status(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    }

    /// Adds a finalizer that keeps deleted old pods, or removes it.
    async fn hold_old_pods(&self, held: bool) {
        let pods = self.base.pods(&self.namespace);
        let finalizers = if held { json!(["fixture.test/held"]) } else { json!(null) };
        let patch = Patch::Merge(json!({ "metadata": { "finalizers": finalizers } }));
        for pod in
            pods.list(&ListParams::default()).await.unwrap().items.iter().filter(|pod| !is_patched(pod))
        {
            pods.patch(&pod.name_any(), &PatchParams::default(), &patch).await.unwrap();
        }
    }

    async fn until_pods_are(&self, patched: usize, old: usize) {
        eventually(&format!("{patched} new pods and {old} old ones"), async || {
            (self.pods_by_patch().await == (patched, old)).then_some(())
        })
        .await;
    }

    /// Returns the number of patched and of unpatched pods.
    async fn pods_by_patch(&self) -> (usize, usize) {
        let pods = self.base.pods(&self.namespace).list(&ListParams::default()).await.unwrap().items;
        let patched = pods.iter().filter(|pod| is_patched(pod)).count();
        (patched, pods.len() - patched)
    }

    /// Patches the `DaemonSet` and expects a verified patch once all pods are new.
    async fn is_verified(&self, policy: &str, change: impl FnOnce(&mut Value)) {
        self.agents(change).await;
        let mark = self.base.plane.mark();
        self.policy("standard", policy).await;
        self.until("standard", "DaemonSet/agent", RemediationPhase::Verified).await;
        assert_eq!(self.pods_by_patch().await, (2, 0));
        assert_eq!(self.patches_since(mark, "agent"), 1);
    }

    /// Patches the `DaemonSet`, and expects a withdrawal for this reason and the return of the old pods.
    async fn is_withdrawn(&self, policy: &str, change: impl FnOnce(&mut Value), reason: RemediationReason) {
        let before = self.agents(change).await;
        self.policy("standard", policy).await;
        let record = self.until("standard", "DaemonSet/agent", RemediationPhase::Withdrawn).await;
        assert_eq!(record.reason, Some(reason), "{record:?}");
        assert_eq!(template(&self.until_available("DaemonSet", "agent").await), template(&before));
        self.until_pods_are(0, 2).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_patch_of_a_daemon_set_is_verified_or_withdrawn() {
    let well = EnforcementFixture::shared(|_| PodState::Ready).await;
    let ill = well.beside(new_pods_crash).await;
    let policy = PROBES_WITH_DOWNTIME;
    tokio::join!(
        well.is_verified(policy, |_| ()),
        ill.is_withdrawn(policy, |_| (), RemediationReason::CrashLoop)
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_surging_patch_of_a_daemon_set_is_verified_or_withdrawn_too() {
    let well = EnforcementFixture::shared(|_| PodState::Ready).await;
    let ill = well.beside(new_pods_crash).await;
    let stuck = well.beside(|pod| if is_patched(pod) { PodState::Stuck } else { PodState::Ready }).await;
    tokio::join!(
        well.is_verified(PROBES, surge),
        ill.is_withdrawn(PROBES, surge, RemediationReason::CrashLoop),
        stuck.is_withdrawn(PROBES, surge, RemediationReason::NotReady),
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn ready_new_pods_are_no_verdict_while_old_ones_run() {
    let fixture = EnforcementFixture::shared(|_| PodState::Ready).await;
    fixture.agents(surge).await;
    fixture.hold_old_pods(true).await;
    // The controller compares creation times in whole seconds.
    sleep(Duration::from_secs(1)).await;
    fixture.policy("standard", PROBES).await;
    fixture.until_pods_are(2, 2).await;
    fixture.until("standard", "DaemonSet/agent", RemediationPhase::Applied).await;
    let too_long = VERIFY + Duration::from_secs(6);
    fixture.stays("standard", "DaemonSet/agent", RemediationPhase::Applied, too_long).await;
    fixture.hold_old_pods(false).await;
    fixture.until("standard", "DaemonSet/agent", RemediationPhase::Verified).await;
    assert_eq!(fixture.pods_by_patch().await, (2, 0));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn an_old_pod_on_a_dead_node_does_not_fail_a_patch() {
    let fixture = EnforcementFixture::shared(|_| PodState::Ready).await;
    fixture.agents(|_| ()).await;
    // No kubelet ends the pods of a dead node.
    fixture.hold_old_pods(true).await;
    sleep(Duration::from_secs(1)).await;
    fixture.policy("standard", PROBES_WITH_DOWNTIME).await;
    fixture.until("standard", "DaemonSet/agent", RemediationPhase::Applied).await;
    let is_leaving = |pod: &&Pod| pod.metadata.deletion_timestamp.is_some();
    let pods = fixture.base.pods(&fixture.namespace);
    let node = eventually("an old pod is being deleted", async || {
        let pods = pods.list(&ListParams::default()).await.unwrap().items;
        pods.iter().find(is_leaving)?.spec.as_ref()?.node_name.clone()
    })
    .await;
    fixture.node_is_ready(&node, false).await;
    let too_long = VERIFY + Duration::from_secs(6);
    fixture.stays("standard", "DaemonSet/agent", RemediationPhase::Applied, too_long).await;
    // The order matters: by now, a pod that hangs on a live node fails the patch.
    fixture.hold_old_pods(false).await;
    fixture.node_is_ready(&node, true).await;
    fixture.until("standard", "DaemonSet/agent", RemediationPhase::Verified).await;
}
