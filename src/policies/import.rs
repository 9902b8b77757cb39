//! Imports policies into a cluster: the API server checks all of them before the first is applied.

use std::collections::BTreeSet;

use kube::ResourceExt as _;
use kube::api::DynamicObject;
use serde_json::{Value, json};

use super::apply::{ApplyError, ApplyOptions, apply};
use crate::cluster::{Applied, CallError, Cluster};
use crate::policy::{PolicyDocument, SET_LABEL};
use crate::workload::PolicyRef;

/// The policies to import. Each names its namespace, unless it is a cluster policy.
#[derive(Debug, Default)]
pub struct Import {
    /// The policies, in the order in which they are applied.
    pub policies: Vec<PolicyDocument>,
    /// The set that they make. Its label is put on all of them.
    pub set: Option<String>,
    /// True if the policies of the set that are not imported are deleted.
    pub prune: bool,
    /// True if nothing is changed.
    pub dry_run: bool,
}

/// The result of one step of an import.
#[derive(Debug)]
pub enum ImportStep {
    /// A policy was applied.
    Applied(String, Applied),
    /// A policy of the set was deleted, as the import does not have it.
    Pruned(String),
    /// A policy could not be applied or deleted.
    Failed(String, ApplyError),
    /// A policy belongs to another set.
    OtherSet(String, String),
}

impl ImportStep {
    /// Returns true if the step did not do its work.
    pub fn is_failure(&self) -> bool {
        matches!(self, Self::Failed(..) | Self::OtherSet(..))
    }
}

/// Imports policies, and reports each step when it is done.
///
/// The API server checks every policy in a dry run first. If it refuses any, only the refusals are reported and nothing
/// is changed. After that, a policy that cannot be applied holds up no other one, but then nothing is pruned. Returns
/// true if all of the work was done.
pub async fn import(
    cluster: &Cluster,
    import: &Import,
    report: &mut impl FnMut(ImportStep) -> std::io::Result<()>,
) -> Result<bool, ImportError> {
    let manifests: Vec<_> = import.policies.iter().map(|policy| (policy, import.manifest(policy))).collect();
    let surplus = import.surplus(cluster).await?;
    let dry_run = ApplyOptions { dry_run: true };
    let mut checked = Vec::new();
    for (policy, manifest) in &manifests {
        checked.push(match import.other_set(cluster, manifest).await? {
            Some(set) => ImportStep::OtherSet(policy.shown_name(), set),
            None => step(policy, apply(cluster, manifest, dry_run).await)?,
        });
    }
    let is_refused = checked.iter().any(ImportStep::is_failure);
    if is_refused || import.dry_run {
        for step in checked.into_iter().filter(|step| !is_refused || step.is_failure()) {
            report(step)?;
        }
        if !is_refused {
            surplus.iter().try_for_each(|policy| report(ImportStep::Pruned(shown_name(policy))))?;
        }
        return Ok(!is_refused);
    }
    let mut is_complete = true;
    for (policy, manifest) in &manifests {
        let step = step(policy, apply(cluster, manifest, ApplyOptions::default()).await);
        let step = step.map_err(|reason| ImportError::Ended { policy: policy.shown_name(), reason })?;
        is_complete &= !step.is_failure();
        report(step)?;
    }
    if is_complete {
        for policy in &surplus {
            let name = shown_name(policy);
            let deleted = cluster.delete_namespaced(&like(policy.namespace().is_none()), policy, false).await;
            let step = match deleted {
                Ok(()) => ImportStep::Pruned(name),
                Err(error) if error.code() == Some(404) => ImportStep::Pruned(name),
                Err(error) => ImportStep::Failed(name, error.into()),
            };
            is_complete &= !step.is_failure();
            report(step)?;
        }
    }
    Ok(is_complete)
}

/// The reason why an import ended before its last step.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// Nothing was changed: the check of every policy would fail in the same way, or the set cannot be read.
    #[error("{0}; nothing was changed")]
    Call(CallError),
    /// The API server did not answer the apply of a policy, and every further call would fail in the same way.
    #[error("the import ended at policy {policy}, which may be applied or not: {reason}")]
    Ended {
        /// The policy, as reports name it.
        policy: String,
        /// The failure.
        reason: CallError,
    },
    /// The report cannot be written.
    #[error(transparent)]
    Report(#[from] std::io::Error),
}

