//! `ServiceMonitors`, by which the Prometheus operator finds the Services of an installation.

use serde_json::{Value, json};

use crate::manifests::installation::{Component, Installation, selector};

/// Returns a `ServiceMonitor` for each component of an installation. `labels` are those by which a Prometheus selects
/// its monitors.
pub fn service_monitors(installation: &Installation, labels: &[(String, String)]) -> Vec<Value> {
    let monitor = |component: Component| {
        let mut metadata = installation.metadata(component.name(), Some(component));
        for (key, value) in labels {
            metadata["labels"][key] = value.as_str().into();
        }
        json!({
            "apiVersion": "monitoring.coreos.com/v1",
            "kind": "ServiceMonitor",
            "metadata": metadata,
            "spec": {
                "selector": { "matchLabels": selector(Some(component)) },
                "endpoints": [{
                    "port": "http",
                    "path": "/metrics",
                    "interval": "30s",
                    // Without it, Prometheus would replace the label `namespace` by that of the pod.
                    "honorLabels": true,
                }],
            },
        })
    };
    installation.components().into_iter().map(monitor).collect()
}
