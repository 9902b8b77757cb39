//! Policies on their way between bundles, files and a real API server.

use std::fs;
use std::path::Path;

use k8s_openapi::api::core::v1::Namespace;
use kube::api::{ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt as _};
use kube_devops::policy::DevOpsPolicy;
use serde_json::json;

use crate::analyze::{Outcome, on};
use crate::control_plane::ControlPlane;
use crate::eventually::eventually;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn policies_travel_between_bundles_files_and_the_cluster() {
    let plane = ControlPlane::start();
    let client = plane.client().await;
    let run = |args: &[&str]| on(plane.kubeconfig(), args);
    let said = |args: &[&str]| {
        let outcome = run(args);
        assert_eq!(outcome.code, 0, "{args:?}: {outcome:?}");
        outcome.stdout
    };
    assert_eq!(run(&["crd", "install"]).code, 0);
    let (shop, blog) = (plane.namespace("shop"), plane.namespace("blog"));
    let label = Patch::Merge(json!({ "metadata": { "labels": { "team": "web" } } }));
    for namespace in [&shop, &blog] {
        let namespaces = Api::<Namespace>::all(client.clone());
        namespaces.patch(namespace, &PatchParams::default(), &label).await.unwrap();
    }
    let line = |namespace: &str, name: &str, what: &str| format!("policy {namespace}/{name} {what}\n");
    let both = |name: &str, what: &str| {
        let mut namespaces = [&shop, &blog];
        namespaces.sort();
        namespaces.map(|namespace| line(namespace, name, what)).concat()
    };

    // A bundle is applied where the labels match, and again only where something changes.
    let apply = ["policy", "bundle-apply", "restricted", "-l", "team=web"];
    let dry = [&apply[..], &["--dry-run"]].concat();
    assert_eq!(said(&dry), both("restricted", "created (dry run)"));
    assert_eq!(said(&apply), both("restricted", "created"));
    assert_eq!(said(&apply), both("restricted", "unchanged"));
    assert_eq!(said(&dry), both("restricted", "unchanged (dry run)"));
    let audit = [&apply[..], &["--mode", "audit", "--dry-run"]].concat();
    assert_eq!(said(&audit), both("restricted", "changed (dry run)"));
    let everywhere =
        run(&["policy", "bundle-apply", "baseline", "-n", &shop, "-n", "kube-system", "--name", "first"]);
    assert_eq!(everywhere.stdout, line(&shop, "first", "created"));
    assert!(everywhere.stderr.contains("skipped the system namespaces kube-system"), "{everywhere:?}");

    // A setting of somebody else stays.
    let policies = Api::<DevOpsPolicy>::namespaced(client.clone(), &shop);
    let edit = Patch::Merge(json!({ "spec": { "maxRestartCount": 9 } }));
    policies.patch("restricted", &PatchParams::default(), &edit).await.unwrap();
    let conflict = run(&apply);
    assert!(conflict.code == 2 && conflict.stderr.contains(".spec.maxRestartCount"), "{conflict:?}");
    assert_eq!(conflict.stdout, line(&blog, "restricted", "unchanged"));
    assert_eq!(policies.get("restricted").await.unwrap().spec.max_restart_count, Some(9));

    // Exported policies come back unchanged.
    let tree = tempfile::tempdir().unwrap();
    let directory = tree.path().join("set");
    let (path, wanted) = (directory.to_str().unwrap(), said(&["policy", "export", "-A"]));
    said(&["policy", "export", "-A", "-d", path]);
    for namespace in [&shop, &blog] {
        delete_all(&client, namespace).await;
    }
    let import =
        |args: &[&str]| run(&[&["policy", "import", "-R", "-f", path, "--set", "web"], args].concat());
    let dry: Outcome = import(&["--dry-run"]);
    assert!(dry.code == 0 && dry.stdout.matches(" created (dry run)\n").count() == 3, "{dry:?}");
    assert_eq!(run(&["policy", "export", "-A"]).stdout, "");
    let imported = import(&[]);
    assert!(imported.code == 0 && imported.stdout.matches(" created\n").count() == 3, "{imported:?}");
    let back = said(&["policy", "export", "-A"]).replace("    devops.stochastic.io/policy-set: web\n", "");
    assert_eq!(back, wanted);
    assert_eq!(said(&["policy", "diff", "-R", path, "cluster"]), "");

    // A refused policy keeps the whole import back; a policy that is gone from the set is pruned.
    let bad = directory.join("bad.yaml");
    fs::write(&bad, manifest("nowhere", "bad", "{}")).unwrap();
    fs::remove_file(directory.join(&shop).join("first.yaml")).unwrap();
    let edited = directory.join(&blog).join("restricted.yaml");
    replace(&edited, "maxRestartCount: 3", "maxRestartCount: 4");
    let refused = import(&["--prune"]);
    assert!(refused.code == 2 && refused.stderr.contains("nowhere"), "{refused:?}");
    assert_eq!(
        (refused.stdout.as_str(), said(&["policy", "export", "-A"]).contains("maxRestartCount: 4")),
        ("", false)
    );
    fs::remove_file(&bad).unwrap();
    let differs = run(&["policy", "diff", "-R", path, "cluster", "-o", "json"]);
    assert!(differs.code == 1 && differs.stdout.contains("\"spec.maxRestartCount\""), "{differs:?}");
    fs::write(&bad, manifest(&shop, "alone", "{forbidLatestTag: true}")).unwrap();
    assert_eq!(run(&["policy", "import", "-f", bad.to_str().unwrap()]).code, 0);
    fs::remove_file(&bad).unwrap();
    // An import without a set leaves a policy in its set.
    let without_set = run(&["policy", "import", "-R", "-f", path]);
    assert!(without_set.code == 0 && without_set.stdout.contains(&line(&blog, "restricted", "changed")));
    let labels = Api::<DevOpsPolicy>::namespaced(client.clone(), &blog).get("restricted").await.unwrap();
    assert_eq!(labels.metadata.labels.unwrap()["devops.stochastic.io/policy-set"], "web");
    // A label in a file does not move it, either.
    let moved = tree.path().join("moved.yaml");
    fs::write(&moved, said(&["policy", "export", "restricted", "-n", &blog])).unwrap();
    replace(&moved, "policy-set: web", "policy-set: other");
    let refused = run(&["policy", "import", "-f", moved.to_str().unwrap()]);
    assert!(refused.code == 2 && refused.stderr.contains("it belongs to the set \"web\""), "{refused:?}");
    let pruned = import(&["--prune"]);
    assert!(pruned.code == 0 && pruned.stdout.ends_with(&line(&shop, "first", "pruned")), "{pruned:?}");
    assert!(pruned.stdout.contains(&line(&blog, "restricted", "unchanged")), "{pruned:?}");
    let names = eventually("the set without its policy", async || {
        let found = policies.list(&ListParams::default()).await.unwrap().items;
        let names: Vec<_> = found.into_iter().filter_map(|policy| policy.metadata.name).collect();
        (names.len() == 2).then_some(names)
    })
    .await;
    assert_eq!(names, ["alone", "restricted"]);
    a_cluster_policy_travels(&plane, tree.path());
    no_text_is_lost(&plane, &client, tree.path()).await;
}

