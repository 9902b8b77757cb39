//! The Reports of OpenReports, with the published CRD.

use super::fixture::{OperatorFixture, pod};
use crate::apply::{api_of, apply};
use crate::eventually::eventually;
use crate::upstream;
use k8s_openapi::api::core::v1::Namespace;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use kube_devops::manifests::Mode;
use kube_devops::policy::ClusterDevOpsPolicy;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a control plane and Go: make test"]
async fn a_report_follows_its_policy_once_the_crd_is_there() {
    let fixture = OperatorFixture::shared_as(Mode::Reports).await;
    let shop = fixture.plane.namespace("shop");
    let operator = fixture.replica("operator-0", &["--reports", "openreports", "--report-interval", "200ms"]);
    operator.wait_until_ready();
    let policy = fixture.policy(&shop, "base", "{forbidLatestTag: true, requireLivenessProbe: true}").await;
    fixture.run(&shop, &pod("web", "nginx:1")).await;
    fixture.until(&shop, "base", "evaluated without the CRD", |status| status.violations == Some(1)).await;
    let missing = "the API server has no Reports (openreports.io/v1alpha1): install the CRDs of OpenReports";
    eventually("the missing CRD is logged", async || operator.text().contains(missing).then_some(())).await;

    let module = "github.com/openreports/reports-api";
    for kind in ["reports", "clusterreports"] {
        let path = format!("config/crd/openreports.io_{kind}.yaml");
        apply(&fixture.client, &upstream::crd("openreports", module, &path)).await.unwrap();
    }
    let head = json!({
        "apiVersion": "openreports.io/v1alpha1", "kind": "Report",
        "metadata": { "name": "kube-devops-base", "namespace": shop },
    });
    let reports = api_of(&fixture.client, &head);
    let report = async |what: &str, fail: u64| {
        let found = eventually(what, async || {
            // The kind may not be served yet.
            let found = reports.get_opt("kube-devops-base").await.ok()??;
            (found.data["summary"]["fail"] == fail).then_some(found)
        });
        found.await
    };
    let first = report("a report", 1).await;
    let owner = &first.owner_references()[0];
    assert_eq!((&owner.uid, owner.block_owner_deletion), (&policy.uid().unwrap(), Some(false)));
    let result = &first.data["results"][0];
    // The API server prunes what the schema does not have.
    let fields: Vec<_> = result.as_object().unwrap().keys().collect();
    let expected = [
        "category",
        "message",
        "policy",
        "properties",
        "resources",
        "result",
        "rule",
        "scored",
        "severity",
        "source",
        "timestamp",
    ];
    assert_eq!(fields, expected, "{result:#}");
    assert_eq!((&result["rule"], &result["result"]), (&json!("missing-liveness"), &json!("fail")));
    let pod_reference = json!({ "apiVersion": "v1", "kind": "Pod", "namespace": shop, "name": "web" });
    assert_eq!(result["resources"], json!([pod_reference]));
    let limits = json!({ "maxResults": 500, "statusFilter": ["fail", "skip", "error"] });
    assert_eq!(first.data["configuration"]["limits"], limits);

    fixture.run(&shop, &pod("bad", "nginx")).await;
    let second = report("the next report", 3).await;
    let of_web = |report: &Value| {
        let results = report["results"].as_array().unwrap();
        results.iter().find(|one| one["resources"][0]["name"] == "web").unwrap().clone()
    };
    assert_eq!(of_web(&second.data), of_web(&first.data), "it keeps its time");

    // An evaluation that changes nothing writes nothing.
    let mark = fixture.plane.mark();
    let scanned = operator.metric("devopspolicy_pods_scanned_total").unwrap();
    let touch = json!({ "metadata": { "labels": { "touched": "true" } } });
    fixture.pods(&shop).patch("bad", &PatchParams::default(), &Patch::Merge(touch)).await.unwrap();
    eventually("another evaluation", async || {
        (operator.metric("devopspolicy_pods_scanned_total")? > scanned).then_some(())
    })
    .await;
    let written = fixture.writes_since(mark);
    assert!(written.iter().all(|event| event.resource != "reports"), "{written:?}");

    reports.delete("kube-devops-base", &DeleteParams::default()).await.unwrap();
    let again = report("the deleted report is back", 3).await;
    assert_ne!(again.uid(), second.uid());
    let edit = json!({ "summary": { "fail": 0 }, "results": [] });
    reports.patch("kube-devops-base", &PatchParams::default(), &Patch::Merge(edit)).await.unwrap();
    let restored = report("the changed report is as it was", 3).await;
    assert_eq!(restored.data["results"].as_array().unwrap().len(), 3, "{restored:?}");
    assert!(operator.metric("reports_written_total") >= Some(3.0));
    of_a_cluster_policy(&fixture, &shop).await;
}

