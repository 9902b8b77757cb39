//! An object's metadata, reduced to the fields that rules and reports read.

use std::fmt;

use jiff::Timestamp;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::fields::detail;
use super::object_only::object_only;
use super::supplied::{IMAGE_TRIGGERS, ISTIO_INJECT, ISTIO_TEMPLATES};
use super::unread::{Unread, Words};
use super::{Fields, Labels, List, Text};

object_only!(Metadata<'a>, OwnerReference<'a>);

/// The label that ties a Deployment's pods to one of its `ReplicaSet`s.
pub(super) const DEPLOYMENT_HASH: &str = "pod-template-hash";
/// The label that ties a Rollout's pods to one of its `ReplicaSet`s.
pub(super) const ROLLOUT_HASH: &str = "rollouts-pod-template-hash";
/// The label that names the Knative Service of a pod.
pub(super) const KNATIVE_SERVICE: &str = "serving.knative.dev/service";

/// The annotation of a pod that names its `DeploymentConfig`.
pub(super) const DEPLOYMENT_CONFIG: &str = "openshift.io/deployment-config.name";

/// The annotation in which kubectl keeps a copy of the object that was applied.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The annotation of a workload or a Namespace with the ids of the rules from which it is exempt, between commas.
pub const EXEMPT: &str = "devops.stochastic.io/exempt";
/// The annotation with the reason of an exemption. It is required.
pub const EXEMPT_REASON: &str = "devops.stochastic.io/exempt-reason";
/// The annotation with the last day of an exemption, in UTC; without it the exemption has no end.
pub const EXEMPT_UNTIL: &str = "devops.stochastic.io/exempt-until";

/// The annotations that are always read.
const ANNOTATIONS: [&str; 7] =
    [DEPLOYMENT_CONFIG, IMAGE_TRIGGERS, ISTIO_INJECT, ISTIO_TEMPLATES, EXEMPT, EXEMPT_REASON, EXEMPT_UNTIL];

/// The annotations that rules read by their names (details).
const DETAILS: [&str; 3] = ["kubernetes.io/config.mirror", "helm.sh/hook", "argocd.argoproj.io/hook"];
/// The prefixes of annotations that rules read (details).
const DETAIL_PREFIXES: [&str; 3] = [
    "container.apparmor.security.beta.kubernetes.io/",
    "container.seccomp.security.alpha.kubernetes.io/",
    "seccomp.security.alpha.kubernetes.io/",
];

/// The part of an object's metadata that is read. Managed fields, the largest part, are skipped.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase", expecting = "metadata")]
pub struct Metadata<'a> {
    /// The object's name; a manifest may have only a `generateName`.
    #[serde(borrow)]
    pub name: Option<Text<'a>>,
    /// The prefix that the API server completes to a name.
    #[serde(borrow)]
    pub generate_name: Option<Text<'a>>,
    /// The namespace, absent in most manifests.
    #[serde(borrow)]
    pub namespace: Option<Text<'a>>,
    /// The uid, which tells objects of the same name apart.
    #[serde(borrow)]
    pub uid: Option<Text<'a>>,
    /// The time at which the API server stored the object.
    pub creation_timestamp: Option<Timestamp>,
    /// True if the object is being deleted.
    #[serde(rename = "deletionTimestamp", default, deserialize_with = "is_there")]
    pub is_deleted: bool,
    /// The number of changes of the spec (a detail).
    #[serde(default, deserialize_with = "detail")]
    pub generation: Option<i64>,
    /// The labels, which selectors match.
    #[serde(borrow)]
    pub labels: Option<Labels<'a>>,
    /// The few annotations that are read.
    #[serde(borrow, default, deserialize_with = "annotations")]
    pub annotations: Option<Labels<'a>>,
    /// The objects that own this one.
    #[serde(borrow)]
    pub owner_references: Option<List<OwnerReference<'a>>>,
}

impl<'a> Metadata<'a> {
    /// The owner that manages the object: the reference with `controller: true`.
    pub fn controller(&self) -> Option<&OwnerReference<'a>> {
        self.owner_references.iter().flatten().find(|owner| owner.controller == Some(true))
    }

    /// Returns true if any object owns this one, as its controller or not.
    pub fn has_owner(&self) -> bool {
        self.owner_references.as_ref().is_some_and(|owners| !owners.is_empty())
    }

    /// The value of a label.
    pub fn label(&self, key: &str) -> Option<&str> {
        self.labels.as_ref()?.get(key).map(|value| &**value)
    }

    /// The `apiVersion` and the kind of the object as it was last applied by kubectl (a detail).
    pub fn last_applied(&self) -> Option<(&str, &str)> {
        self.annotation(LAST_APPLIED)?.split_once(' ')
    }

    /// The value of an annotation that is read.
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations.as_ref()?.get(key).map(|value| &**value)
    }
}

