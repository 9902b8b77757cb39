//! Updates that replace what is wrong by something else: the native policies see the difference.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::Deployment;
use kube::Client;
use kube::api::{Api, PostParams};
use kube_devops::policy::{ADMISSION_DENY, DENY_ANNOTATION};
use serde_json::{Value, json};

use super::one_verdict::annotate;
use crate::eventually::eventually;
use crate::updates::{State, Update};

/// Stores the objects, denies by all rules of the table, and updates each.
pub(super) async fn what_makes_an_object_worse_is_denied(client: &Client, namespace: &str) {
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), namespace);
    let deployment =
        |state: &State, at: usize| serde_json::from_value(state.deployment(&format!("d{at}"))).unwrap();
    let updates = Update::all();
    for (at, update) in updates.iter().enumerate() {
        deployments.create(&PostParams::default(), &deployment(&update.before, at)).await.unwrap();
    }
    let rules: BTreeMap<_, _> = updates.iter().map(|update| (&update.rule, entry(update))).collect();
    let rules: Vec<_> = rules.into_values().collect();
    annotate(client, namespace, ADMISSION_DENY, json!({ DENY_ANNOTATION: rules.join(",") })).await;
    let dry_run = PostParams { dry_run: true, ..PostParams::default() };
    let denied = async |at: usize| {
        let (name, after) = (format!("d{at}"), deployment(&updates[at].after, at));
        let replaced = deployments.replace(&name, &dry_run, &after).await;
        replaced.err().map_or_else(String::new, |error| error.to_string())
    };
    eventually("the rules deny", async || (!denied(0).await.is_empty()).then_some(())).await;
    for (at, update) in updates.iter().enumerate() {
        let message = denied(at).await;
        let is_denied = message.contains(&format!(", rule {}: ", update.rule));
        assert_eq!(is_denied, update.worse, "update {at} of {}: {message}", update.rule);
    }
}

/// Returns the rule as the annotation of a Namespace has it.
fn entry(update: &Update) -> String {
    let parameters = update.params.as_object().into_iter().flatten().map(|(name, value)| {
        let items = value.as_array().into_iter().flatten().filter_map(Value::as_str);
        let mut items: Vec<_> = items.collect();
        items.sort_unstable();
        items.dedup();
        format!(";{name}={}", items.join("|"))
    });
    format!("{};a{}", update.rule, parameters.collect::<String>())
}
