//! The operator's output for the samples is the one in the README.

use super::fixture::OperatorFixture;
use crate::eventually::eventually;
use kube::api::{Api, DynamicObject, PostParams};
use kube::core::GroupVersionKind;
use kube_devops::policy::DevOpsPolicy;
use serde::Deserialize;
use std::fs;
use std::path::Path;

fn sample(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn the_readme_shows_the_status_of_the_sample_policy() {
    let fixture = OperatorFixture::shared().await;
    fixture.namespace_named("production").await;
    for document in yaml_serde::Deserializer::from_str(&sample("kube-tests/bad-workloads.yaml")) {
        let object = DynamicObject::deserialize(document).unwrap();
        if object.metadata.namespace.as_deref() != Some("production") {
            continue;
        }
        let types = object.types.as_ref().unwrap();
        let resource = kube::api::ApiResource::from_gvk(&GroupVersionKind::try_from(types).unwrap());
        let api = Api::<DynamicObject>::namespaced_with(fixture.client.clone(), "production", &resource);
        api.create(&PostParams::default(), &object).await.unwrap();
    }
    // Three pods of the Deployment and one of the StatefulSet, which no node runs.
    eventually("their pods", async || {
        let pods = fixture.pods("production").list(&kube::api::ListParams::default()).await.unwrap();
        (pods.items.len() == 4).then_some(())
    })
    .await;
    let policy: DevOpsPolicy = yaml_serde::from_str(&sample("kube-tests/sample-devopspolicy.yaml")).unwrap();
    fixture.policies("production").create(&PostParams::default(), &policy).await.unwrap();
    let operator = fixture.operator();
    let evaluated = fixture
        .until("production", "sample", "evaluated", |status| status.violations.is_some())
        .await
        .status
        .unwrap();
    println!("{evaluated:#?}\n{}", operator.text());
    let readme = sample("README.md");
    let (score, class) = (evaluated.health_score.unwrap(), evaluated.classification.unwrap());
    let row = format!("sample   audit   {score}      {class}   {}", evaluated.violations.unwrap());
    assert!(readme.contains(&row), "not in the README: {row}");
    let message = evaluated.message.unwrap();
    assert!(readme.contains(&message), "not in the README: {message}");
}
