//! The pods in the API server. They are written directly into etcd: creating 10,000 through the API takes minutes, and
//! updates through it reach only half of the desired rate.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Namespace;
use kube::api::PostParams;
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::control_plane::ControlPlane;
use crate::generate;

const SEED: u64 = 42;
/// The number of pods in one write: etcd accepts up to 1.5 MiB.
const BATCH: usize = 50;
const RESTARTS: &str = "\"restartCount\":";

/// A running pod as stored, except for the restarts of its first container.
pub(crate) struct Pod {
    pub(crate) namespace: String,
    pub(crate) name: String,
    before: String,
    after: String,
}

impl Pod {
    /// Returns the pod's key in etcd and its JSON with a number of restarts.
    pub(crate) fn restarted(&self, restarts: usize) -> (String, String) {
        let Self { namespace, name, before, after } = self;
        (place(namespace, name), format!("{before}{RESTARTS}{restarts}{after}"))
    }
}

/// Generates and stores pods. Returns the running ones.
pub(crate) async fn store(plane: &ControlPlane, client: &Client, count: usize) -> Vec<Pod> {
    let (etcd, api) = (plane.etcd(), Api::<Namespace>::all(client.clone()));
    let (mut namespaces, mut running) = (BTreeSet::new(), Vec::new());
    let items: Vec<_> = generate::pods(count, SEED).collect();
    for batch in items.chunks(BATCH) {
        let mut stored = Vec::new();
        for item in batch {
            let mut pod: Value = serde_json::from_str(item).unwrap();
            (pod["apiVersion"], pod["kind"]) = ("v1".into(), "Pod".into());
            let text = pod.to_string();
            let part = |key| pod["metadata"][key].as_str().unwrap().to_owned();
            let (namespace, name) = (part("namespace"), part("name"));
            if namespaces.insert(namespace.clone()) {
                let object = serde_json::from_value(json!({ "metadata": { "name": namespace } })).unwrap();
                api.create(&PostParams::default(), &object).await.unwrap();
            }
            if pod["status"]["phase"] == "Running" {
                let (before, after) = text.split_once(RESTARTS).unwrap();
                let after = after.trim_start_matches(|digit: char| digit.is_ascii_digit()).to_owned();
                let (namespace, name) = (namespace.clone(), name.clone());
                running.push(Pod { namespace, name, before: before.to_owned(), after });
            }
            stored.push((place(&namespace, &name), text));
        }
        etcd.put(stored).await;
    }
    println!("{count} pods in {} namespaces, {} of them running", namespaces.len(), running.len());
    running
}

fn place(namespace: &str, name: &str) -> String {
    format!("pods/{namespace}/{name}")
}
