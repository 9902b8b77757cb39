//! The label selector of the API: which sets of labels it matches.

use serde::Deserialize;

use super::fields::nullable;
use super::object_only::object_only;
use super::{Labels, Text};

object_only!(LabelSelector<'a>, Requirement<'a>);

/// A label selector. An empty one matches everything. One that is absent matches nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase", expecting = "a label selector")]
#[allow(missing_docs, reason = "the fields are the API's")]
pub struct LabelSelector<'a> {
    #[serde(borrow, default, deserialize_with = "nullable")]
    pub match_labels: Labels<'a>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    pub match_expressions: Vec<Requirement<'a>>,
}

/// An expression of a label selector.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(remote = "Self", expecting = "a requirement")]
#[allow(missing_docs, reason = "the fields are the API's")]
pub struct Requirement<'a> {
    #[serde(borrow, default, deserialize_with = "nullable")]
    pub key: Text<'a>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    pub operator: Text<'a>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    pub values: Vec<Text<'a>>,
}

impl LabelSelector<'_> {
    /// Returns true if the selector matches everything.
    pub fn is_empty(&self) -> bool {
        self.match_labels.is_empty() && self.match_expressions.is_empty()
    }

    /// Copies the selector, so that it borrows nothing.
    pub fn to_static(&self) -> LabelSelector<'static> {
        LabelSelector {
            match_labels: self.match_labels.to_static(),
            match_expressions: self.match_expressions.iter().map(Requirement::to_static).collect(),
        }
    }

    /// Returns true if the selector matches labels.
    pub fn matches(&self, labels: &Labels<'_>) -> bool {
        self.match_labels.iter().all(|(key, value)| labels.get(key).is_some_and(|own| **own == *value))
            && self.match_expressions.iter().all(|requirement| requirement.matches(labels))
    }
}

impl Requirement<'_> {
    fn to_static(&self) -> Requirement<'static> {
        let copy = |text: &Text<'_>| Text::from(text.to_string());
        Requirement {
            key: copy(&self.key),
            operator: copy(&self.operator),
            values: self.values.iter().map(copy).collect(),
        }
    }

    /// Returns true if labels meet the requirement. An unknown operator is never met: the API server refuses it.
    pub fn matches(&self, labels: &Labels<'_>) -> bool {
        let value = labels.get(&self.key);
        let is_listed = value.is_some_and(|value| self.values.iter().any(|listed| **listed == **value));
        match &*self.operator {
            "In" => is_listed,
            "NotIn" => !is_listed,
            "Exists" => value.is_some(),
            "DoesNotExist" => value.is_none(),
            _ => false,
        }
    }
}