/// The report of a cluster policy comes and goes with the label of the namespace.
async fn of_a_cluster_policy(fixture: &OperatorFixture<'_>, shop: &str) {
    let policy = json!({
        "apiVersion": "devops.stochastic.io/v1", "kind": "ClusterDevOpsPolicy", "metadata": { "name": "wide" },
        "spec": { "namespaceSelector": { "matchLabels": { "reported": shop } }, "forbidLatestTag": true },
    });
    let made = apply(&fixture.client, &policy).await.unwrap();
    let namespaces = Api::<Namespace>::all(fixture.client.clone());
    let label = async |value: Value| {
        let labels = Patch::Merge(json!({ "metadata": { "labels": { "reported": value } } }));
        namespaces.patch(shop, &PatchParams::default(), &labels).await.unwrap();
    };
    label(json!(shop)).await;
    let head = json!({
        "apiVersion": "openreports.io/v1alpha1", "kind": "Report", "metadata": { "namespace": shop },
    });
    let reports = api_of(&fixture.client, &head);
    let get = async || reports.get_opt("cluster-kube-devops-wide").await.unwrap();
    let report = eventually("a report of the cluster policy", get).await;
    let owner = &report.owner_references()[0];
    assert_eq!((owner.kind.as_str(), Some(&owner.uid)), ("ClusterDevOpsPolicy", made.metadata.uid.as_ref()));
    let result = &report.data["results"][0];
    assert_eq!((&result["policy"], &result["rule"]), (&json!("cluster/wide"), &json!("latest-tag")));
    label(Value::Null).await;
    eventually("the report is gone", async || get().await.is_none().then_some(())).await;
    of_objects_without_a_namespace(fixture, shop).await;
    api_of(&fixture.client, &policy).delete("wide", &DeleteParams::default()).await.unwrap();
}

/// The cluster policy has a `ClusterReport` while a rule looks at objects without a namespace.
async fn of_objects_without_a_namespace(fixture: &OperatorFixture<'_>, name: &str) {
    fixture.permit_rules().await;
    let wildcard = json!([{ "apiGroups": ["*"], "resources": ["*"], "verbs": ["*"] }]);
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": { "name": name },
        "rules": wildcard,
    });
    apply(&fixture.client, &role).await.unwrap();
    let policies = Api::<ClusterDevOpsPolicy>::all(fixture.client.clone());
    let turn_on = async |rules: Value| {
        let rules = Patch::Merge(json!({ "spec": { "rules": rules } }));
        policies.patch("wide", &PatchParams::default(), &rules).await.unwrap();
    };
    turn_on(json!([{ "id": "wildcard-rule" }])).await;
    let head = json!({ "apiVersion": "openreports.io/v1alpha1", "kind": "ClusterReport", "metadata": {} });
    let reports = api_of(&fixture.client, &head);
    let get = async || reports.get_opt("cluster-kube-devops-wide").await.unwrap();
    let find = |report: &Value| {
        let results = report["results"].as_array()?;
        results.iter().find(|one| one["resources"][0]["name"] == name).cloned()
    };
    let result = eventually("the ClusterRole is reported", async || find(&get().await?.data)).await;
    let resource =
        json!({ "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "name": name });
    assert_eq!((&result["resources"], &result["result"]), (&json!([resource]), &json!("fail")));
    assert_eq!((&result["rule"], &result["scored"]), (&json!("wildcard-rule"), &json!(false)));
    api_of(&fixture.client, &role).delete(name, &DeleteParams::default()).await.unwrap();
    eventually("the ClusterRole is gone from the report", async || {
        find(&get().await?.data).is_none().then_some(())
    })
    .await;
    turn_on(Value::Null).await;
    eventually("the ClusterReport is gone", async || get().await.is_none().then_some(())).await;
}
