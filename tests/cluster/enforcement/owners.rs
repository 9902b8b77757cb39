//! Tools that apply their own manifest again and again: enforcement sets its fields once and doesn't fight the tool.

use super::fixture::{EnforcementFixture, PROBES, PodState, workload};
use kube::api::{DynamicObject, Patch, PatchParams, PostParams};
use kube_devops::policy::{RemediationPhase, RemediationReason};
use serde_json::Value;
use std::time::Duration;
use tokio::time::{Instant, interval};

/// The time for which the tools go on.
const MINUTE: Duration = Duration::from_mins(1);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_tool_that_reapplies_its_manifest_is_not_fought() {
    let fixture = EnforcementFixture::shared(|_| PodState::Ready).await;
    let params = PatchParams::apply("shop-deployer").force();
    let applied = manifest("applied");
    let api = fixture.api("Deployment");
    // Two tools that enforcement doesn't know: one applies its manifest, and the other replaces the object.
    let apply = async || {
        let applied = api.patch("applied", &params, &Patch::Apply(&applied)).await.unwrap();
        assert!(applied.metadata.name.is_some());
    };
    apply().await;
    fixture.create("Deployment", "replaced", |_| ()).await;
    for name in ["applied", "replaced"] {
        fixture.until_available("Deployment", name).await;
    }
    let mark = fixture.base.plane.mark();
    fixture.policy("standard", PROBES).await;
    let (start, mut second) = (Instant::now(), interval(Duration::from_secs(1)));
    while start.elapsed() < MINUTE {
        second.tick().await;
        apply().await;
        let version = fixture.get("Deployment", "replaced").await.metadata.resource_version;
        let mut whole = object("replaced");
        whole.metadata.resource_version = version;
        // A conflict is retried a second later.
        let _ = api.replace("replaced", &PostParams::default(), &whole).await;
    }
    assert_eq!(fixture.patches_since(mark, "applied"), 1, "the applying tool keeps our fields");
    let patches = fixture.patches_since(mark, "replaced");
    assert!(patches <= 2, "removed fields stay removed, and the empty entry is released once");
    fixture.until("standard", "Deployment/applied", RemediationPhase::Verified).await;
    let mut records = fixture.status("standard").await.remediations.into_iter();
    let replaced = records.find(|record| record.name == "replaced").unwrap();
    assert_eq!(
        (replaced.phase, replaced.reason),
        (RemediationPhase::Failed, Some(RemediationReason::TakenOut))
    );
    let container = fixture.container("Deployment", "replaced").await;
    assert_eq!(container.get("livenessProbe"), None);
}

fn manifest(name: &str) -> Value {
    workload("Deployment", name)
}

fn object(name: &str) -> DynamicObject {
    serde_json::from_value(manifest(name)).unwrap()
}
