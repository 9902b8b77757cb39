//! The label selector of the API: which sets of labels it matches.

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny};

use super::fields::nullable;
use super::object_only::object_only;
use super::{Fields, Labels, Text};

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

/// The selector of a workload: a label selector, or the labels themselves in old kinds. Its content is a detail.
pub(super) struct SpecSelector<'a>(pub(super) Option<LabelSelector<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for SpecSelector<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !Fields::are_all() {
            return IgnoredAny::deserialize(deserializer).map(|_| Self(None));
        }
        // A `ReplicationController` has a map of labels in this place.
        let written = serde_json::Value::deserialize(deserializer)?;
        let is_plain = written.as_object().is_some_and(|map| map.values().any(serde_json::Value::is_string));
        let written = if is_plain { serde_json::json!({ "matchLabels": written }) } else { written };
        LabelSelector::deserialize(written).map(|selector| Self(Some(selector))).map_err(D::Error::custom)
    }
}
