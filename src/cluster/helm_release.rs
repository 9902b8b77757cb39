//! The Helm release that an object belongs to.

use std::fmt;

use kube::{Resource, ResourceExt as _};

/// A Helm release, as the metadata of its objects names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HelmRelease {
    name: String,
    namespace: String,
}

impl HelmRelease {
    /// Returns the release that manages an object; `None` for an object without Helm's label and annotations.
    ///
    /// Source: `pkg/action/validate.go` of Helm.
    pub fn of(object: &impl Resource) -> Option<Self> {
        let is_helm = object.labels().get("app.kubernetes.io/managed-by").is_some_and(|by| by == "Helm");
        let part = |part: &str| object.annotations().get(&format!("meta.helm.sh/release-{part}")).cloned();
        is_helm.then_some(())?;
        Some(Self { name: part("name")?, namespace: part("namespace")? })
    }
}

impl fmt::Display for HelmRelease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the Helm release {} in namespace {}", self.name, self.namespace)
    }
}

#[cfg(test)]
mod tests {
    use kube::api::DynamicObject;
    use serde_json::{Value, json};

    use super::*;

    fn release(metadata: &Value) -> Option<String> {
        let object: DynamicObject = serde_json::from_value(json!({ "metadata": metadata })).unwrap();
        HelmRelease::of(&object).map(|release| release.to_string())
    }

    #[test]
    fn label_and_annotations_name_the_release() {
        let labels = json!({ "app.kubernetes.io/managed-by": "Helm" });
        let annotations =
            json!({ "meta.helm.sh/release-name": "governance", "meta.helm.sh/release-namespace": "ops" });
        assert_eq!(
            release(&json!({ "labels": labels, "annotations": annotations })).unwrap(),
            "the Helm release governance in namespace ops"
        );
        assert_eq!(release(&json!({ "annotations": annotations })), None);
        assert_eq!(release(&json!({ "labels": labels })), None);
    }
}
