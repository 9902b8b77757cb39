//! The native policies and the engine of `analyze` agree on generated objects and policies. The API server is the
//! referee.

use std::collections::BTreeSet;

use fastrand::Rng;
use http::Request;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use kube_devops::admission::{NewViolation, decide, parse_review};
use kube_devops::enforcement::PATCHED_FIELDS;
use kube_devops::governance::{AnnotatedExemptions, evaluate_for_admission};
use kube_devops::policy::{
    ADMISSION_DENY_AND_WARN, ADMISSION_LABEL, AdmissionVerdict, CompiledPolicy, DENY_ANNOTATION,
    DevOpsPolicy, EnforcementMode, WARN_ANNOTATION,
};
use kube_devops::rules::{RULES, RuleId, Violation};
use kube_devops::workload::{EXEMPT, EXEMPT_REASON, EXEMPT_UNTIL, Fields, Workload, WorkloadKind};
use serde_json::{Value, json};

use super::limits;
use super::objects::{KINDS, api_version, object, pod_path};
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
    let ready = plane.namespace("ready");
    wait_for_policies(&client, &ready).await;
    limits::the_largest_objects_are_evaluated_by_all_rules(&client, &ready).await;
    super::budget::the_largest_objects_fit(&plane, &client).await;
    super::updates::what_makes_an_object_worse_is_denied(&client, &plane.namespace("updates")).await;
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
            let pod = fixed(pod(&mut rng));
            let mut old = object(kind, pod.clone(), &json!({}), &json!({}));
            if seed % 2 == 0 {
                old["metadata"]["annotations"] = json!({ PATCHED_FIELDS: DEFAULTS[seed % 3] });
            }
            let old = send(&client, "POST", &namespace, kind, "", &old).await.object;
            let mut new = object(kind, updated(&mut rng, kind, &pod), &json!({}), &json!({}));
            if kind != "Pod" {
                detail(&rng, kind, &mut new);
            }
            exempt(&rng, &mut new);
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
            let (denied_by_webhook, warned_by_webhook) =
                by_webhook(&policies, kind, old.as_ref(), &defaulted);
            assert_eq!(
                denied_by_webhook, expected.0,
                "webhook: seed {seed}, {kind}\nold: {old:?}\nnew: {defaulted}"
            );
            // The webhook does not warn about what it denies, although another policy may set the rule differently.
            let warned: BTreeSet<_> = expected.1.difference(&expected.0).cloned().collect();
            let warned_alone: BTreeSet<_> = warned_by_webhook.difference(&expected.0).cloned().collect();
            assert_eq!(warned_alone, warned, "webhook: seed {seed}, {kind}\nold: {old:?}\nnew: {defaulted}");
            assert!(warned_by_webhook.is_subset(&expected.1), "webhook: seed {seed}, {kind}");
            compared += 1;
            denied += usize::from(!expected.0.is_empty());
            updates += usize::from(old.is_some());
        }
    }
    println!("{compared} objects compared, {updates} of them updates; {denied} denied");
    assert!(denied * 5 > compared && denied < compared, "{denied} of {compared} denied");
}

/// Lists of fields that a workload got as defaults.
const DEFAULTS: [&str; 3] = [
    "main0/livenessProbe,main0/startupProbe,main1/readinessProbe",
    "main0/resources.requests.cpu,main1/resources.limits.memory",
    "main0/readinessProbe,main1/livenessProbe,main1/resources.requests.memory",
];

