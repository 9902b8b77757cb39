//! The search for containers in an object of a kind that is not evaluated, so that a report can name the kind.

use std::fmt;

use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, IgnoredAny, MapAccess, SeqAccess, VariantAccess, Visitor,
};

use super::Text;

/// The levels that are searched. A template of a template of a pod is found; deeper parts are skipped.
const DEPTH: u8 = 12;

/// The fields that hold a list of containers: those of pods, and the steps and sidecars of Tekton.
const LISTS: [&str; 4] = ["containers", "initContainers", "steps", "sidecars"];

/// The fields that make an object with an `image` a container, such as the driver of a Spark application.
const BESIDE_IMAGE: [&str; 14] = [
    "args",
    "arguments",
    "command",
    "cores",
    "env",
    "envFrom",
    "imagePullPolicy",
    "livenessProbe",
    "readinessProbe",
    "resources",
    "script",
    "securityContext",
    "volumeMounts",
    "workingDir",
];

/// Reads any value, and returns true if it holds a container: an object with an image in a list of containers, or
/// beside a field that only containers have.
#[derive(Clone, Copy)]
pub(super) struct ContainerSearch {
    target: Target,
    /// True if containers outside of lists count.
    alone: bool,
}

#[derive(Clone, Copy)]
enum Target {
    /// A value, with this many levels left.
    Value(u8),
    /// The value of `image`: a text is an image.
    Image,
    /// The value of a field that holds a list of containers.
    List(u8),
    /// An element of that list.
    Element(u8),
}

impl ContainerSearch {
    /// Searches a part of an object with a spec.
    pub(super) fn new() -> Self {
        Self { target: Target::Value(DEPTH), alone: true }
    }

    /// Searches any other part, such as the data of a `ConfigMap`, in which only lists of containers count.
    pub(super) fn of_lists() -> Self {
        Self { alone: false, ..Self::new() }
    }

    fn at(self, target: Target) -> Self {
        Self { target, ..self }
    }
}

impl<'de> DeserializeSeed<'de> for ContainerSearch {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        match self.target {
            Target::Value(0) | Target::List(0) | Target::Element(0) => {
                deserializer.deserialize_ignored_any(IgnoredAny).map(|_| false)
            }
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
        Ok(matches!(self.target, Target::Image) && !text.is_empty())
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
        let target = match self.target {
            Target::Value(left) => Target::Value(left - 1),
            Target::List(left) => Target::Element(left - 1),
            Target::Image | Target::Element(_) => Target::Value(0),
        };
        let mut found = false;
        while let Some(here) = list.next_element_seed(self.at(target))? {
            found |= here;
        }
        Ok(found)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        let (left, mut is_container) = match self.target {
            Target::Value(left) | Target::List(left) => (left - 1, false),
            Target::Element(left) => (left - 1, true),
            Target::Image => (0, false),
        };
        let (mut found, mut has_image) = (false, false);
        while let Some(key) = map.next_key::<Text<'de>>()? {
            if &*key == "image" {
                has_image |= map.next_value_seed(self.at(Target::Image))?;
                continue;
            }
            is_container |= self.alone && BESIDE_IMAGE.contains(&&*key);
            let target = if LISTS.contains(&&*key) { Target::List(left) } else { Target::Value(left) };
            found |= map.next_value_seed(self.at(target))?;
        }
        Ok(found || (has_image && is_container))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_with_images_are_containers_in_lists_and_beside_commands() {
        for (yaml, holds) in [
            ("{containers: [{name: a, image: b}]}", true),
            ("{workers: [{template: {spec: {containers: [{image: b}]}}}]}", true),
            ("{containers: []}", false),
            ("{containers: [a, b]}", false),
            ("{containers: [{name: a}]}", false),
            ("{containers: {image: a}}", false),
            ("{properties: {containers: {type: array, items: {properties: {image: {}}}}}}", false),
            ("{a: !tag 5, b: null}", false),
            // Tekton, Argo Workflows and Spark.
            ("{steps: [{name: a, image: b}]}", true),
            ("{templates: [{name: a, container: {image: b, command: [c]}}]}", true),
            ("{templates: [{name: a, script: {source: c, image: b, resources: {}}}]}", true),
            ("{driver: {cores: 1, image: b}}", true),
            ("{image: b, name: a}", false),
            ("{image: {repository: b}, command: [c]}", false),
            ("text", false),
        ] {
            let found = ContainerSearch::new().deserialize(yaml_serde::Deserializer::from_str(yaml));
            assert_eq!(found.unwrap(), holds, "{yaml}");
        }
        let data = "{image: b, command: c, text: {containers: [{image: a}]}}";
        let found = |search: ContainerSearch, yaml| {
            search.deserialize(yaml_serde::Deserializer::from_str(yaml)).unwrap()
        };
        assert!(found(ContainerSearch::of_lists(), data));
        assert!(!found(ContainerSearch::of_lists(), "{image: b, command: c}"));
        let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
        let mut json = serde_json::Deserializer::from_str(&deep);
        assert!(!ContainerSearch::new().deserialize(&mut json).unwrap());
    }
}
