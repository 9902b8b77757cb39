//! The native policies and the engine of `analyze` agree on generated objects and policies. The API server is the
//! referee.

use std::collections::BTreeSet;

use fastrand::Rng;
use http::Request;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use kube_devops::governance::evaluate;
use kube_devops::policy::{ADMISSION_LABEL, AdmissionVerdict, CompiledPolicy, DevOpsPolicy, EnforcementMode};
use kube_devops::workload::{Workload, WorkloadKind};
use serde_json::{Value, json};

use super::objects::{KINDS, api_version, object};
use crate::analyze::on;
use crate::control_plane::ControlPlane;
use crate::eventually::eventually;
use crate::soak::rounds;

/// The rules that deny and those that warn, each with the container.
type Findings = (BTreeSet<(String, String)>, BTreeSet<(String, String)>);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn the_native_policies_and_the_engine_agree_on_every_object() {
    let plane = ControlPlane::start();
    let compiled = on(plane.kubeconfig(), &["policy", "compile", "--apply"]);
    assert_eq!(compiled.code, 0, "{}", compiled.stderr);
    let client = plane.client().await;
    let (mut compared, mut denied, mut updates) = (0, 0, 0);
    for seed in 0..rounds(14, 420) {
        let mut rng = Rng::with_seed(seed as u64);
        let namespace = plane.namespace("verdict");
        let policies = policies(&mut rng, &namespace);
        // The API server sets defaults, and refuses nothing before the namespace has a verdict.
        let mut pairs = Vec::new();
        for kind in KINDS.into_iter().chain(KINDS) {
            let new = generated(&mut rng, kind);
            let defaulted = send(&client, "POST", &namespace, kind, "?dryRun=All", &new).await.object;
            pairs.push((kind, None, new, defaulted));
        }
        for kind in KINDS.into_iter().filter(|kind| *kind != "Job") {
            let pod = pod(&mut rng);
            let old = object(kind, pod.clone(), &json!({}), &json!({}));
            let old = send(&client, "POST", &namespace, kind, "", &old).await.object;
            let new = object(kind, updated(&mut rng, kind, &pod), &json!({}), &json!({}));
            let defaulted = send(&client, "PUT", &namespace, kind, "/web?dryRun=All", &new).await.object;
            pairs.push((kind, Some(old), new, defaulted));
        }
        put_verdict(&client, &namespace, &policies).await;
        for (kind, old, new, defaulted) in pairs {
            let expected = by_engine(&policies, kind, old.as_ref(), &defaulted);
            let (verb, name) = if old.is_some() { ("PUT", "/web") } else { ("POST", "") };
            let evaluated =
                send(&client, verb, &namespace, kind, &format!("{name}?dryRun=All"), &new).await.findings;
            assert_eq!(evaluated, expected, "seed {seed}, {kind}\nold: {old:?}\nnew: {defaulted}");
            compared += 1;
            denied += usize::from(!expected.0.is_empty());
            updates += usize::from(old.is_some());
        }
    }
    println!("{compared} objects compared, {updates} of them updates; {denied} denied");
    assert!(denied * 5 > compared && denied < compared, "{denied} of {compared} denied");
}

/// Generates up to three policies of a namespace. The first always asks for versions of images.
fn policies(rng: &mut Rng, namespace: &str) -> Vec<CompiledPolicy> {
    let severities = ["low", "medium", "high", "critical"];
    (0..rng.usize(1..4))
        .map(|number| {
            let mut spec = json!({
                "enforcementMode": if rng.bool() { "enforce" } else { "audit" },
                "admission": { "denyAt": severities[rng.usize(..4)] },
            });
            if number == 0 || rng.bool() {
                spec["forbidLatestTag"] = true.into();
            }
            for field in ["requireLivenessProbe", "requireReadinessProbe", "requireResources"] {
                if rng.bool() {
                    spec[field] = rng.bool().into();
                }
            }
            if rng.bool() {
                spec["defaultResources"] =
                    if rng.bool() { json!({ "cpuLimit": "1" }) } else { json!({ "memoryLimit": "1Gi" }) };
            }
            let mut overrides = json!({});
            for field in ["latestTag", "missingLiveness", "missingReadiness", "missingResources"] {
                if rng.bool() {
                    overrides[field] = severities[rng.usize(..4)].into();
                }
            }
            spec["severityOverrides"] = overrides;
            let metadata = json!({ "name": format!("p{number}"), "namespace": namespace, "generation": 1 });
            let policy = json!({ "metadata": metadata, "spec": spec });
            CompiledPolicy::new(serde_json::from_value::<DevOpsPolicy>(policy).unwrap())
        })
        .collect()
}