/// Generates up to three policies of a namespace. The first always asks for versions of images.
fn policies(rng: &mut Rng, namespace: &str) -> Vec<CompiledPolicy> {
    let severities = ["low", "medium", "high", "critical"];
    let is_short = rng.bool();
    let exemptions = [None, Some("none"), Some("namespace"), Some("workload")][beside(rng).usize(..4)];
    (0..rng.usize(1..4))
        .map(|number| {
            let mut spec = json!({
                "rules": if is_short { json!([]) } else { rules(rng, 2 - number.min(1)) },
                "enforcementMode": if rng.bool() { "enforce" } else { "audit" },
                "admission": { "denyAt": severities[rng.usize(..4)], "mutate": number == 0 },
            });
            if number == 0 || rng.bool() {
                spec["forbidLatestTag"] = true.into();
            }
            if let Some(exemptions) = exemptions {
                spec["exemptions"] = exemptions.into();
            }
            // The API server cuts long warnings, so only some namespaces have these rules too.
            for field in ["requireLivenessProbe", "requireReadinessProbe", "requireResources"] {
                if is_short && rng.bool() {
                    spec[field] = rng.bool().into();
                }
            }
            if is_short && rng.bool() {
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

/// Chooses rules that native admission evaluates, besides those with a field of their own.
fn rules(rng: &mut Rng, count: usize) -> Value {
    let named = ["latest-tag", "missing-liveness", "missing-readiness", "missing-resources"];
    let native: Vec<_> =
        RULES.iter().filter(|rule| rule.expression.is_some()).map(|rule| rule.id.as_str()).collect();
    let mut others: Vec<_> = native.into_iter().filter(|id| !named.contains(id)).collect();
    rng.shuffle(&mut others);
    let rule = |id: &str| match id {
        "unlisted-registry" => {
            let lists = [
                json!(["docker.io/library", "a"]),
                json!(["registry.example:5000"]),
                json!(["docker.io/", "b/c"]),
            ];
            json!({ "id": id, "params": { "registries": lists[rng.usize(..3)] } })
        }
        "unmasked-proc" => json!({ "id": id, "params": { "allowInUserNamespace": rng.bool() } }),
        "stale-image-cache" => json!({ "id": id, "params": { "always": rng.bool() } }),
        "short-start-deadline" => json!({ "id": id, "params": { "required": rng.bool() } }),
        "missing-required-label" => {
            json!({ "id": id, "params": { "labels": ["owner"], "annotations": ["helm.sh/hook", "b"] } })
        }
        id => json!({ "id": id }),
    };
    others.into_iter().take(count).map(rule).collect()
}

/// Waits until the API server evaluates by both policies, which it compiles one after the other.
async fn wait_for_policies(client: &Client, namespace: &str) {
    let annotations = json!({ DENY_ANNOTATION: "latest-tag;a", WARN_ANNOTATION: "missing-liveness;a" });
    annotate(client, namespace, ADMISSION_DENY_AND_WARN, annotations).await;
    eventually("both policies are in effect", async || {
        let (denied, warned) = probe(client, namespace).await;
        (!denied.is_empty() && !warned.is_empty()).then_some(())
    })
    .await;
}

/// Puts the verdict of the policies on the Namespace, and waits until the API server evaluates by it.
async fn put_verdict(client: &Client, namespace: &str, policies: &[CompiledPolicy]) {
    let today = "1970-01-01".parse().unwrap();
    let verdict = AdmissionVerdict::exempting(policies, |_| false, today).unwrap();
    annotate(client, namespace, verdict.label(), json!(verdict.annotations())).await;
    eventually("the verdict is in effect", async || {
        let (denied, warned) = probe(client, namespace).await;
        (!denied.is_empty() || !warned.is_empty()).then_some(())
    })
    .await;
}

pub(super) async fn annotate(client: &Client, namespace: &str, label: &str, annotations: Value) {
    let patch = json!({ "metadata": { "labels": { ADMISSION_LABEL: label }, "annotations": annotations } });
    let namespaces = Api::<Namespace>::all(client.clone());
    namespaces.patch(namespace, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
}

/// Returns the findings in a pod without a version and without probes.
async fn probe(client: &Client, namespace: &str) -> Findings {
    let pod = json!({ "containers": [{ "name": "web", "image": "a" }] });
    let mut probe = object("Pod", pod, &json!({}), &json!({}));
    probe["metadata"]["name"] = "probe".into();
    send(client, "POST", namespace, "Pod", "?dryRun=All", &probe).await.findings
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

fn container(rng: &mut Rng, name: &str, port: u16, is_init: bool) -> Value {
    let mut container = json!({ "name": name, "image": IMAGES[rng.usize(..IMAGES.len())] });
    if rng.u8(..4) > 0 {
        container["imagePullPolicy"] = ["Never", "IfNotPresent", "Always"][rng.usize(..3)].into();
    }
    let hosts = [json!({}), json!({ "host": "example.com" })];
    if !is_init {
        for probe in ["livenessProbe", "readinessProbe"] {
            if rng.bool() {
                let handler = ["tcpSocket", "httpGet"][rng.usize(..2)];
                container[probe] = json!({ handler: hosts[usize::from(rng.u8(..4) == 0)] });
                container[probe][handler]["port"] = if rng.u8(..4) == 0 { "web".into() } else { 80.into() };
                container[probe]["failureThreshold"] = rng.u8(1..3).into();
            }
        }
        if rng.u8(..6) == 0 {
            container["lifecycle"] =
                json!({ "preStop": { "httpGet": { "port": 80, "host": "example.com" } } });
        }
    }
    if rng.u8(..3) > 0 {
        container["resources"] = resources(rng);
    }
    if rng.u8(..3) == 0 {
        // On the host network, both have to be the same.
        container["ports"] = json!([{ "name": "web", "containerPort": port, "hostPort": port }]);
    }
    container
}

/// Generates the security context of a container without fields of Windows, or of a pod.
fn security(rng: &mut Rng, of_pod: bool) -> Value {
    let mut context = json!({});
    let mut maybe = |field: &str, values: &[Value]| {
        if rng.u8(..3) == 0 {
            context[field] = values[rng.usize(..values.len())].clone();
        }
    };
    let confined = json!({ "type": "RuntimeDefault" });
    let unconfined = json!({ "type": "Unconfined" });
    let local = json!({ "type": "Localhost", "localhostProfile": "a" });
    maybe("runAsNonRoot", &[true.into(), false.into()]);
    maybe("runAsUser", &[0.into(), 7.into()]);
    maybe("seccompProfile", &[confined.clone(), unconfined.clone(), local.clone()]);
    maybe("appArmorProfile", &[confined, unconfined, local]);
    let options = [
        json!({ "type": "container_t" }),
        json!({ "type": "spc_t" }),
        json!({ "user": "a" }),
        json!({ "role": "b" }),
        json!({ "level": "s0" }),
    ];
    maybe("seLinuxOptions", &options);
    if of_pod {
        return context;
    }
    maybe("readOnlyRootFilesystem", &[true.into(), false.into()]);
    let added = [json!(["CHOWN"]), json!(["NET_BIND_SERVICE"]), json!(["SYS_TIME", "NET_ADMIN"])];
    let dropped = [json!(["ALL"]), json!(["all"]), json!(["CHOWN", "ALL"]), json!(["KILL"])];
    maybe(
        "capabilities",
        &[
            json!({ "add": added[0], "drop": dropped[0] }),
            json!({ "add": added[1], "drop": dropped[2] }),
            json!({ "add": added[2] }),
            json!({ "drop": dropped[1] }),
            json!({ "drop": dropped[3] }),
            json!({ "drop": dropped[0] }),
        ],
    );
    // A privileged container can't give up the escalation.
    maybe("allowPrivilegeEscalation", &[true.into(), false.into()]);
    let escalates = context["allowPrivilegeEscalation"] != false;
    if escalates && rng.u8(..4) == 0 {
        context["privileged"] = rng.bool().into();
    }
    context
}

/// Generates volumes, which hold paths of the node among others.
fn volumes(rng: &mut Rng) -> Value {
    let paths = [
        "/",
        "/var",
        "/var/run/docker.sock",
        "/run//containerd/",
        "/var/lib/kubelet/pods",
        "/etc",
        "/etc/ssl",
        "/data",
        "/var/lib",
    ];
    let sources = [
        ("hostPath", json!({ "path": paths[rng.usize(..paths.len())] })),
        ("emptyDir", json!({})),
        ("nfs", json!({ "server": "a", "path": "/" })),
        ("configMap", json!({ "name": "a" })),
    ];
    (0..rng.usize(..3))
        .map(|number| {
            let (kind, source) = &sources[rng.usize(..sources.len())];
            json!({ "name": format!("v{number}"), *kind: source })
        })
        .collect()
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
    let mut containers = |prefix: &str, first: u16, count: u16| -> Vec<_> {
        let name = |number| format!("{prefix}{number}");
        (0..count).map(|number| container(rng, &name(number), first + number, prefix == "init")).collect()
    };
    let (main, init) = (containers("main", 80, 2), containers("init", 90, 1));
    let mut pod = json!({ "containers": main[..rng.usize(1..3)], "initContainers": init[..rng.usize(..2)] });
    pod["volumes"] = volumes(rng);
    let is_windows = rng.u8(..8) == 0;
    if is_windows {
        pod["os"] = json!({ "name": "windows" });
        pod["hostNetwork"] = rng.bool().into();
        pod["securityContext"] = json!({ "windowsOptions": { "hostProcess": pod["hostNetwork"] } });
        // The API server refuses the settings of Linux.
        for list in ["containers", "initContainers"] {
            for container in pod[list].as_array_mut().unwrap() {
                container.as_object_mut().unwrap().remove("securityContext");
            }
        }
        return pod;
    }
    if rng.u8(..6) == 0 {
        pod["resources"] = json!({ "requests": { "memory": "8Gi" }, "limits": { "memory": "8Gi" } });
    }
    pod["securityContext"] = security(rng, true);
    if rng.u8(..4) == 0 {
        pod["hostUsers"] = false.into();
    } else {
        for field in ["hostNetwork", "hostPID", "hostIPC"] {
            pod[field] = (rng.u8(..5) == 0).into();
        }
    }
    if pod["hostNetwork"] != true && rng.u8(..3) == 0 {
        let names = ["net.ipv4.tcp_syncookies", "net.core.somaxconn"];
        pod["securityContext"]["sysctls"] = json!([{ "name": names[rng.usize(..2)], "value": "1" }]);
    }
    for list in ["containers", "initContainers"] {
        for container in pod[list].as_array_mut().unwrap() {
            container["securityContext"] = security(rng, false);
        }
    }
    if pod["hostUsers"] == false && rng.bool() {
        pod["containers"][0]["securityContext"]["procMount"] = "Unmasked".into();
    }
    pod
}

/// Returns a pod spec in which the API server changes nothing when an image does, because that is all a pod allows.
fn fixed(mut pod: Value) -> Value {
    let unset = |context: &mut Value| context.as_object_mut().map(|fields| fields.remove("appArmorProfile"));
    unset(&mut pod["securityContext"]);
    for list in ["containers", "initContainers"] {
        for container in pod[list].as_array_mut().unwrap() {
            if container["imagePullPolicy"].is_null() {
                container["imagePullPolicy"] = "IfNotPresent".into();
            }
            container.get_mut("securityContext").and_then(unset);
        }
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
    detail(rng, kind, &mut made);
    exempt(rng, &mut made);
    made
}

/// Adds the fields that rules about reliability and the API read.
fn detail(rng: &Rng, kind: &str, made: &mut Value) {
    let rng = &mut Rng::with_seed(rng.get_seed().rotate_left(9));
    let annotations = json!({ "seccomp.security.alpha.kubernetes.io/pod": "runtime/default" });
    let path = format!("/{}", pod_path(kind).replace('.', "/"));
    let metadata = format!("{}metadata", path.strip_suffix("spec").unwrap());
    // The API server refuses an annotation that differs from the field.
    if rng.u8(..2) == 0 && !made.to_string().contains("seccompProfile") {
        made.pointer_mut(&metadata).unwrap()["annotations"] = annotations;
    }
    let variables = [
        json!([]),
        json!([{ "name": "A", "value": "1" }, { "name": "B" }, { "name": "A", "value": "$(B)" }]),
        json!([{ "name": "A", "value": "1" }, { "name": "A", "value": "$(A):2" }]),
        json!([{ "name": "A", "value": "1" }, { "name": "A", "value": "$(A)" }, { "name": "A" }]),
    ];
    let pod = made.pointer_mut(&path).unwrap();
    for container in pod["containers"].as_array_mut().unwrap() {
        container["env"] = variables[rng.usize(..4)].clone();
    }
    let requirement = |operator: &str, values: &[&str]| json!({ "matchExpressions": [{ "key": "app", "operator": operator, "values": values }] });
    let selectors = [
        Value::Null,
        json!({}),
        json!({ "matchLabels": { "app": kind } }),
        json!({ "matchLabels": { "app": kind, "tier": "web" } }),
        requirement("In", &["other", kind]),
        requirement("In", &["other"]),
        requirement("NotIn", &[kind]),
        requirement("NotIn", &["other"]),
        requirement("Exists", &[]),
        requirement("DoesNotExist", &[]),
    ];
    let mut constraints = Vec::new();
    for key in ["kubernetes.io/hostname", "rack"] {
        if rng.bool() {
            let selector = &selectors[rng.usize(..selectors.len())];
            constraints.push(json!({
                "maxSkew": 1, "topologyKey": key, "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": selector,
            }));
        }
    }
    pod["topologySpreadConstraints"] = constraints.into();
    if rng.u8(..6) == 0 {
        pod["affinity"] = json!({ "podAntiAffinity": {} });
    }
    if rng.u8(..4) == 0 {
        let volume = json!({ "name": "old", "flocker": { "datasetName": "a" } });
        pod["volumes"].as_array_mut().unwrap().push(volume);
    }
    if rng.bool() {
        made["metadata"]["labels"]["owner"] = "a".into();
    }
    if rng.u8(..4) == 0 {
        made["metadata"]["annotations"]["helm.sh/hook"] = "test".into();
    }
    let field = match kind {
        "Deployment" | "StatefulSet" | "ReplicaSet" => "replicas",
        "Job" => "ttlSecondsAfterFinished",
        "CronJob" => "startingDeadlineSeconds",
        _ => return,
    };
    if rng.u8(..3) > 0 {
        made["spec"][field] = [1, 2, 9, 10][rng.usize(..4)].into();
    }
}

/// Returns a generator of its own, so that the objects of a seed stay valid.
fn beside(rng: &Rng) -> Rng {
    Rng::with_seed(!rng.get_seed())
}

/// Adds annotations by which an object exempts itself, or fails to.
fn exempt(rng: &Rng, made: &mut Value) {
    let rng = &mut beside(rng);
    if rng.bool() {
        return;
    }
    let annotations = &mut made["metadata"]["annotations"];
    let rules = ["latest-tag", "missing-liveness , latest-tag", "latest-tga,missing-readiness", ""];
    annotations[EXEMPT] = rules[rng.usize(..4)].into();
    annotations[EXEMPT_REASON] = ["moves in spring", "moves in spring", " "][rng.usize(..3)].into();
    if rng.bool() {
        let days = ["1970-01-01", "1969-12-31", "2999-12-31", "1970-1-2", "tomorrow"];
        annotations[EXEMPT_UNTIL] = days[rng.usize(..5)].into();
    }
}

/// Changes a pod spec: what a pod allows, or anything of a template.
fn updated(rng: &mut Rng, kind: &str, before: &Value) -> Value {
    let mut after = before.clone();
    if kind != "Pod" && rng.bool() {
        let keep = after["containers"][0].clone();
        after = pod(rng);
        // A container with settings of Linux is refused on Windows.
        if rng.bool() && after["os"].is_null() {
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
    let set = old.and_then(|old| old["metadata"]["annotations"][PATCHED_FIELDS].as_str()).unwrap_or_default();
    let is_dropped = |rule: RuleId, container: &str| {
        let field = match rule.as_str() {
            "missing-liveness" => "livenessProbe",
            "missing-readiness" => "readinessProbe",
            "missing-resources" => "resources",
            _ => return false,
        };
        set.split(',').any(|set| set.starts_with(&format!("{container}/{field}")))
    };
    let (old, new) = (old.map(ToString::to_string), new.to_string());
    let parse = |json| Fields::All.within(|| Workload::from_json(kind, json).unwrap());
    let new = parse(&new);
    let old = old.as_deref().map(parse);
    let now = Timestamp::UNIX_EPOCH;
    let (mut denied, mut warned) = (Vec::new(), Vec::new());
    for known in policies {
        let effective = known.effective.as_ref().unwrap();
        let left = AnnotatedExemptions::default().left_for("", &new, effective, now);
        let effective = left.as_ref().unwrap_or(effective);
        let before: BTreeSet<_> = old
            .iter()
            .flat_map(|old| evaluate_for_admission(effective, old, now))
            .flat_map(|violation| wrong(&violation))
            .collect();
        for violation in evaluate_for_admission(effective, &new, now) {
            if wrong(&violation).iter().all(|wrong| before.contains(wrong)) {
                continue;
            }
            let spec = &known.policy.spec;
            let admission = spec.admission.clone().unwrap();
            let container = violation.container.as_deref().unwrap_or_default();
            let is_denied = spec.enforcement_mode == EnforcementMode::Enforce
                && violation.severity >= admission.deny_at
                && !(admission.mutate && is_dropped(violation.rule, container));
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

/// Returns rule, container and value of what a violation says is wrong.
fn wrong(violation: &Violation) -> Vec<(RuleId, Option<String>, String)> {
    let Violation { rule, container, values, .. } = violation;
    let values = if values.is_empty() { vec![String::new()] } else { values.clone() };
    values.into_iter().map(|value| (*rule, container.clone(), value)).collect()
}

/// Returns the findings of the webhook.
fn by_webhook(policies: &[CompiledPolicy], kind: &str, old: Option<&Value>, new: &Value) -> Findings {
    let (group, version) = api_version(kind).split_once('/').unwrap_or(("", api_version(kind)));
    let review = json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "u", "kind": { "group": group, "version": version, "kind": kind }, "namespace": "shop",
            "operation": if old.is_some() { "UPDATE" } else { "CREATE" }, "object": new, "oldObject": old,
        },
    });
    let body = review.to_string();
    let request = parse_review(body.as_bytes()).unwrap();
    let decision =
        decide(&request, policies, None, &AnnotatedExemptions::default(), Timestamp::UNIX_EPOCH).unwrap();
    let found = |findings: Vec<NewViolation>| -> BTreeSet<_> {
        let findings = findings.into_iter();
        findings.map(|found| (found.rule.to_string(), found.container.unwrap_or_default())).collect()
    };
    (found(decision.denied), found(decision.warned))
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
        let (rule, rest) = finding.split_once(": ").unwrap();
        let container = rest.strip_prefix("container ").and_then(|rest| rest.split_once(','));
        (rule.to_owned(), container.map_or("", |(name, _)| name).to_owned())
    });
    found.collect()
}
