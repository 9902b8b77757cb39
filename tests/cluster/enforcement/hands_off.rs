//! Workloads that enforcement must never write, checked against the API server's audit log.

use super::fixture::{EnforcementFixture, PROBES, PodState};
use crate::eventually::eventually;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::api::{Api, PostParams};
use kube_devops::policy::RemediationPhase;
use serde_json::{Value, json};

impl EnforcementFixture {
    /// Creates a claim that nothing binds.
    async fn claim(&self, name: &str, mode: &str) {
        let claims = Api::<PersistentVolumeClaim>::namespaced(self.base.client.clone(), &self.namespace);
        let resources = json!({ "requests": { "storage": "1Gi" } });
        let claim = json!({ "metadata": { "name": name },
            "spec": { "accessModes": [mode], "resources": resources } });
        claims.create(&PostParams::default(), &serde_json::from_value(claim).unwrap()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane: make test"]
async fn only_the_eligible_workload_is_written() {
    let fixture = EnforcementFixture::alone(|_| PodState::Ready).await;
    let ignored = |object: &mut Value| {
        object["metadata"]["annotations"] = json!({ "devops.stochastic.io/ignore": "true" });
    };
    fixture.run("Deployment", "ignored", ignored).await;
    let helm = |object: &mut Value| {
        object["metadata"]["labels"] = json!({ "app.kubernetes.io/managed-by": "Helm" });
        object["metadata"]["annotations"] = json!({ "meta.helm.sh/release-name": "shop" });
    };
    fixture.run("Deployment", "helmed", helm).await;
    let owned = |object: &mut Value| {
        let owner =
            json!({ "apiVersion": "x/v1", "kind": "App", "name": "a", "uid": "u", "controller": true });
        object["metadata"]["ownerReferences"] = json!([owner]);
    };
    fixture.run("Deployment", "owned", owned).await;
    let recreate = |object: &mut Value| object["spec"]["strategy"] = json!({ "type": "Recreate" });
    fixture.run("Deployment", "recreated", recreate).await;
    let without_surge = json!({ "rollingUpdate": { "maxSurge": 0, "maxUnavailable": 1 } });
    fixture.run("Deployment", "serial", |object| object["spec"]["strategy"] = without_surge).await;
    fixture.run("StatefulSet", "db", |_| ()).await;
    let host_port = |object: &mut Value| {
        object["spec"]["template"]["spec"]["containers"][0]["ports"][0]["hostPort"] = json!(8080);
    };
    fixture.run("Deployment", "hosted", host_port).await;
    let mut claims = Vec::new();
    for (name, mode) in [("claimed", "ReadWriteOnce"), ("shared", "ReadWriteMany")] {
        fixture.claim(name, mode).await;
        claims.push(json!([{ "name": "data", "persistentVolumeClaim": { "claimName": name } }]));
    }
    let volumes = claims.remove(0);
    fixture.run("Deployment", "claimed", |web| web["spec"]["template"]["spec"]["volumes"] = volumes).await;
    fixture.create("Deployment", "empty", |object| object["spec"]["replicas"] = json!(0)).await;
    fixture.create("Deployment", "paused", |object| object["spec"]["paused"] = json!(true)).await;
    let on_delete = |object: &mut Value| object["spec"]["updateStrategy"] = json!({ "type": "OnDelete" });
    fixture.run("StatefulSet", "ondelete", on_delete).await;
    let partition = json!({ "type": "RollingUpdate", "rollingUpdate": { "partition": 1 } });
    fixture.run("StatefulSet", "partitioned", |object| object["spec"]["updateStrategy"] = partition).await;
    let portless = |object: &mut Value| {
        object["spec"]["template"]["spec"]["containers"][0]["ports"] = json!([]);
    };
    fixture.run("Deployment", "portless", portless).await;
    let volumes = claims.remove(0);
    let shared = |object: &mut Value| {
        object["spec"]["replicas"] = json!(3);
        object["spec"]["template"]["spec"]["volumes"] = volumes;
    };
    fixture.run("Deployment", "web", shared).await;

    let mark = fixture.base.plane.mark();
    let _operator = fixture.base.operator();
    fixture.policy("standard", PROBES).await;
    fixture.until("standard", "Deployment/web", RemediationPhase::Verified).await;

    let written = fixture.workload_writes_since(mark);
    let written: Vec<_> = written.iter().map(|event| (event.verb.as_str(), event.name.as_str())).collect();
    assert_eq!(written, [("patch", "web")]);
    let writes = fixture.base.writes_since(mark);
    let mut others = writes.iter().filter(|event| event.resource == "pods");
    assert!(others.next().is_none(), "no pod is deleted");

    let result = eventually("the first audit result", async || {
        fixture.base.results(&fixture.namespace, "standard").await.into_iter().next()
    })
    .await;
    let fixes: Vec<_> = result.spec.fixes.iter().map(|fix| fix.name.as_str()).collect();
    assert_eq!(fixes, ["helmed"], "the result suggests the patch to the tool");
    let patch: Value = serde_json::from_str(&result.spec.fixes[0].patch).unwrap();
    let container = &patch["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["livenessProbe"]["tcpSocket"]["port"], json!(8080));
    let status = fixture.status("standard").await;
    let conditions = status.conditions.iter().find(|condition| condition.type_ == "Enforcing");
    let message = &conditions.unwrap().message;
    for reason in [
        "Ignored",
        "ManagedByGitOps",
        "RecreatedWhole",
        "NoSurge",
        "StatefulSet",
        "HostPort",
        "ClaimOfOneNode",
        "NoPods",
        "Paused",
        "NoFix",
    ] {
        assert!(message.contains(reason), "{reason}: {message}");
    }
}
