//! Fields that no rule reads: their types are checked, because the API server refuses an object with other ones.
//!
//! Nothing of such a field is kept, and none of these types takes memory.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::fields::Fields;
use super::object_only::object_only;

/// A field of the type `T` that no rule reads. Null counts as absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Unread<T>(PhantomData<T>);

impl<T> Default for Unread<T> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Unread<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if Fields::are_all() {
            Option::<T>::deserialize(deserializer)?;
        } else {
            IgnoredAny::deserialize(deserializer)?;
        }
        Ok(Self(PhantomData))
    }
}

/// Some text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(super) struct Words;

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WordsVisitor;

        impl Visitor<'_> for WordsVisitor {
            type Value = Words;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E: Error>(self, _: &str) -> Result<Words, E> {
                Ok(Words)
            }
        }

        deserializer.deserialize_any(WordsVisitor)
    }
}

/// A list of values of the type `T`. A value that is null counts as an empty one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct ListOf<T>(PhantomData<T>);

impl<T> Default for ListOf<T> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for ListOf<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ListVisitor<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for ListVisitor<T> {
            type Value = ListOf<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<ListOf<T>, A::Error> {
                while list.next_element::<Option<T>>()?.is_some() {}
                Ok(ListOf(PhantomData))
            }
        }

        deserializer.deserialize_seq(ListVisitor(PhantomData))
    }
}

/// A map with values of the type `T`. A value that is null counts as an empty one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct MapOf<T>(PhantomData<T>);

impl<T> Default for MapOf<T> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for MapOf<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MapVisitor<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for MapVisitor<T> {
            type Value = MapOf<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<MapOf<T>, A::Error> {
                while map.next_entry::<IgnoredAny, Option<T>>()?.is_some() {}
                Ok(MapOf(PhantomData))
            }
        }

        deserializer.deserialize_map(MapVisitor(PhantomData))
    }
}

/// Declares objects of fields that no rule reads, by the names and types of the API.
macro_rules! unread_objects {
    ($($(#[$doc:meta])* $name:ident($expecting:literal) { $($field:ident $(= $written:literal)?: $type:ty),+ $(,)? })+) => {
        object_only!($($name),+);
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, serde::Deserialize)]
            #[serde(remote = "Self", rename_all = "camelCase", default, expecting = $expecting)]
            pub(super) struct $name {
                $($(#[serde(rename = $written)])? $field: Unread<$type>),+
            }
        )+
    };
}

unread_objects! {
    /// A toleration of a taint.
    Toleration("a toleration") {
        key: Words, operator: Words, value: Words, effect: Words, seconds = "tolerationSeconds": i64,
    }
    /// Entries of a pod's hosts file.
    HostAlias("a host alias") { ip: Words, hostnames: ListOf<Words> }
    /// The settings of a pod's resolver.
    DnsConfig("a DNS configuration") {
        nameservers: ListOf<Words>, searches: ListOf<Words>, options: ListOf<DnsOption>,
    }
    /// An option of a pod's resolver.
    DnsOption("a DNS option") { name: Words, value: Words }
    /// A condition that a ready pod has to have.
    ReadinessGate("a readiness gate") { condition_type: Words }
    /// A gate before a pod is scheduled.
    SchedulingGate("a scheduling gate") { name: Words }
    /// A device in a container.
    VolumeDevice("a volume device") { name: Words, device_path: Words }
    /// A reference to a field of the pod.
    FieldRef("a reference to a field") { api_version: Words, field_path: Words }
    /// A temporary directory.
    EmptyDir("an emptyDir") { medium: Words, size_limit: super::Quantity }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_checked_where_every_field_is_read() {
        let read =
            |json: &str| serde_json::from_str::<Toleration>(json).map(|_| ()).map_err(|e| e.to_string());
        let wrong = r#"{"key": "a", "value": true}"#;
        Fields::All.within(|| {
            read(r#"{"key": "a", "tolerationSeconds": 3, "value": null, "other": [1]}"#).unwrap();
            assert!(read(wrong).unwrap_err().starts_with("invalid type: boolean `true`, expected a string"));
            let lists = |json: &str| serde_json::from_str::<DnsConfig>(json).is_ok();
            assert!(lists(r#"{"searches": ["a", null], "options": [{"name": "a"}]}"#));
            assert!(!lists(r#"{"searches": "a"}"#) && !lists(r#"{"options": [{"value": 1}]}"#));
            let map = |json: &str| serde_json::from_str::<MapOf<Words>>(json).is_ok();
            assert!(map(r#"{"a": "b", "c": null}"#) && !map(r#"{"a": 1}"#) && !map("[]"));
        });
        read(wrong).unwrap();
    }

    #[test]
    fn nothing_is_kept() {
        assert_eq!(size_of::<(Unread<Words>, DnsConfig, ListOf<Toleration>, MapOf<Words>)>(), 0);
    }
}
