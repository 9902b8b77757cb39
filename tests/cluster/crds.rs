//! The CRDs on a real API server: installation, validation and printed columns.

use crate::analyze::{Outcome, on};
use crate::control_plane::{ControlPlane, Reach};
use crate::eventually::eventually;
use crate::policies::{INVALID, VALID, manifest};
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::rbac::v1::PolicyRule;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use kube_devops::manifests::crds;
use kube_devops::policy::{
    ClusterDevOpsPolicy, DevOpsPolicy, DevOpsPolicySpec, EffectivePolicy, PolicyAuditResult,
};
use kube_devops::yaml::Document;
use serde::Deserialize as _;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::sync::OnceLock;

const POLICIES: &str = "devopspolicies.devops.stochastic.io";
const CLUSTER_POLICIES: &str = "clusterdevopspolicies.devops.stochastic.io";
const AUDIT_RESULTS: &str = "policyauditresults.devops.stochastic.io";

/// Returns a control plane with the CRDs installed. Only these tests use it, because CRDs are cluster-scoped.
fn plane() -> &'static ControlPlane {
    static PLANE: OnceLock<ControlPlane> = OnceLock::new();
    PLANE.get_or_init(|| {
        let plane = ControlPlane::start();
        install(&plane);
        plane
    })
}

fn install(plane: &ControlPlane) -> String {
    let outcome = on(plane.kubeconfig(), &["crd", "install"]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""), "{outcome:?}");
    outcome.stdout
}

