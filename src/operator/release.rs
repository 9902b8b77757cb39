//! Removes the operator's finalizer from policies and its verdicts from Namespaces, for an uninstall: nobody would do it
//! afterwards.
//!
//! Only metadata is read and written, so that a policy which can't be read is released too.

use k8s_openapi::api::core::v1::Namespace;
use kube::ResourceExt as _;
use kube::api::{Api, ListParams, ObjectMeta, Patch, PatchParams};
use serde_json::json;

use super::FINALIZER;
use super::namespace_keys::NamespaceKeys;
use crate::cluster::{CallError, Cluster, retry_on_conflict};
use crate::policy::{ADMISSION_LABEL, DevOpsPolicy};

const PAGE: u32 = 500;

/// A policy with the finalizer.
#[derive(Debug, Clone, PartialEq)]
pub struct HeldPolicy {
    metadata: ObjectMeta,
}

impl HeldPolicy {
    /// The policy's namespace.
    pub fn namespace(&self) -> &str {
        self.metadata.namespace.as_deref().unwrap_or_default()
    }

    /// The policy's name.
    pub fn name(&self) -> &str {
        self.metadata.name.as_deref().unwrap_or_default()
    }

    fn of(metadata: ObjectMeta) -> Option<Self> {
        let finalizers = metadata.finalizers.iter().flatten();
        finalizers.into_iter().any(|finalizer| finalizer == FINALIZER).then_some(Self { metadata })
    }
}

/// Finds the policies with the finalizer, in a namespace or in all.
pub async fn held(cluster: &Cluster, namespace: Option<&str>) -> Result<Vec<HeldPolicy>, CallError> {
    let mut found = Vec::new();
    let mut params = ListParams::default().limit(PAGE);
    loop {
        let page =
            cluster.call(async |client| policies(client, namespace).list_metadata(&params).await).await?;
        found.extend(page.items.into_iter().filter_map(|policy| HeldPolicy::of(policy.metadata)));
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => return Ok(found),
        }
    }
}

/// Removes the finalizer from a policy, and keeps those of others.
pub async fn release(cluster: &Cluster, policy: HeldPolicy) -> Result<(), CallError> {
    let (namespace, name) = (policy.namespace().to_owned(), policy.name().to_owned());
    let attempt = async |number| {
        let read = async |client| policies(client, Some(&namespace)).get_metadata_opt(&name).await;
        let held = match number {
            0 => Some(policy.clone()),
            _ => cluster.call(read).await?.and_then(|policy| HeldPolicy::of(policy.metadata)),
        };
        let Some(HeldPolicy { metadata }) = held else { return Ok(()) };
        let others: Vec<_> =
            metadata.finalizers.iter().flatten().filter(|finalizer| *finalizer != FINALIZER).collect();
        // The patch carries the resourceVersion that was read, so it cannot remove a finalizer that others add
        // meanwhile.
        let patch = Patch::Merge(json!({
            "metadata": { "resourceVersion": metadata.resource_version, "finalizers": others },
        }));
        let params = PatchParams::default();
        let patched =
            async |client| policies(client, Some(&namespace)).patch_metadata(&name, &params, &patch).await;
        match cluster.call(patched).await {
            Err(error) if error.code() != Some(404) => Err(error),
            _ => Ok(()),
        }
    };
    retry_on_conflict(attempt, |error: &CallError| error.code() == Some(409)).await
}

/// Clears the verdict of native admission from a Namespace, or from all, and returns the names of those that had one.
pub async fn clear_verdicts(cluster: &Cluster, namespace: Option<&str>) -> Result<Vec<String>, CallError> {
    let params = ListParams::default().labels(ADMISSION_LABEL);
    let params = match namespace {
        Some(name) => params.fields(&format!("metadata.name={name}")),
        None => params,
    };
    let list = async |client| Api::<Namespace>::all(client).list_metadata(&params).await;
    let mut cleared = Vec::new();
    for found in cluster.call(list).await?.items {
        let keys = NamespaceKeys::of(&found.metadata);
        let Some(removal) = NamespaceKeys::default().removal(&keys) else { continue };
        let (name, patch) = (found.name_any(), Patch::Merge(removal));
        let params = PatchParams::default();
        let clear = async |client| Api::<Namespace>::all(client).patch_metadata(&name, &params, &patch).await;
        match cluster.call(clear).await {
            Err(error) if error.code() != Some(404) => return Err(error),
            _ => cleared.push(name),
        }
    }
    Ok(cleared)
}

fn policies(client: kube::Client, namespace: Option<&str>) -> Api<DevOpsPolicy> {
    match namespace {
        Some(namespace) => Api::namespaced(client, namespace),
        None => Api::all(client),
    }
}
