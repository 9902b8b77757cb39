//! Lists policies once, for a command that does not follow them.

use std::collections::BTreeMap;

use kube::ResourceExt as _;
use kube::api::{Api, ListParams};

use crate::cluster::{CallError, Cluster};
use crate::policy::{CompiledPolicy, DevOpsPolicy};

/// Lists and compiles the policies of a namespace, or of all namespaces. Returns them by namespace.
pub async fn list(
    cluster: &Cluster,
    namespace: Option<&str>,
) -> Result<BTreeMap<String, Vec<CompiledPolicy>>, CallError> {
    let client = cluster.client.clone();
    let policies: Api<DevOpsPolicy> = match namespace {
        Some(namespace) => Api::namespaced(client, namespace),
        None => Api::all(client),
    };
    let found = cluster.call(async |_| policies.list(&ListParams::default()).await).await?.items;
    let mut policies: BTreeMap<String, Vec<CompiledPolicy>> = BTreeMap::new();
    for policy in found {
        policies.entry(policy.namespace().unwrap_or_default()).or_default().push(CompiledPolicy::new(policy));
    }
    Ok(policies)
}