/// Texts that YAML 1.1 takes for other types, or for syntax, come back from a file in YAML and in JSON.
async fn no_text_is_lost(plane: &ControlPlane, client: &Client, tree: &Path) {
    let run = |args: &[&str]| {
        let outcome = on(plane.kubeconfig(), args);
        assert_eq!(outcome.code, 0, "{args:?}: {outcome:?}");
        outcome.stdout
    };
    let namespace = plane.namespace("texts");
    let policies = Api::<DynamicObject>::namespaced_with(
        client.clone(),
        &namespace,
        &ApiResource::erase::<DevOpsPolicy>(&()),
    );
    let rule = json!({
        "id": "own", "match": { "kinds": ["Pod"] }, "expression": "true", "message": "off",
        "params": { "a": "yes", "on": "n", "c": ["no", "off", "1_000", "1:30", "=", "<<", "~", "2026-01-31", " a "] },
    });
    for (name, more) in [("on", json!({})), ("y", json!({ "forbidLatestTag": true }))] {
        let mut spec = json!({ "customRules": [rule] });
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let policy = json!({
            "apiVersion": "devops.stochastic.io/v1", "kind": "DevOpsPolicy", "spec": spec,
            "metadata": {
                "name": name,
                "labels": { "a": "yes", "b": "on", "c": "n", "d": "off", "e": "Y", "h": "1_000", "u": "No", "z": "" },
                "annotations": { "x": "0x_1", "line": "a\u{2028}b", "text": "one\n two\n\n", "s": " s " },
            },
        });
        policies.create(&PostParams::default(), &serde_json::from_value(policy).unwrap()).await.unwrap();
    }
    let stored = async || {
        let found = policies.list(&ListParams::default()).await.unwrap().items;
        let content = |policy: &DynamicObject| {
            json!([policy.name_any(), policy.labels(), policy.annotations(), policy.data["spec"]])
        };
        found.iter().map(content).collect::<Vec<_>>()
    };
    let before = stored().await;
    for format in ["yaml", "json"] {
        let file = tree.join(format!("texts.{format}"));
        fs::write(&file, run(&["policy", "export", "-n", &namespace, "-o", format])).unwrap();
        delete_all(client, &namespace).await;
        let created = format!("policy {namespace}/on created\npolicy {namespace}/y created\n");
        assert_eq!(run(&["policy", "import", "-f", file.to_str().unwrap()]), created);
        assert_eq!(stored().await, before, "{format}");
    }
}

