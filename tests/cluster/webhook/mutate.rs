//! New workloads get the defaults of their policy, and the operator adopts them.

use super::fixture::{WebhookFixture, object};
use crate::eventually::eventually;
use crate::process::Process;
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use kube_devops::enforcement::FIELD_MANAGER;
use kube_devops::manifests::Mode;
use kube_devops::policy::DevOpsPolicy;
use serde_json::{Value, json};

/// Creates a policy in a new namespace that sets probes and resources, and denies workloads without them.
async fn policy(fixture: &WebhookFixture) -> (String, Api<DevOpsPolicy>) {
    let namespace = fixture.plane.namespace("mutated");
    let policies: Api<DevOpsPolicy> = Api::namespaced(fixture.client.clone(), &namespace);
    let policy = json!({
        "metadata": { "name": "base" },
        "spec": {
            "enforcementMode": "enforce", "requireLivenessProbe": true, "requireReadinessProbe": true,
            "defaultResources": { "cpuRequest": "10m", "memoryRequest": "16Mi", "memoryLimit": "64Mi" },
            "admission": { "denyAt": "low", "mutate": true },
        },
    });
    policies.create(&PostParams::default(), &serde_json::from_value(policy).unwrap()).await.unwrap();
    (namespace, policies)
}

/// Returns a Deployment that declares a port and wants a pod.
fn deployment(name: &str) -> Value {
    let mut deployment = object("apps/v1", "Deployment", name, "nginx:1.27");
    deployment["spec"]["replicas"] = json!(1);
    deployment["spec"]["template"]["spec"]["containers"][0]["ports"] = json!([{ "containerPort": 8080 }]);
    deployment
}

fn container(deployment: &DynamicObject) -> &Value {
    &deployment.data["spec"]["template"]["spec"]["containers"][0]
}

fn deployments(client: &kube::Client, namespace: &str) -> Api<DynamicObject> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("apps", "v1", "Deployment"));
    Api::namespaced_with(client.clone(), namespace, &resource)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn a_new_workload_gets_defaults_that_the_operator_adopts() {
    let fixture = WebhookFixture::new().await;
    let webhook = fixture.replica(&[]);
    let (namespace, policies) = policy(&fixture).await;
    fixture.install_by_service().await;
    let api = deployments(&fixture.client, &namespace);
    let create = async |name: &str, dry_run: bool| {
        let params = PostParams { dry_run, ..PostParams::default() };
        api.create(&params, &serde_json::from_value(deployment(name)).unwrap()).await
    };
    eventually("a dry run shows defaults", async || {
        let created = create("web", true).await.ok()?;
        container(&created)["livenessProbe"].is_object().then_some(())
    })
    .await;

    let created = create("web", false).await.unwrap();
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        assert_eq!(container(&created)[probe]["tcpSocket"]["port"], 8080, "{probe}");
    }
    assert_eq!(container(&created)["resources"]["requests"]["cpu"], "10m");
    let is_owned = |object: &DynamicObject, manager: &str| {
        let entries = object.metadata.managed_fields.iter().flatten();
        let owned = entries.filter(|entry| entry.manager.as_deref() == Some(manager)).count();
        owned > 0
    };
    assert!(!is_owned(&created, FIELD_MANAGER), "the webhook has no field manager");

    // The manifest lacks the defaults, so a replace drops them. That only warns.
    // A controller may write the object between the read and the write of kubectl.
    let replace = async |object: &Value| {
        eventually("a replace without a conflict", async || {
            let replaced = fixture.kubectl_in(&namespace, &["replace", "-f", "-"], object);
            (!replaced.1.contains("the object has been modified")).then_some(replaced)
        })
        .await
    };
    let replaced = replace(&deployment("web")).await;
    assert!(replaced.0 && replaced.1.contains("Warning: "), "{}", replaced.1);
    assert!(replaced.1.contains("missing-liveness"), "{}", replaced.1);
    // Probes of its own may not be dropped.
    let mut probed = deployment("probed");
    for probe in ["livenessProbe", "readinessProbe"] {
        probed["spec"]["template"]["spec"]["containers"][0][probe] = json!({ "tcpSocket": { "port": 8080 } });
    }
    api.create(&PostParams::default(), &serde_json::from_value(probed).unwrap()).await.unwrap();
    let replaced = replace(&deployment("probed")).await;
    assert!(!replaced.0 && replaced.1.contains("denied the request"), "{}", replaced.1);

    // A name that a record names as withdrawn gets nothing.
    let record = json!({ "kind": "Deployment", "name": "failed", "uid": "former", "phase": "Withdrawn" });
    let status = Patch::Merge(json!({ "status": { "remediations": [record] } }));
    policies.patch_status("base", &PatchParams::default(), &status).await.unwrap();
    eventually("a withdrawn name gets no defaults", async || {
        let denied = create("failed", true).await.err()?.to_string();
        denied.contains("missing-liveness").then_some(())
    })
    .await;

    let second = create("api", false).await.unwrap();
    let generation = second.metadata.generation;
    let account = fixture.plane.operator_account(&fixture.home, Mode::Enforce).await;
    let operator = Process::start("reconcile", &account, "operator-0", &["--lease-namespace", &fixture.home]);
    let adopted = eventually("the operator owns the defaults", async || {
        api.get("api").await.ok().filter(|object| is_owned(object, FIELD_MANAGER))
    })
    .await;
    assert_eq!(adopted.metadata.generation, generation, "the adoption changes no value");
    assert_eq!(container(&adopted), container(&second));
    eventually("a record answers for the defaults", async || {
        let status = policies.get("base").await.unwrap().status?;
        let record = status.remediations.into_iter().find(|record| record.name == "api")?;
        (record.fields.len() == 6 && record.uid == adopted.metadata.uid).then_some(())
    })
    .await;
    drop(operator);
    assert!(webhook.metric("webhook_requests_total{operation=\"create\",result=\"mutated\"}") >= Some(3.0));
    assert_eq!(webhook.metric("webhook_requests_total{operation=\"create\",result=\"error\"}"), Some(0.0));
}
