//! The Helm chart, with real Helm: it renders what `deploy` and `observability` print, and the API server takes all of
//! it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use crate::apply::{apply, try_apply};
use crate::control_plane::ControlPlane;
use crate::eventually::eventually;
use crate::prometheus::program;
use crate::upstream;
use kube_devops::manifests::installation::{self, Installation};
use kube_devops::manifests::observability::{DASHBOARDS, config_map, prometheus_rule, service_monitors};
use kube_devops::manifests::{Mode, RulePermissions};
use serde::Deserialize;
use serde_json::{Value, json};

/// The labels that only Helm's objects have.
const HELM_LABELS: [&str; 3] = ["app.kubernetes.io/managed-by", "app.kubernetes.io/version", "helm.sh/chart"];
/// The API server of the tests, as `helm template` is told about it.
const CAPABILITIES: [&str; 4] = [
    "--kube-version=1.36.3",
    "--api-versions=admissionregistration.k8s.io/v1/MutatingAdmissionPolicy",
    "--namespace=ops",
    "--values=-",
];

fn chart() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/helm/kube-devops")
}

/// Runs Helm and returns its standard output.
fn helm(release: &str, arguments: &[&str], values: &Value) -> Result<String, String> {
    let mut command = Command::new(program(release));
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), values.to_string()).unwrap();
    let path = format!("--values={}", file.path().display());
    command.args(arguments.iter().map(|argument| if *argument == "--values=-" { &path } else { *argument }));
    let run = command.env("HELM_CACHE_HOME", env::temp_dir()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    if run.status.success() { Ok(text(run.stdout)) } else { Err(text(run.stdout) + &text(run.stderr)) }
}

/// Returns the objects of a release called `kube-devops` in the namespace `ops`, hooks included.
pub(super) fn render(release: &str, values: &Value) -> Vec<Value> {
    let chart = chart();
    let arguments = [&["template", "kube-devops", chart.to_str().unwrap()][..], &CAPABILITIES].concat();
    let text =
        helm(release, &arguments, values).unwrap_or_else(|error| panic!("{release} {values}: {error}"));
    let documents =
        yaml_serde::Deserializer::from_str(&text).map(|document| Value::deserialize(document).unwrap());
    documents.filter(|object| !object.is_null()).collect()
}

pub(super) fn is_hook(object: &Value) -> bool {
    object["metadata"]["annotations"]["helm.sh/hook"].is_string()
}

/// Returns objects by kind, namespace and name, without what only Helm adds.
fn by_name(objects: Vec<Value>) -> BTreeMap<[String; 3], Value> {
    let key = |object: &Value| {
        [&object["kind"], &object["metadata"]["namespace"], &object["metadata"]["name"]].map(Value::to_string)
    };
    let without_helm = |mut object: Value| {
        let metadata = object["metadata"].as_object_mut().unwrap();
        if let Some(labels) = metadata.get_mut("labels").and_then(Value::as_object_mut) {
            labels.retain(|label, _| !HELM_LABELS.contains(&&**label));
        }
        if metadata.get("annotations") == Some(&json!({ "helm.sh/resource-policy": "keep" })) {
            metadata.remove("annotations");
        }
        (key(&object), object)
    };
    objects.into_iter().map(without_helm).collect()
}

/// Asserts that the chart renders an installation, its monitoring included where the values ask for it.
fn assert_same(release: &str, values: &Value, installation: Installation) {
    let installation = Installation { namespace: "ops".to_owned(), ..installation };
    let mut expected = installation::all(&installation).unwrap();
    expected.retain(|object| object["kind"] != "Namespace");
    if !values["monitoring"].is_null() {
        let labels = [("release".to_owned(), "prom".to_owned())];
        expected.extend(service_monitors(&installation, &labels));
        expected.push(prometheus_rule(&installation, &labels, "https://ops.example"));
        expected.extend(DASHBOARDS.iter().map(|board| config_map(&installation, board, "dash").unwrap()));
    }
    let rendered = render(release, values).into_iter().filter(|object| !is_hook(object));
    let (rendered, expected) = (by_name(rendered.collect()), by_name(expected));
    let names = |objects: &BTreeMap<[String; 3], Value>| objects.keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(names(&rendered), names(&expected), "{release} {values}");
    for (name, object) in rendered {
        assert_eq!(object, expected[&name], "{release} {values} {name:?}");
    }
}

