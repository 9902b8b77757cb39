//! Objects that affect the patch of a workload: disruption budgets and autoscalers.

use super::fixture::{EnforcementFixture, PROBES, PodState, RESOURCES};
use crate::eventually::eventually;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use kube_devops::policy::RemediationPhase;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_patch_waits_until_the_disruption_budget_allows_a_disruption() {
    let fixture = EnforcementFixture::shared(|_| PodState::Ready).await;
    fixture.run("Deployment", "web", |_| ()).await;
    let budgets = Api::<PodDisruptionBudget>::namespaced(fixture.base.client.clone(), &fixture.namespace);
    let whole = json!({ "metadata": { "name": "whole" },
        "spec": { "minAvailable": 1, "selector": { "matchLabels": { "app": "web" } } } });
    budgets.create(&PostParams::default(), &serde_json::from_value(whole).unwrap()).await.unwrap();
    let allows = async |disruptions: i32| {
        eventually("the budget is counted", async || {
            let status = budgets.get("whole").await.unwrap().status?;
            (status.current_healthy == 1 && status.disruptions_allowed == disruptions).then_some(())
        })
        .await;
    };
    allows(0).await;
    let mark = fixture.base.plane.mark();
    fixture.policy("standard", PROBES).await;
    let why = "PodDisruptionBudget whole allows no disruption now";
    fixture.until_condition("standard", "Enforcing", "Enforcing", why).await;
    assert_eq!(fixture.patches_since(mark, "web"), 0);

    let loose = Patch::Merge(json!({ "spec": { "minAvailable": 0 } }));
    budgets.patch("whole", &PatchParams::default(), &loose).await.unwrap();
    allows(1).await;
    fixture.until("standard", "Deployment/web", RemediationPhase::Applied).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_request_that_an_autoscaler_uses_is_not_set() {
    let fixture = EnforcementFixture::shared(|_| PodState::Ready).await;
    fixture.run("Deployment", "web", |_| ()).await;
    let scalers = Api::<HorizontalPodAutoscaler>::namespaced(fixture.base.client.clone(), &fixture.namespace);
    let metric = json!({ "type": "Resource",
        "resource": { "name": "cpu", "target": { "type": "Utilization", "averageUtilization": 80 } } });
    let target = json!({ "apiVersion": "apps/v1", "kind": "Deployment", "name": "web" });
    let scaler = json!({ "metadata": { "name": "web" },
        "spec": { "scaleTargetRef": target, "maxReplicas": 3, "metrics": [metric] } });
    scalers.create(&PostParams::default(), &serde_json::from_value(scaler).unwrap()).await.unwrap();
    fixture.policy("standard", &RESOURCES.replace("memoryRequest", "cpuLimit: 1, memoryRequest")).await;
    let record = fixture.until("standard", "Deployment/web", RemediationPhase::Applied).await;
    assert_eq!(record.fields, ["main/resources.requests.memory", "main/resources.limits.memory"]);
    let container = fixture.container("Deployment", "web").await;
    let expected = json!({ "requests": { "memory": "16Mi" }, "limits": { "memory": "32Mi" } });
    assert_eq!(container["resources"], expected);
}
