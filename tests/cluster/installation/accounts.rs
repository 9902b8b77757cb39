//! Each mode works with the account that is installed for it: no request is refused, and no permission is unused.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::analyze::on;
use crate::apply::apply;
use crate::control_plane::{AuditEvent, ControlPlane, Mark, free_port};
use crate::eventually::eventually;
use crate::process::Process;
use crate::watch::helpers::{create, degrade, leader, pod};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::DeleteParams;
use kube_devops::manifests::installation::{self, Installation};
use kube_devops::manifests::{Mode, Permission};
use kube_devops::policy::DevOpsPolicy;
use serde_json::{Value, json};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(20);

/// Installs the account of a mode and returns a kubeconfig for it and the user's name.
async fn install(plane: &ControlPlane, mode: Mode, home: &str, namespaces: &[&str]) -> (PathBuf, String) {
    let installation = Installation {
        namespace: home.to_owned(),
        modes: vec![mode],
        namespaces: namespaces.iter().map(ToString::to_string).collect(),
        reconcile_namespaces: namespaces.iter().map(ToString::to_string).collect(),
        ..Installation::default()
    };
    let client = plane.client().await;
    let mut account = String::new();
    for object in installation::rbac(&installation) {
        apply(&client, &object).await.unwrap();
        if object["kind"] == "ServiceAccount" {
            object["metadata"]["name"].as_str().unwrap().clone_into(&mut account);
        }
    }
    let kubeconfig = plane.account_kubeconfig(home, &account).await;
    let mut check = vec!["check".to_owned(), format!("--for={mode}"), format!("--own-namespace={home}")];
    check.extend(namespaces.iter().take(1).map(|namespace| format!("--namespace={namespace}")));
    let check: Vec<_> = check.iter().map(String::as_str).collect();
    eventually("check finds nothing missing", async || (on(&kubeconfig, &check).code == 0).then_some(()))
        .await;
    (kubeconfig, format!("system:serviceaccount:{home}:{account}"))
}

/// Asserts that a user was refused nothing, and returns those of its permissions that it did not use.
pub(crate) fn unused(
    plane: &ControlPlane,
    mark: Mark,
    user: &str,
    permissions: &[Permission],
) -> Vec<String> {
    let mut requested = BTreeSet::new();
    for event in plane.requests_since(mark).into_iter().filter(|event| event.by(user)) {
        assert!(![401, 403].contains(&event.code), "refused: {event:?}");
        let dash = if event.subresource.is_empty() { "" } else { "/" };
        requested.insert(format!("{} {}{dash}{}", event.verb, event.resource, event.subresource));
    }
    let granted = permissions.iter().flat_map(|permission| {
        permission.verbs.iter().map(move |verb| format!("{verb} {}", permission.path()))
    });
    granted.filter(|granted| !requested.contains(granted)).collect()
}

