//! The values of expressions. Values of an object are borrowed from its JSON.

use std::fmt;
use std::ops::Deref;
use std::rc::Rc;

use serde_json::{Map as JsonMap, Value as Json};

use super::steps::{Evaluated, EvaluationError};

/// A value.
#[derive(Debug, Clone)]
pub(super) enum Value<'v> {
    Null,
    Boolean(bool),
    Integer(i64),
    Unsigned(u64),
    Double(f64),
    Text(Text<'v>),
    List(List<'v>),
    Map(Map<'v>),
}

/// A text.
#[derive(Debug, Clone)]
pub(super) enum Text<'v> {
    Borrowed(&'v str),
    Shared(Rc<str>),
}

/// A list.
#[derive(Debug, Clone)]
pub(super) enum List<'v> {
    Json(&'v [Json]),
    Made(Rc<Vec<Value<'v>>>),
}

/// A map.
#[derive(Debug, Clone)]
pub(super) enum Map<'v> {
    Json(&'v JsonMap<String, Json>),
    Made(Rc<Vec<(Value<'v>, Value<'v>)>>),
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Borrowed(text) => text,
            Self::Shared(text) => text,
        }
    }
}

impl<'v> Value<'v> {
    /// Takes a value of JSON as the API server does: a whole number is an integer if it fits into 64 bits.
    pub(super) fn of(json: &'v Json) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(value) => Self::Boolean(*value),
            Json::Number(number) => match number.as_i64() {
                Some(integer) => Self::Integer(integer),
                None => Self::Double(number.as_f64().unwrap_or(f64::NAN)),
            },
            Json::String(text) => Self::Text(Text::Borrowed(text)),
            Json::Array(items) => Self::List(List::Json(items)),
            Json::Object(fields) => Self::Map(Map::Json(fields)),
        }
    }

    /// Makes a text.
    pub(super) fn text(text: impl Into<Rc<str>>) -> Self {
        Self::Text(Text::Shared(text.into()))
    }

    /// Makes a list.
    pub(super) fn list(items: Vec<Self>) -> Self {
        Self::List(List::Made(Rc::new(items)))
    }

    /// Returns the boolean, or an error.
    pub(super) fn boolean(&self) -> Evaluated<bool> {
        match self {
            Self::Boolean(value) => Ok(*value),
            other => Err(EvaluationError::of(format!("expected true or false, found {other}"))),
        }
    }
}

impl fmt::Display for Value<'_> {
    /// Names the type, as messages show it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "null",
            Self::Boolean(_) => "a boolean",
            Self::Integer(_) => "an integer",
            Self::Unsigned(_) => "an unsigned integer",
            Self::Double(_) => "a double",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
        })
    }
}

impl<'v> List<'v> {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Json(items) => items.len(),
            Self::Made(items) => items.len(),
        }
    }

    pub(super) fn get(&self, index: usize) -> Option<Value<'v>> {
        match self {
            Self::Json(items) => items.get(index).map(Value::of),
            Self::Made(items) => items.get(index).cloned(),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Value<'v>> {
        (0..self.len()).filter_map(|index| self.get(index))
    }
}

impl<'v> Map<'v> {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Json(fields) => fields.len(),
            Self::Made(entries) => entries.len(),
        }
    }

    /// Returns the value of a field.
    pub(super) fn field(&self, name: &str) -> Option<Value<'v>> {
        match self {
            Self::Json(fields) => fields.get(name).map(Value::of),
            Self::Made(entries) => {
                let is_named = |key: &Value<'_>| matches!(key, Value::Text(key) if **key == *name);
                entries.iter().find(|(key, _)| is_named(key)).map(|(_, value)| value.clone())
            }
        }
    }

    pub(super) fn keys(&self) -> Vec<Value<'v>> {
        match self {
            Self::Json(fields) => fields.keys().map(|key| Value::Text(Text::Borrowed(key))).collect(),
            Self::Made(entries) => entries.iter().map(|(key, _)| key.clone()).collect(),
        }
    }
}
