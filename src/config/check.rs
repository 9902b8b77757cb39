//! Finds the keys, names and values of a configuration file that its schema does not allow, and suggests others.

use serde::Deserialize as _;
use serde_json::Value;

use super::ConfigError;
use super::value::expected;
use crate::yaml::Node;

/// Returns the first key, name or value of a node that is not allowed, with its line.
pub(super) fn check(node: Node<'_, '_>, schema: &Value) -> Result<(), ConfigError> {
    Check { root: schema }.node(node, schema, "", node.line())
}

struct Check<'s> {
    root: &'s Value,
}

impl<'s> Check<'s> {
    /// Checks a node on a line, below a path.
    fn node(
        &self,
        node: Node<'_, '_>,
        schema: &'s Value,
        path: &str,
        line: usize,
    ) -> Result<(), ConfigError> {
        let schema = self.resolved(schema);
        let value = Value::deserialize(node).unwrap_or_default();
        if let Some(expected) = expected(&value, schema) {
            return Err(ConfigError::at(line, format!("{}expected {expected}, found {value}", prefix(path))));
        }
        if let (Some(fields), Some(known)) = (node.fields(), schema["properties"].as_object()) {
            for (key, line, value) in fields {
                let below = if path.is_empty() { key.to_string() } else { format!("{path}.{key}") };
                let Some(schema) = known.get(&*key) else {
                    let known = known.keys().map(String::as_str);
                    return Err(ConfigError::unknown(line, &below, "there is no such key", &key, known));
                };
                self.node(value, schema, &below, line)?;
            }
        }
        if let Some(missing) = required(schema).find(|key| value.is_object() && value.get(key).is_none()) {
            return Err(ConfigError::at(line, format!("{}`{missing}` is missing", prefix(path))));
        }
        for (index, item) in node.items().into_iter().flatten().enumerate() {
            self.node(item, &schema["items"], &format!("{path}[{index}]"), item.line())?;
        }
        let names = names(schema);
        if let Some(text) = node.text().filter(|text| !names.is_empty() && !names.contains(text)) {
            let problem = format!("{text:?} is not one of the allowed values");
            return Err(ConfigError::unknown(line, path, &problem, text, names.into_iter()));
        }
        Ok(())
    }

    /// Follows a reference, and chooses the variant of an optional value that is not null.
    fn resolved(&self, schema: &'s Value) -> &'s Value {
        if let Some(pointer) = schema["$ref"].as_str().and_then(|reference| reference.strip_prefix('#')) {
            return self.root.pointer(pointer).map_or(schema, |schema| self.resolved(schema));
        }
        let variants = schema["anyOf"].as_array().or(schema["allOf"].as_array());
        let variant = variants.and_then(|variants| variants.iter().find(|variant| variant["type"] != "null"));
        variant.map_or(schema, |variant| self.resolved(variant))
    }
}

/// Returns the path in front of a message; nothing for the file as a whole.
fn prefix(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!("{path}: ") }
}

/// Returns the keys that a map must have.
fn required(schema: &Value) -> impl Iterator<Item = &str> {
    schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str)
}

/// Returns the texts that a schema allows; none if it allows any.
fn names(schema: &Value) -> Vec<&str> {
    let described = schema["oneOf"].as_array().into_iter().flatten().map(|variant| &variant["const"]);
    let listed = schema["enum"].as_array().into_iter().flatten();
    listed.chain(described).filter_map(Value::as_str).collect()
}
