//! A test in the role of the kubelet: no node exists, so pods get the status that a test gives them.

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

/// Returns the status of a pod that runs and is ready, which is all that a Deployment counts.
pub(crate) fn ready() -> Value {
    json!({ "phase": "Running", "conditions": [{ "type": "Ready", "status": "True" }] })
}
