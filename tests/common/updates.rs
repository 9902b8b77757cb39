//! Updates that replace what is wrong by something else, with the expected verdict on each.

use serde::Deserialize;
use serde_json::{Value, json};

/// One update of a Deployment under one rule.
#[derive(Deserialize)]
pub(crate) struct Update {
    pub(crate) rule: String,
    #[serde(default)]
    pub(crate) params: Value,
    pub(crate) before: State,
    pub(crate) after: State,
    /// True if the update makes something worse.
    pub(crate) worse: bool,
}

/// The fields of a Deployment that differ from those of a plain one.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct State {
    labels: Value,
    pod: Value,
    container: Value,
}

impl Update {
    /// Reads the updates that all forms of admission agree on.
    pub(crate) fn all() -> Vec<Self> {
        serde_json::from_str(include_str!("../fixtures/updates.json")).unwrap()
    }
}

impl State {
    /// Returns the Deployment.
    pub(crate) fn deployment(&self, name: &str) -> Value {
        let mut container = json!({ "name": "web", "image": "nginx:1" });
        merge(&mut container, &self.container);
        let mut pod = json!({ "containers": [container] });
        merge(&mut pod, &self.pod);
        let app = json!({ "app": name });
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": name, "labels": self.labels },
            "spec": {
                "replicas": 0, "selector": { "matchLabels": app },
                "template": { "metadata": { "labels": app }, "spec": pod },
            },
        })
    }
}

fn merge(into: &mut Value, fields: &Value) {
    for (key, value) in fields.as_object().into_iter().flatten() {
        into[key] = value.clone();
    }
}