/// Puts the verdict of the policies on the Namespace, and waits until the API server evaluates by it.
async fn put_verdict(client: &Client, namespace: &str, policies: &[CompiledPolicy]) {
    let annotations = AdmissionVerdict::of(policies).unwrap().annotations();
    let patch =
        json!({ "metadata": { "labels": { ADMISSION_LABEL: "native" }, "annotations": annotations } });
    let namespaces = Api::<Namespace>::all(client.clone());
    namespaces.patch(namespace, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    let probe =
        object("Pod", json!({ "containers": [{ "name": "web", "image": "a" }] }), &json!({}), &json!({}));
    eventually("the verdict is in effect", async || {
        let mut probe = probe.clone();
        probe["metadata"]["name"] = "probe".into();
        let (denied, warned) = send(client, "POST", namespace, "Pod", "?dryRun=All", &probe).await.findings;
        (!denied.is_empty() || !warned.is_empty()).then_some(())
    })
    .await;
}

const IMAGES: [&str; 16] = [
    "nginx",
    "nginx:",
    "nginx:1.27",
    "nginx:latest",
    "nginx:latest-alpine",
    "auto",
    "latest",
    "registry.example:5000/nginx",
    "registry.example:5000/nginx:2",
    "registry.example:5000/a/b:latest",
    "a/b:c:d",
    "a:latest/b",
    "nginx@sha256:0123456789012345678901234567890123456789012345678901234567890123",
    "nginx:latest@sha256:0123456789012345678901234567890123456789012345678901234567890123",
    "nginx@",
    "ngïnx",
];

fn container(rng: &mut Rng, name: &str, is_init: bool) -> Value {
    let mut container =
        json!({ "name": name, "image": IMAGES[rng.usize(..IMAGES.len())], "imagePullPolicy": "Never" });
    if !is_init {
        for probe in ["livenessProbe", "readinessProbe"] {
            if rng.bool() {
                container[probe] = json!({ "tcpSocket": { "port": 80 } });
            }
        }
    }
    if rng.u8(..3) > 0 {
        container["resources"] = resources(rng);
    }
    container
}

/// Generates requests and limits. The API server refuses a request above its limit, so equal ones stand in both.
fn resources(rng: &mut Rng) -> Value {
    let mut resources = json!({});
    for (resource, amounts) in [("cpu", ["0", "1", "100m", "0.5"]), ("memory", ["0", "1Gi", "128Mi", "1e6"])]
    {
        let amount = amounts[rng.usize(..4)];
        for side in ["requests", "limits"] {
            if rng.u8(..3) > 0 {
                resources[side][resource] = amount.into();
            }
        }
    }
    resources
}

fn pod(rng: &mut Rng) -> Value {
    let mut containers = |prefix: &str, count| -> Vec<_> {
        (0..count).map(|number| container(rng, &format!("{prefix}{number}"), prefix == "init")).collect()
    };
    let (main, init) = (containers("main", 2), containers("init", 1));
    let mut pod = json!({ "containers": main[..rng.usize(1..3)], "initContainers": init[..rng.usize(..2)] });
    if rng.u8(..6) == 0 {
        pod["resources"] = json!({ "requests": { "memory": "8Gi" }, "limits": { "memory": "8Gi" } });
    }
    pod
}

/// Generates an object to create, with the labels, annotations and owners that rules know.
fn generated(rng: &mut Rng, kind: &str) -> Value {
    let mut labels = json!({});
    for (key, value) in [
        ("serving.knative.dev/service", "web"),
        ("sidecar.istio.io/inject", "True"),
        ("sidecar.istio.io/inject", "false"),
        ("istio.io/rev", "a"),
    ] {
        if rng.u8(..6) == 0 {
            labels[key] = value.into();
        }
    }
    let annotations =
        if rng.u8(..4) == 0 { json!({ "inject.istio.io/templates": "sidecar" }) } else { json!({}) };
    let mut made = object(kind, pod(rng), &labels, &annotations);
    if kind == "Pod" && rng.bool() {
        let owner = ["Job", "ReplicaSet"][rng.usize(..2)];
        made["metadata"]["ownerReferences"] = json!([
            { "apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": "a" },
            { "apiVersion": api_version(owner), "kind": owner, "name": "b", "uid": "b", "controller": true },
        ]);
    }
    made["metadata"]["name"] = "new".into();
    made
}

/// Changes a pod spec: what a pod allows, or anything of a template.
fn updated(rng: &mut Rng, kind: &str, before: &Value) -> Value {
    let mut after = before.clone();
    if kind != "Pod" && rng.bool() {
        let keep = after["containers"][0].clone();
        after = pod(rng);
        if rng.bool() {
            after["containers"][0] = keep;
        }
        return after;
    }
    for container in after["containers"].as_array_mut().unwrap() {
        if rng.bool() {
            container["image"] = IMAGES[rng.usize(..IMAGES.len())].into();
        }
    }
    after
}

/// Evaluates by the engine of `analyze`.
fn by_engine(policies: &[CompiledPolicy], kind: &str, old: Option<&Value>, new: &Value) -> Findings {
    let kind = WorkloadKind::find(api_version(kind), kind).unwrap();
    let (old, new) = (old.map(ToString::to_string), new.to_string());
    let new = Workload::from_json(kind, &new).unwrap();
    let old = old.as_deref().map(|old| Workload::from_json(kind, old).unwrap());
    let now = Timestamp::UNIX_EPOCH;
    let (mut denied, mut warned) = (Vec::new(), Vec::new());
    for known in policies {
        let effective = known.effective.as_ref().unwrap();
        let before: BTreeSet<_> = old
            .iter()
            .flat_map(|old| evaluate(effective, old, now, true).violations)
            .map(|violation| (violation.rule, violation.container))
            .collect();
        for violation in evaluate(effective, &new, now, true).violations {
            if before.contains(&(violation.rule, violation.container.clone())) {
                continue;
            }
            let spec = &known.policy.spec;
            let is_denied = spec.enforcement_mode == EnforcementMode::Enforce
                && violation.severity >= spec.admission.clone().unwrap().deny_at;
            let check = format!("{:?}", effective.get(violation.rule).unwrap().parameters);
            let found = (violation.rule.to_string(), violation.container.unwrap_or_default(), check);
            if is_denied { denied.push(found) } else { warned.push(found) }
        }
    }
    warned.retain(|found| !denied.contains(found));
    let short = |found: Vec<(String, String, String)>| {
        found.into_iter().map(|(rule, container, _)| (rule, container)).collect::<BTreeSet<_>>()
    };
    (short(denied), short(warned))
}

/// The answer of the API server.
struct Answer {
    /// The findings in the denial and in the warnings.
    findings: Findings,
    /// The object with its defaults, or the status of a denial.
    object: Value,
}

/// Sends an object.
async fn send(
    client: &Client,
    verb: &str,
    namespace: &str,
    kind: &str,
    rest: &str,
    object: &Value,
) -> Answer {
    let version = api_version(kind);
    let root = if version == "v1" { "api" } else { "apis" };
    let plural = format!("{}s", kind.to_lowercase());
    let uri = format!("/{root}/{version}/namespaces/{namespace}/{plural}{rest}");
    let request = Request::builder().method(verb).uri(&uri).header("content-type", "application/json");
    let body = serde_json::to_vec(object).unwrap().into();
    let response = client.send(request.body(body).unwrap()).await.unwrap();
    let warnings: Vec<String> = response
        .headers()
        .get_all("warning")
        .iter()
        .map(|warning| warning.to_str().unwrap().to_owned())
        .filter(|warning| warning.contains("kube-devops-warn"))
        .collect();
    let status = response.status().as_u16();
    let body = http_body_util::BodyExt::collect(response.into_body()).await.unwrap().to_bytes();
    let body: Value = serde_json::from_slice(&body).unwrap();
    let denial = match status {
        200 | 201 => String::new(),
        403 => body["message"].as_str().unwrap().to_owned(),
        _ => panic!("{status}: {}\n{object}", body["message"]),
    };
    for text in warnings.iter().chain([&denial]) {
        assert!(!text.contains("resulted in error") && !text.ends_with("..."), "{text}\n{object}");
    }
    let findings = (findings(&denial), warnings.iter().flat_map(|warning| findings(warning)).collect());
    Answer { findings, object: body }
}

/// Reads rule and container of each finding in a message.
fn findings(message: &str) -> BTreeSet<(String, String)> {
    let found = message.split(", rule ").skip(1).map(|finding| {
        let (rule, rest) = finding.split_once(": container ").unwrap();
        (rule.to_owned(), rest.split_once(',').unwrap().0.to_owned())
    });
    found.collect()
}
