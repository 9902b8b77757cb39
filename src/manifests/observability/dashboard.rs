//! Dashboards in the JSON model of Grafana, and the `ConfigMaps` by which its sidecar loads them.

use serde_json::{Value, json};

use super::panel::{HEIGHT, Panel};
use crate::manifests::installation::{APP, Installation};

/// A dashboard.
#[derive(Debug)]
pub struct Dashboard {
    /// The end of its uid, and of the name of its file.
    pub name: &'static str,
    /// The title.
    pub title: &'static str,
    /// True if its panels follow the variable for the namespace.
    pub by_namespace: bool,
    /// The panels, row by row.
    pub panels: &'static [Panel],
}

/// The columns of Grafana's grid.
const COLUMNS: u32 = 24;

impl Dashboard {
    /// Returns the JSON model.
    pub fn model(&self) -> Value {
        let (mut x, mut y) = (0, 0);
        let mut panels = Vec::new();
        for (index, panel) in self.panels.iter().enumerate() {
            if x + panel.width > COLUMNS {
                (x, y) = (0, y + HEIGHT);
            }
            panels.push(panel.model(index + 1, x, y));
            x += panel.width;
        }
        let mut variables = vec![datasource(), variable("cluster", "leader")];
        if self.by_namespace {
            variables.push(variable("namespace", "namespace_health_score"));
        }
        json!({
            "uid": format!("{APP}-{}", self.name),
            "title": self.title,
            "tags": [APP],
            "schemaVersion": 39,
            "editable": true,
            "refresh": "30s",
            "time": { "from": "now-6h", "to": "now" },
            "templating": { "list": variables },
            "annotations": { "list": [] },
            "panels": panels,
        })
    }
}

fn datasource() -> Value {
    json!({ "name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus" })
}

/// Returns a variable with the values of a label of a metric. `All` also matches series without the label.
fn variable(label: &str, metric: &str) -> Value {
    let query = format!("label_values({metric}, {label})");
    json!({
        "name": label, "type": "query", "datasource": { "type": "prometheus", "uid": "${datasource}" },
        "query": { "query": query, "refId": "A" }, "definition": query,
        "refresh": 2, "includeAll": true, "allValue": ".*", "multi": true, "sort": 1,
        "current": { "text": "All", "value": "$__all" },
    })
}

/// Returns the `ConfigMap` of a dashboard; `label` is the one that Grafana's sidecar looks for.
pub fn config_map(
    installation: &Installation,
    dashboard: &Dashboard,
    label: &str,
) -> serde_json::Result<Value> {
    let name = format!("{APP}-dashboard-{}", dashboard.name);
    let mut metadata = installation.metadata(&name, None);
    metadata["labels"][label] = "1".into();
    let model = serde_json::to_string_pretty(&dashboard.model())?;
    Ok(json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata,
        "data": { format!("{APP}-{}.json", dashboard.name): model },
    }))
}