/// A cluster policy is a file without a directory of a namespace.
fn a_cluster_policy_travels(plane: &ControlPlane, tree: &Path) {
    let run = |args: &[&str]| on(plane.kubeconfig(), args);
    let directory = tree.join("set");
    let import = |args: &[&str]| {
        run(&[&["policy", "import", "-R", "-f", directory.to_str().unwrap(), "--set", "web"], args].concat())
    };
    let wide = directory.join("wide.yaml");
    let written = "apiVersion: devops.stochastic.io/v1\nkind: ClusterDevOpsPolicy\nmetadata:\n  labels:\n    \
                   devops.stochastic.io/policy-set: web\n  name: wide\nspec:\n  enforcementMode: audit\n  \
                   maxRestartCount: 3\n  namespaceSelector:\n    matchLabels:\n      team: web\n";
    fs::write(&wide, written).unwrap();
    let imported = import(&["--prune"]);
    assert!(imported.stdout.starts_with("policy cluster/wide created\n"), "{imported:?}");
    assert_eq!(run(&["policy", "export", "-A", "wide"]).stdout, written);
    let out = tree.join("out");
    run(&["policy", "export", "-A", "wide", "-d", out.to_str().unwrap()]);
    assert_eq!(fs::read_to_string(out.join("wide.yaml")).unwrap(), written);
    replace(&wide, "team: web", "team: shop");
    let differs = run(&["policy", "diff", wide.to_str().unwrap(), "cluster"]);
    assert!(differs.code == 1 && differs.stdout.contains("+      team: web"), "{differs:?}");
    let impact = run(&["policy", "diff", "bundle:permissive", wide.to_str().unwrap(), "--impact"]);
    assert_eq!(impact.code, 0, "{impact:?}");
    fs::remove_file(&wide).unwrap();
    assert_eq!(import(&["--prune"]).stdout.lines().last(), Some("policy cluster/wide pruned"));
}

async fn delete_all(client: &kube::Client, namespace: &str) {
    let policies = Api::<DevOpsPolicy>::namespaced(client.clone(), namespace);
    policies.delete_collection(&DeleteParams::default(), &ListParams::default()).await.unwrap();
}

fn manifest(namespace: &str, name: &str, spec: &str) -> String {
    format!(
        "apiVersion: devops.stochastic.io/v1\nkind: DevOpsPolicy\nmetadata: {{name: {name}, namespace: {namespace}}}\n\
         spec: {spec}\n"
    )
}

fn replace(file: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(file).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(file, text.replace(from, to)).unwrap();
}
