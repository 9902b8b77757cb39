//! Writes of others succeed although enforcement's fields would make them invalid. Writes that are invalid by
//! themselves fail.

use super::fixture::workloads;
use crate::analyze::on;
use crate::control_plane::ControlPlane;
use crate::eventually::eventually;
use kube::api::{DynamicObject, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use kube_devops::enforcement::{FIELD_MANAGER, PATCHED_BY, PATCHED_FIELDS};
use kube_devops::policy::MOST_FIELDS;
use serde_json::{Value, json};
use std::sync::OnceLock;
use tokio::sync::Mutex;

/// Installs the admission policies.
fn install(plane: &ControlPlane) {
    let outcome = on(plane.kubeconfig(), &["policy", "compile", "--apply"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
}

/// The flags of an API server without admission policies. Plugins that wait for policies and webhooks are off too; with
/// them the API server would never start.
pub(super) const WITHOUT_POLICIES: [&str; 2] = [
    "--runtime-config=admissionregistration.k8s.io/v1=false",
    "--disable-admission-plugins=ServiceAccount,MutatingAdmissionPolicy,ValidatingAdmissionPolicy,\
     MutatingAdmissionWebhook,ValidatingAdmissionWebhook",
];

/// A namespace of a control plane with or without the admission policy.
struct ConflictFixture {
    client: Client,
    namespace: String,
}

impl ConflictFixture {
    /// Returns a fixture with the admission policy in effect. These tests share their own control plane, because the
    /// policy is cluster-scoped.
    async fn yielding() -> Self {
        static PLANE: OnceLock<ControlPlane> = OnceLock::new();
        static INSTALLED: Mutex<bool> = Mutex::const_new(false);
        let mut installed = INSTALLED.lock().await;
        let plane = PLANE.get_or_init(ControlPlane::start);
        let fixture = Self::on(plane).await;
        if !*installed {
            install(plane);
            fixture.until_in_effect().await;
            *installed = true;
        }
        fixture
    }

    async fn on(plane: &ControlPlane) -> Self {
        Self { client: plane.client().await, namespace: plane.namespace("yield") }
    }

    fn api(&self, kind: &str) -> Api<DynamicObject> {
        workloads(&self.client, &self.namespace, kind)
    }

    /// Applies containers as a field manager, without force.
    async fn apply(&self, who: &str, kind: &str, containers: Value) -> Result<Value, String> {
        let mut document = json!({
            "apiVersion": "apps/v1", "kind": kind, "metadata": { "name": "web" },
            "spec": {
                "selector": { "matchLabels": { "app": "web" } },
                "template": { "metadata": { "labels": { "app": "web" } }, "spec": { "containers": containers } },
            },
        });
        if kind == "StatefulSet" {
            document["spec"]["serviceName"] = json!("web");
        }
        self.patch(kind, &PatchParams::apply(who), &Patch::Apply(document)).await
    }

    /// Applies fields of containers as enforcement does, and lists them in its annotation.
    async fn enforce(&self, kind: &str, fields: &str, containers: Value) -> Result<Value, String> {
        let mut document = json!({
            "apiVersion": "apps/v1", "kind": kind, "metadata": { "name": "web" },
            "spec": { "template": { "spec": { "containers": containers } } },
        });
        document["metadata"]["annotations"] = json!({ PATCHED_BY: "standard", PATCHED_FIELDS: fields });
        self.patch(kind, &PatchParams::apply(FIELD_MANAGER), &Patch::Apply(document)).await
    }

    async fn patch(&self, kind: &str, params: &PatchParams, patch: &Patch<Value>) -> Result<Value, String> {
        said(self.api(kind).patch("web", params, patch).await)
    }

    /// Returns once a write that needs the policy succeeds. The API server observes policies with a delay.
    async fn until_in_effect(&self) {
        self.apply("owner", "Deployment", json!([bare("web")])).await.unwrap();
        self.enforce("Deployment", "web/livenessProbe", json!([with_probe("web")])).await.unwrap();
        let write = json!([{ "name": "web", "image": "x:1", "livenessProbe": http() }]);
        eventually("the policy is in effect", async || {
            self.apply("owner", "Deployment", write.clone()).await.ok()
        })
        .await;
        self.api("Deployment").delete("web", &kube::api::DeleteParams::default()).await.unwrap();
    }
}

fn said(outcome: kube::Result<DynamicObject>) -> Result<Value, String> {
    match outcome {
        Ok(object) => Ok(serde_json::to_value(object).unwrap()),
        Err(kube::Error::Api(status)) => Err(format!("{}: {}", status.code, status.message)),
        Err(other) => panic!("not answered: {other}"),
    }
}

fn bare(name: &str) -> Value {
    json!({ "name": name, "image": "x:1" })
}

fn http() -> Value {
    json!({ "httpGet": { "path": "/", "port": 80 } })
}

fn tcp() -> Value {
    json!({ "tcpSocket": { "port": 80 }, "periodSeconds": 7 })
}

fn with_probe(name: &str) -> Value {
    json!({ "name": name, "livenessProbe": tcp() })
}

fn containers(object: &Value) -> &Vec<Value> {
    object["spec"]["template"]["spec"]["containers"].as_array().unwrap()
}

fn patched_fields(object: &Value) -> Option<&str> {
    object["metadata"]["annotations"][PATCHED_FIELDS].as_str()
}

/// Returns the container fields that enforcement's field manager still owns.
fn claims(object: &Value) -> Value {
    let managers = object["metadata"]["managedFields"].as_array().unwrap();
    let ours = managers.iter().find(|entry| entry["manager"] == FIELD_MANAGER);
    ours.map_or(Value::Null, |entry| {
        entry["fieldsV1"]["f:spec"]["f:template"]["f:spec"]["f:containers"].clone()
    })
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn our_probe_yields_to_an_applied_handler_in_every_kind() {
    for (kind, probe, handler) in [
        ("Deployment", "livenessProbe", http()),
        ("StatefulSet", "readinessProbe", json!({ "exec": { "command": ["true"] } })),
        ("DaemonSet", "startupProbe", json!({ "grpc": { "port": 80 } })),
    ] {
        let fixture = ConflictFixture::yielding().await;
        fixture.apply("owner", kind, json!([bare("side"), bare("web")])).await.unwrap();
        let ours = json!([{ "name": "web", probe: tcp(), "resources": { "limits": { "memory": "1Gi" } } }]);
        let fields = format!("web/{probe},web/resources.limits.memory");
        fixture.enforce(kind, &fields, ours).await.unwrap();
        let theirs = json!([bare("side"), { "name": "web", "image": "x:1", probe: handler }]);
        let written = fixture.apply("owner", kind, theirs).await.unwrap();
        let web = containers(&written).iter().find(|container| container["name"] == "web").unwrap();
        assert_eq!(web[probe].get("tcpSocket"), None, "{kind}");
        assert_eq!(web[probe]["periodSeconds"], 10, "{kind}: what else we set on it is gone too");
        // All other fields are unchanged.
        assert_eq!(web["resources"]["limits"]["memory"], "1Gi", "{kind}");
        assert_eq!(patched_fields(&written), Some("web/resources.limits.memory"), "{kind}");
        assert_eq!(claims(&written)["k:{\"name\":\"web\"}"].get(format!("f:{probe}")), None, "{kind}");
        // Enforcement's former fields don't conflict with a later change.
        let back =
            json!([bare("side"), { "name": "web", "image": "x:1", probe: { "tcpSocket": { "port": 81 } } }]);
        fixture.apply("owner", kind, back).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn our_fields_yield_even_without_the_annotations() {
    let fixture = ConflictFixture::yielding().await;
    for annotations in
        [json!({ PATCHED_FIELDS: "web/startupProbe" }), json!({ PATCHED_FIELDS: null }), json!(null)]
    {
        fixture.apply("owner", "Deployment", json!([bare("web")])).await.unwrap();
        let ours = json!([{ "name": "web", "livenessProbe": tcp(),
            "resources": { "requests": { "cpu": "1" }, "limits": { "memory": "1Gi" } } }]);
        let fields = "web/livenessProbe,web/resources.requests.cpu,web/resources.limits.memory";
        fixture.enforce("Deployment", fields, ours).await.unwrap();
        let change = Patch::Merge(json!({ "metadata": { "annotations": annotations } }));
        fixture.patch("Deployment", &PatchParams::default(), &change).await.unwrap();
        let theirs = json!([{ "name": "web", "image": "x:1", "livenessProbe": http(),
            "resources": { "requests": { "memory": "2Gi" }, "limits": { "cpu": "1m" } } }]);
        let written = fixture.apply("owner", "Deployment", theirs).await.unwrap();
        let web = &containers(&written)[0];
        assert_eq!(web["livenessProbe"].get("tcpSocket"), None, "{annotations}");
        let left = json!({ "requests": { "memory": "2Gi" }, "limits": { "cpu": "1m" } });
        assert_eq!(web["resources"], left, "{annotations}");
        fixture.api("Deployment").delete("web", &kube::api::DeleteParams::default()).await.unwrap();
    }
}

/// Returns a container that declares ports, each with its protocol.
fn declaring(name: &str, ports: &[(u16, &str)]) -> Value {
    let ports = ports.iter().map(|(port, protocol)| json!({ "containerPort": port, "protocol": protocol }));
    json!({ "name": name, "image": "x:1", "ports": ports.collect::<Value>() })
}

/// Returns the probes that a container has.
fn probes(container: &Value) -> Vec<&str> {
    let all = ["livenessProbe", "readinessProbe", "startupProbe"];
    all.into_iter().filter(|probe| container.get(*probe).is_some()).collect()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn our_probes_yield_to_a_write_that_removes_their_port() {
    for kind in ["Deployment", "StatefulSet", "DaemonSet"] {
        let fixture = ConflictFixture::yielding().await;
        let before = json!([bare("side"), declaring("web", &[(80, "TCP"), (9090, "TCP")])]);
        fixture.apply("owner", kind, before).await.unwrap();
        let ours = json!([{ "name": "web", "livenessProbe": tcp(), "readinessProbe": tcp(), "startupProbe": tcp(),
            "resources": { "limits": { "memory": "1Gi" } } }]);
        let fields = "web/livenessProbe,web/readinessProbe,web/startupProbe,web/resources.limits.memory";
        fixture.enforce(kind, fields, ours.clone()).await.unwrap();
        let moved = json!([bare("side"), declaring("web", &[(81, "TCP"), (9090, "TCP")])]);
        let written = fixture.apply("owner", kind, moved).await.unwrap();
        let web = containers(&written).iter().find(|container| container["name"] == "web").unwrap();
        assert_eq!(probes(web), [""; 0], "{kind}: a server-side apply");
        assert_eq!(web["resources"]["limits"]["memory"], "1Gi", "{kind}: all else stays");
        assert_eq!(patched_fields(&written), Some("web/resources.limits.memory"), "{kind}");
        let ours = claims(&written)["k:{\"name\":\"web\"}"].clone();
        assert!(probes(&ours).is_empty() && ours.get("f:livenessProbe").is_none(), "{kind}: {ours}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn our_probe_yields_to_a_client_side_apply_that_moves_its_port() {
    let fixture = ConflictFixture::yielding().await;
    fixture.apply("owner", "Deployment", json!([declaring("web", &[(80, "TCP")])])).await.unwrap();
    fixture.enforce("Deployment", "web/livenessProbe", json!([with_probe("web")])).await.unwrap();
    // This is what kubectl works out from its last applied configuration.
    let ports =
        json!([{ "containerPort": 81, "protocol": "TCP" }, { "$patch": "delete", "containerPort": 80 }]);
    let patch =
        json!({ "spec": { "template": { "spec": { "containers": [{ "name": "web", "ports": ports }] } } } });
    let params =
        PatchParams { field_manager: Some("kubectl-client-side-apply".into()), ..PatchParams::default() };
    let written = fixture.patch("Deployment", &params, &Patch::Strategic(patch)).await.unwrap();
    assert_eq!(probes(&containers(&written)[0]), [""; 0]);
    assert_eq!(patched_fields(&written), None);
    // The owner's own probe on another port meets nothing of ours.
    let probe = json!({ "tcpSocket": { "port": 81 } });
    let theirs = json!({ "spec": { "template": { "spec": { "containers": [{ "name": "web", "livenessProbe": probe }] } } } });
    fixture.patch("Deployment", &params, &Patch::Strategic(theirs)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_probe_stays_if_its_port_is_declared_or_was_never_or_belongs_to_others() {
    for (before, after, tuned, stays) in [
        // Another port goes, and another protocol of the same number.
        (vec![(80, "TCP"), (81, "TCP")], vec![(80, "TCP")], None, true),
        (vec![(80, "TCP"), (80, "UDP")], vec![(80, "TCP")], None, true),
        (vec![(80, "TCP"), (80, "UDP")], vec![(80, "UDP")], None, false),
        (vec![(81, "TCP")], vec![(82, "TCP")], None, true),
        // Somebody else set the port of the probe.
        (vec![(80, "TCP")], vec![(82, "TCP")], Some(json!({ "tcpSocket": { "port": 80 } })), true),
        // Somebody else tuned it, and can't keep the rest of a probe without a handler.
        (vec![(80, "TCP")], vec![(82, "TCP")], Some(json!({ "periodSeconds": 3 })), false),
    ] {
        let fixture = ConflictFixture::yielding().await;
        fixture.apply("owner", "Deployment", json!([declaring("web", &before)])).await.unwrap();
        fixture.enforce("Deployment", "web/livenessProbe", json!([with_probe("web")])).await.unwrap();
        if let Some(probe) = &tuned {
            let mesh = json!({
                "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "web" },
                "spec": { "template": { "spec": { "containers": [{ "name": "web", "livenessProbe": probe }] } } },
            });
            let params = PatchParams::apply("mesh").force();
            fixture.patch("Deployment", &params, &Patch::Apply(mesh)).await.unwrap();
        }
        let written = fixture.apply("owner", "Deployment", json!([declaring("web", &after)])).await.unwrap();
        let left = !probes(&containers(&written)[0]).is_empty();
        assert_eq!(left, stays, "{before:?} {after:?} {tuned:?}: {written}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn our_probe_yields_to_a_merged_handler() {
    let fixture = ConflictFixture::yielding().await;
    fixture.apply("owner", "Deployment", json!([bare("web")])).await.unwrap();
    fixture.enforce("Deployment", "web/livenessProbe", json!([with_probe("web")])).await.unwrap();
    let patch = json!({ "spec": { "template": { "spec": { "containers": [{ "name": "web", "livenessProbe": http() }] } } } });
    let params =
        PatchParams { field_manager: Some("kubectl-client-side-apply".into()), ..PatchParams::default() };
    let written = fixture.patch("Deployment", &params, &Patch::Strategic(patch)).await.unwrap();
    let probe = &containers(&written)[0]["livenessProbe"];
    assert_eq!((probe.get("tcpSocket"), &probe["periodSeconds"]), (None, &json!(7)), "{probe}");
    assert_eq!(claims(&written)["k:{\"name\":\"web\"}"].get("f:livenessProbe"), None);
    assert_eq!(
        (patched_fields(&written), &written["metadata"]["annotations"][PATCHED_BY]),
        (None, &json!("standard"))
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn containers_with_only_our_fields_are_removed_with_the_owners() {
    let fixture = ConflictFixture::yielding().await;
    let before = json!([bare("a"), bare("b"), bare("c"), bare("d")]);
    fixture.apply("owner", "Deployment", before).await.unwrap();
    let ours = json!([with_probe("a"), with_probe("b"), with_probe("c"), with_probe("d")]);
    let fields = "a/livenessProbe,b/livenessProbe,c/livenessProbe,d/livenessProbe";
    fixture.enforce("Deployment", fields, ours).await.unwrap();
    // One container is renamed, one is removed, and on another our probe yields in the same write.
    let after = json!([bare("renamed"), { "name": "b", "image": "x:1", "livenessProbe": http() }, bare("d")]);
    let written = fixture.apply("owner", "Deployment", after).await.unwrap();
    let mut names: Vec<_> =
        containers(&written).iter().map(|container| container["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["b", "d", "renamed"]);
    assert!(containers(&written).iter().all(|container| container["image"] == "x:1"));
    assert_eq!(patched_fields(&written), Some("d/livenessProbe"));
    // A container without any of our fields is removed as well, although we own its name.
    let written = fixture.apply("owner", "Deployment", json!([bare("other")])).await.unwrap();
    assert_eq!(containers(&written).len(), 1);
    assert_eq!(patched_fields(&written), None);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn our_amounts_yield_to_conflicting_amounts() {
    let fixture = ConflictFixture::yielding().await;
    fixture.apply("owner", "Deployment", json!([bare("web")])).await.unwrap();
    let resources = json!({ "requests": { "cpu": "1500m" }, "limits": { "cpu": "3", "memory": "1Gi" } });
    let fields = "web/resources.requests.cpu,web/resources.limits.cpu,web/resources.limits.memory";
    let ours = json!([{ "name": "web", "resources": resources }]);
    fixture.enforce("Deployment", fields, ours).await.unwrap();
    let with = |resources: Value| json!([{ "name": "web", "image": "x:1", "resources": resources }]);
    let raised = with(json!({ "requests": { "memory": "1025Mi" } }));
    let written = fixture.apply("owner", "Deployment", raised).await.unwrap();
    let expected = json!({ "requests": { "cpu": "1500m", "memory": "1025Mi" }, "limits": { "cpu": "3" } });
    assert_eq!(containers(&written)[0]["resources"], expected);
    assert_eq!(patched_fields(&written), Some("web/resources.requests.cpu,web/resources.limits.cpu"));

    // A limit is lowered below our request. This is an update, because applying another value would conflict.
    let patch = json!({ "spec": { "template": { "spec": { "containers": [
        { "name": "web", "resources": { "limits": { "cpu": "1" } } },
    ] } } } });
    let written =
        fixture.patch("Deployment", &PatchParams::default(), &Patch::Strategic(patch)).await.unwrap();
    let expected = json!({ "requests": { "memory": "1025Mi" }, "limits": { "cpu": "1" } });
    assert_eq!(containers(&written)[0]["resources"], expected);
    assert_eq!(patched_fields(&written), Some("web/resources.limits.cpu"));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn our_fields_yield_on_twice_as_many_containers_as_enforcement_patches() {
    let fixture = ConflictFixture::yielding().await;
    on_many_containers(&fixture, 2 * MOST_FIELDS / 7).await.unwrap();
}

/// Sets all fields on this many containers. Then half of the containers get another handler for their liveness probes, and
/// the other half move their port.
async fn on_many_containers(fixture: &ConflictFixture, number: usize) -> Result<(), String> {
    // Long names cost the most.
    let names: Vec<String> = (0..number).map(|index| format!("{index:02}{}", "c".repeat(61))).collect();
    let of_each = |of: &dyn Fn(usize, &str) -> Value| {
        names.iter().enumerate().map(|(at, name)| of(at, name)).collect::<Value>()
    };
    let resources =
        json!({ "requests": { "cpu": "1m", "memory": "1Mi" }, "limits": { "cpu": "1", "memory": "1Gi" } });
    let ours = of_each(&|_, name| {
        json!({ "name": name, "resources": resources,
            "livenessProbe": tcp(), "readinessProbe": tcp(), "startupProbe": tcp() })
    });
    let amounts = ["requests.cpu", "requests.memory", "limits.cpu", "limits.memory"];
    let amounts = amounts.map(|of| format!("resources.{of}"));
    let all = ["livenessProbe", "readinessProbe", "startupProbe"].map(str::to_owned);
    let fields =
        names.iter().flat_map(|name| all.iter().chain(&amounts).map(move |field| format!("{name}/{field}")));
    let fields = fields.collect::<Vec<_>>().join(",");
    let ports =
        |last: u16| -> Vec<(u16, &str)> { (9000..9003).chain([last]).map(|port| (port, "TCP")).collect() };
    fixture.apply("owner", "Deployment", of_each(&|_, name| declaring(name, &ports(80)))).await?;
    fixture.enforce("Deployment", &fields, ours).await?;
    let written = of_each(&|at, name| {
        let mut container = declaring(name, &ports(if at % 2 == 0 { 80 } else { 81 }));
        if at % 2 == 0 {
            container["livenessProbe"] = http();
        }
        container
    });
    let written = fixture.apply("owner", "Deployment", written).await?;
    for (at, container) in containers(&written).iter().enumerate() {
        let probe = &container["livenessProbe"];
        let yielded = match at % 2 {
            0 => probe.get("tcpSocket").is_none() && probe.get("httpGet").is_some(),
            _ => probes(container).is_empty(),
        };
        if !yielded {
            return Err(format!("{container}"));
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn our_amounts_yield_to_pod_level_resources() {
    let fixture = ConflictFixture::yielding().await;
    let both = json!([bare("web"), bare("side")]);
    let resources =
        json!({ "requests": { "cpu": "200m", "memory": "200Mi" }, "limits": { "memory": "400Mi" } });
    let fields = "web/resources.requests.cpu,web/resources.requests.memory,web/resources.limits.memory";
    let ours = json!([{ "name": "web", "resources": resources }]);
    let cpu = json!([
        { "name": "web", "image": "x:1", "resources": { "requests": { "cpu": "200m" } } }, bare("side"),
    ]);
    for whole in [json!({ "limits": { "memory": "300Mi" } }), json!({ "requests": { "memory": "100Mi" } })] {
        fixture.apply("owner", "Deployment", both.clone()).await.unwrap();
        fixture.enforce("Deployment", fields, ours.clone()).await.unwrap();
        let patch = json!({ "spec": { "template": { "spec": { "resources": whole } } } });
        let written =
            fixture.patch("Deployment", &PatchParams::default(), &Patch::Strategic(patch)).await.unwrap();
        let spec = &written["spec"]["template"]["spec"];
        assert_eq!(spec["containers"][0]["resources"], cpu[0]["resources"], "{whole}");
        assert_eq!(patched_fields(&written), Some("web/resources.requests.cpu"));
        // Later writes meet none of our fields.
        let again = json!({ "spec": { "template": { "spec": { "resources": { "limits": { "memory": "310Mi" } } } } } });
        fixture.patch("Deployment", &PatchParams::default(), &Patch::Strategic(again)).await.unwrap();
        fixture.api("Deployment").delete("web", &kube::api::DeleteParams::default()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn writes_that_are_invalid_without_our_fields_are_refused() {
    let fixture = ConflictFixture::yielding().await;
    fixture.apply("owner", "Deployment", json!([bare("web"), bare("side")])).await.unwrap();
    let ours = json!([
        { "name": "web", "livenessProbe": tcp(), "resources": { "limits": { "memory": "1Gi" } } },
    ]);
    fixture.enforce("Deployment", "web/livenessProbe,web/resources.limits.memory", ours).await.unwrap();
    let before = fixture.api("Deployment").get("web").await.unwrap();
    let both = json!({ "httpGet": { "path": "/", "port": 80 }, "tcpSocket": { "port": 80 } });
    let wrong = json!({ "requests": { "memory": "2Gi" }, "limits": { "memory": "1Gi" } });
    let less = json!({ "requests": { "cpu": "2" }, "limits": { "cpu": "1" } });
    for (containers, why) in [
        (json!([{ "name": "web", "image": "x:1", "livenessProbe": both }]), "more than 1 handler"),
        (json!([{ "name": "web", "image": "x:1", "readinessProbe": both }]), "more than 1 handler"),
        (
            json!([{ "name": "web", "image": "x:1", "resources": wrong }]),
            "less than or equal to memory limit",
        ),
        (json!([{ "name": "web", "image": "x:1", "resources": less }]), "less than or equal to cpu limit"),
        (
            json!([bare("side"), { "name": "web", "ports": [{ "containerPort": 80 }] }]),
            "image: Required value",
        ),
    ] {
        let refused = fixture.apply("owner", "Deployment", containers).await.unwrap_err();
        assert!(refused.starts_with("422") && refused.contains(why), "{refused}");
    }
    let after = fixture.api("Deployment").get("web").await.unwrap();
    assert_eq!(before.metadata.generation, after.metadata.generation);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_workload_without_our_fields_is_not_changed() {
    let fixture = ConflictFixture::yielding().await;
    // The probe, the limit and the annotation that lists them belong to another manager.
    fixture.apply("owner", "Deployment", json!([bare("web")])).await.unwrap();
    let mut mesh = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": { "name": "web", "annotations": { PATCHED_FIELDS: "web/livenessProbe" } },
        "spec": { "template": { "spec": { "containers": [with_probe("web")] } } },
    });
    mesh["spec"]["template"]["spec"]["containers"][0]["resources"] = json!({ "limits": { "memory": "1Gi" } });
    fixture.patch("Deployment", &PatchParams::apply("mesh"), &Patch::Apply(mesh)).await.unwrap();
    let handler = json!([{ "name": "web", "image": "x:1", "livenessProbe": http() }]);
    let refused = fixture.apply("owner", "Deployment", handler).await.unwrap_err();
    assert!(refused.contains("more than 1 handler"), "{refused}");
    let raised = json!([{ "name": "web", "image": "x:1", "resources": { "requests": { "memory": "2Gi" } } }]);
    let refused = fixture.apply("owner", "Deployment", raised).await.unwrap_err();
    assert!(refused.contains("memory limit"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn writes_that_fit_our_fields_pass_unchanged() {
    let fixture = ConflictFixture::yielding().await;
    let api = fixture.api("Deployment");
    fixture.apply("owner", "Deployment", json!([bare("web")])).await.unwrap();
    let patched =
        fixture.enforce("Deployment", "web/livenessProbe", json!([with_probe("web")])).await.unwrap();
    // A client reads, changes and replaces the object.
    let mut read: Value = serde_json::to_value(api.get("web").await.unwrap()).unwrap();
    read["spec"]["template"]["spec"]["containers"][0]["image"] = json!("x:2");
    // Controllers write the status in the meantime.
    read["metadata"]["resourceVersion"] = Value::Null;
    let put: DynamicObject = serde_json::from_value(read).unwrap();
    let put = said(api.replace("web", &PostParams::default(), &put).await).unwrap();
    assert_eq!(containers(&put)[0]["livenessProbe"], containers(&patched)[0]["livenessProbe"]);
    assert_eq!(patched_fields(&put), Some("web/livenessProbe"));
    // A client replaces the object by one that never had our fields.
    let mut plain = put.clone();
    plain["metadata"]["annotations"] = json!({});
    plain["metadata"]["resourceVersion"] = Value::Null;
    plain["metadata"]["managedFields"] = Value::Null;
    let container = plain["spec"]["template"]["spec"]["containers"][0].as_object_mut().unwrap();
    container.insert("livenessProbe".to_owned(), http());
    let plain: DynamicObject = serde_json::from_value(plain).unwrap();
    let replaced = said(api.replace("web", &PostParams::default(), &plain).await).unwrap();
    assert_eq!(containers(&replaced)[0]["livenessProbe"].get("tcpSocket"), None);
    assert_eq!(patched_fields(&replaced), None);

    // Enforcement's own applies: one more field, then fewer, then none.
    let fields = "web/readinessProbe,web/resources.limits.memory";
    let two =
        json!([{ "name": "web", "readinessProbe": tcp(), "resources": { "limits": { "memory": "1Gi" } } }]);
    let written = fixture.enforce("Deployment", fields, two).await.unwrap();
    assert_eq!(
        (patched_fields(&written), &containers(&written)[0]["readinessProbe"]["periodSeconds"]),
        (Some(fields), &json!(7))
    );
    let written = fixture
        .enforce("Deployment", "web/readinessProbe", json!([{ "name": "web", "readinessProbe": tcp() }]))
        .await
        .unwrap();
    assert_eq!(containers(&written)[0]["resources"], json!({}));
    let none = json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "web" } });
    let written =
        fixture.patch("Deployment", &PatchParams::apply(FIELD_MANAGER), &Patch::Apply(none)).await.unwrap();
    assert_eq!((patched_fields(&written), containers(&written)[0].get("readinessProbe")), (None, None));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn an_api_server_without_admission_policies_is_reported() {
    let plane = ControlPlane::start_with(&WITHOUT_POLICIES);
    let outcome = on(plane.kubeconfig(), &["policy", "compile", "--apply"]);
    assert_eq!(outcome.code, 2, "{}", outcome.stdout);
    assert!(outcome.stderr.contains("this API server does not have the kind"), "{}", outcome.stderr);
}