/// Installations, as values of the chart and as the model.
fn installations() -> Vec<(Value, Installation)> {
    let of = |modes: &[Mode]| Installation { modes: modes.to_vec(), ..Installation::default() };
    let texts = |texts: [&str; 2]| texts.map(str::to_owned).to_vec();
    let monitoring = json!({
        "serviceMonitor": { "enabled": true, "labels": { "release": "prom" } },
        "prometheusRule": { "enabled": true, "labels": { "release": "prom" }, "runbooks": "https://ops.example" },
        "dashboards": { "enabled": true, "label": "dash" },
    });
    let everything = [Mode::Watch, Mode::Enforce, Mode::Native, Mode::Webhook];
    vec![
        (json!({}), Installation::default()),
        (
            json!({
                "webhook": { "enabled": true }, "networkPolicy": { "enabled": true }, "monitoring": monitoring,
                "rules": { "permissions": "all" },
            }),
            Installation {
                network_policies: true,
                rule_permissions: RulePermissions::All,
                ..of(&everything)
            },
        ),
        (
            json!({ "watch": { "enabled": false }, "reconcile": { "enforce": false, "reports": "openreports" } }),
            of(&[Mode::Reconcile, Mode::Native, Mode::Reports]),
        ),
        (
            json!({ "reconcile": { "enabled": false }, "watch": { "namespaces": ["shop", "bank"] } }),
            Installation { namespaces: texts(["shop", "bank"]), ..of(&[Mode::Watch]) },
        ),
        (
            json!({
                "watch": { "enabled": false }, "reconcile": { "namespaces": ["shop", "bank"] },
                "rules": { "permissions": "recommended" },
            }),
            Installation {
                rule_permissions: RulePermissions::Recommended,
                reconcile_namespaces: texts(["shop", "bank"]),
                ..of(&[Mode::Enforce, Mode::Native])
            },
        ),
        (
            json!({
                "admission": { "native": false }, "selfFence": { "enabled": false }, "crds": { "install": false },
                "systemNamespaces": ["infra", "tools"],
            }),
            Installation {
                self_fence: false,
                crds: false,
                system_namespaces: texts(["infra", "tools"]),
                ..of(&[Mode::Watch, Mode::Enforce])
            },
        ),
        (
            json!({
                "watch": { "enabled": false }, "reconcile": { "enabled": false },
                "systemNamespaces": ["infra", "tools"],
                "webhook": { "enabled": true, "failurePolicy": "Fail", "replicas": 3 },
                "global": { "imageRegistry": "registry.example" }, "image": { "registry": "unused", "tag": "9" },
            }),
            Installation {
                fail_closed: true,
                replicas: 3,
                image: "registry.example/kube-devops:9".to_owned(),
                system_namespaces: texts(["infra", "tools"]),
                ..of(&[Mode::Webhook])
            },
        ),
    ]
}

#[test]
#[ignore = "needs Helm: make test"]
fn helm_renders_what_deploy_and_observability_print() {
    for release in ["helm4", "helm3"] {
        let chart = chart();
        for (values, installation) in installations() {
            let lint = ["lint", "--strict", chart.to_str().unwrap(), "--values=-"];
            helm(release, &lint, &values).unwrap_or_else(|error| panic!("{release} {values}: {error}"));
            assert_same(release, &values, installation);
        }
    }
}

