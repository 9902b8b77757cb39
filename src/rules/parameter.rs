//! The parameters of rules: their types, their defaults, and the values that a policy gives them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Something about a rule that a policy can set.
#[derive(Debug)]
pub struct Parameter {
    /// The name, in camelCase.
    pub name: &'static str,
    /// One line, with the unit.
    pub summary: &'static str,
    /// The value without a policy; its type is the parameter's type.
    pub default: Value,
}

/// The value of a parameter.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// A whole number, at least zero.
    Integer(u64),
    /// On or off.
    Boolean(bool),
    /// A text.
    Text(String),
    /// A list of texts.
    Texts(Vec<String>),
}

impl Value {
    /// Returns the type of the value, as an error names it.
    pub fn expected(&self) -> &'static str {
        match self {
            Self::Integer(_) => "must be a whole number, at least 0",
            Self::Boolean(_) => "must be true or false",
            Self::Text(_) => "must be text",
            Self::Texts(_) => "must be a list of texts",
        }
    }

    /// Tells whether two values have the same type.
    pub fn is_like(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(number) => number.fmt(f),
            Self::Boolean(flag) => flag.fmt(f),
            Self::Text(text) if text.is_empty() => f.write_str("none"),
            Self::Text(text) => f.write_str(text),
            Self::Texts(texts) if texts.is_empty() => f.write_str("none"),
            Self::Texts(texts) => f.write_str(&texts.join(", ")),
        }
    }
}

/// The values of a rule's parameters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parameters(Vec<(&'static str, Value)>);

impl Parameters {
    /// Takes the value that `given` has for each parameter, and the default of all others.
    pub fn new(parameters: &'static [Parameter], given: impl Fn(&str) -> Option<Value>) -> Self {
        let value = |parameter: &Parameter| {
            (parameter.name, given(parameter.name).unwrap_or_else(|| parameter.default.clone()))
        };
        Self(parameters.iter().map(value).collect())
    }

    /// Iterates over the parameters, in the rule's order.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        self.0.iter().map(|(name, value)| (*name, value))
    }

    /// Returns the value of a parameter; `None` if the rule has no such parameter.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    /// Returns a number; 0 if the rule has no such number.
    pub fn integer(&self, name: &str) -> u64 {
        if let Some(Value::Integer(number)) = self.get(name) { *number } else { 0 }
    }

    /// Returns a boolean; false if the rule has no such boolean.
    pub fn boolean(&self, name: &str) -> bool {
        matches!(self.get(name), Some(Value::Boolean(true)))
    }

    /// Returns a list of texts; empty if the rule has no such list.
    pub fn texts(&self, name: &str) -> &[String] {
        if let Some(Value::Texts(texts)) = self.get(name) { texts } else { &[] }
    }
}
