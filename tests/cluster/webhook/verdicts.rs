//! Denials and warnings of every kind, as kubectl shows them.

use super::fixture::{KINDS, WebhookFixture, object};
use crate::eventually::eventually;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::ListParams;
use serde_json::Value;
use std::net::TcpStream;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn every_kind_is_denied_and_warned_by_url_and_by_service() {
    let fixture = WebhookFixture::new().await;
    let webhook = fixture.replica(&[]);
    for by_service in [false, true] {
        if by_service {
            fixture.install_by_service().await;
        } else {
            fixture.install_by_url().await;
        }
        for (version, kind, path) in KINDS {
            let create = |image| {
                fixture
                    .kubectl(&["create", "--dry-run=server", "-f", "-"], &object(version, kind, "web", image))
            };
            let (created, stderr) = create("nginx");
            let denied =
                "admission webhook \"validate.devops.stochastic.io\" denied the request: 1 violation";
            let finding =
                format!("policy baseline, rule latest-tag: container web, {path}.containers[0].image: ");
            assert!(!created && stderr.contains("(Forbidden)") && stderr.contains(denied), "{stderr}");
            assert!(stderr.contains(&finding), "{stderr}");
            let (created, stderr) = create("nginx:1.27");
            let warning = format!("Warning: policy baseline, rule missing-readiness: container web, {path}");
            assert!(created, "{kind}: {stderr}");
            assert_eq!(stderr.contains(&warning), !kind.ends_with("Job"), "{kind}: {stderr}");
        }
    }
    assert!(webhook.metric("webhook_denials_total{rule=\"latest-tag\"}") >= Some(16.0));
    assert_eq!(webhook.metric("webhook_requests_total{operation=\"create\",result=\"error\"}"), Some(0.0));

    let idle: Vec<_> = (0..1_000).map(|_| TcpStream::connect(("127.0.0.1", fixture.port)).unwrap()).collect();
    fixture.create("Pod", "nginx").await.expect_err("a denial beside a thousand idle connections");
    fixture.create("Pod", "nginx:1.27").await.expect("an object beside a thousand idle connections");
    drop(idle);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_workload_with_an_old_fault_can_be_scaled_labelled_and_deleted() {
    let fixture = WebhookFixture::new().await;
    let old = object("apps/v1", "Deployment", "old", "nginx");
    let (created, stderr) = fixture.kubectl(&["create", "-f", "-"], &old);
    assert!(created, "{stderr}");
    let _webhook = fixture.replica(&[]);
    fixture.install_by_service().await;
    let runs = |arguments: &[&str]| {
        let (done, stderr) = fixture.kubectl(arguments, &Value::Null);
        assert!(done, "{arguments:?}: {stderr}");
    };
    runs(&["scale", "deployment/old", "--replicas=2"]);
    runs(&["label", "deployment/old", "team=web"]);
    let pods: Api<Pod> = Api::namespaced(fixture.client.clone(), &fixture.shop);
    eventually("two pods that a controller made from the old template", async || {
        let found = pods.list(&ListParams::default().labels("app=old")).await.unwrap();
        (found.items.len() == 2).then_some(())
    })
    .await;
    let mut worse = old.clone();
    let sidecar = serde_json::json!({ "name": "sidecar", "image": "envoy" });
    worse["spec"]["template"]["spec"]["containers"].as_array_mut().unwrap().push(sidecar);
    let (done, stderr) = fixture.kubectl(&["apply", "-f", "-"], &worse);
    assert!(!done && stderr.contains("container sidecar") && !stderr.contains("container web"), "{stderr}");
    runs(&["delete", "deployment/old", "--wait=false"]);
    eventually("the end of the Deployment and its pods", async || {
        let found = pods.list(&ListParams::default().labels("app=old")).await.unwrap();
        found.items.iter().all(|pod| pod.metadata.deletion_timestamp.is_some()).then_some(())
    })
    .await;
}
