//! Workloads that run a server, by kind and strategy.

use crate::poller::PORT;
use crate::server::{MEMBERS, Server, Traffic};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU16, Ordering};

/// The name of each scenario's workload and Service.
pub(crate) const NAME: &str = "web";

/// A kind of workload that runs a server.
#[derive(Clone, Debug)]
pub(crate) struct Workload {
    /// The kind and strategy, as a column of the table names it.
    pub(crate) name: &'static str,
    pub(crate) kind: &'static str,
    /// The fields that are merged into the workload.
    overlay: Value,
    /// True to add a native sidecar.
    sidecar: bool,
    /// True if a DaemonSet has pods on several nodes.
    spread: bool,
    /// True to add a `PodDisruptionBudget` that allows one disruption.
    pub(crate) budget: bool,
    /// The offset that is added to its servers' ports.
    pub(crate) offset: u16,
}

/// The least that a policy must allow so that a workload is patched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Consent {
    /// The defaults of a policy.
    Nothing,
    /// One pod at a time may be away. The operator first connects to a pod.
    Unavailable,
    /// All pods may be away. On one node, this includes a DaemonSet without surge.
    Downtime,
}

impl Consent {
    /// Returns the field of `remediation`.
    pub(crate) const fn field(self) -> &'static str {
        match self {
            Self::Nothing => "",
            Self::Unavailable => "allowUnavailable: true",
            Self::Downtime => "allowDowntime: true",
        }
    }
}

impl Workload {
    fn new(name: &'static str, kind: &'static str, spec: &Value) -> Self {
        Self {
            name,
            kind,
            overlay: json!({ "spec": spec }),
            sidecar: false,
            spread: false,
            budget: false,
            offset: 0,
        }
    }

    /// A Deployment of two pods that ends a pod only once its replacement is ready.
    pub(crate) fn surging() -> Self {
        let rolling = json!({ "rollingUpdate": { "maxSurge": 1, "maxUnavailable": 0 } });
        Self::new("Deployment, surge", "Deployment", &json!({ "replicas": 2, "strategy": rolling }))
    }

    /// A Deployment of two pods that ends one before it starts its replacement.
    pub(crate) fn without_surge() -> Self {
        let rolling = json!({ "rollingUpdate": { "maxSurge": 0, "maxUnavailable": 1 } });
        Self::new("Deployment, no surge", "Deployment", &json!({ "replicas": 2, "strategy": rolling }))
    }

    /// A Deployment of two pods that ends both before it starts their replacements.
    pub(crate) fn recreating() -> Self {
        let spec = json!({ "replicas": 2, "strategy": { "type": "Recreate" } });
        Self::new("Deployment, Recreate", "Deployment", &spec)
    }

    /// A `StatefulSet` of one pod.
    pub(crate) fn stateful_set_of_one() -> Self {
        Self::new("StatefulSet, 1", "StatefulSet", &json!({ "replicas": 1 }))
    }

    /// A `StatefulSet` of three pods, which start one after another.
    pub(crate) fn stateful_set() -> Self {
        Self::new("StatefulSet, 3", "StatefulSet", &json!({ "replicas": 3 }))
    }

    /// A `StatefulSet` of three pods, which start at the same time.
    pub(crate) fn parallel() -> Self {
        let spec = json!({ "replicas": 3, "podManagementPolicy": "Parallel" });
        Self::new("StatefulSet, Parallel", "StatefulSet", &spec)
    }

    /// A `DaemonSet` that ends a node's pod before it starts the replacement.
    pub(crate) fn daemon_set() -> Self {
        Self::new("DaemonSet", "DaemonSet", &json!({}))
    }

    /// A `DaemonSet` on two nodes that ends a node's pod before it starts the replacement.
    pub(crate) fn spread_daemon_set() -> Self {
        Self { spread: true, ..Self::daemon_set() }
    }

    /// A `DaemonSet` that ends a node's pod only once its replacement is ready.
    pub(crate) fn surging_daemon_set() -> Self {
        let rolling = json!({ "rollingUpdate": { "maxSurge": 1, "maxUnavailable": 0 } });
        Self::new("DaemonSet, surge", "DaemonSet", &json!({ "updateStrategy": rolling }))
    }

    /// A `DaemonSet` on the host network, with ports that no other test uses.
    pub(crate) fn host_network() -> Self {
        static NEXT: AtomicU16 = AtomicU16::new(1);
        let template = json!({ "spec": { "hostNetwork": true } });
        let offset = NEXT.fetch_add(1, Ordering::Relaxed);
        Self { offset, ..Self::new("DaemonSet, hostNetwork", "DaemonSet", &json!({ "template": template })) }
    }

    /// A surging Deployment with a budget that allows one disruption.
    pub(crate) fn with_budget() -> Self {
        Self { name: "Deployment, PDB", budget: true, ..Self::surging() }
    }

