//! The operator keeps the verdicts of policies on Namespaces, and the API server evaluates by them.

use crate::analyze::on;
use crate::control_plane::{AuditEvent, ControlPlane};
use crate::eventually::eventually;
use crate::operator::fixture::{OperatorFixture, plane};
use crate::process::Process;
use crate::soak::rounds;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::events::v1::Event;
use kube::api::{ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use kube::{Api, Client, ResourceExt};
use kube_devops::manifests::{DENY_POLICY, Mode};
use kube_devops::policy::{ADMISSION_LABEL, ClusterDevOpsPolicy, DENY_ANNOTATION, WARN_ANNOTATION};
use serde_json::{Value, json};
use std::process::Command;

/// Denies an image without a version, and warns about missing liveness probes.
const SPEC: &str = "{enforcementMode: enforce, forbidLatestTag: true, requireLivenessProbe: true, maxRestartCount: 3, \
                    admission: {denyAt: high}}";

fn operator(fixture: &OperatorFixture<'_>) -> Process {
    let operator = fixture.replica("operator-0", &["--admission", "native"]);
    operator.wait_until_ready();
    operator
}

async fn native(plane: &ControlPlane) -> OperatorFixture<'_> {
    let fixture = OperatorFixture::of(plane, Mode::Native).await;
    let arguments = ["policy", "compile", "--apply", "-n", &fixture.home];
    let compiled = on(plane.kubeconfig(), &arguments);
    assert_eq!(compiled.code, 0, "{}", compiled.stderr);
    fixture
}

fn namespaces(client: &Client) -> Api<Namespace> {
    Api::all(client.clone())
}

/// Returns the rules of an annotation of a Namespace.
async fn rules(client: &Client, namespace: &str, annotation: &str) -> Option<String> {
    namespaces(client).get(namespace).await.unwrap().annotations().get(annotation).cloned()
}

async fn is_labelled(client: &Client, namespace: &str) -> bool {
    namespaces(client).get(namespace).await.unwrap().labels().contains_key(ADMISSION_LABEL)
}

/// Creates an object with a pod template as a dry run; the error is the message of a denial.
async fn create(client: &Client, namespace: &str, kind: &str, image: &str) -> Result<(), String> {
    let (version, object) = super::objects::with_image(kind, image);
    let (group, version) = version.split_once('/').unwrap_or(("", version));
    let api: Api<DynamicObject> = Api::namespaced_with(
        client.clone(),
        namespace,
        &ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind)),
    );
    let object: DynamicObject = serde_json::from_value(object).unwrap();
    let params = PostParams { dry_run: true, ..PostParams::default() };
    match api.create(&params, &object).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 403 => Err(status.message),
        Err(error) => panic!("{kind}: {error}"),
    }
}

