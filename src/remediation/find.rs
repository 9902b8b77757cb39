//! Finds workloads of a namespace, or of all.

use kube::api::DynamicObject;
use kube::api::ListParams;
use kube::core::ObjectList;

use super::apply::{api, read};
use super::apply_error::ApplyError;
use crate::cluster::Cluster;
use crate::enforcement::{KINDS, Subject};

const PAGE: u32 = 100;

/// Returns the patchable workloads that `keep` accepts, in a namespace or in all, ordered by kind.
///
/// Memory holds one page of complete objects, and the accepted ones.
pub async fn find(
    cluster: &Cluster,
    namespace: Option<&str>,
    keep: impl Fn(&Subject) -> bool,
) -> Result<Vec<Subject>, ApplyError> {
    let mut found = Vec::new();
    for kind in KINDS {
        let workloads = api(cluster, kind, namespace);
        let mut params = ListParams::default().limit(PAGE);
        loop {
            let page: ObjectList<DynamicObject> =
                cluster.call(async |_| workloads.list(&params).await).await?;
            for object in page.items {
                let subject = read(kind, object)?;
                if keep(&subject) {
                    found.push(subject);
                }
            }
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params = params.continue_token(&token),
                None => break,
            }
        }
    }
    Ok(found)
}