/// The output of `crd install` for all CRDs.
fn said(policies: &str, cluster_policies: &str, audit_results: &str) -> String {
    [(POLICIES, policies), (CLUSTER_POLICIES, cluster_policies), (AUDIT_RESULTS, audit_results)]
        .map(|(crd, done)| format!("customresourcedefinition {crd} {done}\n"))
        .concat()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn crds_are_created_once_and_repaired_only_after_changes() {
    let plane = ControlPlane::start();
    let client = plane.client().await;
    let missing = check(&plane, "reconcile");
    assert_eq!(missing.code, 1, "{missing:?}");
    assert_eq!(states(&missing), ["missing:"; 3], "{missing:?}");
    assert_eq!(install(&plane), said("created", "created", "created"));
    // The resources are usable as soon as `crd install` returns.
    let policies = Api::<DevOpsPolicy>::namespaced(client.clone(), "default");
    policies.create(&PostParams::default(), &policy("first", "{forbidLatestTag: true}")).await.unwrap();
    assert_eq!(install(&plane), said("unchanged", "unchanged", "unchanged"));
    let current = check(&plane, "reconcile");
    assert_eq!(current.code, 0, "{current:?}");
    assert_eq!(states(&current), ["current"; 3], "{current:?}");

    // Another client removes a column.
    let definitions = Api::<CustomResourceDefinition>::all(client);
    let columns = "/spec/versions/0/additionalPrinterColumns/0";
    let patch = json!([{ "op": "remove", "path": columns }]);
    let patch = Patch::Json::<()>(serde_json::from_value(patch).unwrap());
    definitions.patch(AUDIT_RESULTS, &PatchParams::default(), &patch).await.unwrap();
    let outdated = check(&plane, "enforce");
    assert_eq!(outdated.code, 1, "{outdated:?}");
    assert_eq!(states(&outdated), ["current", "current", "outdated:"], "{outdated:?}");
    assert_eq!(check(&plane, "analyze").code, 0);
    assert_eq!(install(&plane), said("unchanged", "unchanged", "changed"));
    assert_eq!(states(&check(&plane, "reconcile")), ["current"; 3]);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn an_upgrade_from_an_older_crd_keeps_the_stored_objects() {
    let plane = ControlPlane::start();
    let client = plane.client().await;
    let definitions = Api::<CustomResourceDefinition>::all(client.clone());
    // An older CRD that kubectl created: another field manager, fewer fields, no status and one obsolete field.
    let [mut older, ..] = crds();
    let version = &mut older.spec.versions[0];
    version.subresources = None;
    let schema = version.schema.as_mut().unwrap().open_api_v3_schema.as_mut().unwrap();
    schema.properties.as_mut().unwrap().remove("status");
    let spec = schema.properties.as_mut().unwrap().get_mut("spec").unwrap();
    spec.x_kubernetes_validations = None;
    let fields = spec.properties.as_mut().unwrap();
    fields.retain(|name, _| ["forbidLatestTag", "maxRestartCount"].contains(&name.as_str()));
    let gone = fields["forbidLatestTag"].clone();
    fields.insert("forbidRoot".to_owned(), gone);
    definitions.create(&PostParams::default(), &older).await.unwrap();
    let policies = Api::<DevOpsPolicy>::namespaced(client.clone(), "default");
    let stored = json!({
        "apiVersion": "devops.stochastic.io/v1", "kind": "DevOpsPolicy", "metadata": { "name": "old" },
        "spec": { "forbidLatestTag": true, "maxRestartCount": 7, "forbidRoot": true },
    });
    let created =
        eventually("the older CRD is served", async || create(&client, "default", &stored).await.ok()).await;

    assert_eq!(install(&plane), said("changed", "created", "created"));
    let kept = policies.get("old").await.unwrap();
    assert_eq!(kept.metadata.uid.as_deref(), created["metadata"]["uid"].as_str());
    assert_eq!((kept.spec.forbid_latest_tag, kept.spec.max_restart_count), (Some(true), Some(7)));
    // The policy can be edited under the new schema and now has a status.
    let edit = Patch::Merge(json!({ "spec": { "forbidPendingDuration": 60 } }));
    let edited = policies.patch("old", &PatchParams::default(), &edit).await.unwrap();
    assert_eq!(edited.spec.forbid_pending_duration, Some(60));
    let status = Patch::Merge(json!({ "status": { "healthScore": 90 } }));
    let evaluated = policies.patch_status("old", &PatchParams::default(), &status).await.unwrap();
    assert_eq!(evaluated.status.unwrap().health_score, Some(90));
    assert_eq!(states(&check(&plane, "reconcile")), ["current"; 3]);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn an_install_reports_names_in_use_at_once() {
    let plane = ControlPlane::start();
    let definitions = Api::<CustomResourceDefinition>::all(plane.client().await);
    let [mut other, ..] = crds();
    other.metadata.name = Some("dopamines.devops.stochastic.io".to_owned());
    other.spec.names.plural = "dopamines".to_owned();
    other.spec.names.singular = Some("dopamine".to_owned());
    other.spec.names.kind = "Dopamine".to_owned();
    definitions.create(&PostParams::default(), &other).await.unwrap();
    eventually("the other CRD owns its names", async || {
        let status = definitions.get("dopamines.devops.stochastic.io").await.ok()?.status?;
        status.accepted_names?.short_names.filter(|names| !names.is_empty())
    })
    .await;
    let refused = on(plane.kubeconfig(), &["crd", "install"]);
    assert_eq!((refused.code, refused.stdout.as_str()), (2, ""), "{refused:?}");
    assert!(refused.stderr.contains("refuses its names: \"dop\" is already in use"), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn install_names_missing_permissions_and_check_uses_discovery() {
    let plane = plane();
    let namespace = plane.namespace("crds");
    let kubeconfig = plane.restricted(&namespace, "nobody", &[], Reach::Cluster).await;
    let refused = on(&kubeconfig, &["crd", "install"]);
    assert_eq!((refused.code, refused.stdout.as_str()), (2, ""), "{refused:?}");
    assert!(
        refused.stderr.starts_with(&format!("error: cannot install the CRD {POLICIES}: ")),
        "{refused:?}"
    );
    assert!(refused.stderr.contains("get, create and patch on customresourcedefinitions"), "{refused:?}");
    assert_eq!(refused.stderr.lines().count(), 1, "{refused:?}");

    let served = on(&kubeconfig, &["check", "--for", "reconcile"]);
    assert_eq!(states(&served), ["served:"; 3], "{served:?}");
    assert!(served.stdout.contains("get on customresourcedefinitions"), "{served:?}");

    let read: PolicyRule = serde_json::from_value(json!({
        "apiGroups": ["apiextensions.k8s.io"], "resources": ["customresourcedefinitions"], "verbs": ["get"],
    }))
    .unwrap();
    let kubeconfig = plane.restricted(&namespace, "reader", &[read], Reach::Cluster).await;
    let current = on(&kubeconfig, &["check", "--for", "reconcile"]);
    assert_eq!(states(&current), ["current"; 3], "{current:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn the_api_server_refuses_invalid_policies_like_the_file_reader() {
    let plane = plane();
    let (client, namespace) = (plane.client().await, plane.namespace("refused"));
    let mut problems = Vec::new();
    for (index, (spec, field)) in INVALID.iter().enumerate() {
        match create(&client, &namespace, &object(&format!("invalid-{index}"), spec)).await {
            Ok(_) => problems.push(format!("{spec} is taken")),
            Err(kube::Error::Api(status)) if status.message.contains(field) => {
                println!("{spec}\n    {}", status.message);
            }
            Err(error) => problems.push(format!("{spec}: no {field} in: {error}")),
        }
    }
    for (index, spec) in VALID.iter().enumerate() {
        if let Err(error) = create(&client, &namespace, &object(&format!("valid-{index}"), spec)).await {
            problems.push(format!("{spec} is refused: {error}"));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    // The operator reads exactly the stored object.
    let policies = Api::<DevOpsPolicy>::namespaced(client, &namespace);
    assert_eq!(policies.list(&kube::api::ListParams::default()).await.unwrap().items.len(), VALID.len());
}

/// YAML values separated by ` | `. Each is valid for some fields and invalid for others.
const SPELLINGS: &str = "\
    true | false | yes | 'true' | null | ~ | [] | {} | [1] | {a: 1} | '' | text | 0 | -0 | 1 | -1 | 3.0 | \
    0.5 | 1e3 | 1e400 | 65535 | 65536 | 86400 | 86401 | 2147483647 | 2147483648 | 4294967296 | \
    9223372036854775807 | 9223372036854775808 | '0' | '1' | '-1' | '+1' | '.5' | '5.' | '.' | '1.5.1' | \
    '1e3' | '1E3' | '1e-3' | '1e' | 1m | 1n | 1u | 0n | 1k | 1K | 1Ki | 1ki | 1Mi | 1G | 1E | 1Ei | 1Pi | \
    1mi | ' 1' | '1 ' | '1 Gi' | '0.0000000001' | '0x10' | '1_000' | '١' | audit | Audit | report | keep | \
    critical | low | pending | {id: pending} | [{id: pending}] | \
    [{id: pending}, {id: latest-tag, params: {}}] | [null] | [{}] | '99999999999999999999999999' | \
    99999999999999999999999999Ei | '00000000000000000000000000000001'";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn files_and_the_api_server_agree_on_every_value_of_every_field() {
    let plane = plane();
    let (client, namespace) = (plane.client().await, plane.namespace("spellings"));
    let mut differences = Vec::new();
    for field in [
        "{forbidLatestTag: _}",
        "{maxRestartCount: _}",
        "{forbidPendingDuration: _}",
        "{rules: _}",
        "{rules: [_]}",
        "{rules: [{id: _}]}",
        "{rules: [{id: missing-resources, params: _}]}",
        "{rules: [{id: pending, params: {seconds: _}}]}",
        "{rules: [{id: missing-resources, params: {cpuLimit: _}}]}",
        "{severityOverrides: {pending: _}}",
        "{enforcementMode: _}",
        "{defaultProbe: {tcpPort: _}}",
        "{defaultProbe: {periodSeconds: _}}",
        "{defaultResources: {cpuRequest: _}}",
        "{defaultResources: {memoryRequest: 1Ki, memoryLimit: _}}",
        "{remediation: {verifySeconds: _}}",
        "{remediation: {gitops: _}}",
        "{admission: {mutate: _}}",
        "_",
    ] {
        for spelling in SPELLINGS.split(" | ") {
            let spec = field.replace('_', spelling);
            let file = EffectivePolicy::from_manifest(&manifest("spelled", &spec)).map(drop);
            let server = create(&client, &namespace, &object("spelled", &spec)).await.map(drop);
            if server.is_ok() {
                let policies = Api::<DevOpsPolicy>::namespaced(client.clone(), &namespace);
                let stored = policies.get("spelled").await;
                policies.delete("spelled", &DeleteParams::default()).await.unwrap();
                if let Err(error) = stored {
                    differences.push(format!("{spec}: stored, and can't be read: {error}"));
                }
            }
            if file.is_ok() != server.is_ok() {
                differences.push(format!("{spec}: by file {file:?}, by API server {server:?}"));
            }
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn the_samples_are_accepted() {
    let client = plane().client().await;
    let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "production" } });
    let namespace = serde_json::from_value::<Namespace>(namespace).unwrap();
    Api::all(client.clone()).create(&PostParams::default(), &namespace).await.unwrap();
    for sample in ["sample-devopspolicy.yaml", "policies/strict.yaml"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("kube-tests").join(sample);
        let policy: Value = yaml_serde::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        assert_eq!(policy["metadata"]["namespace"], "production", "{sample}");
        create(&client, "production", &policy).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn cel_errors_name_the_fix() {
    let plane = plane();
    let (client, namespace) = (plane.client().await, plane.namespace("words"));
    for (spec, words) in [
        ("{defaultResources: {cpuRequest: lots}}", "must be a quantity such as 100m, 2, \"0.5\" or 128Mi"),
        ("{defaultResources: {memoryLimit: 0}}", "must be more than zero"),
        ("{defaultResources: {cpuRequest: 2, cpuLimit: 1}}", "must not be above cpuLimit"),
        (
            "{requireLivenessProbe: true, rules: [{id: missing-liveness}]}",
            "rule missing-liveness is turned on by requireLivenessProbe already: take it out of rules",
        ),
        (
            "{rules: [{id: latest-tag, params: {maxRestartCount: 1}}]}",
            "maxRestartCount is a parameter of rule high-restarts only",
        ),
    ] {
        let refusal = create(&client, &namespace, &object("words", spec)).await.unwrap_err().to_string();
        assert!(refusal.contains(words), "{refusal}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn every_field_has_a_description() {
    let client = plane().client().await;
    let document = eventually("the group's OpenAPI is published", async || {
        let request =
            http::Request::get("/openapi/v3/apis/devops.stochastic.io/v1").body(Vec::new()).unwrap();
        client.request::<Value>(request).await.ok()
    })
    .await;
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let mut mute = Vec::new();
    let mut explained = 0;
    for (name, schema) in schemas.iter().filter(|(name, _)| name.starts_with("io.stochastic.devops.v1.")) {
        explained += explain(schema, name, &mut mute);
    }
    assert!(mute.is_empty(), "no description: {mute:?}");
    assert!(explained > 80, "only {explained} fields");
    let probe =
        &schemas["io.stochastic.devops.v1.DevOpsPolicy"]["properties"]["spec"]["properties"]["defaultProbe"];
    assert_eq!(probe["description"], "The probe that enforcement adds to containers without one.");
}

/// Counts the fields of a schema and collects those without a description.
fn explain(schema: &Value, path: &str, mute: &mut Vec<String>) -> usize {
    let fields = schema["properties"].as_object().into_iter().flatten();
    let below: usize = fields
        .map(|(name, field)| {
            let path = format!("{path}.{name}");
            if field["description"].as_str().unwrap_or_default().is_empty() {
                mute.push(path.clone());
            }
            1 + explain(field, &path, mute)
        })
        .sum();
    below
        + if schema["items"].is_object() { explain(&schema["items"], &format!("{path}[]"), mute) } else { 0 }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn kubectl_get_shows_the_columns_and_short_names_work() {
    let plane = plane();
    let (client, namespace) = (plane.client().await, plane.namespace("columns"));
    let policies = Api::<DevOpsPolicy>::namespaced(client.clone(), &namespace);
    policies.create(&PostParams::default(), &policy("strict", "{forbidLatestTag: true}")).await.unwrap();
    let status =
        json!({ "status": { "healthScore": 73, "classification": "Stable", "violations": 12, "pods": 9 } });
    policies.patch_status("strict", &PatchParams::default(), &Patch::Merge(status)).await.unwrap();
    let (columns, cells) = table(&client, &namespace, "devopspolicies").await;
    assert_eq!(columns, ["Name", "Mode", "Score", "Status", "Violations", "Pods", "Age"]);
    assert_eq!(
        cells[..6],
        [json!("strict"), json!("audit"), json!(73), json!("Stable"), json!(12), json!(9)]
    );

    let result: PolicyAuditResult = serde_json::from_value(json!({
        "metadata": { "name": "strict-1" },
        "spec": {
            "policyName": "strict", "timestamp": "2026-01-01T00:00:00Z", "healthScore": 73, "classification": "Stable",
            "totalPods": 9, "totalViolations": 12,
            "violations": [{
                "kind": "Deployment", "name": "web", "pods": 3, "containerName": "web",
                "violationType": "latest-tag", "severity": "high", "message": "pin it",
            }],
            "fixes": [{ "kind": "Deployment", "name": "web", "patch": "{}" }],
        },
    }))
    .unwrap();
    let results = Api::<PolicyAuditResult>::namespaced(client.clone(), &namespace);
    assert_eq!(results.create(&PostParams::default(), &result).await.unwrap().spec, result.spec);
    let (columns, cells) = table(&client, &namespace, "policyauditresults").await;
    assert_eq!(columns, ["Name", "Policy", "Score", "Status", "Violations", "Age"]);
    assert_eq!(cells[..5], [json!("strict-1"), json!("strict"), json!(73), json!("Stable"), json!(12)]);

    let resources = client.list_api_group_resources("devops.stochastic.io/v1").await.unwrap().resources;
    let short = |plural: &str| resources.iter().find(|one| one.name == plural).unwrap().short_names.clone();
    assert_eq!(short("devopspolicies"), Some(vec!["dop".to_owned()]));
    assert_eq!(short("policyauditresults"), Some(vec!["par".to_owned()]));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_cluster_policy_is_validated_with_its_selector_and_has_columns_of_its_own() {
    let client = plane().client().await;
    let policies = Api::<ClusterDevOpsPolicy>::all(client.clone());
    let create = async |spec: Value| {
        let policy = json!({
            "apiVersion": "devops.stochastic.io/v1", "kind": "ClusterDevOpsPolicy", "metadata": { "name": "base" },
            "spec": spec,
        });
        let document = policy.to_string();
        let ours = EffectivePolicy::from_manifest(&document).map(drop).map_err(|error| error.to_string());
        let path = "/apis/devops.stochastic.io/v1/clusterdevopspolicies?fieldValidation=Strict";
        let request = http::Request::post(path).body(document.into_bytes()).unwrap();
        let theirs = client.request::<Value>(request).await.map(drop).map_err(|error| error.to_string());
        assert_eq!(ours.is_ok(), theirs.is_ok(), "{ours:?} {theirs:?}");
        theirs
    };
    let requirement =
        |requirement: Value| json!({ "namespaceSelector": { "matchExpressions": [requirement] } });
    for (refused, why) in [
        (json!({ "forbidLatestTag": true }), "namespaceSelector"),
        (requirement(json!({ "key": "a", "operator": "In" })), "In and NotIn need values"),
        (
            requirement(json!({ "key": "a", "operator": "Exists", "values": ["b"] })),
            "In and NotIn need values",
        ),
        (requirement(json!({ "key": "a", "operator": "Like" })), "Like"),
        (json!({ "namespaceSelector": {}, "maxRestartCount": -1 }), "maxRestartCount"),
        (
            json!({ "namespaceSelector": {}, "forbidLatestTag": true, "rules": [{ "id": "latest-tag" }] }),
            "rules",
        ),
    ] {
        let error = create(refused).await.unwrap_err();
        assert!(error.contains(why), "{error}");
    }
    create(requirement(json!({ "key": "a", "operator": "NotIn", "values": ["b"] }))).await.unwrap();
    let worst = json!([{ "namespace": "shop", "healthScore": 7, "violations": 3, "pods": 1 }]);
    let status = json!({ "status": {
        "namespaces": 2, "healthScore": 73, "classification": "Stable", "violations": 12, "pods": 9,
        "worstNamespaces": worst,
    } });
    let written =
        policies.patch_status("base", &PatchParams::default(), &Patch::Merge(status)).await.unwrap();
    let status = written.status.unwrap();
    assert_eq!((status.namespaces, status.worst_namespaces.len(), status.totals.pods), (Some(2), 1, Some(9)));
    let path = "/apis/devops.stochastic.io/v1/clusterdevopspolicies";
    let (columns, cells) = table_at(&client, path).await;
    assert_eq!(columns, ["Name", "Mode", "Namespaces", "Score", "Status", "Violations", "Pods", "Age"]);
    assert_eq!(cells[..4], [json!("base"), json!("audit"), json!(2), json!(73)]);
    policies.delete("base", &DeleteParams::default()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_status_is_its_own_subresource_and_bounded() {
    let plane = plane();
    let (client, namespace) = (plane.client().await, plane.namespace("status"));
    let policies = Api::<DevOpsPolicy>::namespaced(client.clone(), &namespace);
    let created = policies.create(&PostParams::default(), &policy("strict", "{}")).await.unwrap();
    assert_eq!(created.metadata.generation, Some(1));
    let remediation = |name: &str| json!({ "kind": "Deployment", "name": name, "phase": "Applied", "time": "2026-01-01T00:00:00Z" });
    let condition = json!({
        "type": "Ready", "status": "True", "reason": "Evaluated", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z",
    });
    let write = async |status: Value| {
        let params = PatchParams::apply("kube-devops").force();
        let document = json!({
            "apiVersion": "devops.stochastic.io/v1", "kind": "DevOpsPolicy", "status": status,
        });
        policies.patch_status("strict", &params, &Patch::Apply(document)).await
    };
    let evaluated = write(json!({
        "observedGeneration": 1, "healthy": false, "healthScore": 100, "violations": 0,
        "remediatedWorkloads": ["Deployment/web"], "remediations": [remediation("web"), remediation("api")],
        "conditions": [condition],
    }))
    .await
    .unwrap();
    assert_eq!(evaluated.metadata.generation, Some(1), "a status update doesn't change the generation");
    let status = evaluated.status.unwrap();
    assert_eq!((status.remediations.len(), status.conditions.len()), (2, 1));
    assert_eq!(policies.get("strict").await.unwrap().spec, DevOpsPolicySpec::default());

    let many = |count: usize| (0..count).map(|n| json!(format!("Deployment/web-{n}"))).collect::<Vec<_>>();
    assert!(write(json!({ "remediatedWorkloads": many(50) })).await.is_ok());
    for (refused, field) in [
        (json!({ "remediatedWorkloads": many(51) }), "status.remediatedWorkloads"),
        (json!({ "healthScore": 101 }), "status.healthScore"),
        (json!({ "remediations": [remediation("web"), remediation("web")] }), "remediations"),
        (json!({ "remediations": [{ "kind": "Deployment", "name": "web", "phase": "Guessed" }] }), "phase"),
    ] {
        let error = write(refused).await.unwrap_err().to_string();
        assert!(error.contains(field), "{error}");
    }
    policies.delete("strict", &DeleteParams::default()).await.unwrap();
}

fn check(plane: &ControlPlane, mode: &str) -> Outcome {
    on(plane.kubeconfig(), &["check", "--for", mode])
}

/// Returns the first word of the line that `check` prints for each CRD.
fn states(outcome: &Outcome) -> Vec<&str> {
    let word = |name: &str| {
        let line = outcome.stdout.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|line| line.split_whitespace().next()).unwrap_or_default()
    };
    vec![word(POLICIES), word(CLUSTER_POLICIES), word(AUDIT_RESULTS)]
}

fn policy(name: &str, spec: &str) -> DevOpsPolicy {
    DevOpsPolicy::new(name, yaml_serde::from_str(spec).unwrap())
}

/// Returns the object that kubectl sends for a policy with this spec. kubectl writes whole numbers without a fraction.
fn object(name: &str, spec: &str) -> Value {
    // kubectl sends YAML as JSON, by the rules of YAML 1.1.
    let text = manifest(name, spec);
    let document = Document::parse(&text).unwrap();
    kube_devops::manifests::manifest(&Value::deserialize(document.root()).unwrap()).unwrap()
}

/// Creates a policy with strict field validation, as `kubectl create` does.
async fn create(client: &Client, namespace: &str, policy: &Value) -> kube::Result<Value> {
    let path =
        format!("/apis/devops.stochastic.io/v1/namespaces/{namespace}/devopspolicies?fieldValidation=Strict");
    client.request(http::Request::post(path).body(policy.to_string().into_bytes()).unwrap()).await
}

/// Returns the columns and the first row that the API server prints for `kubectl get`.
async fn table(client: &Client, namespace: &str, plural: &str) -> (Vec<String>, Vec<Value>) {
    table_at(client, &format!("/apis/devops.stochastic.io/v1/namespaces/{namespace}/{plural}")).await
}

async fn table_at(client: &Client, path: &str) -> (Vec<String>, Vec<Value>) {
    let request = http::Request::get(path).header("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io");
    let table: Value = client.request(request.body(Vec::new()).unwrap()).await.unwrap();
    let columns = table["columnDefinitions"].as_array().unwrap().iter();
    let columns = columns.map(|column| column["name"].as_str().unwrap().to_owned()).collect();
    (columns, table["rows"][0]["cells"].as_array().unwrap().clone())
}
