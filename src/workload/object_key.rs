//! The top-level keys of an object.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

use super::Text;

/// A top-level key of an object.
pub(super) enum Key<'a> {
    ApiVersion,
    Kind,
    /// A part that is read from workloads or lists.
    Part(&'static str),
    Other(Text<'a>),
}

/// The parts of workloads and lists that are read.
const PARTS: [&str; 5] = ["metadata", "spec", "status", "template", "items"];

impl<'a> Key<'a> {
    fn of(text: Text<'a>) -> Self {
        match &*text {
            "apiVersion" => Self::ApiVersion,
            "kind" => Self::Kind,
            other => PARTS.into_iter().find(|part| *part == other).map_or(Self::Other(text), Self::Part),
        }
    }

    /// Returns the name of a key that may not be repeated, and a bit for it.
    pub(super) fn name(&self) -> Option<(&'static str, u8)> {
        match self {
            Self::ApiVersion => Some(("apiVersion", 1)),
            Self::Kind => Some(("kind", 2)),
            Self::Part(part) => Some((part, 4 << PARTS.iter().position(|known| known == part)?)),
            Self::Other(_) => None,
        }
    }

    /// Returns the key itself.
    pub(super) fn into_text(self) -> String {
        match self {
            Self::ApiVersion => "apiVersion".to_owned(),
            Self::Kind => "kind".to_owned(),
            Self::Part(part) => part.to_owned(),
            Self::Other(text) => text.to_string(),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Key<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_identifier(KeyVisitor)
    }
}

struct KeyVisitor;

impl<'de> Visitor<'de> for KeyVisitor {
    type Value = Key<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Key<'de>, E> {
        Ok(Key::of(text.into()))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Key<'de>, E> {
        Ok(Key::of(text.to_owned().into()))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Key<'de>, E> {
        Ok(Key::Other(number.to_string().into()))
    }
}