#[test]
#[ignore = "needs Helm: make test"]
fn a_misspelt_value_or_a_wrong_type_is_refused() {
    let chart = chart();
    for values in [
        json!({ "wacth": { "enabled": true } }),
        json!({ "watch": { "replica": 3 } }),
        json!({ "webhook": { "failurePolicy": "Maybe" } }),
        json!({ "webhook": { "enabled": true, "failurePolicy": "Fail", "replicas": 1 } }),
        json!({ "reconcile": { "replicas": "two" } }),
        json!({ "reconcile": { "reports": "policyreports" } }),
        json!({ "image": { "digest": "abc" } }),
        json!({ "rules": { "permissions": "some" } }),
    ] {
        let arguments = [&["template", "x", chart.to_str().unwrap()][..], &CAPABILITIES].concat();
        let error = helm("helm4", &arguments, &values).unwrap_err();
        assert!(error.contains("schema"), "{values}: {error}");
    }
}

/// Every value that no installation above sets.
fn everything_else() -> Value {
    let account = |name: &str| json!({ "annotations": { "role": name } });
    json!({
        "fullnameOverride": "governance", "nameOverride": "kd",
        "image": { "digest": format!("sha256:{}", "0".repeat(64)), "pullPolicy": "Always" },
        "global": { "imagePullSecrets": ["shared"] }, "imagePullSecrets": ["own"],
        "systemNamespaces": ["infra"], "crds": { "keep": false }, "networkPolicy": { "enabled": true },
        "watch": { "replicas": 1, "extraArgs": ["--log-level=debug"], "serviceAccount": account("watch") },
        "reconcile": {
            "resources": { "limits": { "memory": "1Gi" } },
            "serviceAccount": { "create": false, "name": "mine" },
        },
        "webhook": {
            "enabled": true, "port": 9443, "metricsPort": 9081, "hostNetwork": true,
            "serviceAccount": account("hook"),
        },
        "monitoring": {
            "serviceMonitor": {
                "enabled": true, "interval": "1m",
                "relabelings": [{ "action": "labeldrop", "regex": "pod" }],
                "metricRelabelings": [{ "action": "drop", "regex": "pod_.*", "sourceLabels": ["__name__"] }],
            },
            "prometheusRule": { "enabled": true },
            "dashboards": { "enabled": true, "annotations": { "folder": "Governance" } },
        },
        "commonLabels": { "team": "platform" }, "commonAnnotations": { "contact": "platform" },
        "podLabels": { "sidecar": "off" }, "podAnnotations": { "note": "x" },
        "podSecurityContext": { "runAsUser": null, "runAsGroup": null },
        "nodeSelector": { "kubernetes.io/os": "linux" }, "tolerations": [{ "operator": "Exists" }],
        "affinity": { "nodeAffinity": { "preferredDuringSchedulingIgnoredDuringExecution": [{
            "weight": 1, "preference": { "matchExpressions": [{ "key": "zone", "operator": "Exists" }] },
        }] } },
        "priorityClassName": "system-cluster-critical",
        "extraEnv": [{ "name": "HTTPS_PROXY", "value": "http://proxy.example" }],
        "extraVolumes": [{ "name": "tmp", "emptyDir": {} }],
        "extraVolumeMounts": [{ "name": "tmp", "mountPath": "/tmp" }],
        "extraObjects": [
            { "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "extra", "namespace": "ops" } },
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: '{{ .Release.Name }}-text'\n  namespace: ops\n",
        ],
    })
}

#[test]
#[ignore = "needs Helm: make test"]
fn names_labels_and_pods_follow_the_values() {
    let objects = render("helm4", &everything_else());
    let find = |kind: &str, name: &str| {
        let found =
            objects.iter().find(|object| object["kind"] == kind && object["metadata"]["name"] == name);
        found.unwrap_or_else(|| panic!("no {kind} {name}"))
    };
    let deployment = find("Deployment", "governance-webhook");
    let pod = &deployment["spec"]["template"]["spec"];
    assert_eq!(pod["securityContext"]["runAsUser"], Value::Null);
    assert_eq!(pod["imagePullSecrets"], json!([{ "name": "shared" }, { "name": "own" }]));
    let flags = ["webhook", "serve", "--log-format=json", "--system-namespace=infra"];
    let flags = flags.into_iter().chain([
        "--service-name=governance-webhook",
        "--secure-listen=:9443",
        "--listen=:9081",
    ]);
    assert_eq!(pod["containers"][0]["args"], json!(flags.collect::<Vec<_>>()));
    let registered = find("ValidatingWebhookConfiguration", "kube-devops-webhook");
    assert_eq!(registered["webhooks"][0]["clientConfig"]["service"]["name"], "governance-webhook");
    let fence = find("ValidatingAdmissionPolicy", "kube-devops-self-fence").to_string();
    assert!(
        fence.contains("'system:serviceaccount:ops:mine'") && fence.contains("'ops', 'infra']"),
        "{fence}"
    );
    assert!(
        !objects
            .iter()
            .any(|object| object["kind"] == "ServiceAccount" && object["metadata"]["name"] == "mine")
    );
    find("ConfigMap", "extra");
    find("ConfigMap", "kube-devops-text");
    let is_extra = |object: &&Value| {
        ["extra", "kube-devops-text"].iter().any(|name| object["metadata"]["name"] == *name)
    };
    for object in objects.iter().filter(|object| !is_extra(object)) {
        assert_eq!(object["metadata"]["labels"]["team"], "platform", "{object}");
    }
    let crd = find("CustomResourceDefinition", "devopspolicies.devops.stochastic.io");
    assert_eq!(crd["metadata"]["annotations"]["helm.sh/resource-policy"], Value::Null);
}

#[test]
#[ignore = "needs Helm: make test"]
fn hooks_run_our_binary_with_an_account_of_their_own() {
    let reports = json!({ "reconcile": { "reports": "openreports" } });
    for (values, reconcile) in [(json!({}), "enforce"), (reports, "enforce,reports")] {
        let hooks: Vec<_> = render("helm4", &values).into_iter().filter(is_hook).collect();
        let commands: Vec<_> = hooks
            .iter()
            .flat_map(|hook| [&hook["spec"]["template"]["spec"], &hook["spec"]])
            .filter_map(|pod| pod["containers"][0]["args"].as_array())
            .map(|args| args.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" "))
            .collect();
        let expected = [
            "uninstall --stop --namespace=ops".to_owned(),
            "check --for=watch --own-namespace=ops".to_owned(),
            format!("check --for={reconcile} --own-namespace=ops"),
        ];
        assert_eq!(commands.into_iter().collect::<BTreeSet<_>>(), expected.into());
    }
}

