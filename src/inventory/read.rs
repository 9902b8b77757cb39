//! Reading parts of objects into owned values.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::workload::{LabelSelector, Labels};

/// Reads a label selector that borrows nothing; `None` for an absent one.
pub(super) fn selector<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<LabelSelector<'static>>, D::Error> {
    Option::deserialize(Value::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

/// Reads several label selectors that borrow nothing.
pub(super) fn selectors<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<LabelSelector<'static>>, D::Error> {
    let read: Result<Option<Vec<_>>, _> = Option::deserialize(Value::deserialize(deserializer)?);
    Ok(read.map_err(serde::de::Error::custom)?.unwrap_or_default())
}

/// Reads a plain map of labels as a selector.
pub(super) fn label_map<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<LabelSelector<'static>, D::Error> {
    let labels: Result<Option<Labels<'static>>, _> = Option::deserialize(Value::deserialize(deserializer)?);
    let match_labels = labels.map_err(serde::de::Error::custom)?.unwrap_or_default();
    Ok(LabelSelector { match_labels, match_expressions: Vec::new() })
}