/// Runs two replicas through a change of class and a change of the leader.
async fn exercise_watch(plane: &ControlPlane, mode: Mode, home: &str, shop: &str, namespaces: &[&str]) {
    let (kubeconfig, user) = install(plane, mode, home, namespaces).await;
    let client = plane.client().await;
    let mark = plane.mark();
    let mut flags = vec!["--lease-namespace", home];
    for namespace in namespaces {
        flags.extend(["-n", namespace]);
    }
    let start = |name| Process::start("watch", &kubeconfig, name, &flags).synced();
    let replicas = ["a", "b"].map(start);
    leader(&replicas, LIMIT).await;
    // The third change of class is an event that repeats the first one. A class that the replica has not seen yet does
    // not change, so a change may have to be made again.
    let changes = || {
        let lines = replicas[0].lines("score class changed");
        lines.iter().filter(|line| line["namespace"] == *shop).count()
    };
    for degraded in [true, false].into_iter().cycle().take(20) {
        let before = changes();
        if before >= 3 {
            break;
        }
        degrade(&client, shop, "web", degraded).await;
        let change = eventually("a change of class", async || (changes() > before).then_some(()));
        // Without a change in this time, the next one follows.
        let _ = tokio::time::timeout(Duration::from_secs(3), change).await;
    }
    assert!(changes() >= 3);
    let nowhere = Process::start("watch", &kubeconfig, "c", &[&flags[..2], &["-n", "nowhere"]].concat());
    let is_unused =
        |what: &str| unused(plane, mark, &user, &mode.permissions()).iter().any(|unused| unused == what);
    if namespaces.is_empty() {
        eventually("the namespace is looked up", async || (!is_unused("get namespaces")).then_some(())).await;
    }
    drop(nowhere);
    eventually("events are repeated", async || (!is_unused("patch events")).then_some(())).await;
    let mut unused = unused(plane, mark, &user, &mode.permissions());
    if !namespaces.is_empty() {
        // Namespaces have no place in a Role, so it reads each of them by name.
        unused.retain(|unused| !["list namespaces", "watch namespaces"].contains(&unused.as_str()));
    }
    assert_eq!(unused, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn watch_is_refused_nothing_and_uses_everything() {
    let plane = ControlPlane::start();
    let (home, shop) = (plane.namespace("home"), plane.namespace("shop"));
    let client = plane.client().await;
    create(&client, &shop, &pod("web")).await;
    degrade(&client, &shop, "web", false).await;
    exercise_watch(&plane, Mode::Watch, &home, &shop, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn reconcile_works_in_chosen_namespaces_by_roles_alone() {
    let plane = ControlPlane::start();
    assert_eq!(on(plane.kubeconfig(), &["crd", "install"]).code, 0);
    let [home, shop, bank, other] = ["home", "shop", "bank", "other"].map(|name| plane.namespace(name));
    let client = plane.client().await;
    for namespace in [&shop, &bank, &other] {
        create(&client, namespace, &pod("web")).await;
        let policy = json!({
            "apiVersion": "devops.stochastic.io/v1", "kind": "DevOpsPolicy",
            "metadata": { "name": "base", "namespace": namespace }, "spec": { "requireResources": true },
        });
        apply(&client, &policy).await.unwrap();
    }
    let (kubeconfig, user) = install(&plane, Mode::Enforce, &home, &[&shop, &bank]).await;
    // After `check`, which reads the CRDs and so may be refused.
    let mark = plane.mark();
    let flags = ["--lease-namespace", &home, "-n", &shop, "-n", &bank];
    let _operator = Process::start("reconcile", &kubeconfig, "a", &flags).synced();
    let violations = async |namespace: &str| {
        let policies = Api::<DevOpsPolicy>::namespaced(client.clone(), namespace);
        policies.get("base").await.unwrap().status.and_then(|status| status.violations)
    };
    let has = async |namespace: &str, count| (violations(namespace).await == Some(count)).then_some(());
    eventually("a verdict on both namespaces", async || has(&shop, 2).await.and(has(&bank, 2).await)).await;
    let pods = Api::<Pod>::namespaced(client.clone(), &shop);
    pods.delete("web", &DeleteParams::default().grace_period(0)).await.unwrap();
    eventually("the pod is gone from the verdict", async || has(&shop, 0).await).await;
    assert_eq!((violations(&bank).await, violations(&other).await), (Some(2), None));
    let requests: Vec<_> = plane.requests_since(mark).into_iter().filter(|event| event.by(&user)).collect();
    assert!(requests.iter().any(|event| event.resource == "policyauditresults" && event.verb == "create"));
    // It may not read the conflict policy, and says so in the condition Enforcing.
    let refused =
        |event: &&AuditEvent| [401, 403].contains(&event.code) && !event.resource.starts_with("mutating");
    assert_eq!(requests.iter().filter(refused).count(), 0, "{requests:?}");
}

/// The CRD of an API that the webhook follows where it is installed.
fn vertical_pod_autoscalers() -> Value {
    let schema =
        json!({ "openAPIV3Schema": { "type": "object", "x-kubernetes-preserve-unknown-fields": true } });
    let names = json!({ "plural": "verticalpodautoscalers", "kind": "VerticalPodAutoscaler" });
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {
            "name": "verticalpodautoscalers.autoscaling.k8s.io",
            "annotations": { "api-approved.kubernetes.io": "unapproved, for a test" },
        },
        "spec": {
            "group": "autoscaling.k8s.io", "names": names, "scope": "Namespaced",
            "versions": [{ "name": "v1", "served": true, "storage": true, "schema": schema }],
        },
    })
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn the_webhook_is_refused_nothing_and_uses_everything() {
    let plane = ControlPlane::start();
    let client = plane.client().await;
    assert_eq!(on(plane.kubeconfig(), &["crd", "install"]).code, 0);
    apply(&client, &vertical_pod_autoscalers()).await.unwrap();
    let (home, shop) = (plane.namespace("home"), plane.namespace("shop"));
    let policy = json!({
        "apiVersion": "devops.stochastic.io/v1", "kind": "DevOpsPolicy",
        "metadata": { "name": "base", "namespace": shop },
        "spec": {
            "enforcementMode": "enforce", "requireReadinessProbe": true,
            "admission": { "mutate": true },
        },
    });
    apply(&client, &policy).await.unwrap();
    let compiled = on(plane.kubeconfig(), &["policy", "compile", "--apply", "-n", &home]);
    assert_eq!(compiled.code, 0, "{compiled:?}");
    let (kubeconfig, user) = install(&plane, Mode::Webhook, &home, &[]).await;
    let mark = plane.mark();
    let port = free_port().unwrap();
    let (listen, url) = (format!("127.0.0.1:{port}"), format!("https://127.0.0.1:{port}"));
    // An authority that lasts some seconds is replaced while the test runs.
    let flags = [
        ["--lease-namespace", &home],
        ["--tls-name", "127.0.0.1"],
        ["--certificate-interval", "100ms"],
        ["--authority-lifetime", "12s"],
        ["--certificate-lifetime", "1h"],
        ["--rotation-pause", "500ms"],
    ];
    let replica = |pod: &str, listen: &str| {
        let flags = [&["--secure-listen", listen][..], flags.as_flattened()].concat();
        Process::start("webhook serve", &kubeconfig, pod, &flags).synced()
    };
    let _leader = replica("webhook-0", &listen);
    let _standby = replica("webhook-1", &format!("127.0.0.1:{}", free_port().unwrap()));
    let installed = on(plane.kubeconfig(), &["webhook", "install-config", "-n", &home, "--url", &url]);
    assert_eq!(installed.code, 0, "{installed:?}");
    let permissions = Mode::Webhook.permissions();
    let left = || unused(&plane, mark, &user, &permissions);
    let all = eventually("every permission is used", async || left().is_empty().then_some(()));
    // The assertion names those that are left.
    let _ = tokio::time::timeout(Duration::from_secs(45), all).await;
    assert_eq!(left(), [""; 0]);
}
