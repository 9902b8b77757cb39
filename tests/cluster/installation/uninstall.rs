//! `uninstall` leaves nothing of ours, and keeps what belongs to users.

use crate::analyze::on;
use crate::apply::{api_of, apply};
use crate::control_plane::{AuditEvent, ControlPlane, Mark, client_of};
use crate::eventually::eventually;
use crate::installation::chart;
use crate::process::Process;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::Api;
use kube::api::{ListParams, Patch, PatchParams};
use kube_devops::manifests::{
    Permission, RECONCILE_LEASE, conflict_policy, conflict_policy_binding, crds, leftovers, manifest,
    self_fence, uninstall_permissions,
};
use kube_devops::operator::FINALIZER;
use kube_devops::policy::{ADMISSION_LABEL, DevOpsPolicy};
use serde_json::{Value, json};
use std::collections::BTreeSet;
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

fn webhook_configuration(kind: &str) -> Value {
    json!({ "apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": { "name": "kube-devops-webhook" } })
}

/// Creates the account of the chart's hook in namespace `ops`. Returns its kubeconfig and its user.
async fn hook_account(plane: &ControlPlane) -> (PathBuf, String) {
    let client = plane.client().await;
    let is_account = |object: &&Value| {
        let hook = object["metadata"]["annotations"]["helm.sh/hook"].as_str();
        hook == Some("pre-delete") && object["kind"] != "Job"
    };
    let hooks = chart::render("helm4", &json!({}));
    let mut account = String::new();
    for object in hooks.iter().filter(is_account) {
        apply(&client, object).await.unwrap();
        if object["kind"] == "ServiceAccount" {
            object["metadata"]["name"].as_str().unwrap().clone_into(&mut account);
        }
    }
    let kubeconfig = plane.account_kubeconfig("ops", &account).await;
    let client = client_of(&kubeconfig).await;
    eventually("the roles take effect", async || {
        let params = ListParams::default();
        Api::<Pod>::namespaced(client.clone(), "ops").list(&params).await.ok()?;
        Api::<DevOpsPolicy>::all(client.clone()).list(&params).await.ok()
    })
    .await;
    (kubeconfig, format!("system:serviceaccount:ops:{account}"))
}

/// Asserts that a user was refused nothing, and used every permission of an uninstall.
fn assert_used_as_granted(plane: &ControlPlane, mark: Mark, user: &str) {
    let path = |event: &AuditEvent| match event.subresource.as_str() {
        "" => event.resource.clone(),
        subresource => format!("{}/{subresource}", event.resource),
    };
    let requests: Vec<_> = plane.requests_since(mark).into_iter().filter(|event| event.by(user)).collect();
    let refused: Vec<_> = requests.iter().filter(|event| [401, 403].contains(&event.code)).collect();
    assert!(refused.is_empty(), "{refused:#?}");
    let used: BTreeSet<_> = requests.iter().map(|event| format!("{} {}", event.verb, path(event))).collect();
    let verbs = |permission: &'static Permission| {
        permission.verbs.iter().map(move |verb| format!("{verb} {}", permission.path()))
    };
    let granted: BTreeSet<_> = uninstall_permissions().iter().flat_map(verbs).collect();
    let unused: Vec<_> = granted.difference(&used).collect();
    // A policy is read again only if somebody writes it between the list and the patch.
    assert_eq!(unused, ["get clusterdevopspolicies", "get devopspolicies"]);
}

/// Asserts that a release names an operator while it leads.
async fn assert_leader_is_named(plane: &ControlPlane, home: &str) {
    // No namespace has this name, so nothing is released.
    let notes = || on(plane.kubeconfig(), &["policy", "release", "-n", "nowhere"]).stderr;
    let operator = Process::start("reconcile", plane.kubeconfig(), "leader-0", &["--lease-namespace", home]);
    let lease = format!(" holds the Lease {home}/kube-devops-reconcile, renewed ");
    eventually("a release names the leader", async || {
        let notes = notes();
        (notes.contains("note: leader-0") && notes.contains(&lease)).then_some(())
    })
    .await;
    let (status, ..) = operator.terminate();
    assert_eq!(status, Some(0));
    let after = notes();
    assert!(!after.contains("note: "), "{after}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane and Helm: make test"]
async fn an_uninstall_removes_all_that_is_ours_and_policies_only_on_request() {
    let plane = ControlPlane::start();
    let (client, home, shop) = (plane.client().await, "ops".to_owned(), plane.namespace("shop"));
    let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": home } });
    apply(&client, &namespace).await.unwrap();
    assert_eq!(on(plane.kubeconfig(), &["crd", "install"]).code, 0);
    assert_leader_is_named(&plane, &home).await;
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
    let everywhere = json!({
        "apiVersion": "devops.stochastic.io/v1", "kind": "ClusterDevOpsPolicy", "spec": { "namespaceSelector": {} },
        "metadata": { "name": "everywhere", "finalizers": [FINALIZER] },
    });
    for object in objects.iter().chain([&policy, &everywhere]) {
        apply(&client, object).await.unwrap();
    }
    let verdict = Patch::Merge(json!({ "metadata": { "labels": { ADMISSION_LABEL: "native" } } }));
    let namespaces = Api::<Namespace>::all(client.clone());
    namespaces.patch(&shop, &PatchParams::default(), &verdict).await.unwrap();
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
    let (account, user) = hook_account(&plane).await;
    let mark = plane.mark();
    let outcome = on(&account, &["uninstall", "-n", &home, "--stop"]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""), "{outcome:?}");
    for released in [&format!("policy {shop}/base"), "policy cluster/everywhere"] {
        assert!(outcome.stdout.contains(&format!("{released} released\n")), "{outcome:?}");
    }
    assert!(outcome.stdout.contains(&format!("namespace {shop} cleared\n")), "{outcome:?}");
    assert_eq!(outcome.stdout.lines().count(), 4 + leftovers(&home).len(), "{outcome:?}");
    assert_used_as_granted(&plane, mark, &user);
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
        assert!(!exists(&manifest(&crd).unwrap()).await, "a CRD that was reported as deleted is gone");
    }
}
