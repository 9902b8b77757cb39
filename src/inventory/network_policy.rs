//! The fields of a `NetworkPolicy` that rules read.

use serde::Deserialize;

use super::read::selector;
use crate::workload::{LabelSelector, Present, nullable};

/// A `NetworkPolicy`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the fields are the API's")]
pub struct NetworkPolicy {
    #[serde(default, deserialize_with = "selector")]
    pub pod_selector: Option<LabelSelector<'static>>,
    #[serde(default, deserialize_with = "nullable")]
    pub policy_types: Vec<String>,
    #[serde(default, deserialize_with = "nullable")]
    pub ingress: Vec<IngressTraffic>,
    #[serde(default, deserialize_with = "nullable")]
    pub egress: Vec<EgressTraffic>,
}

/// Allowed traffic to pods.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[allow(missing_docs, reason = "the fields are the API's")]
pub struct IngressTraffic {
    #[serde(default, deserialize_with = "nullable")]
    pub from: Vec<Peer>,
}

/// Allowed traffic from pods.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[allow(missing_docs, reason = "the fields are the API's")]
pub struct EgressTraffic {
    #[serde(default, deserialize_with = "nullable")]
    pub to: Vec<Peer>,
}

/// The other end of allowed traffic.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the fields are the API's")]
pub struct Peer {
    #[serde(default, deserialize_with = "selector")]
    pub pod_selector: Option<LabelSelector<'static>>,
    #[serde(default, deserialize_with = "selector")]
    pub namespace_selector: Option<LabelSelector<'static>>,
    pub ip_block: Option<Present>,
}

impl NetworkPolicy {
    /// Returns the selector of pods. An absent one is empty, and matches all.
    pub fn selector(&self) -> LabelSelector<'static> {
        self.pod_selector.clone().unwrap_or_default()
    }

    /// Returns true if the policy isolates its pods for incoming traffic.
    pub fn isolates_ingress(&self) -> bool {
        self.policy_types.is_empty() || self.policy_types.iter().any(|one| one == "Ingress")
    }

    /// Returns true if the policy isolates its pods for outgoing traffic.
    pub fn isolates_egress(&self) -> bool {
        self.policy_types.iter().any(|one| one == "Egress")
            || self.policy_types.is_empty() && !self.egress.is_empty()
    }

    /// Iterates over the peers, each with its path in the object.
    pub fn peers(&self) -> impl Iterator<Item = (String, &Peer)> {
        let from = self.ingress.iter().enumerate().flat_map(|(index, traffic)| {
            let path = move |(peer, found)| (format!("spec.ingress[{index}].from[{peer}]"), found);
            traffic.from.iter().enumerate().map(path)
        });
        let to = self.egress.iter().enumerate().flat_map(|(index, traffic)| {
            let path = move |(peer, found)| (format!("spec.egress[{index}].to[{peer}]"), found);
            traffic.to.iter().enumerate().map(path)
        });
        from.chain(to)
    }
}
