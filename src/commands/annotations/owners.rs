//! The annotations of workloads that own pods, listed as metadata.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::cluster::{self, CallError, Cluster, ObjectList};
use crate::governance::AnnotatedExemptions;
use crate::workload::{Kind, Metadata, Owner, RESOURCES, Resource};

/// Returns true if a resource has the workloads of one of these kinds.
///
/// Some kinds of `OpenKruise` have the names of Kubernetes' own, which a pod can't tell apart.
pub(super) fn is_owner(resource: &Resource, kinds: &BTreeSet<String>) -> bool {
    let is_shadowed = || {
        let mut own = RESOURCES.iter().filter(|other| other.kind == Kind::Template && !other.is_custom);
        resource.is_custom && own.any(|other| other.name == resource.name)
    };
    resource.kind == Kind::Template && kinds.contains(resource.name) && !is_shadowed()
}

/// Lists the workloads of a resource, in a namespace or in all.
pub(super) async fn objects(
    cluster: &Cluster,
    resource: &Resource,
    namespace: Option<&str>,
) -> Result<AnnotatedExemptions, CallError> {
    let Resource { group, version, plural, name: kind, .. } = *resource;
    let list = ObjectList { group, version, plural, namespace };
    cluster::list_metadata(cluster, list, AnnotatedExemptions::default, |exemptions, page| {
        for_each(page, |metadata| {
            let (namespace, name) = (metadata.namespace.as_deref(), metadata.name.as_deref());
            let object = Owner { kind, name: name.unwrap_or_default() };
            exemptions.add_object(namespace.unwrap_or_default(), object, metadata);
        })
    })
    .await
}

/// Passes the metadata of each object of a page.
pub(super) fn for_each(page: &str, mut each: impl FnMut(&Metadata<'_>)) -> Result<(), serde_json::Error> {
    #[derive(Deserialize)]
    struct Page<'a> {
        #[serde(borrow)]
        items: Option<Vec<Item<'a>>>,
    }
    #[derive(Deserialize)]
    struct Item<'a> {
        #[serde(borrow)]
        metadata: Metadata<'a>,
    }
    let page: Page<'_> = serde_json::from_str(page)?;
    page.items.iter().flatten().for_each(|item| each(&item.metadata));
    Ok(())
}