async fn condition(fixture: &OperatorFixture<'_>, namespace: &str, name: &str, reason: &str) -> String {
    eventually(reason, async || {
        let policy = fixture.policies(namespace).get(name).await.ok()?;
        let mut conditions = policy.status?.conditions.into_iter();
        conditions.find(|one| one.type_ == "Admission" && one.reason == reason).map(|one| one.message)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn every_kind_is_denied_while_its_policy_is_there_and_no_longer() {
    let plane = plane();
    let fixture = native(&plane).await;
    let (shop, other) = (plane.namespace("shop"), plane.namespace("other"));
    let running = operator(&fixture);
    fixture.policy(&shop, "base", SPEC).await;
    eventually("the verdict is written", async || {
        (rules(&fixture.client, &shop, DENY_ANNOTATION).await.as_deref() == Some("latest-tag;base"))
            .then_some(())
    })
    .await;
    assert_eq!(
        rules(&fixture.client, &shop, WARN_ANNOTATION).await.as_deref(),
        Some("missing-liveness;base")
    );
    let message = condition(&fixture, &shop, "base", "Native").await;
    assert_eq!(
        message,
        "denies: latest-tag; warns about: missing-liveness; not evaluated natively: high-restarts (CEL can't express \
         the rule)"
    );
    eventually("the API server evaluates by it", async || {
        create(&fixture.client, &shop, "Pod", "nginx").await.err()
    })
    .await;
    for kind in super::objects::KINDS {
        let denied = create(&fixture.client, &shop, kind, "nginx").await.expect_err(kind);
        let path = super::objects::pod_path(kind);
        let expected = format!(
            "policy base, rule latest-tag: container web, {path}.containers[0].image: image nginx has no tag, which \
             means latest: name a version or a digest"
        );
        assert!(denied.ends_with(&expected), "{denied}");
        create(&fixture.client, &shop, kind, "nginx:1").await.expect(kind);
        create(&fixture.client, &other, kind, "nginx").await.expect(kind);
    }

    // kubectl shows the message and the warning.
    let kubectl = |arguments: &[&str]| {
        let outcome =
            Command::new("kubectl").arg("--kubeconfig").arg(plane.kubeconfig()).args(arguments).output();
        String::from_utf8(outcome.unwrap().stderr).unwrap()
    };
    let run = ["run", "web", "--dry-run=server", "-n", &shop, "--image"];
    let denied = kubectl(&[&run[..], &["nginx"]].concat());
    assert!(denied.contains("denied request: policy base, rule latest-tag: container web"), "{denied}");
    // The API server compiles the policy that warns after the other one.
    eventually("kubectl shows the warning", async || {
        let warned = kubectl(&[&run[..], &["nginx:1"]].concat());
        let is_shown = warned.starts_with("Warning: ")
            && warned.contains("policy base, rule missing-liveness: container web");
        is_shown.then_some(())
    })
    .await;

    // A policy that changes to audit mode only warns, and denies again while the operator is down.
    let mode = async |mode: &str| {
        let patch = Patch::Merge(json!({ "spec": { "enforcementMode": mode } }));
        fixture.policies(&shop).patch("base", &PatchParams::default(), &patch).await.unwrap();
    };
    mode("audit").await;
    eventually("audit mode only warns", async || create(&fixture.client, &shop, "Pod", "nginx").await.ok())
        .await;
    mode("enforce").await;
    eventually("it denies again", async || create(&fixture.client, &shop, "Pod", "nginx").await.err()).await;
    running.kill();
    create(&fixture.client, &shop, "Pod", "nginx").await.unwrap_err();
    for _ in 0..rounds(1, 20) {
        plane.kill_api_server();
        plane.start_api_server();
        let denied = create(&plane.client().await, &shop, "Pod", "nginx").await;
        denied.expect_err("a denial right from the first request to a new API server");
    }

    let again = fixture.replica("operator-1", &["--admission", "native", "--no-leader-election"]);
    again.wait_until_ready();
    fixture.policies(&shop).delete("base", &DeleteParams::default()).await.unwrap();
    eventually("the policy is gone", async || {
        fixture.policies(&shop).get_opt("base").await.unwrap().is_none().then_some(())
    })
    .await;
    assert!(!is_labelled(&fixture.client, &shop).await, "no denial outlives its policy");
    create(&fixture.client, &shop, "Pod", "nginx").await.unwrap();
    a_cluster_policy_denies_where_the_labels_match(&fixture, &other).await;
    // The mode does not include enforcement, for which the account is refused other requests.
    let is_native =
        |event: &AuditEvent| event.resource == "namespaces" || event.resource.starts_with("validating");
    let mut refused = plane.requests();
    refused.retain(|event| event.by(&fixture.user) && event.code == 403 && is_native(event));
    assert!(refused.is_empty(), "{refused:?}");
}

async fn a_cluster_policy_denies_where_the_labels_match(fixture: &OperatorFixture<'_>, namespace: &str) {
    let client = &fixture.client;
    let policies = Api::<ClusterDevOpsPolicy>::all(client.clone());
    let mut spec: Value = yaml_serde::from_str(SPEC).unwrap();
    spec["namespaceSelector"] = json!({ "matchLabels": { "guarded": "true" } });
    let policy = serde_json::from_value(json!({ "metadata": { "name": "all" }, "spec": spec })).unwrap();
    policies.create(&PostParams::default(), &policy).await.unwrap();
    let label = async |value: Value| {
        let patch = Patch::Merge(json!({ "metadata": { "labels": { "guarded": value } } }));
        namespaces(client).patch(namespace, &PatchParams::default(), &patch).await.unwrap();
    };
    label(json!("true")).await;
    let denied =
        eventually("it is denied", async || create(client, namespace, "Pod", "nginx").await.err()).await;
    assert!(denied.contains("policy cluster/all, rule latest-tag"), "{denied}");
    label(Value::Null).await;
    eventually("it is allowed", async || create(client, namespace, "Pod", "nginx").await.ok()).await;
    label(json!("true")).await;
    eventually("it is denied again", async || create(client, namespace, "Pod", "nginx").await.err()).await;
    policies.delete("all", &DeleteParams::default()).await.unwrap();
    eventually("the policy is gone", async || policies.get_opt("all").await.unwrap().is_none().then_some(()))
        .await;
    assert!(!is_labelled(client, namespace).await, "no denial outlives its policy");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn keys_that_a_tool_removes_come_back_with_an_event() {
    let plane = plane();
    let fixture = native(&plane).await;
    let shop = plane.namespace("shop");
    let _operator = operator(&fixture);
    fixture.policy(&shop, "base", SPEC).await;
    let written = async || is_labelled(&fixture.client, &shop).await.then_some(());
    eventually("the verdict is written", written).await;
    let pruned = Patch::Merge(json!({ "metadata": {
        "labels": { ADMISSION_LABEL: null }, "annotations": { DENY_ANNOTATION: null, WARN_ANNOTATION: "mine" },
    } }));
    for _ in 0..2 {
        namespaces(&fixture.client).patch(&shop, &PatchParams::default(), &pruned).await.unwrap();
        eventually("the keys are back", async || {
            let is_back = is_labelled(&fixture.client, &shop).await
                && rules(&fixture.client, &shop, DENY_ANNOTATION).await.as_deref() == Some("latest-tag;base")
                && rules(&fixture.client, &shop, WARN_ANNOTATION).await.as_deref()
                    == Some("missing-liveness;base");
            is_back.then_some(())
        })
        .await;
    }
    eventually("an event", async || {
        let events = Api::<Event>::all(fixture.client.clone()).list(&ListParams::default()).await.unwrap();
        let about =
            |event: &&Event| event.regarding.as_ref().and_then(|one| one.name.as_deref()) == Some(&shop);
        events
            .iter()
            .filter(about)
            .any(|event| event.reason.as_deref() == Some("AdmissionRestored"))
            .then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn missing_and_changed_admission_policies_are_reported_and_a_release_clears_the_verdicts() {
    let plane = plane();
    let fixture = native(&plane).await;
    let shop = plane.namespace("shop");
    let kind = GroupVersionKind::gvk("admissionregistration.k8s.io", "v1", "ValidatingAdmissionPolicy");
    let installed: Api<DynamicObject> = Api::all_with(fixture.client.clone(), &ApiResource::from_gvk(&kind));
    installed.delete(DENY_POLICY, &DeleteParams::default()).await.unwrap();
    let running = operator(&fixture);
    fixture.policy(&shop, "base", SPEC).await;
    let message = condition(&fixture, &shop, "base", "NotInstalled").await;
    assert!(message.contains(DENY_POLICY) && message.contains("policy compile -n"), "{message}");
    running.kill();

    let newer = Patch::Merge(json!({ "spec": { "requireReadinessProbe": true } }));
    fixture.policies(&shop).patch("base", &PatchParams::default(), &newer).await.unwrap();
    let examined = on(plane.kubeconfig(), &["webhook", "doctor", "-n", &fixture.home]);
    assert_eq!(examined.code, 1, "{}", examined.stderr);
    for problem in [
        format!("namespace {shop}: its verdict of native admission is stale"),
        format!(
            "there is no ValidatingAdmissionPolicy \"{DENY_POLICY}\": run `kube-devops policy compile -n {} --apply`",
            fixture.home
        ),
    ] {
        assert!(examined.stdout.contains(&problem), "{problem}: {}", examined.stdout);
    }

    let released = on(plane.kubeconfig(), &["policy", "release"]);
    assert_eq!(released.code, 0, "{}", released.stderr);
    assert!(released.stdout.contains(&format!("namespace {shop} cleared\n")), "{}", released.stdout);
    assert!(!is_labelled(&fixture.client, &shop).await);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_break_glass_suspends_native_denials_and_they_return_with_and_without_an_operator() {
    let plane = plane();
    let fixture = native(&plane).await;
    let (shop, bank) = (plane.namespace("shop"), plane.namespace("bank"));
    let running = operator(&fixture);
    fixture.policy(&shop, "base", SPEC).await;
    let denied = async |namespace: &str| {
        eventually("a denial", async || create(&fixture.client, namespace, "Pod", "nginx").await.err()).await
    };
    let allowed = async |namespace: &str| {
        eventually("no denial", async || create(&fixture.client, namespace, "Pod", "nginx").await.ok()).await;
    };
    let glass = |arguments: &[&str]| {
        let outcome = on(plane.kubeconfig(), &[&["webhook", "break-glass"], arguments].concat());
        assert_eq!(outcome.code, 0, "{}", outcome.stderr);
        outcome.stdout
    };
    denied(&shop).await;

    let marked = glass(&["--for", "3s"]);
    assert!(marked.contains(&format!("namespace {shop} denies nothing until ")), "{marked}");
    denied(&shop).await;
    eventually("nothing that doctor finds after a suspension that ended by itself", async || {
        let examined = on(plane.kubeconfig(), &["webhook", "doctor", "-n", &fixture.home]);
        (examined.code == 0).then_some(())
    })
    .await;

    glass(&["--for", "30m"]);
    allowed(&shop).await;
    fixture.policy(&bank, "base", SPEC).await;
    condition(&fixture, &bank, "base", "BreakGlass").await;
    allowed(&bank).await;
    running.kill();
    let ended = glass(&["--end"]);
    assert!(ended.contains(&format!("namespace {shop} denies again\n")), "{ended}");
    denied(&shop).await;
    denied(&bank).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn the_fence_holds_the_operator_to_its_own_keys() {
    let plane = plane();
    let fixture = native(&plane).await;
    let shop = plane.namespace("shop");
    let account = fixture.account_client().await;
    let patch = async |patch: Value| {
        let patched = namespaces(&account).patch(&shop, &PatchParams::default(), &Patch::Merge(patch)).await;
        patched.map(|_| ()).map_err(|error| error.to_string())
    };
    let mut attempts = 0;
    eventually("the fence is in effect", async || {
        // A patch that changes nothing would pass.
        attempts += 1;
        let stranger = json!({ "metadata": { "labels": { "team": format!("a{attempts}") } } });
        let error = patch(stranger).await.err()?;
        error.contains("the operator may only change its own label and annotations").then_some(())
    })
    .await;
    for refused in [
        json!({ "metadata": { "annotations": { "note": "a" } } }),
        json!({ "metadata": { "finalizers": ["example.com/a"] } }),
        json!({ "metadata": { "ownerReferences": [
            { "apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": "b" },
        ] } }),
    ] {
        patch(refused.clone()).await.expect_err(&refused.to_string());
    }
    patch(json!({ "metadata": {
        "labels": { ADMISSION_LABEL: "deny-and-warn" }, "annotations": { DENY_ANNOTATION: "latest-tag;a" },
    } }))
    .await
    .unwrap();
    patch(json!({ "metadata": { "labels": { ADMISSION_LABEL: null }, "annotations": { DENY_ANNOTATION: null } } }))
        .await
        .unwrap();
}
