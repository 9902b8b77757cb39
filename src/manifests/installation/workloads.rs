//! The Deployments, and the objects that each of them comes with.

use serde_json::{Value, json};

use super::settings::{labels, selector};
use super::{Component, Installation};
use crate::manifests::WEBHOOK_SERVICE_PORT;

/// The user of the image, which has no name there.
const USER: u32 = 65532;

/// Returns the namespace, in which only restricted pods may run.
pub(super) fn namespace(installation: &Installation) -> Value {
    let mut labels = labels(None);
    for level in ["enforce", "warn", "audit"] {
        labels[format!("pod-security.kubernetes.io/{level}")] = "restricted".into();
    }
    json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": { "name": installation.namespace, "labels": labels },
    })
}

/// Returns the account of a component. Only pods that ask for its token get one.
pub(super) fn service_account(installation: &Installation, component: Component) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": installation.metadata(component.name(), Some(component)),
        "automountServiceAccountToken": false,
    })
}

/// Returns the Service by which metrics are scraped, and by which API servers call the webhook.
pub(super) fn service(installation: &Installation, component: Component) -> Value {
    let port =
        |name: &str, port: u16| json!({ "name": name, "port": port, "targetPort": name, "protocol": "TCP" });
    let mut ports = vec![port("http", component.port())];
    if component.secure_port().is_some() {
        ports.push(port("https", WEBHOOK_SERVICE_PORT));
    }
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": installation.metadata(component.name(), Some(component)),
        "spec": {
            "selector": selector(Some(component)),
            "ports": ports,
        },
    })
}

/// Returns the budget that keeps all pods but one during a drain.
pub(super) fn disruption_budget(installation: &Installation, component: Component) -> Value {
    json!({
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": installation.metadata(component.name(), Some(component)),
        "spec": {
            "maxUnavailable": 1,
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
            "selector": { "matchLabels": selector(Some(component)) },
        },
    })
}

/// Returns the Deployment.
pub(super) fn deployment(installation: &Installation, component: Component) -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": installation.metadata(component.name(), Some(component)),
        "spec": {
            "replicas": installation.replicas,
            "revisionHistoryLimit": 3,
            "selector": { "matchLabels": selector(Some(component)) },
            "strategy": { "type": "RollingUpdate", "rollingUpdate": { "maxSurge": 1, "maxUnavailable": 0 } },
            "template": {
                "metadata": { "labels": labels(Some(component)) },
                "spec": pod(installation, component),
            },
        },
    })
}

/// Returns the pod, which passes the Pod Security Standard `restricted`.
fn pod(installation: &Installation, component: Component) -> Value {
    json!({
        "serviceAccountName": component.name(),
        "automountServiceAccountToken": true,
        "enableServiceLinks": false,
        "terminationGracePeriodSeconds": component.grace(),
        "securityContext": {
            "runAsNonRoot": true,
            "runAsUser": USER,
            "runAsGroup": USER,
            "seccompProfile": { "type": "RuntimeDefault" },
        },
        "topologySpreadConstraints": [{
            "maxSkew": 1,
            "topologyKey": "kubernetes.io/hostname",
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": { "matchLabels": selector(Some(component)) },
            "matchLabelKeys": ["pod-template-hash"],
        }],
        "containers": [container(installation, component)],
    })
}

fn container(installation: &Installation, component: Component) -> Value {
    let [cpu, memory, limit] = component.resources();
    let get = |path: &str| json!({ "path": path, "port": "http" });
    let port = |name: &str, port: u16| json!({ "name": name, "containerPort": port, "protocol": "TCP" });
    let secure = component.secure_port().map(|secure| port("https", secure));
    let ports: Vec<_> = [port("http", component.port())].into_iter().chain(secure).collect();
    json!({
        "name": component.command(),
        "image": installation.image,
        "imagePullPolicy": "IfNotPresent",
        "args": arguments(installation, component),
        "ports": ports,
        // Standbys are ready too: they answer reads, and only the holder of the Lease writes.
        "readinessProbe": { "httpGet": get("/readyz"), "periodSeconds": 5, "timeoutSeconds": 3 },
        "livenessProbe": {
            "httpGet": get("/healthz"), "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 6,
        },
        "resources": {
            "requests": { "cpu": cpu, "memory": memory },
            "limits": { "memory": limit },
        },
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "readOnlyRootFilesystem": true,
            "capabilities": { "drop": ["ALL"] },
        },
    })
}

/// Returns the arguments of the binary.
fn arguments(installation: &Installation, component: Component) -> Vec<String> {
    let mut arguments = vec![component.command().to_owned()];
    if component == Component::Webhook {
        arguments.push("serve".to_owned());
    }
    arguments.push("--log-format=json".to_owned());
    let namespaces = match component {
        Component::Watch => &*installation.namespaces,
        Component::Reconcile => &installation.reconcile_namespaces,
        Component::Webhook => &[],
    };
    arguments.extend(namespaces.iter().map(|name| format!("--namespace={name}")));
    if component == Component::Reconcile && installation.has_native_admission() {
        arguments.push("--admission=native".to_owned());
    }
    if component == Component::Reconcile && installation.has_reports() {
        arguments.push("--reports=openreports".to_owned());
    }
    arguments.extend(installation.system_namespaces.iter().map(|name| format!("--system-namespace={name}")));
    arguments
}
