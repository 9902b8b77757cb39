//! The fence holds the operator's account, even one that RBAC allows everything.

use crate::apply::{api_of, apply};
use crate::control_plane::{ControlPlane, client_of};
use crate::eventually::eventually;
use kube::Client;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube_devops::manifests::{RECONCILE_LEASE, SELF_FENCE, self_fence};
use serde_json::{Value, json};

const C: &str = "/spec/template/spec/containers/0";
const POD: &str = "/spec/template/spec";

/// Returns JSON patches of a workload that has one container with a liveness probe and requests, and an annotation of
/// ours and one of another's. The flag is true for those that pass.
fn patches() -> Vec<(&'static str, bool, Value)> {
    let set = |path: String, value: Value| json!([{ "op": "add", "path": path, "value": value }]);
    let tcp = json!({ "tcpSocket": { "port": 8080 }, "periodSeconds": 7, "failureThreshold": 4 });
    let probe = |probe: Value| set(format!("{C}/readinessProbe"), probe);
    let note = |key: &str, value: &str| {
        set(format!("/metadata/annotations/{}", key.replace('/', "~1")), value.into())
    };
    let gone = |path: &str| json!([{ "op": "remove", "path": path }]);
    vec![
        ("a readiness probe", true, probe(tcp.clone())),
        ("a startup probe", true, set(format!("{C}/startupProbe"), tcp.clone())),
        ("another liveness probe", true, set(format!("{C}/livenessProbe"), tcp)),
        ("a memory limit", true, set(format!("{C}/resources/limits"), json!({ "memory": "64Mi" }))),
        ("a CPU request", true, set(format!("{C}/resources/requests/cpu"), "20m".into())),
        ("an annotation of ours", true, note("devops.stochastic.io/patched-by", "base")),
        ("the removal of a probe", true, gone(&format!("{C}/livenessProbe"))),
        ("the removal of the resources", true, gone(&format!("{C}/resources"))),
        (
            "the removal of our annotation",
            true,
            gone("/metadata/annotations/devops.stochastic.io~1patched-fields"),
        ),
        ("an exec probe", false, probe(json!({ "exec": { "command": ["sh"] } }))),
        ("an HTTP probe", false, probe(json!({ "httpGet": { "port": 80, "path": "/" } }))),
        ("a gRPC probe", false, probe(json!({ "grpc": { "port": 80 } }))),
        ("a probe of another host", false, probe(json!({ "tcpSocket": { "port": 80, "host": "10.0.0.1" } }))),
        (
            "a grace period of a probe",
            false,
            set(format!("{C}/livenessProbe/terminationGracePeriodSeconds"), 1.into()),
        ),
        ("another image", false, set(format!("{C}/image"), "evil:1".into())),
        ("a command", false, set(format!("{C}/command"), json!(["sh"]))),
        ("a variable", false, set(format!("{C}/env"), json!([{ "name": "A", "value": "b" }]))),
        (
            "a lifecycle hook",
            false,
            set(format!("{C}/lifecycle"), json!({ "preStop": { "exec": { "command": ["sh"] } } })),
        ),
        ("a privileged container", false, set(format!("{C}/securityContext"), json!({ "privileged": true }))),
        ("a port", false, set(format!("{C}/ports"), json!([{ "containerPort": 1 }]))),
        (
            "another container",
            false,
            set(format!("{POD}/containers/-"), json!({ "name": "more", "image": "x:1" })),
        ),
        (
            "an init container",
            false,
            set(format!("{POD}/initContainers"), json!([{ "name": "more", "image": "x:1" }])),
        ),
        ("another account", false, set(format!("{POD}/serviceAccountName"), "admin".into())),
        (
            "a volume",
            false,
            set(format!("{POD}/volumes"), json!([{ "name": "v", "hostPath": { "path": "/" } }])),
        ),
        ("the network of the host", false, set(format!("{POD}/hostNetwork"), true.into())),
        ("a node", false, set(format!("{POD}/nodeName"), "node".into())),
        (
            "ephemeral storage",
            false,
            set(format!("{C}/resources/limits"), json!({ "ephemeral-storage": "1Gi" })),
        ),
        ("a label of the template", false, set("/spec/template/metadata/labels/a".into(), "b".into())),
        (
            "an annotation of the template",
            false,
            set("/spec/template/metadata/annotations".into(), json!({ "devops.stochastic.io/a": "b" })),
        ),
        ("a label", false, set("/metadata/labels".into(), json!({ "a": "b" }))),
        ("a finalizer", false, set("/metadata/finalizers".into(), json!(["a.b/c"]))),
        ("another's annotation", false, note("example.com/a", "b")),
        ("the removal of another's annotation", false, gone("/metadata/annotations/example.com~1keep")),
        ("the opt-out", false, note("devops.stochastic.io/ignore", "false")),
        ("an exemption", false, note("devops.stochastic.io/exempt-rules", "latest-tag")),
        ("the history", false, set("/spec/revisionHistoryLimit".into(), 1.into())),
    ]
}

