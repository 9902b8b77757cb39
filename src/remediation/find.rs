//! Finding workloads: every one of a namespace, and those that carry a patch, told by their managed fields alone.

use std::ops::ControlFlow;

use kube::api::DynamicObject;
use kube::api::ListParams;
use kube::core::ObjectList;

use super::apply::{api, read};
use super::apply_error::ApplyError;
use crate::cluster::Cluster;
use crate::enforcement::{KINDS, Subject};

const PAGE: u32 = 100;

/// Returns the workloads that may be patched and that `keep` wants, in a namespace or in all, in the order of their kinds.
///
/// Memory holds one page of complete objects, and those that are kept.
pub async fn find(
    cluster: &Cluster,
    namespace: Option<&str>,
    keep: impl Fn(&Subject) -> bool,
) -> Result<Vec<Subject>, ApplyError> {
    let mut found = Vec::new();
    visit(cluster, namespace, |subject| {
        if keep(&subject) {
            found.push(subject);
        }
        ControlFlow::Continue(())
    })
    .await?;
    Ok(found)
}

/// Returns true if any workload of the cluster carries a patch, or what is left of one.
pub(super) async fn is_any_patched(cluster: &Cluster) -> Result<bool, ApplyError> {
    let stop = |subject: Subject| {
        if subject.is_marked() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    visit(cluster, None, stop).await
}

/// Lists the workloads that may be patched page by page, and tells whether it was broken off.
async fn visit(
    cluster: &Cluster,
    namespace: Option<&str>,
    mut visitor: impl FnMut(Subject) -> ControlFlow<()>,
) -> Result<bool, ApplyError> {
    for kind in KINDS {
        let workloads = api(cluster, kind, namespace);
        let mut params = ListParams::default().limit(PAGE);
        loop {
            let page: ObjectList<DynamicObject> =
                cluster.call(async |_| workloads.list(&params).await).await?;
            for object in page.items {
                if visitor(read(kind, object)?).is_break() {
                    return Ok(true);
                }
            }
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params = params.continue_token(&token),
                None => break,
            }
        }
    }
    Ok(false)
}
