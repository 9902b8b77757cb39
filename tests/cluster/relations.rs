//! Relations between objects. A cluster and its objects in files get the same verdict.

use std::fs;

use http::Request;
use kube::Client;
use serde_json::{Value, json};

use crate::analyze::{on, rule, run, sourceless};
use crate::control_plane::{ControlPlane, Reach};

/// The rules to compare. Live objects always have replicas, so `replicas-under-autoscaler` is about files only. Bindings of
/// all namespaces decide about `automounted-token`, so it can't tell about one namespace alone.
pub(crate) const RULES: &str = "networking,rbac,plaintext-secret,dangling-reference,single-replica,\
                     dangling-autoscaler,missing-disruption-budget,blocking-disruption-budget,\
                     dangling-disruption-budget,overlapping-disruption-budgets,recreate-strategy";

/// The lists of a namespace that the rules read.
const LISTS: [&str; 14] = [
    "api/v1/NS/services",
    "api/v1/NS/serviceaccounts",
    "api/v1/NS/configmaps",
    "api/v1/NS/secrets",
    "api/v1/NS/pods",
    "apis/apps/v1/NS/deployments",
    "apis/apps/v1/NS/statefulsets",
    "apis/networking.k8s.io/v1/NS/ingresses",
    "apis/networking.k8s.io/v1/NS/networkpolicies",
    "apis/discovery.k8s.io/v1/NS/endpointslices",
    "apis/policy/v1/NS/poddisruptionbudgets",
    "apis/autoscaling/v2/NS/horizontalpodautoscalers",
    "apis/rbac.authorization.k8s.io/v1/NS/roles",
    "apis/rbac.authorization.k8s.io/v1/NS/rolebindings",
];

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_cluster_and_its_objects_in_files_fit_together_alike() {
    let plane = ControlPlane::shared();
    let (client, namespace) = (plane.client().await, plane.namespace("relations"));
    for (path, object) in objects() {
        create(&client, &path.replace("NS", &format!("namespaces/{namespace}")), &object).await;
    }
    let directory = tempfile::tempdir().unwrap();
    for (index, path) in LISTS.iter().enumerate() {
        let path = format!("/{}", path.replace("NS", &format!("namespaces/{namespace}")));
        let list: Value = client.request(Request::get(path).body(Vec::new()).unwrap()).await.unwrap();
        fs::write(directory.path().join(format!("{index}.json")), list.to_string()).unwrap();
    }
    let select = ["-n", namespace.as_str(), "--rules", RULES, "-o", "json"];
    let live = on(plane.kubeconfig(), &[&["analyze"], &select[..]].concat());
    assert_eq!(live.code, 0, "{live:?}");
    let live = live.json();
    let path = directory.path().display().to_string();
    let read = run(&[&["analyze", "-f", &path, "--complete"], &select[..]].concat(), "");
    assert_eq!(read.code, 0, "{read:?}");
    let read = read.json();
    assert_eq!(sourceless(&read), sourceless(&live));
    assert_eq!(read["summary"]["counts"], live["summary"]["counts"]);
    assert_eq!((read["summary"].get("unknown"), live["summary"].get("unknown")), (None, None), "{live}");
    for found in [
        "dangling-service",
        "dangling-ingress",
        "missing-network-policy",
        "wildcard-rule",
        "dangling-role-binding",
        "dangling-autoscaler",
        "blocking-disruption-budget",
        "overlapping-disruption-budgets",
        "dangling-reference",
        "plaintext-secret",
        "single-replica",
    ] {
        assert!(live["summary"]["counts"][found].as_u64() > Some(0), "{found}: {live}");
    }

    // Without the permission to list Services, nothing is known about them.
    let kubeconfig =
        plane.restricted(&namespace, "pods-only", &[rule("list", "pods")], Reach::Namespace).await;
    let rules = ["--rules", "exposed-service,dangling-service,stalled-rollout,unmanaged-pod", "-o", "json"];
    let refused = on(&kubeconfig, &[&["analyze", "-n", &namespace], &rules[..]].concat());
    assert_eq!(refused.code, 0, "{refused:?}");
    let report = refused.json();
    assert_eq!(report["violations"], json!([]), "{report}");
    for unknown in ["exposed-service", "dangling-service", "stalled-rollout"] {
        assert!(report["summary"]["unknown"][unknown].as_u64() > Some(0), "{report}");
    }
    assert_eq!(report["summary"]["unknown"].get("unmanaged-pod"), None, "it looks at pods alone: {report}");
    assert!(refused.stderr.contains("no permission to list services"), "{}", refused.stderr);
    let check = on(&kubeconfig, &["check", "-n", &namespace, "--rules", "dangling-service"]);
    assert!(check.stdout.contains("services") && check.stdout.contains("can't tell"), "{check:?}");
    let check = on(&kubeconfig, &["check", "--for=analyze", "-n", &namespace, "--rules", "stalled-rollout"]);
    assert!(check.stdout.contains("rollouts"), "{check:?}");
}