impl From<CallError> for ImportError {
    fn from(error: CallError) -> Self {
        Self::Call(error)
    }
}

impl Import {
    fn manifest(&self, policy: &PolicyDocument) -> Value {
        let mut manifest = policy.manifest();
        if let Some(set) = &self.set {
            manifest["metadata"]["labels"][SET_LABEL] = json!(set);
        }
        manifest
    }

    /// Returns the policies of the set that the import does not have.
    async fn surplus(&self, cluster: &Cluster) -> Result<Vec<DynamicObject>, CallError> {
        let (true, Some(set)) = (self.prune, &self.set) else { return Ok(Vec::new()) };
        let kept: BTreeSet<_> =
            self.policies.iter().map(|policy| (policy.namespace.as_deref(), policy.name.as_str())).collect();
        let selector = format!("{SET_LABEL}={set}");
        let mut found = cluster.list_like(&like(false), None, Some(&selector)).await?;
        found.extend(cluster_policies(cluster, Some(&selector)).await?);
        let is_surplus = |policy: &DynamicObject| {
            let name = policy.metadata.name.as_deref().unwrap_or_default();
            policy.metadata.deletion_timestamp.is_none()
                && !kept.contains(&(policy.metadata.namespace.as_deref(), name))
        };
        Ok(found.into_iter().filter(is_surplus).collect())
    }

    /// Returns the other set to which a policy of the cluster belongs, if the manifest names a set.
    async fn other_set(&self, cluster: &Cluster, manifest: &Value) -> Result<Option<String>, CallError> {
        let set = manifest.pointer("/metadata/labels").and_then(|labels| labels.get(SET_LABEL)?.as_str());
        let Some(set) = set else { return Ok(None) };
        let before = match cluster.get_namespaced(manifest).await {
            Err(error) if error.is_general() => return Err(error),
            // The dry run reports the same failure.
            Err(_) => None,
            Ok(before) => before,
        };
        let other = before.and_then(|before| before.labels().get(SET_LABEL).cloned());
        Ok(other.filter(|other| other != set))
    }
}

fn step(policy: &PolicyDocument, result: Result<Applied, ApplyError>) -> Result<ImportStep, CallError> {
    match result {
        Ok(applied) => Ok(ImportStep::Applied(policy.shown_name(), applied)),
        Err(ApplyError::Call(error)) if error.is_general() => Err(error),
        Err(error) => Ok(ImportStep::Failed(policy.shown_name(), error)),
    }
}

fn shown_name(policy: &DynamicObject) -> String {
    match policy.namespace() {
        Some(namespace) => PolicyRef::new(namespace, policy.name_any()).to_string(),
        None => PolicyRef::cluster(&policy.name_any()).to_string(),
    }
}

/// Returns an object with the kind of policies, or of cluster policies.
fn like(is_cluster: bool) -> Value {
    let kind = if is_cluster { "ClusterDevOpsPolicy" } else { "DevOpsPolicy" };
    json!({ "apiVersion": "devops.stochastic.io/v1", "kind": kind })
}

/// Lists the cluster policies with some labels, or all; returns none if the cluster lacks their kind.
async fn cluster_policies(
    cluster: &Cluster,
    selector: Option<&str>,
) -> Result<Vec<DynamicObject>, CallError> {
    match cluster.list_like(&like(true), None, selector).await {
        Err(error) if error.code() == Some(404) => Ok(Vec::new()),
        found => found,
    }
}

/// Reads the policies of a namespace, or of all and the cluster policies, as they would be written in files.
pub async fn documents(cluster: &Cluster, namespace: Option<&str>) -> Result<Vec<PolicyDocument>, CallError> {
    let mut found = cluster.list_like(&like(false), namespace, None).await?;
    if namespace.is_none() {
        found.extend(cluster_policies(cluster, None).await?);
    }
    let stays = found.iter().filter(|policy| policy.metadata.deletion_timestamp.is_none());
    let document = |policy: &DynamicObject| {
        // The items of a list have no kind.
        let mut object = json!(policy);
        object["kind"] = like(policy.namespace().is_none())["kind"].clone();
        PolicyDocument::from_object(&object)
    };
    let mut policies: Vec<_> = stays.map(document).collect();
    policies.sort_by_key(PolicyDocument::key);
    Ok(policies)
}