/// Returns the CRDs of the Prometheus operator.
fn monitoring_crds() -> [Value; 2] {
    ["servicemonitors", "prometheusrules"].map(|plural| {
        let path = format!("example/prometheus-operator-crd/monitoring.coreos.com_{plural}.yaml");
        upstream::crd("helm", "github.com/prometheus-operator/prometheus-operator", &path)
    })
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane and Helm: make test"]
async fn the_api_server_takes_every_rendered_object() {
    let plane = ControlPlane::start();
    let client = plane.client().await;
    for crd in monitoring_crds() {
        apply(&client, &crd).await.unwrap();
    }
    for name in ["ops", "shop", "bank"] {
        let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } });
        apply(&client, &namespace).await.unwrap();
    }
    let values = installations().into_iter().map(|(values, _)| values).chain([everything_else()]);
    let objects: Vec<_> = values.flat_map(|values| render("helm4", &values)).collect();
    let monitor = objects.iter().find(|object| object["kind"] == "ServiceMonitor").unwrap();
    eventually("the CRDs are served", async || try_apply(&client, monitor).await.ok()).await;
    for object in &objects {
        if let Err(error) = try_apply(&client, object).await {
            panic!("{} {}: {error}", object["kind"], object["metadata"]["name"]);
        }
    }
    let mut misspelt = monitor.clone();
    misspelt["spec"]["endpoints"][0]["intervall"] = "30s".into();
    assert!(try_apply(&client, &misspelt).await.is_err(), "the API server checks the fields");
}
