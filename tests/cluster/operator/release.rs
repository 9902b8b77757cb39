//! `policy release` before an uninstall.

use super::fixture::OperatorFixture;
use crate::analyze::on;
use crate::control_plane::Reach;
use k8s_openapi::api::rbac::v1::PolicyRule;
use kube::ResourceExt;
use kube::api::PostParams;
use kube_devops::operator::FINALIZER;
use kube_devops::policy::DevOpsPolicy;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_release_removes_only_our_finalizer_and_reports_failures() {
    let fixture = OperatorFixture::shared().await;
    let (shop, other) = (fixture.plane.namespace("shop"), fixture.plane.namespace("other"));
    let held = |name: &str, finalizers: &[&str]| -> DevOpsPolicy {
        serde_json::from_value(json!({ "metadata": { "name": name, "finalizers": finalizers }, "spec": {} }))
            .unwrap()
    };
    for (namespace, name, finalizers) in [
        (&shop, "both", &["example.com/a", FINALIZER, "example.com/b"][..]),
        (&shop, "free", &["example.com/a"]),
        (&other, "ours", &[FINALIZER]),
    ] {
        fixture.policies(namespace).create(&PostParams::default(), &held(name, finalizers)).await.unwrap();
    }
    // A user who may only list learns which policies are left.
    let rules = [PolicyRule {
        api_groups: Some(vec!["devops.stochastic.io".to_owned()]),
        resources: Some(vec!["devopspolicies".to_owned()]),
        verbs: vec!["list".to_owned()],
        ..PolicyRule::default()
    }];
    let reader = fixture.plane.restricted(&shop, "reader", &rules, Reach::Namespace).await;
    let refused = on(&reader, &["policy", "release", "-n", &shop, "-n", &other]);
    assert_eq!((refused.code, refused.stdout.as_str()), (2, ""));
    assert!(
        refused.stderr.contains(&format!("cannot release the policy {shop}/both: ")),
        "{}",
        refused.stderr
    );
    assert!(
        refused.stderr.contains(&format!("cannot list the policies of namespace {other:?}: ")),
        "{}",
        refused.stderr
    );

    let one = on(fixture.plane.kubeconfig(), &["policy", "release", "-n", &shop]);
    assert_eq!((one.code, one.stdout.as_str()), (0, format!("policy {shop}/both released\n").as_str()));
    let both = fixture.policies(&shop).get("both").await.unwrap();
    assert_eq!(both.finalizers(), ["example.com/a", "example.com/b"]);
    let all = on(fixture.plane.kubeconfig(), &["policy", "release"]);
    assert!(all.stdout.contains(&format!("policy {other}/ours released\n")), "{}", all.stdout);
    let none = on(fixture.plane.kubeconfig(), &["policy", "release"]);
    assert_eq!((none.code, none.stdout.as_str()), (0, ""));
    // Operators of other tests may lead.
    assert!(
        none.stderr.ends_with(&format!("note: no policy has the finalizer {FINALIZER}\n")),
        "{}",
        none.stderr
    );
}
