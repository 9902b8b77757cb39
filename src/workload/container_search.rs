//! The search for containers in an object of a kind that is not evaluated, so that a report can name the kind.

use std::fmt;

use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, IgnoredAny, MapAccess, SeqAccess, VariantAccess, Visitor,
};

/// The levels that are searched. A template of a template of a pod is found; deeper parts are skipped.
const DEPTH: u8 = 12;

/// Reads any value, and returns true if it holds a list `containers` of objects with an `image`.
#[derive(Clone, Copy)]
pub(super) struct ContainerSearch(Target);

#[derive(Clone, Copy)]
enum Target {
    /// A value, with this many levels left.
    Value(u8),
    /// A key of a map.
    Key(&'static str),
    /// The value of `containers`.
    List,
    /// An element of that list.
    Element,
}

impl ContainerSearch {
    pub(super) fn new() -> Self {
        Self(Target::Value(DEPTH))
    }
}

impl<'de> DeserializeSeed<'de> for ContainerSearch {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        match self.0 {
            Target::Value(0) => deserializer.deserialize_ignored_any(IgnoredAny).map(|_| false),
            _ => deserializer.deserialize_any(self),
        }
    }
}

/// Visits of values that hold nothing.
macro_rules! scalars {
    ($($visit:ident: $type:ty),+) => {$(
        fn $visit<E>(self, _: $type) -> Result<bool, E> {
            Ok(false)
        }
    )+};
}

impl<'de> Visitor<'de> for ContainerSearch {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    scalars!(visit_bool: bool, visit_i64: i64, visit_i128: i128, visit_u64: u64, visit_u128: u128, visit_f64: f64);

    fn visit_str<E>(self, text: &str) -> Result<bool, E> {
        Ok(matches!(self.0, Target::Key(key) if key == text))
    }

    fn visit_unit<E>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_none<E>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        self.deserialize(deserializer)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        self.deserialize(deserializer)
    }

    fn visit_enum<A: EnumAccess<'de>>(self, tagged: A) -> Result<bool, A::Error> {
        tagged.variant::<IgnoredAny>()?.1.newtype_variant::<IgnoredAny>().map(|_| false)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<bool, A::Error> {
        let target = match self.0 {
            Target::Value(left) => Target::Value(left.saturating_sub(1)),
            Target::List => Target::Element,
            Target::Key(_) | Target::Element => Target::Value(0),
        };
        let mut found = false;
        while let Some(here) = list.next_element_seed(Self(target))? {
            found |= here;
        }
        Ok(found)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        let mut found = false;
        match self.0 {
            Target::Value(left) => {
                while let Some(is_containers) = map.next_key_seed(Self(Target::Key("containers")))? {
                    let target =
                        if is_containers { Target::List } else { Target::Value(left.saturating_sub(1)) };
                    found |= map.next_value_seed(Self(target))?;
                }
            }
            Target::Element => {
                while let Some(is_image) = map.next_key_seed(Self(Target::Key("image")))? {
                    found |= is_image;
                    map.next_value::<IgnoredAny>()?;
                }
            }
            Target::Key(_) | Target::List => while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {},
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_list_of_objects_with_images_holds_containers() {
        for (yaml, holds) in [
            ("{containers: [{name: a, image: b}]}", true),
            ("{workers: [{template: {spec: {containers: [{image: b}]}}}]}", true),
            ("{containers: []}", false),
            ("{containers: [a, b]}", false),
            ("{containers: [{name: a}]}", false),
            ("{containers: {image: a}}", false),
            ("{properties: {containers: {type: array, items: {properties: {image: {}}}}}}", false),
            ("{1: a, true: b, null: c, [x]: d, a: !tag 5}", false),
            ("text", false),
        ] {
            let found = ContainerSearch::new().deserialize(yaml_serde::Deserializer::from_str(yaml));
            assert_eq!(found.unwrap(), holds, "{yaml}");
        }
        let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
        let mut json = serde_json::Deserializer::from_str(&deep);
        assert!(!ContainerSearch::new().deserialize(&mut json).unwrap());
    }
}
