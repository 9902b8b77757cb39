//! The label and the annotations of a Namespace by which native admission knows the policies there. Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;
use kube::api::ObjectMeta;
use serde_json::{Map, Value, json};

use crate::policy::{
    ADMISSION_LABEL, AdmissionVerdict, BREAK_GLASS_ANNOTATION, DENY_ANNOTATION, VERDICT_ANNOTATION,
    WARN_ANNOTATION,
};

/// The annotations that the operator keeps.
const ANNOTATIONS: [&str; 3] = [DENY_ANNOTATION, WARN_ANNOTATION, VERDICT_ANNOTATION];

/// The own keys of a Namespace with their values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct NamespaceKeys {
    label: Option<String>,
    annotations: BTreeMap<&'static str, String>,
}

impl NamespaceKeys {
    /// Reads the keys of a Namespace.
    pub(super) fn of(metadata: &ObjectMeta) -> Self {
        let annotation = |key| Some((key, metadata.annotations.as_ref()?.get(key)?.clone()));
        Self {
            label: metadata.labels.as_ref().and_then(|labels| labels.get(ADMISSION_LABEL)).cloned(),
            annotations: ANNOTATIONS.into_iter().filter_map(annotation).collect(),
        }
    }

    /// Returns the keys that carry a verdict; none without one.
    pub(super) fn wanted(verdict: Option<&AdmissionVerdict>) -> Self {
        verdict.map_or_else(Self::default, |verdict| Self {
            label: Some(verdict.label().to_owned()),
            annotations: verdict.annotations(),
        })
    }

    /// Tells whether there is no key.
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Returns the document of a server-side apply that sets the keys, and no other.
    pub(super) fn document(&self, name: &str, uid: Option<&str>) -> Value {
        let labels: BTreeMap<_, _> = self.label.iter().map(|value| (ADMISSION_LABEL, value)).collect();
        json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": { "name": name, "uid": uid, "labels": labels, "annotations": self.annotations },
        })
    }

    /// Returns the merge patch that removes all other keys, also those of other clients; `None` if `present` has no
    /// other.
    pub(super) fn removal(&self, present: &Self) -> Option<Value> {
        let surplus = present.annotations.keys().filter(|key| !self.annotations.contains_key(*key));
        let annotations: Map<_, _> = surplus.map(|key| ((*key).to_owned(), Value::Null)).collect();
        let label = present.label.is_some() && self.label.is_none();
        let labels = if label { json!({ ADMISSION_LABEL: null }) } else { json!({}) };
        (label || !annotations.is_empty())
            .then(|| json!({ "metadata": { "labels": labels, "annotations": annotations } }))
    }
}

/// Returns the time until which denials are suspended in a Namespace, if that was requested.
pub(super) fn suspended_until(metadata: &ObjectMeta) -> Option<Timestamp> {
    metadata.annotations.as_ref()?.get(BREAK_GLASS_ANNOTATION)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::ADMISSION_DENY;

    fn keys(label: bool, annotations: &[(&'static str, &str)]) -> NamespaceKeys {
        NamespaceKeys {
            label: label.then(|| ADMISSION_DENY.to_owned()),
            annotations: annotations.iter().map(|(key, value)| (*key, (*value).to_owned())).collect(),
        }
    }

    #[test]
    fn only_own_keys_are_read_and_written() {
        let metadata: ObjectMeta = serde_json::from_value(json!({
            "labels": { "devops.stochastic.io/admission": "deny", "team": "a" },
            "annotations": { "devops.stochastic.io/deny": "latest-tag;a", "note": "b" },
        }))
        .unwrap();
        let read = NamespaceKeys::of(&metadata);
        assert_eq!(read, keys(true, &[(DENY_ANNOTATION, "latest-tag;a")]));
        let document = read.document("shop", None);
        assert_eq!(document["metadata"]["labels"], json!({ ADMISSION_LABEL: "deny" }));
        assert_eq!(document["metadata"]["annotations"], json!({ DENY_ANNOTATION: "latest-tag;a" }));
    }

    #[test]
    fn the_removal_names_what_is_not_wanted_and_nothing_else() {
        let present = keys(true, &[(DENY_ANNOTATION, "a"), (WARN_ANNOTATION, "b")]);
        assert_eq!(present.removal(&present), None);
        let wanted = keys(true, &[(WARN_ANNOTATION, "c")]);
        let expected = json!({ "metadata": { "labels": {}, "annotations": { DENY_ANNOTATION: null } } });
        assert_eq!(wanted.removal(&present), Some(expected));
        let cleared = keys(false, &[]).removal(&present).unwrap();
        assert_eq!(cleared["metadata"]["labels"], json!({ ADMISSION_LABEL: null }));
        assert_eq!(
            cleared["metadata"]["annotations"],
            json!({ DENY_ANNOTATION: null, WARN_ANNOTATION: null })
        );
    }
}
