//! An object's metadata, as far as rules and reports read it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer};

use super::Text;
use super::object_only::object_only;

object_only!(Metadata<'a>, OwnerReference<'a>);

/// The part of an object's metadata that is read; managed fields, the largest part, never are.
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
    /// What tells the object from another one that has, or had, its name.
    #[serde(borrow)]
    pub uid: Option<Text<'a>>,
    /// When the API server stored the object first.
    pub creation_timestamp: Option<Timestamp>,
    /// The labels, which selectors match.
    #[serde(borrow, default, deserialize_with = "labels")]
    pub labels: Option<BTreeMap<Text<'a>, Text<'a>>>,
    /// Who made and manages the object.
    #[serde(borrow)]
    pub owner_references: Option<Vec<OwnerReference<'a>>>,
}

impl<'a> Metadata<'a> {
    /// The owner that manages the object: the reference with `controller: true`.
    pub fn controller(&self) -> Option<&OwnerReference<'a>> {
        self.owner_references.iter().flatten().find(|owner| owner.controller == Some(true))
    }

    /// The value of a label.
    pub fn label(&self, key: &str) -> Option<&str> {
        self.labels.as_ref()?.get(key).map(|value| &**value)
    }
}

/// A reference to an object that owns another.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(remote = "Self", expecting = "an owner reference")]
pub struct OwnerReference<'a> {
    /// The owner's kind.
    #[serde(borrow)]
    pub kind: Text<'a>,
    /// The owner's name, in the namespace of the owned object.
    #[serde(borrow)]
    pub name: Text<'a>,
    /// Whether this owner manages the object.
    pub controller: Option<bool>,
}

/// Reads labels as the API server does: one whose value is null, as of a template's empty variable, is empty.
pub(super) fn labels<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<BTreeMap<Text<'de>, Text<'de>>>, D::Error> {
    let labels = Option::<BTreeMap<Text<'de>, Option<Text<'de>>>>::deserialize(deserializer)?;
    Ok(labels.map(|labels| labels.into_iter().map(|(key, value)| (key, value.unwrap_or_default())).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_without_a_value_is_empty_and_one_of_another_type_is_an_error() {
        let metadata: Metadata<'_> =
            serde_json::from_str(r#"{"labels": {"version": null, "app": "web"}}"#).unwrap();
        assert_eq!((metadata.label("version"), metadata.label("app")), (Some(""), Some("web")));
        let error = serde_json::from_str::<Metadata<'_>>(r#"{"labels": {"version": 1}}"#).unwrap_err();
        assert!(error.to_string().contains("expected a string"), "{error}");
    }
}
