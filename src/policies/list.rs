//! Lists policies once, for a command that does not follow them.

use std::collections::BTreeMap;

use kube::ResourceExt as _;
use kube::api::{Api, ListParams};

use super::Policies;
use crate::cluster::{CallError, Cluster};
use crate::policy::{ClusterDevOpsPolicy, CompiledPolicy, DevOpsPolicy, SystemNamespaces};

/// Lists and compiles the policies that are in effect in a namespace, or in all namespaces. Returns them by namespace.
///
/// Without the permission to list cluster policies, or without their kind, there are none.
pub async fn list(
    cluster: &Cluster,
    namespace: Option<&str>,
) -> Result<BTreeMap<String, Vec<CompiledPolicy>>, CallError> {
    let client = cluster.client.clone();
    let own: Api<DevOpsPolicy> = match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    };
    let found = cluster.call(async |_| own.list(&ListParams::default()).await).await?.items;
    let policies = Policies::new(SystemNamespaces::default());
    for policy in found {
        policies.apply(policy);
    }
    let whole: Api<ClusterDevOpsPolicy> = Api::all(client);
    let found = match cluster.call(async |_| whole.list(&ListParams::default()).await).await {
        Ok(found) => found.items,
        Err(error) if matches!(error.code(), Some(403 | 404)) => Vec::new(),
        Err(error) => return Err(error),
    };
    if !found.is_empty() {
        for metadata in cluster.namespaces(namespace).await? {
            policies.apply_namespace(metadata.name.as_deref().unwrap_or_default(), Some(&metadata));
        }
    }
    for policy in found {
        policies.apply_cluster(policy);
    }
    let mut by_namespace: BTreeMap<String, Vec<CompiledPolicy>> = BTreeMap::new();
    for known in policies.all() {
        let place = known.policy.namespace().unwrap_or_default();
        if namespace.is_none_or(|namespace| namespace == place) {
            by_namespace.entry(place).or_default().push(known);
        }
    }
    for known in by_namespace.values_mut() {
        known.sort_by_key(|known| known.policy.name_any());
    }
    Ok(by_namespace)
}
