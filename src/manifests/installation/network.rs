//! `NetworkPolicies`: the allowed traffic to and from the pods.

use serde_json::{Value, json};

use super::settings::selector;
use super::{Component, Installation};

/// The ports of API servers: that of the Service `kubernetes`, and those behind it.
const API_SERVER: [u16; 2] = [443, 6443];

/// Returns the `NetworkPolicy` of a component.
///
/// The address of the API server differs between clusters, so its ports are open to all addresses. Metrics may be
/// scraped from any namespace, and API servers call the webhook from outside of the pods' network. `reconcile` also
/// connects to the port of a probe on a pod before it sets that probe.
pub(super) fn network_policy(installation: &Installation, component: Component) -> Value {
    let tcp = |port: u16| json!({ "protocol": "TCP", "port": port });
    let dns = [json!({ "protocol": "UDP", "port": 53 }), tcp(53)];
    let mut egress = vec![json!({ "ports": API_SERVER.map(tcp) }), json!({ "ports": dns })];
    if component == Component::Reconcile {
        egress.push(json!({ "to": [{ "namespaceSelector": {} }] }));
    }
    let ingress: Vec<_> = [component.port()].into_iter().chain(component.secure_port()).map(tcp).collect();
    json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": installation.metadata(component.name(), Some(component)),
        "spec": {
            "podSelector": { "matchLabels": selector(Some(component)) },
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{ "ports": ingress }],
            "egress": egress,
        },
    })
}
