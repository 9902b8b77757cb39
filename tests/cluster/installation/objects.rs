//! Every object of an installation is accepted by the API server as it is printed.

use crate::apply::apply;
use crate::control_plane::ControlPlane;
use crate::eventually::eventually;
use k8s_openapi::api::authorization::v1::SubjectAccessReview;
use kube::Api;
use kube::api::PostParams;
use kube_devops::manifests::Mode;
use kube_devops::manifests::installation::{self, Installation};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn every_object_is_accepted_and_a_second_apply_changes_nothing() {
    let plane = ControlPlane::start();
    let client = plane.client().await;
    let everything =
        Installation { modes: Mode::ALL.to_vec(), network_policies: true, ..Installation::default() };
    let elsewhere = Installation {
        namespace: "ops".to_owned(),
        namespaces: vec!["default".to_owned()],
        system_namespaces: vec!["infra".to_owned()],
        ..everything.clone()
    };
    for installation in [everything, elsewhere] {
        for object in &installation::all(&installation).unwrap() {
            let what = format!("{} {}", object["kind"], object["metadata"]["name"]);
            let first = apply(&client, object).await.unwrap_or_else(|error| panic!("{what}: {error}"));
            let second = apply(&client, object).await.unwrap();
            assert_eq!(first.metadata.generation, second.metadata.generation, "{what}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn viewers_read_policies_and_only_admins_write_them() {
    let plane = ControlPlane::shared();
    let (client, home) = (plane.client().await, plane.namespace("users"));
    let installation = Installation { namespace: home.clone(), ..Installation::default() };
    for object in &installation::rbac(&installation) {
        apply(&client, object).await.unwrap();
    }
    for role in ["view", "edit", "admin"] {
        let binding = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": { "name": role, "namespace": home },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role },
            "subjects": [{ "apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": role }],
        });
        apply(&client, &binding).await.unwrap();
    }
    let reviews = Api::<SubjectAccessReview>::all(client);
    let may = async |user: &str, verb: &str, resource: &str| {
        let attributes = json!({
            "group": "devops.stochastic.io", "resource": resource, "verb": verb, "namespace": home,
        });
        let review = json!({ "metadata": {}, "spec": { "user": user, "resourceAttributes": attributes } });
        let review: SubjectAccessReview = serde_json::from_value(review).unwrap();
        reviews.create(&PostParams::default(), &review).await.unwrap().status.unwrap().allowed
    };
    // The controller aggregates the roles a moment later.
    let reads = ["view", "edit", "admin"].map(|user| (user, "list"));
    for (user, verb) in reads.into_iter().chain([("admin", "create")]) {
        eventually(&format!("{user} may {verb}"), async || {
            may(user, verb, "devopspolicies").await.then_some(())
        })
        .await;
    }
    for (user, verb) in reads {
        assert!(may(user, verb, "policyauditresults").await, "{user}");
    }
    for user in ["view", "edit"] {
        assert!(!may(user, "create", "devopspolicies").await, "{user}");
    }
    assert!(!may("admin", "create", "policyauditresults").await);
}
