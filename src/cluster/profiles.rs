//! The `ClusterProfile` objects of a hub, by which cluster managers publish their clusters.

use kube::ResourceExt as _;
use serde_json::{Value, json};

use super::{CallError, Cluster};

/// A cluster that a cluster manager published.
#[derive(Debug, Clone, PartialEq)]
pub struct ClusterProfile {
    /// The namespace and the name of the profile between a slash.
    pub name: String,
    /// The name for people; empty without one.
    pub display_name: String,
    /// The status, which describes the access.
    pub status: Value,
}

impl Cluster {
    /// Lists the profiles in a namespace, or in all, sorted by name.
    ///
    /// An error with code 404 means that the API server does not know the kind.
    pub async fn cluster_profiles(&self, namespace: Option<&str>) -> Result<Vec<ClusterProfile>, CallError> {
        let like = json!({ "apiVersion": "multicluster.x-k8s.io/v1alpha1", "kind": "ClusterProfile" });
        let found = self.list_like(&like, namespace, None).await?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut profiles: Vec<_> = found
            .iter()
            .map(|object| ClusterProfile {
                name: format!("{}/{}", object.namespace().unwrap_or_default(), object.name_any()),
                display_name: text(&object.data["spec"]["displayName"]),
                status: object.data["status"].clone(),
            })
            .collect();
        profiles.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(profiles)
    }
}
