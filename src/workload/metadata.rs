//! An object's metadata, as far as rules and reports read it.

use jiff::Timestamp;
use serde::Deserialize;

use super::object_only::object_only;
use super::{Labels, Text};

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
    #[serde(borrow)]
    pub labels: Option<Labels<'a>>,
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
