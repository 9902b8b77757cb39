//! The RBAC rules of the Job by which the Helm chart registers the webhook, and takes the registration back.

use serde_json::{Value, json};

use super::permissions::ADMISSION;
use super::webhook::{WEBHOOK_CONFIGURATION, WEBHOOK_SECRET};

/// Returns the rules that hold in the whole cluster.
///
/// A server-side apply names the object that it creates, so RBAC can restrict `create` to the two configurations.
pub fn registration_rules() -> Vec<Value> {
    vec![json!({
        "apiGroups": [ADMISSION],
        "resources": ["mutatingwebhookconfigurations", "validatingwebhookconfigurations"],
        "resourceNames": [WEBHOOK_CONFIGURATION],
        "verbs": ["get", "create", "patch", "delete"],
    })]
}

/// Returns the rules that hold in the namespace of the webhook: its authorities are read, and its ready pods counted.
pub fn own_registration_rules() -> Vec<Value> {
    vec![
        json!({
            "apiGroups": [""], "resources": ["secrets"], "resourceNames": [WEBHOOK_SECRET], "verbs": ["get", "delete"],
        }),
        json!({ "apiGroups": [""], "resources": ["services"], "verbs": ["get"] }),
        json!({ "apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list"] }),
    ]
}