fn workload(kind: &str, namespace: &str, ignore: bool) -> Value {
    let labels = json!({ "app": "web" });
    let mut object = json!({
        "apiVersion": "apps/v1", "kind": kind,
        "metadata": {
            "name": if ignore { "ignored" } else { "web" }, "namespace": namespace,
            "annotations": { "example.com/keep": "1", "devops.stochastic.io/patched-fields": "main/livenessProbe" },
        },
        "spec": {
            "selector": { "matchLabels": labels },
            "template": { "metadata": { "labels": labels }, "spec": { "containers": [{
                "name": "main", "image": "x:1",
                "livenessProbe": { "tcpSocket": { "port": 80 }, "periodSeconds": 5 },
                "resources": { "requests": { "memory": "16Mi" } },
            }] } },
        },
    });
    if kind != "DaemonSet" {
        object["spec"]["replicas"] = 0.into();
    }
    if kind == "StatefulSet" {
        object["spec"]["serviceName"] = "web".into();
    }
    if ignore {
        object["metadata"]["annotations"]["devops.stochastic.io/ignore"] = "true".into();
    }
    object
}

/// Returns the refusal of a dry run; `None` if it passes. Fails on any other error.
async fn refusal(client: &Client, object: &Value, patch: &Value) -> Option<String> {
    refused(dry_run(client, object, patch).await)
}

/// Sends a JSON patch as a dry run.
async fn dry_run(client: &Client, object: &Value, patch: &Value) -> kube::Result<Value> {
    let name = object["metadata"]["name"].as_str().unwrap();
    let url = format!("{}/{name}?dryRun=All", api_of(client, object).resource_url());
    let request = http::Request::patch(url).header("Content-Type", "application/json-patch+json");
    client.request(request.body(patch.to_string().into_bytes()).unwrap()).await
}

fn refused<T>(outcome: kube::Result<T>) -> Option<String> {
    match outcome {
        Ok(_) => None,
        Err(kube::Error::Api(status)) if status.code == 403 && status.message.contains(SELF_FENCE) => {
            Some(status.message)
        }
        Err(error) => panic!("not refused by the fence: {error}"),
    }
}

