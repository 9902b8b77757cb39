//! The permissions of `watch`: it needs no more than documented, and reports missing ones.

use super::helpers::{agree, create, degrade, events_of, object, pod, rule, user};
use crate::analyze::on;
use crate::control_plane::{ControlPlane, Reach};
use crate::eventually::within;
use crate::process::Process;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding};
use kube::Api;
use kube::api::PostParams;
use kube_devops::manifests::{Mode, PermissionScope};
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_missing_permission_is_reported_and_used_once_granted() {
    let plane = ControlPlane::shared();
    let (client, home) = (plane.client().await, plane.namespace("forbidden"));
    create(&client, &home, &pod("web")).await;
    let kubeconfig = plane.restricted(&home, "powerless", &[], Reach::Cluster).await;
    let mark = plane.mark();
    let replica = Process::start("watch", &kubeconfig, "a", &["-n", &home, "--lease-namespace", &home]);
    let line = replica.until(LIMIT, "watch interrupted; retrying");
    let error = line["error"].as_str().unwrap();
    for word in
        ["list pods in namespace", &home, "forbidden", "cannot list resource \"pods\"", "kube-devops check"]
    {
        assert!(error.contains(word), "{word}: {error}");
    }
    assert_eq!(line["category"], "forbidden");
    let line = replica.until(LIMIT, "lease call failed");
    assert!(line["error"].as_str().unwrap().contains("cannot get resource \"leases\""), "{line}");

    let period = Duration::from_secs(6);
    tokio::time::sleep(period).await;
    let (code, body) = replica.get("/readyz");
    assert_eq!((code, body.as_str()), (503, "not ready: pods"));
    assert_eq!(replica.get("/healthz").0, 200);
    let (code, scores) = replica.get("/api/v1/scores");
    assert_eq!(code, 503);
    assert!(scores.contains("cannot list resource") && scores.contains("\"score\":null"), "{scores}");
    assert!(replica.metric("cluster_health_score").is_none());
    assert!(replica.metric("watch_failures_total{category=\"forbidden\"}").unwrap() >= 2.0);
    let requests = plane.count_since(mark, &user(&home, "powerless"));
    assert!((4..30).contains(&requests), "{requests} in {period:?}");
    assert_eq!(replica.lines("watch interrupted; retrying").len(), 1, "once a minute");

    let rules: Vec<_> = Mode::Watch.permissions().iter().map(rule).collect();
    let role: Role = object(json!({ "metadata": { "name": "late" }, "rules": rules }));
    Api::namespaced(client.clone(), &home).create(&PostParams::default(), &role).await.unwrap();
    let binding: RoleBinding = object(json!({
        "metadata": { "name": "late" },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "late" },
        "subjects": [{ "kind": "ServiceAccount", "name": "powerless", "namespace": home }],
    }));
    Api::namespaced(client, &home).create(&PostParams::default(), &binding).await.unwrap();
    within(LIMIT, "ready once the permission is granted", async || replica.is_ready().then_some(())).await;
    replica.until(LIMIT, "watch resumed");
    agree(plane, &replica, LIMIT, &["-n", &home]).await;
    within(Duration::from_secs(20), "leading once the permission is granted", async || {
        replica.leads().then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn check_asks_for_exactly_the_permissions_that_watch_uses() {
    let plane = ControlPlane::shared();
    let (client, home) = (plane.client().await, plane.namespace("used"));
    let other = plane.namespace("used");
    create(&client, &other, &pod("web")).await;
    degrade(&client, &other, "web", false).await;
    // Grants each permission in its documented scope.
    let permissions = Mode::Watch.permissions();
    let rules = |own: bool| -> Vec<PolicyRule> {
        let concerned = permissions
            .iter()
            .filter(|permission| (permission.scope == PermissionScope::OwnNamespace) == own);
        concerned.map(rule).collect()
    };
    let kubeconfig = plane.restricted(&home, "exact", &rules(true), Reach::Namespace).await;
    let check = ["check", "--for", "watch", "--own-namespace", &home];
    let before = on(&kubeconfig, &check);
    assert_eq!(before.code, 1, "{before:?}");
    let role: ClusterRole = object(json!({ "metadata": { "name": home }, "rules": rules(false) }));
    Api::all(client.clone()).create(&PostParams::default(), &role).await.unwrap();
    let binding: ClusterRoleBinding = object(json!({
        "metadata": { "name": home },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": home },
        "subjects": [{ "kind": "ServiceAccount", "name": "exact", "namespace": home }],
    }));
    Api::all(client.clone()).create(&PostParams::default(), &binding).await.unwrap();
    within(LIMIT, "check says that watch would work", async || {
        let outcome = on(&kubeconfig, &check);
        let works = outcome.code == 0 && outcome.stdout.ends_with("watch would work here\n");
        works.then_some(())
    })
    .await;

    let mark = plane.mark();
    let flags = ["--lease-namespace", &home];
    let replicas = ["a", "b"].map(|pod| Process::start("watch", &kubeconfig, pod, &flags).synced());
    super::helpers::leader(&replicas, LIMIT).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    for (times, degraded) in [(1, true), (2, false), (3, true)] {
        degrade(&client, &other, "web", degraded).await;
        let changed = || {
            replicas[0].lines("score class changed").iter().filter(|line| line["namespace"] == *other).count()
        };
        within(LIMIT, "a change of class", async || (changed() == times).then_some(())).await;
    }
    let nowhere = ["-n", "nowhere", "--no-leader-election"];
    let nowhere = Process::start("watch", &kubeconfig, "c", &nowhere).synced();
    within(LIMIT, "what isn't there is said", async || {
        let errors = nowhere.scores()["errors"].clone();
        errors[0].as_str()?.starts_with("namespace \"nowhere\" was not found").then_some(())
    })
    .await;
    assert_eq!(nowhere.scores()["summary"]["partial"], true);
    let used = within(LIMIT, "an event that is repeated", async || {
        let mut requests = plane.requests_since(mark);
        requests.retain(|request| request.by(&user(&home, "exact")));
        requests.iter().any(|request| request.verb == "patch").then_some(requests)
    })
    .await;
    assert!(used.iter().all(|request| request.code != 403), "{used:?}");
    let used: BTreeSet<_> =
        used.into_iter().map(|request| (request.group, request.resource, request.verb)).collect();
    let asked: BTreeSet<_> = permissions
        .iter()
        .flat_map(|one| {
            one.verbs.iter().map(|verb| (one.group.to_owned(), one.resource.to_owned(), (*verb).to_owned()))
        })
        .collect();
    assert_eq!(used, asked);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn forbidden_events_in_a_namespace_do_not_block_others() {
    let plane = ControlPlane::shared();
    let client = plane.client().await;
    let [first, second] = [plane.namespace("mute"), plane.namespace("mute")];
    for namespace in [&first, &second] {
        create(&client, namespace, &pod("web")).await;
        degrade(&client, namespace, "web", false).await;
    }
    let everywhere: Vec<_> = Mode::Watch.permissions().iter().filter(|one| one.required).map(rule).collect();
    let kubeconfig = plane.restricted(&second, "mute", &everywhere, Reach::Cluster).await;
    let events: Vec<_> = Mode::Watch.permissions().iter().filter(|one| !one.required).map(rule).collect();
    let role: Role = object(json!({ "metadata": { "name": "events" }, "rules": events }));
    Api::namespaced(client.clone(), &second).create(&PostParams::default(), &role).await.unwrap();
    let binding: RoleBinding = object(json!({
        "metadata": { "name": "events" },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "events" },
        "subjects": [{ "kind": "ServiceAccount", "name": "mute", "namespace": second }],
    }));
    Api::namespaced(client.clone(), &second).create(&PostParams::default(), &binding).await.unwrap();
    let flags = ["-n", &first, "-n", &second, "--no-leader-election"];
    let replica = Process::start("watch", &kubeconfig, "mute", &flags).synced();
    tokio::time::sleep(Duration::from_secs(2)).await;

    degrade(&client, &first, "web", true).await;
    degrade(&client, &second, "web", true).await;
    within(LIMIT, "the other namespace's event", async || {
        (events_of(&client, &second, "mute_").await.len() == 1).then_some(())
    })
    .await;
    let line = replica.until(LIMIT, "event not recorded");
    assert_eq!(line["namespace"], *first);
    let error = line["error"].as_str().unwrap();
    assert!(error.contains("cannot create resource \"events\" in API group \"events.k8s.io\""), "{error}");
}