    /// A surging Deployment with a native sidecar.
    pub(crate) fn with_sidecar() -> Self {
        Self { name: "Deployment, native sidecar", sidecar: true, ..Self::surging() }
    }

    /// Returns every kind of workload.
    pub(crate) fn all() -> Vec<Self> {
        vec![
            Self::surging(),
            Self::without_surge(),
            Self::recreating(),
            Self::stateful_set_of_one(),
            Self::stateful_set(),
            Self::parallel(),
            Self::daemon_set(),
            Self::host_network(),
            Self::with_budget(),
            Self::with_sidecar(),
        ]
    }

    /// Merges a test's own fields into the workload.
    pub(crate) fn with(mut self, overlay: &Value) -> Self {
        merge(&mut self.overlay, overlay);
        self
    }

    /// Returns the consent that its rollout needs.
    pub(crate) fn consent(&self) -> Consent {
        let spec = &self.overlay["spec"];
        match self.kind {
            "DaemonSet" if spec["updateStrategy"]["rollingUpdate"]["maxSurge"] == 1 => Consent::Nothing,
            "DaemonSet" if self.spread => Consent::Unavailable,
            "DaemonSet" => Consent::Downtime,
            "StatefulSet" if spec["replicas"] == 1 => Consent::Downtime,
            "StatefulSet" => Consent::Unavailable,
            _ if spec["strategy"]["type"] == "Recreate" => Consent::Downtime,
            _ if spec["strategy"]["rollingUpdate"]["maxSurge"] == 0 => Consent::Unavailable,
            _ => Consent::Nothing,
        }
    }

    /// Returns true if it has three pods.
    pub(crate) fn has_three_members(&self) -> bool {
        self.overlay["spec"]["replicas"] == 3
    }

    /// Returns the workload's manifest.
    pub(crate) fn manifest(&self, server: &Server) -> Value {
        let labels = json!({ "app": NAME });
        let (container, volume) = server.container();
        let mut manifest = json!({
            "apiVersion": "apps/v1",
            "kind": self.kind,
            "metadata": { "name": NAME },
            "spec": {
                "selector": { "matchLabels": labels },
                "template": {
                    "metadata": { "labels": labels },
                    "spec": { "containers": [container], "volumes": [volume] },
                },
            },
        });
        if self.kind == "StatefulSet" {
            manifest["spec"]["serviceName"] = json!(MEMBERS);
        }
        if self.sidecar {
            let sidecar = json!({
                "name": "proxy",
                "image": "node.test/server:1",
                "args": ["-port=9999"],
                "restartPolicy": "Always",
            });
            manifest["spec"]["template"]["spec"]["initContainers"] = json!([sidecar]);
        }
        merge(&mut manifest, &self.overlay);
        if manifest["spec"]["template"]["spec"]["hostNetwork"] == true {
            let ports = &mut manifest["spec"]["template"]["spec"]["containers"][0]["ports"];
            for port in ports.as_array_mut().into_iter().flatten() {
                port["hostPort"] = port["containerPort"].clone();
            }
        }
        manifest
    }

    /// Returns the Services: one for clients, and for a `StatefulSet` one for the members.
    pub(crate) fn services(&self, server: &Server) -> Vec<Value> {
        let protocol = if server.traffic == Traffic::Datagrams { "UDP" } else { "TCP" };
        let port = json!({ "port": PORT, "targetPort": server.port(), "protocol": protocol });
        let spec = json!({ "selector": { "app": NAME }, "ports": [port] });
        let mut services = vec![json!({ "metadata": { "name": NAME }, "spec": spec })];
        if self.kind == "StatefulSet" {
            let mut headless = spec;
            headless["clusterIP"] = json!("None");
            services.push(json!({ "metadata": { "name": MEMBERS }, "spec": headless }));
        }
        services
    }

    /// Returns true if all desired pods are available and of the newest revision.
    pub(crate) fn is_rolled_out(object: &Value) -> bool {
        let status = &object["status"];
        let count = |field: &str| status[field].as_i64().unwrap_or_default();
        if status["observedGeneration"] != object["metadata"]["generation"] {
            return false;
        }
        if object["kind"] == "DaemonSet" {
            let wanted = count("desiredNumberScheduled");
            return wanted > 0
                && ["updatedNumberScheduled", "numberAvailable"].iter().all(|field| count(field) == wanted);
        }
        let wanted = object["spec"]["replicas"].as_i64().unwrap_or(1);
        ["replicas", "updatedReplicas", "availableReplicas"].iter().all(|field| count(field) == wanted)
            && status["currentRevision"] == status["updateRevision"]
    }
}

/// Merges objects field by field. Any other value replaces the previous one.
fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from.clone(),
    }
}