/// Installs the fence, and returns an administrator's client and the account's, which is an administrator too.
async fn fenced(plane: &ControlPlane) -> (Client, Client, String) {
    let (client, home) = (plane.client().await, plane.namespace("fence"));
    let account = json!({
        "apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": { "name": RECONCILE_LEASE, "namespace": home },
    });
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
        "metadata": { "name": "everything" },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin" },
        "subjects": [{ "kind": "ServiceAccount", "name": RECONCILE_LEASE, "namespace": home }],
    });
    for object in
        [account, binding].iter().chain(&self_fence(&home, "kube-devops-reconcile", &["infra".to_owned()]))
    {
        apply(&client, object).await.unwrap();
    }
    let ours = client_of(&plane.account_kubeconfig(&home, RECONCILE_LEASE).await).await;
    let probe = workload("Deployment", &home, false);
    apply(&client, &probe).await.unwrap();
    let patch = json!([{ "op": "add", "path": "/metadata/labels", "value": { "a": "b" } }]);
    eventually("the fence and the role are in effect", async || {
        let outcome = dry_run(&ours, &probe, &patch).await;
        matches!(outcome, Err(kube::Error::Api(status)) if status.message.contains(SELF_FENCE)).then_some(())
    })
    .await;
    (client, ours, home)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn the_account_changes_probes_amounts_and_own_annotations_and_nothing_else() {
    let plane = ControlPlane::start();
    let (client, ours, home) = fenced(&plane).await;
    let shop = plane.namespace("shop");
    for kind in ["Deployment", "StatefulSet", "DaemonSet"] {
        let object = workload(kind, &shop, false);
        apply(&client, &object).await.unwrap();
        for (what, passes, patch) in patches() {
            let refusal = refusal(&ours, &object, &patch).await;
            assert_eq!(refusal.is_none(), passes, "{kind}: {what}: {refusal:?}");
            // Nobody else notices the fence.
            assert_eq!(self::refusal(&client, &object, &patch).await, None, "{kind}: {what}");
        }
    }
    for namespace in [&*home, "kube-system", "infra", "monitoring"] {
        if !["kube-system", &home].contains(&namespace) {
            let object =
                json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": namespace } });
            apply(&client, &object).await.unwrap();
        }
        let object = workload("Deployment", namespace, false);
        apply(&client, &object).await.unwrap();
        for (what, _, patch) in patches().into_iter().filter(|(_, passes, _)| *passes) {
            let refusal = refusal(&ours, &object, &patch).await;
            assert!(refusal.is_some_and(|refusal| refusal.contains("protected")), "{namespace}: {what}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn an_ignored_workload_only_loses_fields() {
    let plane = ControlPlane::start();
    let (client, ours, _) = fenced(&plane).await;
    let shop = plane.namespace("shop");
    for kind in ["Deployment", "StatefulSet", "DaemonSet"] {
        let object = workload(kind, &shop, true);
        apply(&client, &object).await.unwrap();
        let partly = json!([{ "op": "remove", "path": format!("{C}/livenessProbe/periodSeconds") }]);
        let removals = patches().into_iter().filter(|(what, _, _)| what.starts_with("the removal of"));
        let opt_out =
            json!([{ "op": "remove", "path": "/metadata/annotations/devops.stochastic.io~1ignore" }]);
        let rows = removals
            .chain([("a field of a probe", true, partly), ("the removal of the opt-out", false, opt_out)])
            .chain(
                patches()
                    .into_iter()
                    .filter(|(what, passes, _)| {
                        *passes && !what.starts_with("the removal of") && !what.starts_with("an annotation")
                    })
                    .map(|(what, _, patch)| (what, false, patch)),
            );
        for (what, passes, patch) in rows {
            let refusal = refusal(&ours, &object, &patch).await;
            assert_eq!(refusal.is_none(), passes, "{kind}: {what}: {refusal:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn the_account_creates_and_deletes_nothing_but_stuck_pods() {
    let plane = ControlPlane::start();
    let (client, ours, _) = fenced(&plane).await;
    let shop = plane.namespace("shop");
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "bare", "namespace": shop },
        "spec": { "containers": [{ "name": "main", "image": "x:1" }] },
    });
    let mut db = workload("StatefulSet", &shop, false);
    db["spec"]["replicas"] = 1.into();
    apply(&client, &db).await.unwrap();
    let mut owned = pod.clone();
    owned["metadata"]["name"] = "web-0".into();
    eventually("the pod of the StatefulSet", async || {
        api_of(&client, &owned).get_opt("web-0").await.unwrap()
    })
    .await;
    let mut replica_set = workload("Deployment", &shop, false);
    replica_set["kind"] = "ReplicaSet".into();
    let job = json!({
        "apiVersion": "batch/v1", "kind": "Job", "metadata": { "name": "once", "namespace": shop },
        "spec": { "template": { "spec": {
            "restartPolicy": "Never", "containers": [{ "name": "main", "image": "x:1" }],
        } } },
    });
    let deployment = workload("Deployment", &shop, false);
    for object in [&pod, &replica_set, &job, &deployment] {
        let created =
            api_of(&ours, object).create(&dry, &serde_json::from_value(object.clone()).unwrap()).await;
        assert!(refused(created).is_some(), "{object}");
        apply(&client, object).await.unwrap();
    }
    let gone = DeleteParams { dry_run: true, ..DeleteParams::default() };
    for (object, passes) in
        [(&pod, false), (&owned, true), (&replica_set, false), (&job, false), (&deployment, false)]
    {
        let name = object["metadata"]["name"].as_str().unwrap();
        let refusal = refused(api_of(&ours, object).delete(name, &gone).await);
        assert_eq!(refusal.is_none(), passes, "{name}: {refusal:?}");
    }
    for object in [&replica_set, &job] {
        let label = json!([{ "op": "add", "path": "/metadata/labels", "value": { "a": "b" } }]);
        assert!(refusal(&ours, object, &label).await.is_some(), "{object}");
    }
    let params = PatchParams { dry_run: true, ..PatchParams::default() };
    let scale = Patch::Merge(json!({ "spec": { "replicas": 5 } }));
    let deployments = api_of(&ours, &deployment);
    assert!(refused(deployments.patch_scale("web", &params, &scale).await).is_some());
    let status = Patch::Merge(json!({ "status": { "replicas": 5 } }));
    assert!(refused(deployments.patch_status("web", &params, &status).await).is_some());
}
