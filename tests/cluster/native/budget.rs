//! The largest objects that native admission evaluates, with every rule: no expression exceeds the API server's budget.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use kube_devops::policy::{ADMISSION_LABEL, DENY_ANNOTATION};
use kube_devops::rules::RULES;
use kube_devops::workload::{EXEMPT, EXEMPT_REASON};
use serde_json::json;

use crate::control_plane::ControlPlane;
use crate::eventually::eventually;

/// Containers, characters of each image, and items of the list of registries.
const SHAPES: [(usize, usize, usize); 6] =
    [(500, 20, 10), (500, 299, 1), (150, 999, 1), (100, 100, 55), (20, 60, 280), (50, 30, 270)];

/// Creates and updates Deployments of these shapes in a namespace that denies by every rule.
pub(super) async fn the_largest_objects_fit(plane: &ControlPlane, client: &Client) {
    for (containers, characters, items) in SHAPES {
        let name = plane.namespace("budget");
        let deployments: Api<Deployment> = Api::namespaced(client.clone(), &name);
        let deployment = deployment(containers, characters);
        deployments.create(&PostParams::default(), &deployment).await.unwrap();
        deny_everything(client, &name, items).await;
        eventually("the rules of the namespace", async || {
            let dry_run = PostParams { dry_run: true, ..PostParams::default() };
            let mut another = deployment.clone();
            another.metadata.name = Some("another".to_owned());
            let denied = deployments.create(&dry_run, &another).await.err()?.to_string();
            assert!(!denied.contains("resulted in error"), "{containers} {characters} {items}: {denied}");
            Some(())
        })
        .await;
        let label = Patch::Merge(json!({ "metadata": { "labels": { "team": "a" } } }));
        let labelled = deployments.patch("web", &PatchParams::default(), &label).await;
        labelled.unwrap_or_else(|error| panic!("{containers} {characters} {items}: {error}"));
    }
}

/// Returns a Deployment that breaks most rules, with the longest annotation of exemptions.
fn deployment(containers: usize, characters: usize) -> Deployment {
    let image = format!("quay.io/{}/web:1", "a".repeat(characters.saturating_sub(14)));
    let containers: Vec<_> =
        (0..containers).map(|number| json!({ "name": format!("c{number}"), "image": image })).collect();
    let labels = json!({ "app": "web" });
    let deployment = json!({
        "metadata": {
            "name": "web",
            "annotations": { EXEMPT_REASON: "a test", EXEMPT: "a,".repeat(4_000) },
        },
        "spec": {
            "replicas": 0, "selector": { "matchLabels": labels },
            "template": { "metadata": { "labels": labels }, "spec": { "containers": containers } },
        },
    });
    serde_json::from_value(deployment).unwrap()
}

async fn deny_everything(client: &Client, namespace: &str, items: usize) {
    let registries: Vec<_> = (0..items).map(|number| format!("quay.io/team-{number}")).collect();
    let entries = RULES.iter().filter(|rule| rule.expression.is_some()).map(|rule| {
        let parameters = match rule.id.as_str() {
            "missing-resources" => ";cpuLimit=true".to_owned(),
            "unlisted-registry" => format!(";registries={}", registries.join("|")),
            _ => String::new(),
        };
        format!("{};base{parameters};exempt=2026-01-01", rule.id)
    });
    let keys = json!({ "metadata": {
        "labels": { ADMISSION_LABEL: "deny-and-warn" },
        "annotations": { DENY_ANNOTATION: entries.collect::<Vec<_>>().join(",") },
    } });
    let namespaces: Api<Namespace> = Api::all(client.clone());
    namespaces.patch(namespace, &PatchParams::default(), &Patch::Merge(keys)).await.unwrap();
}
