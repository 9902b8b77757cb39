//! `uninstall` leaves nothing of ours and keeps what belongs to users, with the account that the chart gives it.

use super::accounts::unused;
use super::chart::{is_hook, render};
use crate::analyze::on;
use crate::apply::{api_of, apply};
use crate::control_plane::ControlPlane;
use crate::eventually::eventually;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::ListParams;
use kube_devops::manifests::{
    RECONCILE_LEASE, conflict_policy, conflict_policy_binding, crds, leftovers, manifest, self_fence,
    uninstall_permissions,
};
use kube_devops::operator::FINALIZER;
use kube_devops::policy::{ADMISSION_LABEL, ADMISSION_NONE};
use serde_json::{Value, json};
use std::path::PathBuf;

/// A Deployment that is part of an application.
fn deployment(namespace: &str, application: &str) -> Value {
    let labels = json!({ "app.kubernetes.io/part-of": application });
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": { "name": application, "namespace": namespace, "labels": labels },
        "spec": { "selector": { "matchLabels": labels }, "template": {
            "metadata": { "labels": labels }, "spec": { "containers": [{ "name": "main", "image": "x:1" }] },
        } },
    })
}

/// The account of the chart's hook before the deletion of a release.
struct Hook {
    kubeconfig: PathBuf,
    user: String,
    arguments: Vec<String>,
}

impl Hook {
    /// Installs the account with its roles, as Helm does. The Job stays away: the test is the Job.
    async fn install(plane: &ControlPlane) -> Self {
        let client = plane.client().await;
        let hooks = render("helm4", &json!({})).into_iter().filter(is_hook);
        let (jobs, account): (Vec<_>, Vec<_>) = hooks
            .filter(|object| object["metadata"]["annotations"]["helm.sh/hook"] == "pre-delete")
            .partition(|object| object["kind"] == "Job");
        for object in &account {
            apply(&client, object).await.unwrap();
        }
        let pod = &jobs[0]["spec"]["template"]["spec"];
        let name = pod["serviceAccountName"].as_str().unwrap();
        Self {
            kubeconfig: plane.account_kubeconfig("ops", name).await,
            user: format!("system:serviceaccount:ops:{name}"),
            arguments: serde_json::from_value(pod["containers"][0]["args"].clone()).unwrap(),
        }
    }
}

fn webhook_configuration(kind: &str) -> Value {
    json!({ "apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": { "name": "kube-devops-webhook" } })
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn an_uninstall_removes_all_that_is_ours_and_policies_only_on_request() {
    let plane = ControlPlane::start();
    let (client, home, shop) = (plane.client().await, "ops".to_owned(), plane.namespace("shop"));
    apply(&client, &json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": home } }))
        .await
        .unwrap();
    assert_eq!(on(plane.kubeconfig(), &["crd", "install"]).code, 0);
    let hook = Hook::install(&plane).await;
    let in_home = |api: &str, kind: &str, name: &str| json!({ "apiVersion": api, "kind": kind, "metadata": { "name": name, "namespace": home } });
    let objects: Vec<Value> = self_fence(&home, RECONCILE_LEASE, &[])
        .into_iter()
        .chain([
            conflict_policy(),
            conflict_policy_binding(),
            in_home("v1", "ConfigMap", "kube-devops-enforcement"),
            in_home("v1", "ConfigMap", "another"),
            in_home("coordination.k8s.io/v1", "Lease", "kube-devops-watch"),
            in_home("coordination.k8s.io/v1", "Lease", "kube-devops-reconcile"),
            in_home("coordination.k8s.io/v1", "Lease", "kube-devops-webhook"),
            in_home("v1", "Secret", "kube-devops-webhook-tls"),
            webhook_configuration("ValidatingWebhookConfiguration"),
            webhook_configuration("MutatingWebhookConfiguration"),
        ])
        .collect();
    let policy = json!({
        "apiVersion": "devops.stochastic.io/v1", "kind": "DevOpsPolicy", "spec": {},
        "metadata": { "name": "base", "namespace": shop, "finalizers": [FINALIZER] },
    });
    let cluster_policy = json!({
        "apiVersion": "devops.stochastic.io/v1", "kind": "ClusterDevOpsPolicy",
        "spec": { "namespaceSelector": {} }, "metadata": { "name": "base", "finalizers": [FINALIZER] },
    });
    let evaluated = json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": { "name": shop, "labels": { ADMISSION_LABEL: ADMISSION_NONE } },
    });
    for object in objects.iter().chain([&policy, &cluster_policy, &evaluated]) {
        apply(&client, object).await.unwrap();
    }
    let exists = async |object: &Value| {
        let name = object["metadata"]["name"].as_str().unwrap();
        match api_of(&client, object).get_opt(name).await {
            Ok(found) => found.is_some(),
            Err(error) => panic!("{error}"),
        }
    };
    let compiled = on(plane.kubeconfig(), &["policy", "compile", "--apply", "-n", &home]);
    assert_eq!(compiled.code, 0, "{compiled:?}");
    let refused = on(plane.kubeconfig(), &["uninstall", "-n", &home, "--crds"]);
    assert_eq!(refused.code, 2, "{refused:?}");

    let (ours, theirs) = (deployment(&home, "kube-devops"), deployment(&home, "another"));
    for object in [&ours, &theirs] {
        apply(&client, object).await.unwrap();
    }
    let pods = Api::<Pod>::namespaced(client.clone(), &home);
    let count = async || pods.list(&ListParams::default()).await.unwrap().items.len();
    eventually("the pods of both Deployments", async || (count().await == 2).then_some(())).await;
    let mark = plane.mark();
    let arguments: Vec<_> = hook.arguments.iter().map(String::as_str).collect();
    let outcome = on(&hook.kubeconfig, &arguments);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""), "{outcome:?}");
    assert!(outcome.stdout.contains(&format!("policy {shop}/base released\n")), "{outcome:?}");
    assert_eq!(outcome.stdout.lines().count(), 4 + leftovers(&home).len(), "{outcome:?}");
    // A policy is read again only after a conflict.
    let unused = unused(&plane, mark, &hook.user, uninstall_permissions());
    assert_eq!(unused, ["get devopspolicies", "get clusterdevopspolicies"]);
    for object in &objects {
        let kept = object["metadata"]["name"] == "another";
        assert_eq!(exists(object).await, kept, "{object}");
    }
    assert!(exists(&policy).await && exists(&theirs).await && !exists(&ours).await);
    assert_eq!(count().await, 1, "the pods of kube-devops have ended");

    let again = on(plane.kubeconfig(), &["uninstall", "-n", &home]);
    assert_eq!((again.code, again.stdout.as_str()), (0, ""));
    let all = on(plane.kubeconfig(), &["uninstall", "-n", &home, "--crds", "--yes"]);
    assert_eq!((all.code, all.stdout.lines().count()), (0, crds().len()), "{all:?}");
    for crd in crds() {
        let crd = manifest(&crd).unwrap();
        eventually("the CRD is gone", async || (!exists(&crd).await).then_some(())).await;
    }
}
