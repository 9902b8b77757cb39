//! Removes the operator's finalizer from policies and its verdicts from Namespaces, for an uninstall: nobody would do
//! it afterwards.
//!
//! Only metadata is read and written, so that a policy which can't be read is released too.

use std::io;

use k8s_openapi::api::core::v1::Namespace;
use kube::ResourceExt as _;
use kube::api::{Api, ApiResource, DynamicObject, ListParams, ObjectMeta, Patch, PatchParams};
use serde_json::json;

use super::FINALIZER;
use super::namespace_keys::NamespaceKeys;
use crate::cluster::{CallError, Cluster, retry_on_conflict};
use crate::policy::{ClusterDevOpsPolicy, DevOpsPolicy};
use crate::workload::PolicyRef;

const PAGE: u32 = 500;

/// One step of a release.
#[derive(Debug)]
pub enum ReleaseStep {
    /// The policy has lost the finalizer.
    Released(PolicyRef),
    /// The Namespace has lost the verdict of native admission.
    Cleared(String),
    /// Something could not be released, for this reason.
    Failed(String),
}

/// Removes the finalizer from the policies of a namespace, or from all policies and cluster policies, and then the
/// verdicts of native admission from the Namespaces. Reports each step. Goes on after a failure.
pub async fn release(
    cluster: &Cluster,
    namespace: Option<&str>,
    report: &mut impl FnMut(ReleaseStep) -> io::Result<()>,
) -> io::Result<()> {
    let place = namespace.map_or_else(String::new, |name| format!(" of namespace {name:?}"));
    let mut kinds = vec![("policies", ApiResource::erase::<DevOpsPolicy>(&()))];
    if namespace.is_none() {
        kinds.push(("cluster policies", ApiResource::erase::<ClusterDevOpsPolicy>(&())));
    }
    for (plural, kind) in &kinds {
        match held(cluster, kind, namespace).await {
            Ok(held) => {
                if let Some(name) = namespace.filter(|_| held.is_empty())
                    && cluster.lacks_namespace(name).await
                {
                    report(ReleaseStep::Failed(format!("namespace {name:?} not found")))?;
                }
                for policy in held {
                    let name = policy.reference();
                    report(match remove_finalizer(cluster, kind, policy).await {
                        Ok(()) => ReleaseStep::Released(name),
                        Err(error) => {
                            ReleaseStep::Failed(format!("cannot release the policy {name}: {error}"))
                        }
                    })?;
                }
            }
            // There are no policies without the CRD.
            Err(error) if error.code() == Some(404) => {}
            Err(error) => {
                report(ReleaseStep::Failed(format!("cannot list the {plural}{place}: {error}")))?;
            }
        }
    }
    match clear_verdicts(cluster, namespace).await {
        Ok(cleared) => cleared.into_iter().try_for_each(|(name, cleared)| {
            report(match cleared {
                Ok(()) => ReleaseStep::Cleared(name),
                Err(error) => {
                    ReleaseStep::Failed(format!("cannot clear the verdict of namespace {name}: {error}"))
                }
            })
        }),
        Err(error) => {
            let problem = format!("cannot clear the verdicts of native admission{place}: {error}");
            report(ReleaseStep::Failed(problem))
        }
    }
}

/// A policy with the finalizer.
#[derive(Debug, Clone, PartialEq)]
struct HeldPolicy {
    metadata: ObjectMeta,
}

impl HeldPolicy {
    fn reference(&self) -> PolicyRef {
        let name = self.metadata.name.clone().unwrap_or_default();
        match &self.metadata.namespace {
            Some(namespace) => PolicyRef::new(namespace, name),
            None => PolicyRef::cluster(&name),
        }
    }

    fn of(metadata: ObjectMeta) -> Option<Self> {
        let finalizers = metadata.finalizers.iter().flatten();
        finalizers.into_iter().any(|finalizer| finalizer == FINALIZER).then_some(Self { metadata })
    }
}

/// Finds the policies of a kind with the finalizer, in a namespace or in all.
async fn held(
    cluster: &Cluster,
    kind: &ApiResource,
    namespace: Option<&str>,
) -> Result<Vec<HeldPolicy>, CallError> {
    let mut found = Vec::new();
    let mut params = ListParams::default().limit(PAGE);
    loop {
        let list = async |client| policies(client, kind, namespace).list_metadata(&params).await;
        let page = cluster.call(list).await?;
        found.extend(page.items.into_iter().filter_map(|policy| HeldPolicy::of(policy.metadata)));
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => return Ok(found),
        }
    }
}

/// Removes the finalizer from a policy, and keeps those of others.
async fn remove_finalizer(
    cluster: &Cluster,
    kind: &ApiResource,
    policy: HeldPolicy,
) -> Result<(), CallError> {
    let (namespace, name) = (policy.metadata.namespace.as_deref(), policy.metadata.name.as_deref());
    let name = name.unwrap_or_default();
    let attempt = async |number| {
        let read = async |client| policies(client, kind, namespace).get_metadata_opt(name).await;
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
            async |client| policies(client, kind, namespace).patch_metadata(name, &params, &patch).await;
        match cluster.call(patched).await {
            Err(error) if error.code() != Some(404) => Err(error),
            _ => Ok(()),
        }
    };
    retry_on_conflict(attempt, |error: &CallError| error.code() == Some(409)).await
}

/// Clears the verdict of native admission from a Namespace, or from all. Returns the names of those that had one, each
/// with the outcome.
async fn clear_verdicts(
    cluster: &Cluster,
    namespace: Option<&str>,
) -> Result<Vec<(String, Result<(), CallError>)>, CallError> {
    let params = match namespace {
        Some(name) => ListParams::default().fields(&format!("metadata.name={name}")),
        None => ListParams::default(),
    };
    let list = async |client| Api::<Namespace>::all(client).list_metadata(&params).await;
    let mut cleared = Vec::new();
    for found in cluster.call(list).await?.items {
        // A tool may have pruned the label, and left the annotations.
        let keys = NamespaceKeys::of(&found.metadata);
        let Some(removal) = NamespaceKeys::default().removal(&keys) else { continue };
        let (name, patch) = (found.name_any(), Patch::Merge(removal));
        let params = PatchParams::default();
        let clear = async |client| Api::<Namespace>::all(client).patch_metadata(&name, &params, &patch).await;
        match cluster.call(clear).await {
            Err(error) if error.code() != Some(404) => cleared.push((name, Err(error))),
            _ => cleared.push((name, Ok(()))),
        }
    }
    Ok(cleared)
}

fn policies(client: kube::Client, kind: &ApiResource, namespace: Option<&str>) -> Api<DynamicObject> {
    match namespace {
        Some(namespace) => Api::namespaced_with(client, namespace, kind),
        None => Api::all_with(client, kind),
    }
}
