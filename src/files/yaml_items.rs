//! The items of a YAML list: their first lines, and each item by itself if one of them can't be read.
//!
//! A YAML list is parsed at once, and an invalid item fails all of it. Only then is the document parsed as a value.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use crate::workload::{ObjectSeed, TypeMeta};

/// The items of a list, and the type for items that name none.
#[derive(Debug)]
pub(super) struct YamlItems<'t> {
    text: &'t str,
    item: Option<TypeMeta>,
    values: Vec<Value>,
    /// The number of line look-ups left.
    lookups: usize,
}

/// The number of invalid items that are reported with their lines. Each takes a pass over the text.
const LOOKUPS: usize = 20;

impl<'t> YamlItems<'t> {
    /// Returns the items of a document; `None` if it is no list or invalid YAML.
    pub(super) fn of(text: &'t str) -> Option<Self> {
        let mut list = value(text).ok()?;
        let types: TypeMeta = serde::Deserialize::deserialize(&list).ok()?;
        if types.kind != "List" && types.item().is_none() {
            return None;
        }
        let Value::Array(values) = list["items"].take() else { return None };
        Some(Self { text, item: types.item(), values, lookups: LOOKUPS })
    }

    /// Returns the type for items that name none.
    pub(super) fn item(&self) -> Option<&TypeMeta> {
        self.item.as_ref()
    }

    /// Returns the text of the document.
    pub(super) fn text(&self) -> &'t str {
        self.text
    }

    /// Takes the items, once.
    pub(super) fn take(&mut self) -> Vec<Value> {
        std::mem::take(&mut self.values)
    }

    /// Returns the line in the text, from 1, on which an item can't be read.
    pub(super) fn line(&mut self, index: usize, known: Option<&TypeMeta>) -> Option<usize> {
        self.lookups = self.lookups.checked_sub(1)?;
        let list = OneItem { index, seed: ObjectSeed { default: self.item.as_ref(), known } };
        let error = list.deserialize(yaml_serde::Deserializer::from_str(self.text)).err()?;
        Some(error.location()?.line())
    }
}

/// Returns the lines in the text, from 1, on which the `count` items of a list begin; empty unless it is in block
/// style.
///
/// The content of an item is indented deeper than the dash before it.
pub(super) fn first_lines(text: &str, count: usize) -> Vec<usize> {
    let blank = |text: &str| text.trim_start().is_empty() || text.trim_start().starts_with('#');
    let mut lines = text.lines().zip(1..).filter(|(line, _)| !blank(line));
    let mut first_lines = Vec::new();
    if lines.any(|(line, _)| line.strip_prefix("items:").is_some_and(blank)) {
        let mut dash = None;
        for (line, number) in lines {
            let content = line.trim_start_matches(' ');
            let depth = line.len() - content.len();
            let dash = *dash.get_or_insert(depth);
            if depth == dash && (content == "-" || content.starts_with("- ")) {
                first_lines.push(number);
            } else if depth <= dash {
                break;
            }
        }
    }
    if first_lines.len() == count { first_lines } else { Vec::new() }
}

/// Reads a document with YAML 1.1 merge keys (`<<: *anchor`), which kubectl follows too.
///
/// The value goes through JSON, because objects borrow their text and a YAML value can't lend it.
pub(super) fn value(text: &str) -> Result<Value, yaml_serde::Error> {
    let mut value: yaml_serde::Value = yaml_serde::from_str(text)?;
    value.apply_merge()?;
    yaml_serde::from_value(value)
}

/// Reads one item of a list and skips the rest, to find the place of the item's error.
struct OneItem<'t> {
    index: usize,
    seed: ObjectSeed<'t>,
}

impl<'de> DeserializeSeed<'de> for OneItem<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for OneItem<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of Kubernetes objects")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(key) = list.next_key::<String>()? {
            if key == "items" {
                return list.next_value_seed(self);
            }
            list.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        for _ in 0..self.index {
            items.next_element::<IgnoredAny>()?;
        }
        items.next_element_seed(self.seed).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_items_of_a_list_in_block_style_have_lines() {
        for (text, lines) in [
            ("kind: List\nitems:\n- a: 1\n- b: 2\n", vec![3, 4]),
            (
                "items: # all\n\n  # one\n  - a: |\n      - text\n    b:\n    - 1\n  -\n    c: 1\nkind: List\n",
                vec![4, 8],
            ),
            ("items:\n- a:\n  - b\n\n# two\n- c\nkind: List\n- d\n", vec![2, 6]),
            ("---\r\nitems:\r\n- a\r\n-\r\n", vec![3, 4]),
            ("items: [a, b]\n", vec![]),
            ("items:\n  [a,\n  b]\n", vec![]),
            ("\"items\":\n- a\n- b\n", vec![]),
            ("items:\n- a\n", vec![]),
        ] {
            assert_eq!(first_lines(text, 2), lines, "{text}");
        }
    }
}
