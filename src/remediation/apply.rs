//! Reads a workload just before its patch, and patches it with one server-side apply that is never forced.

use std::borrow::Cow;

use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use serde_json::{Value, json};

use super::apply_error::ApplyError;
use crate::cluster::Cluster;
use crate::enforcement::{FIELD_MANAGER, IGNORE, Subject, SubjectError, managed_by};
use crate::workload::WorkloadKind;

/// The maximum number of times that one patch is sent while others write the workload's metadata.
const ATTEMPTS: u32 = 20;

/// Fetches a workload; `None` if it does not exist.
pub async fn fetch(
    cluster: &Cluster,
    kind: WorkloadKind,
    namespace: &str,
    name: &str,
) -> Result<Option<Subject>, ApplyError> {
    let workloads = api(cluster, kind, Some(namespace));
    match cluster.call(async |_| workloads.get_opt(name).await).await? {
        Some(object) => Ok(Some(read(kind, object)?)),
        None => Ok(None),
    }
}

/// Returns the given workload for the first attempt of a write, and fetches it for each later one.
pub async fn read_again<'s>(
    cluster: &Cluster,
    subject: &'s Subject,
    attempt: u32,
) -> Result<Cow<'s, Subject>, ApplyError> {
    if attempt == 0 {
        return Ok(Cow::Borrowed(subject));
    }
    let found = fetch(cluster, subject.kind(), subject.namespace(), subject.name()).await?;
    found.map(Cow::Owned).ok_or(ApplyError::Gone)
}

/// Applies a document to the workload that it was made from, and returns the patched workload.
pub async fn apply(cluster: &Cluster, subject: &Subject, document: &Value) -> Result<Subject, ApplyError> {
    apply_as(cluster, subject, &PatchParams::apply(FIELD_MANAGER), document).await
}

/// Applies a document like [`apply`]. If others changed the workload meanwhile, but not its spec, it applies to the new
/// version, because annotations of some workloads change many times a second.
pub(super) async fn apply_to_newest(
    cluster: &Cluster,
    subject: &Subject,
    document: &Value,
) -> Result<Subject, ApplyError> {
    let mut document = document.clone();
    for attempt in 1.. {
        match apply(cluster, subject, &document).await {
            Err(ApplyError::Stale) if attempt < ATTEMPTS => {}
            outcome => return outcome,
        }
        let newest = read_again(cluster, subject, attempt).await?;
        if !is_planned_alike(subject, &newest) {
            return Err(ApplyError::Stale);
        }
        document["metadata"]["resourceVersion"] = json!(newest.metadata().resource_version);
    }
    Err(ApplyError::Stale)
}

/// Returns true if a plan for one version of a workload holds for another one too.
fn is_planned_alike(planned: &Subject, newest: &Subject) -> bool {
    let of = |subject: &Subject| {
        let metadata = subject.metadata();
        (
            metadata.uid.clone(),
            metadata.generation,
            metadata.deletion_timestamp.clone(),
            metadata.owner_references.clone(),
            subject.annotation(IGNORE).map(str::to_owned),
            managed_by(subject),
        )
    };
    of(planned) == of(newest)
}

/// Sends an apply as a server-side dry run, and returns the result.
pub async fn rehearse(cluster: &Cluster, subject: &Subject, document: &Value) -> Result<Subject, ApplyError> {
    apply_as(cluster, subject, &PatchParams::apply(FIELD_MANAGER).dry_run(), document).await
}

/// Applies a document. If another manager owns our annotations (an exported manifest was re-applied), applies it
/// without them; they are informational.
async fn apply_as(
    cluster: &Cluster,
    subject: &Subject,
    params: &PatchParams,
    document: &Value,
) -> Result<Subject, ApplyError> {
    ApplyError::check_manager(subject)?;
    match patch(cluster, subject, params, &Patch::Apply(document)).await {
        Err(ApplyError::Conflict(_)) if document.pointer("/metadata/annotations").is_some() => {
            let mut without = document.clone();
            without["metadata"].as_object_mut().map(|metadata| metadata.remove("annotations"));
            patch(cluster, subject, params, &Patch::Apply(&without)).await
        }
        outcome => outcome,
    }
}

/// Sends a patch of any type with enforcement's field manager.
pub(super) async fn patch(
    cluster: &Cluster,
    subject: &Subject,
    params: &PatchParams,
    patch: &Patch<&Value>,
) -> Result<Subject, ApplyError> {
    let workloads = api(cluster, subject.kind(), Some(subject.namespace()));
    let patched = cluster.call(async |_| workloads.patch(subject.name(), params, patch).await).await?;
    read(subject.kind(), patched)
}

/// Reads a raw object. Objects in a list do not state their type.
pub(super) fn read(kind: WorkloadKind, object: DynamicObject) -> Result<Subject, ApplyError> {
    let object = serde_json::to_value(object)
        .map_err(|source| SubjectError::Unreadable { kind: kind.name(), source })?;
    Ok(Subject::read(kind, object)?)
}

pub(super) fn api(cluster: &Cluster, kind: WorkloadKind, namespace: Option<&str>) -> Api<DynamicObject> {
    let (group, version) = kind.api_version().split_once('/').unwrap_or(("", kind.api_version()));
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind.name()));
    let client = cluster.client.clone();
    match namespace {
        Some(namespace) => Api::namespaced_with(client, namespace, &resource),
        None => Api::all_with(client, &resource),
    }
}
