//! Plays the kubelet: there are no nodes, so tests set the status of pods.

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::{Value, json};

/// Merges `status` into a pod's status.
pub(crate) async fn set_pod_status(client: &Client, namespace: &str, name: &str, status: &Value) -> Pod {
    Api::namespaced(client.clone(), namespace)
        .patch_status(name, &PatchParams::default(), &Patch::Merge(json!({ "status": status })))
        .await
        .unwrap_or_else(|error| panic!("cannot set the status of pod {namespace}/{name}: {error}"))
}

/// Returns the status of a running and ready pod, as far as Deployments look at it.
pub(crate) fn ready() -> Value {
    json!({ "phase": "Running", "conditions": [{ "type": "Ready", "status": "True" }] })
}
