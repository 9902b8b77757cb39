//! What the tests of this module share: made-up pods, and an observer of them.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::json;

use super::{Observer, ObserverMetrics, ScoreCollector};
use crate::governance::Scope;
use crate::policy::EffectivePolicy;
use crate::telemetry::Metrics;

/// A pod with one container and nothing wrong, until a test changes that.
#[derive(Debug, Clone)]
pub(super) struct Made {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) image: &'static str,
    pub(super) liveness: bool,
    pub(super) readiness: bool,
    pub(super) restarts: u32,
    pub(super) phase: &'static str,
    /// The `StatefulSet` that manages it.
    pub(super) owner: Option<&'static str>,
}

impl Made {
    pub(super) fn new(namespace: &str, name: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            image: "registry.example/web:1",
            liveness: true,
            readiness: true,
            restarts: 0,
            phase: "Running",
            owner: None,
        }
    }

    /// The pod's JSON, as a watch has it.
    pub(super) fn json(&self) -> String {
        let probe = |there: bool| if there { json!({}) } else { json!(null) };
        let owners: Vec<_> = self
            .owner
            .iter()
            .map(|name| json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "name": name, "controller": true}))
            .collect();
        json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "namespace": self.namespace, "name": self.name, "resourceVersion": "7", "ownerReferences": owners,
                "creationTimestamp": "2026-01-01T00:00:00Z",
            },
            "spec": {"containers": [{
                "name": "main",
                "image": self.image,
                "livenessProbe": probe(self.liveness),
                "readinessProbe": probe(self.readiness),
            }]},
            "status": {
                "phase": self.phase,
                "containerStatuses": [{"name": "main", "restartCount": self.restarts}],
            },
        })
        .to_string()
    }
}

/// A pod that nobody can read: its containers are no list.
pub(super) fn unreadable(namespace: &str, name: &str) -> String {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"namespace": namespace, "name": name, "resourceVersion": "7"},
        "spec": {"containers": "none"},
    })
    .to_string()
}

/// An observer of all namespaces, or of some, and the metrics that it is registered with.
pub(super) fn observer(namespaces: &[&str]) -> (Arc<Observer>, Metrics) {
    let metrics = Metrics::new();
    let counters = ObserverMetrics::register(&metrics).unwrap();
    let scope =
        Scope { namespaces: namespaces.iter().map(|name| (*name).to_owned()).collect(), ..Scope::default() };
    let clock = || Timestamp::UNIX_EPOCH;
    let watches = namespaces.len().max(1);
    let observer = Arc::new(Observer::new(EffectivePolicy::default(), scope, watches, counters, clock));
    ScoreCollector::register(&metrics, Arc::clone(&observer)).unwrap();
    (observer, metrics)
}
