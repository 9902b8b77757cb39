//! The labels of an object: a small map, sorted by key.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

use super::{List, Text};

/// The labels of an object.
///
/// A sorted list takes a tenth of the memory of a `BTreeMap`, whose smallest node has room for eleven labels.
#[derive(Debug, Clone, PartialEq, Eq, Default, Hash)]
pub struct Labels<'a>(List<(Text<'a>, Text<'a>)>);

impl<'a> Labels<'a> {
    /// Sorts pairs by their keys. The last value of a key counts.
    pub(super) fn new(mut pairs: Vec<(Text<'a>, Text<'a>)>) -> Self {
        // The last value of a key comes first, and is the one that stays.
        pairs.reverse();
        pairs.sort_by(|(a, _), (b, _)| a.cmp(b));
        pairs.dedup_by(|(a, _), (b, _)| a == b);
        Self(pairs.into())
    }

    /// Returns true if there is no label.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Iterates over the labels, sorted by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (&**key, &**value))
    }

    /// The value of a label.
    pub fn get(&self, key: &str) -> Option<&Text<'a>> {
        let place = self.0.binary_search_by(|(other, _)| (**other).cmp(key)).ok()?;
        self.0.get(place).map(|(_, value)| value)
    }

    /// Copies the labels, so that they borrow nothing.
    pub fn to_static(&self) -> Labels<'static> {
        self.copied(|text| Text::from(text.to_owned()))
    }

    /// Copies the labels by a function that copies one text.
    pub(crate) fn copied(&self, mut copy: impl FnMut(&str) -> Text<'static>) -> Labels<'static> {
        Labels(self.0.iter().map(|(key, value)| (copy(key), copy(value))).collect())
    }

    /// Returns the labels with one more; its value replaces a former one.
    pub fn with(&self, key: &str, value: &str) -> Labels<'static> {
        let added = [(Text::from(key.to_owned()), Text::from(value.to_owned()))];
        Labels::new(self.to_static().0.iter().cloned().chain(added).collect())
    }

    /// Keeps the labels with the keys that `keeps` accepts.
    pub fn retain(&mut self, keeps: impl Fn(&str) -> bool) {
        self.0 = self.0.iter().filter(|(key, _)| keeps(key)).cloned().collect();
    }

    /// The pairs of keys and values, to share them.
    pub(super) fn pairs_mut(&mut self) -> &mut List<(Text<'a>, Text<'a>)> {
        &mut self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Labels<'a> {
    /// Reads a map as the API server does: the last of two values of a key counts, and null is an empty value, as
    /// of a template's empty variable.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct LabelsVisitor;

        impl<'de> Visitor<'de> for LabelsVisitor {
            type Value = Labels<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Labels<'de>, A::Error> {
                let mut labels = Vec::new();
                while let Some((key, value)) = map.next_entry::<Text<'de>, Option<Text<'de>>>()? {
                    labels.push((key, value.unwrap_or_default()));
                }
                Ok(Labels::new(labels))
            }
        }

        deserializer.deserialize_map(LabelsVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_found_by_its_key() {
        let labels: Labels<'_> = serde_json::from_str(r#"{"tier": "a", "app": "web", "x": ""}"#).unwrap();
        let get = |labels: &Labels<'_>, key| labels.get(key).map(ToString::to_string);
        for (key, value) in [("app", Some("web")), ("tier", Some("a")), ("x", Some("")), ("b", None)] {
            assert_eq!(get(&labels, key).as_deref(), value, "{key}");
        }
    }

    #[test]
    fn the_last_value_of_a_key_counts() {
        let labels: Labels<'_> =
            serde_json::from_str(r#"{"a": "1", "b": "2", "a": "3", "a": null}"#).unwrap();
        assert_eq!(labels.get("a").map(|value| &**value), Some(""));
        assert_eq!(labels.0.len(), 2);
    }

    #[test]
    fn a_label_without_a_value_is_empty_and_a_wrong_type_is_an_error() {
        let labels: Labels<'_> = serde_json::from_str(r#"{"version": null, "app": "web"}"#).unwrap();
        assert_eq!((labels.get("version"), labels.get("app")), (Some(&"".into()), Some(&"web".into())));
        let error = serde_json::from_str::<Labels<'_>>(r#"{"version": 1}"#).unwrap_err();
        assert!(error.to_string().contains("expected a string"), "{error}");
    }
}
