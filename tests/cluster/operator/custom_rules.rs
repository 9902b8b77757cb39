//! Rules of a policy's own say the same by the operator and on the cluster.

use super::fixture::OperatorFixture;
use crate::analyze::on;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};

const SPEC: &str = "
customRules:
- id: own-images
  match: {kinds: [Pod]}
  expression: object.spec.containers.all(c, c.image.startsWith(params.registry))
  params: {registry: example.com/}
  message: take the image from example.com
- id: own-team
  match: {kinds: [Pod]}
  expression: namespaceObject.metadata.labels['team'] == 'shop'
  message: the namespace is of another team
- id: own-priority
  match: {kinds: [Pod]}
  expression: object.spec.priorityClassName != ''
  message: there is no priority class
";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn the_rules_of_a_policys_own_are_followed_while_it_has_them() {
    let fixture = OperatorFixture::shared().await;
    let namespace = fixture.plane.namespace("custom");
    let team = Patch::Merge(json!({ "metadata": { "labels": { "team": "shop" } } }));
    let namespaces = Api::<Namespace>::all(fixture.client.clone());
    namespaces.patch(&namespace, &PatchParams::default(), &team).await.unwrap();
    let pod = |name: &str, image: &str| json!({ "metadata": { "name": name }, "spec": { "containers": [{ "name": "main", "image": image }] } });
    fixture.run(&namespace, &pod("good", "example.com/a:1")).await;
    fixture.run(&namespace, &pod("bad", "example.org/a:1")).await;
    // The operator has listed the pods before a policy asks for their JSON.
    let _operator = fixture.operator();
    fixture.policy(&namespace, "own", SPEC).await;
    let message =
        "1 violation in 2 pods: 1 x own-images; rule own-priority can't tell for 2 objects; the first is ";
    let policy = fixture
        .until(&namespace, "own", "the violation is reported", |status| {
            status.message.as_ref().is_some_and(|text| text.starts_with(message))
        })
        .await;
    let reason = format!("{namespace}/Pod/bad: no such key: priorityClassName");
    assert!(policy.status.unwrap().message.unwrap().ends_with(&reason));

    let file = tempfile::tempdir().unwrap();
    let rules = file.path().join("rules.yaml");
    std::fs::write(&rules, SPEC).unwrap();
    let rules = rules.to_str().unwrap();
    let report =
        on(fixture.plane.kubeconfig(), &["analyze", "-n", &namespace, "--rules-file", rules, "-o", "json"]);
    let report: Value = report.json();
    let own = |name: &str| {
        (report["summary"]["counts"][name].as_u64(), report["summary"]["unknown"][name].as_u64())
    };
    assert_eq!(own("own-images"), (Some(1), None));
    assert_eq!(own("own-team"), (Some(0), None));
    assert_eq!(own("own-priority"), (Some(0), Some(2)));

    // Without them, the watches keep no JSON, and nothing is left of them.
    let without = Patch::Merge(json!({ "spec": { "customRules": null, "forbidLatestTag": true } }));
    fixture.policies(&namespace).patch("own", &PatchParams::default(), &without).await.unwrap();
    fixture
        .until(&namespace, "own", "the policy is satisfied", |status| {
            status.message.as_deref() == Some("nothing in 2 pods violates the policy")
        })
        .await;
    fixture.policies(&namespace).delete("own", &kube::api::DeleteParams::default()).await.unwrap();
}