pub(crate) async fn create(client: &Client, path: &str, object: &Value) {
    let body = serde_json::to_vec(object).unwrap();
    let request = Request::post(format!("/{path}")).header("content-type", "application/json");
    client.request::<Value>(request.body(body).unwrap()).await.unwrap();
}

/// Returns objects that break and keep the rules, each with the path of its list.
pub(crate) fn objects() -> Vec<(&'static str, Value)> {
    let workload = |kind: &str, name: &str, replicas: u32| {
        let pod = json!({
            "containers": [{ "name": "c", "image": "c:1", "envFrom": [{ "secretRef": { "name": "missing" } }] }]
        });
        json!({
            "apiVersion": "apps/v1", "kind": kind, "metadata": { "name": name },
            "spec": {
                "replicas": replicas, "selector": { "matchLabels": { "app": name } },
                "template": { "metadata": { "labels": { "app": name } }, "spec": pod },
            },
        })
    };
    let budget = |name: &str, spec: &Value| json!({ "metadata": { "name": name }, "spec": spec });
    let all = json!({ "minAvailable": 2, "selector": {} });
    let web = json!({ "minAvailable": 1, "selector": { "matchLabels": { "app": "web" } } });
    let service = |name: &str, app: &str| json!({ "metadata": { "name": name }, "spec": { "selector": { "app": app }, "ports": [{ "port": 80 }] } });
    let target = json!({ "apiVersion": "apps/v1", "kind": "Deployment", "name": "missing" });
    let backend = json!({ "service": { "name": "web", "port": { "number": 8080 } } });
    let rbac = "rbac.authorization.k8s.io";
    vec![
        ("apis/apps/v1/NS/deployments", workload("Deployment", "web", 1)),
        ("apis/apps/v1/NS/statefulsets", workload("StatefulSet", "db", 1)),
        ("api/v1/NS/services", service("web", "web")),
        ("api/v1/NS/services", service("nothing", "wbe")),
        (
            "api/v1/NS/configmaps",
            json!({ "metadata": { "name": "plain" }, "data": { "DB_PASSWORD": "hunter2" } }),
        ),
        (
            "apis/networking.k8s.io/v1/NS/ingresses",
            json!({ "metadata": { "name": "web" }, "spec": { "defaultBackend": backend } }),
        ),
        (
            "apis/networking.k8s.io/v1/NS/networkpolicies",
            json!({ "metadata": { "name": "db" }, "spec": { "podSelector": { "matchLabels": { "app": "db" } } } }),
        ),
        ("apis/policy/v1/NS/poddisruptionbudgets", budget("all", &all)),
        ("apis/policy/v1/NS/poddisruptionbudgets", budget("web", &web)),
        (
            "apis/autoscaling/v2/NS/horizontalpodautoscalers",
            json!({ "metadata": { "name": "h" }, "spec": { "scaleTargetRef": target, "maxReplicas": 3 } }),
        ),
        (
            "apis/rbac.authorization.k8s.io/v1/NS/roles",
            json!({
                "metadata": { "name": "wide" },
                "rules": [{ "apiGroups": [""], "resources": ["*"], "verbs": ["get"] }],
            }),
        ),
        (
            "apis/rbac.authorization.k8s.io/v1/NS/rolebindings",
            json!({
                "metadata": { "name": "missing" },
                "roleRef": { "apiGroup": rbac, "kind": "Role", "name": "missing" },
                "subjects": [{ "apiGroup": rbac, "kind": "User", "name": "ann" }],
            }),
        ),
    ]
}
