//! Many clusters at once: three control planes, one of which is killed in the middle and two of which have several
//! contexts, wrong credentials, a dead address and a silent one.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use kube_devops::policy::{ClusterDevOpsPolicy, DevOpsPolicy};
use serde_json::{Value, json};

use crate::analyze::on;
use crate::apply::apply;
use crate::control_plane::ControlPlane;
use crate::cut::killed_after;
use crate::eventually::eventually;

/// The bytes of a large annotation. Three of them are more than an API server sends before its pods.
const LARGE: usize = 200_000;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_cluster_that_cannot_be_read_is_a_row_and_holds_up_no_other_one() {
    let planes: [_; 3] = thread::scope(|scope| {
        [(); 3].map(|()| scope.spawn(ControlPlane::start)).map(|starting| starting.join().unwrap())
    });
    let [a, b, killed] = planes;
    let planes = [a, b];
    for name in ["large-0", "large-1", "large-2"] {
        create(&killed.client().await, name, "nginx", &"a".repeat(LARGE)).await;
    }
    let killed = Arc::new(killed);
    for (plane, image) in planes.iter().zip(["nginx", "nginx:1"]) {
        assert_eq!(on(plane.kubeconfig(), &["crd", "install"]).code, 0);
        let client = plane.client().await;
        create(&client, "p", image, "").await;
        let restarts = if image == "nginx" { 3 } else { 5 };
        apply(&client, &policy(restarts)).await.unwrap();
    }
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let directory = tempfile::tempdir().unwrap();
    let merged = directory.path().join("config");
    let silent = format!("https://{}", silent.local_addr().unwrap());
    let mut config = kubeconfig(&planes, &silent);
    add_killed(&mut config, &killed);
    fs::write(&merged, config.to_string()).unwrap();

    let outcome = fleet(&merged, &["analyze", "--all", "--timeout", "15s", "-o", "json"]);
    assert_eq!(outcome.code, 2, "{outcome:?}");
    let report: Value = serde_json::from_str(&outcome.stdout).unwrap();
    let row = |context: &str| {
        let rows = report["clusters"].as_array().unwrap();
        let row = rows.iter().find(|row| row["context"] == context).unwrap();
        (row["result"].as_str().unwrap().to_owned(), row["reason"].as_str().unwrap_or_default().to_owned())
    };
    for (context, result, reason) in [
        ("a", "analyzed", ""),
        ("a-again", "sameCluster", "counted as a"),
        ("b", "analyzed", ""),
        ("b-weak", "sameCluster", "counted as b"),
        ("dead", "failed", "cannot reach https://127.0.0.1:1"),
        ("killed", "failed", ""),
        ("silent", "failed", "no result within 15s"),
        ("wrong", "failed", "didn't accept the credentials"),
    ] {
        let (found, why) = row(context);
        assert!(found == result && why.contains(reason), "{context}: {found}: {why}");
    }
    let summary = &report["summary"];
    assert_eq!(
        (&summary["clusters"], &summary["failed"], &summary["pods"]),
        (&json!(2), &json!(4), &json!(2))
    );
    // The penalties of both pods are 5 + 3 + 2 + 4 and 3 + 2 + 4, and 11.5 is their mean.
    assert_eq!((&summary["score"], &summary["partial"]), (&json!(88), &json!(true)));
    let drift = &report["drift"][0];
    assert_eq!((&drift["name"], &drift["same"], &drift["missing"]), (&json!("p"), &json!(["a"]), &json!([])));
    let field = json!({ "path": "spec.maxRestartCount", "from": 3, "to": 5 });
    assert_eq!(drift["different"], json!([{ "cluster": "b", "fields": [field] }]));

    let chosen = fleet(&merged, &["analyze", "--contexts", "b,a"]);
    assert_eq!(chosen.code, 0, "{chosen:?}");
    assert!(chosen.stdout.contains("Health score       : 88 (Healthy)"), "{chosen:?}");
    // The account that may read nothing does not matter, as another one may.
    let weak_first = fleet(&merged, &["analyze", "--contexts", "b-weak,b"]);
    assert!(weak_first.code == 0 && weak_first.stdout.contains("Pods analyzed      : 1"), "{weak_first:?}");
    let listed = fleet(&merged, &["list-contexts", "--timeout", "15s"]);
    assert_eq!(listed.code, 2, "{listed:?}");
    assert!(listed.stdout.contains("reachable, the cluster of a"), "{listed:?}");
    assert!(listed.stdout.contains("v1.36.3"), "{listed:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn the_status_of_policies_is_that_of_their_operator() {
    let plane = ControlPlane::start();
    let absent = fleet(plane.kubeconfig(), &["status", "--all"]);
    assert!(absent.code == 0 && absent.stdout.contains("no policies"), "{absent:?}");
    assert_eq!(on(plane.kubeconfig(), &["crd", "install"]).code, 0);
    let client = plane.client().await;
    apply(&client, &policy(3)).await.unwrap();
    let status = || {
        let outcome = fleet(plane.kubeconfig(), &["status", "--all", "-o", "json"]);
        assert_eq!(outcome.code, 0, "{outcome:?}");
        serde_json::from_str::<Value>(&outcome.stdout).unwrap()
    };
    let figures = &status()["clusters"][0]["figures"];
    assert_eq!(
        (&figures["policies"], &figures["unevaluated"], &figures["score"]),
        (&json!(1), &json!(1), &json!(null))
    );

    let written = json!({ "status": { "healthScore": 71, "violations": 4, "pods": 9 } });
    let policies = Api::<DevOpsPolicy>::namespaced(client.clone(), "default");
    policies.patch_status("p", &PatchParams::default(), &Patch::Merge(&written)).await.unwrap();
    let row = json!({
        "cluster": status()["clusters"][0]["context"], "namespace": "default", "name": "p", "mode": "audit",
        "score": 71, "violations": 4, "pods": 9,
    });
    assert_eq!(status()["policies"], json!([row]));
    assert_eq!(status()["summary"]["score"], 71);

    let mut whole = policy(3);
    whole["kind"] = json!("ClusterDevOpsPolicy");
    whole["metadata"] = json!({ "name": "base" });
    whole["spec"]["namespaceSelector"] = json!({});
    apply(&client, &whole).await.unwrap();
    let written = json!({ "status": { "healthScore": 91, "violations": 6, "pods": 11, "namespaces": 2 } });
    let cluster_policies = Api::<ClusterDevOpsPolicy>::all(client);
    cluster_policies.patch_status("base", &PatchParams::default(), &Patch::Merge(&written)).await.unwrap();
    let both = status();
    let row = json!({
        "cluster": both["clusters"][0]["context"], "namespace": "", "name": "cluster/base", "mode": "audit",
        "score": 91, "violations": 6, "pods": 11, "namespaces": 2,
    });
    assert_eq!(both["policies"][1], row);
    let summary = json!({
        "clusters": 1, "failed": 0, "policies": 2, "clusterPolicies": 1, "unevaluated": 0, "pods": 20,
        "score": 82, "lowest": 71, "violations": 10, "partial": false,
    });
    assert_eq!(both["summary"], summary);
}

/// Creates a pod with an annotation.
async fn create(client: &Client, name: &str, image: &str, annotation: &str) {
    let pod: Pod = serde_json::from_value(json!({
        "metadata": { "name": name, "annotations": { "note": annotation } },
        "spec": { "containers": [{ "name": "main", "image": image }] },
    }))
    .unwrap();
    let pods = Api::<Pod>::namespaced(client.clone(), "default");
    // The account of a new namespace may take a moment.
    eventually("a pod", async || pods.create(&PostParams::default(), &pod).await.ok()).await;
}

/// Adds a context of a cluster whose API server is killed while it sends its pods.
fn add_killed(config: &mut Value, plane: &Arc<ControlPlane>) {
    let text = fs::read_to_string(plane.kubeconfig()).unwrap();
    let own: Value = serde_json::from_str(&text).unwrap();
    let (mut cluster, user) = (own["clusters"][0]["cluster"].clone(), own["users"][0]["user"].clone());
    let address = killed_after(plane, cluster["server"].as_str().unwrap(), LARGE);
    cluster["server"] = json!(format!("https://{address}"));
    cluster["disable-compression"] = json!(true);
    let context = json!({ "cluster": "killed", "user": "killed" });
    for (list, kind, value) in
        [("clusters", "cluster", cluster), ("users", "user", user), ("contexts", "context", context)]
    {
        config[list].as_array_mut().unwrap().push(json!({ "name": "killed", kind: value }));
    }
}

fn fleet(kubeconfig: &Path, arguments: &[&str]) -> crate::analyze::Outcome {
    on(kubeconfig, &[&["multi-cluster"], arguments].concat())
}

fn policy(restarts: u32) -> Value {
    json!({
        "apiVersion": "devops.stochastic.io/v1",
        "kind": "DevOpsPolicy",
        "metadata": { "name": "p", "namespace": "default" },
        "spec": { "maxRestartCount": restarts },
    })
}

/// Returns one kubeconfig with a context for every case.
fn kubeconfig(planes: &[ControlPlane; 2], silent: &str) -> Value {
    let [a, b] = planes.each_ref().map(|plane| {
        let text = fs::read_to_string(plane.kubeconfig()).unwrap();
        serde_json::from_str::<Value>(&text).unwrap()
    });
    let cluster = |name: &str, cluster: &Value| json!({ "name": name, "cluster": cluster });
    let at = |server: &str| {
        let mut cluster = a["clusters"][0]["cluster"].clone();
        cluster["server"] = json!(server);
        cluster
    };
    // An account that may read nothing.
    let mut weak = b["users"][0]["user"].clone();
    weak["as"] = json!("weak");
    let context = |name: &str, cluster: &str, user: &str| json!({ "name": name, "context": { "cluster": cluster, "user": user } });
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "a",
        "clusters": [
            cluster("a", &a["clusters"][0]["cluster"]),
            cluster("b", &b["clusters"][0]["cluster"]),
            cluster("dead", &at("https://127.0.0.1:1")),
            cluster("silent", &at(silent)),
        ],
        "users": [
            { "name": "a", "user": a["users"][0]["user"] },
            { "name": "b", "user": b["users"][0]["user"] },
            { "name": "weak", "user": weak },
            { "name": "wrong", "user": { "token": "wrong" } },
        ],
        "contexts": [
            context("a", "a", "a"),
            context("a-again", "a", "a"),
            context("b", "b", "b"),
            context("b-weak", "b", "weak"),
            context("dead", "dead", "a"),
            context("silent", "silent", "a"),
            context("wrong", "a", "wrong"),
        ],
    })
}