/// A reference to an object that owns another.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Deserialize)]
#[serde(remote = "Self", expecting = "an owner reference")]
pub struct OwnerReference<'a> {
    /// The owner's kind.
    #[serde(borrow)]
    pub kind: Text<'a>,
    /// The owner's name, in the namespace of the owned object.
    #[serde(borrow)]
    pub name: Text<'a>,
    /// True for the owner that manages the object.
    pub controller: Option<bool>,
}

/// Reads true from anything but null.
fn is_there<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(Option::<IgnoredAny>::deserialize(deserializer)?.is_some())
}

/// Returns true if an annotation is read. Of kubectl's copy of the object, only the type is (a detail).
fn is_read(key: &str) -> bool {
    let is_detail = || DETAILS.contains(&key) || DETAIL_PREFIXES.iter().any(|prefix| key.starts_with(prefix));
    ANNOTATIONS.contains(&key)
        || (Fields::have_annotations() && key != LAST_APPLIED)
        || (Fields::are_all() && is_detail())
}

/// Reads the annotations that are needed. The values of all others have to be text, too.
pub(super) fn annotations<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Labels<'de>>, D::Error> {
    struct AnnotationsVisitor;

    impl<'de> Visitor<'de> for AnnotationsVisitor {
        type Value = Option<Labels<'de>>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("annotations")
        }

        fn visit_none<E>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
            deserializer.deserialize_map(self)
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut known = Vec::new();
            while let Some(key) = map.next_key::<Text<'de>>()? {
                if is_read(&key) {
                    known.push((key, map.next_value::<Option<Text<'de>>>()?.unwrap_or_default()));
                } else if Fields::are_all() && &*key == LAST_APPLIED {
                    let copy = map.next_value::<Option<Text<'de>>>()?.unwrap_or_default();
                    let (api_version, kind) = written_type(&copy);
                    known.extend(
                        api_version.zip(kind).map(|(api, kind)| (key, Text::from(format!("{api} {kind}")))),
                    );
                } else {
                    map.next_value::<Unread<Words>>()?;
                }
            }
            Ok((!known.is_empty()).then(|| Labels::new(known)))
        }
    }

    deserializer.deserialize_option(AnnotationsVisitor)
}

/// Returns the `apiVersion` and the kind at the top of an object in JSON. The rest is not read.
fn written_type(json: &str) -> (Option<String>, Option<String>) {
    struct TypeVisitor<'t>(&'t mut (Option<String>, Option<String>));

    impl<'de> Visitor<'de> for TypeVisitor<'_> {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
            while let (None, _) | (_, None) = self.0
                && let Some(key) = map.next_key::<Text<'de>>()?
            {
                match &*key {
                    "apiVersion" => self.0.0 = map.next_value()?,
                    "kind" => self.0.1 = map.next_value()?,
                    _ => {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
            }
            Ok(())
        }
    }

    let mut types = (None, None);
    // The rest of the text is an error to the parser, and is of no interest.
    let _ = serde_json::Deserializer::from_str(json).deserialize_map(TypeVisitor(&mut types));
    types
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unused_annotations_are_skipped_with_any_content() {
        let metadata: Metadata<'_> =
            serde_json::from_str(r#"{"annotations": {"a": {"b": 1}, "sidecar.istio.io/inject": "true"}}"#)
                .unwrap();
        assert_eq!(metadata.annotation(ISTIO_INJECT), Some("true"));
        for none in ["{}", r#"{"annotations": null}"#, r#"{"annotations": {}}"#] {
            assert_eq!(serde_json::from_str::<Metadata<'_>>(none).unwrap().annotations, None, "{none}");
        }
    }

    #[test]
    fn only_the_type_of_the_applied_object_is_read() {
        let last_applied = |copy: &str| {
            let json = serde_json::json!({ "annotations": { LAST_APPLIED: copy } }).to_string();
            let metadata: Metadata<'_> =
                Fields::All.within(|| serde_json::from_str::<Metadata<'_>>(&json).unwrap());
            metadata.last_applied().map(|(api_version, kind)| format!("{api_version} {kind}"))
        };
        let expected = Some("apps/v1beta1 Deployment".to_owned());
        for copy in [
            r#"{"apiVersion":"apps/v1beta1","kind":"Deployment","metadata":{}}"#,
            r#"{"apiVersion":"apps/v1beta1","kind":"Deployment", cut off"#,
            r#"{"metadata":{"kind":"no"},"kind":"Deployment","apiVersion":"apps/v1beta1"}"#,
        ] {
            assert_eq!(last_applied(copy), expected, "{copy}");
        }
        for copy in ["", "[]", "{}", r#"{"kind":"Deployment"}"#, r#"{"kind":1,"apiVersion":"v1"}"#] {
            assert_eq!(last_applied(copy), None, "{copy}");
        }
    }
}
