//! Lists the objects of one resource, in all namespaces or in one.

use super::list::pages;
use super::{CallError, Cluster};

/// A resource of the API, and the namespace to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObjectList<'a> {
    /// The group; the core group has no name.
    pub group: &'a str,
    /// The version.
    pub version: &'a str,
    /// The plural name.
    pub plural: &'a str,
    /// The namespace; `None` for all, and for a resource of the cluster.
    pub namespace: Option<&'a str>,
}

impl ObjectList<'_> {
    pub(super) fn path(&self) -> String {
        let Self { group, version, plural, namespace } = self;
        let api =
            if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") };
        match namespace {
            Some(namespace) => format!("{api}/namespaces/{namespace}/{plural}"),
            None => format!("{api}/{plural}"),
        }
    }
}

/// Lists objects, and passes the JSON text of every page, a typed list, to `page`.
///
/// A failed list has no result, because a part of it says nothing about the rest.
pub async fn list_objects<S>(
    cluster: &Cluster,
    list: ObjectList<'_>,
    new: impl Fn() -> S,
    page: impl Fn(&mut S, &str) -> Result<(), serde_json::Error>,
) -> Result<S, CallError> {
    let listed = pages(cluster, &list.path(), None, &new, page).await;
    match listed.error {
        Some(error) => Err(error),
        None => Ok(listed.state.unwrap_or_else(new)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_the_path_of_its_resource() {
        let core = ObjectList { group: "", version: "v1", plural: "services", namespace: Some("shop") };
        assert_eq!(core.path(), "/api/v1/namespaces/shop/services");
        let all = ObjectList { group: "apps", plural: "deployments", namespace: None, ..core };
        assert_eq!(all.path(), "/apis/apps/v1/deployments");
    }
}
