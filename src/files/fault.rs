//! Explains why an object can't be read: its item in the list, the field and the line.
//!
//! The fast path keeps none of this; an object that failed is read a second time.

use std::fmt::Display;

use serde::de::DeserializeSeed;
use serde_json::Value;
use serde_path_to_error::Track;

use crate::workload::{Fields, Object, ObjectSeed, TypeMeta};

/// The number of characters kept at the start of a message, with the field, and at its end, with the fix.
const KEPT: usize = 150;

/// The problem with one object.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// The line of the object's text, from 1.
    pub(super) line: usize,
    /// The object's namespace and name, empty where they can't be read.
    pub(super) name: String,
    /// The field, the problem and the fix.
    pub(super) message: String,
}

/// Explains why a JSON object can't be read. Items of a list may take their type from `default`.
pub(super) fn json(text: &str, default: Option<&TypeMeta>, error: serde_json::Error) -> Fault {
    let known = serde_json::from_str::<TypeMeta>(text).ok();
    let seed = ObjectSeed { default, known: known.as_ref() };
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let found = with_path(seed, &mut deserializer).err();
    let (error, message) = found.unwrap_or_else(|| {
        let message = without_place(&error);
        (error, message)
    });
    let value: Value = serde_json::from_str(text).unwrap_or_default();
    Fault { line: error.line().max(1), name: name_of(&value), message: naming_item(message, || Some(value)) }
}

/// Explains why the JSON of a pod can't be read. Returns its namespace and name, and a message that names the field.
pub fn explain_pod(text: &str, error: serde_json::Error) -> (String, String) {
    let types = TypeMeta { api_version: "v1".to_owned(), kind: "Pod".to_owned() };
    let fault = json(text, Some(&types), error);
    (fault.name, shortened(fault.message))
}

/// Reads an object. An error message begins with the field.
pub(super) fn with_path<'de, D: serde::Deserializer<'de>>(
    seed: ObjectSeed<'_>,
    deserializer: D,
) -> Result<Object<'de>, (D::Error, String)> {
    let mut track = Track::new();
    // The whole object as a value would have no paths.
    let read = Fields::All
        .within(|| seed.deserialize(serde_path_to_error::Deserializer::new(deserializer, &mut track)));
    read.map_err(|error| {
        let (path, message) = (track.path().to_string(), without_place(&error));
        let message = if path == "." { message } else { format!("{path}: {message}") };
        (error, message)
    })
}

/// Inserts the namespace and name of a list's item after its index, if the message begins with one.
pub(super) fn naming_item(message: String, list: impl FnOnce() -> Option<Value>) -> String {
    let named = || {
        let (index, rest) = message.strip_prefix("items[")?.split_once(']')?;
        let rest = rest.trim_start_matches(['.', ':', ' ']);
        let index = index.parse().ok()?;
        Some(in_item(&[index], &name_of(&list()?["items"][index]), rest))
    };
    named().unwrap_or(message)
}

/// Prefixes a message with the item that it is about: its number in each of the lists around it, from the outside.
pub(super) fn in_item(path: &[usize], name: &str, message: &str) -> String {
    let items: Vec<_> = path.iter().map(|index| format!("items[{index}]")).collect();
    let name = if name.is_empty() { String::new() } else { format!(" ({})", name.escape_debug()) };
    format!("{}{name}: {message}", items.join("."))
}

/// Cuts the middle out of a long message.
pub(super) fn shortened(message: String) -> String {
    let (start, end) = (message.char_indices().nth(KEPT), message.char_indices().nth_back(KEPT - 1));
    match (start, end) {
        (Some((start, _)), Some((end, _))) if start < end => {
            format!("{}…{}", &message[..start], &message[end..])
        }
        _ => message,
    }
}

/// Returns the message about a repeated key.
pub fn repeated_key(key: &str) -> String {
    format!("the key `{}` is repeated; the last one counts, as with kubectl", key.escape_debug())
}

/// Returns an object's namespace and name, as far as they are set.
pub(super) fn full_name(namespace: Option<&str>, name: Option<&str>) -> String {
    let parts: Vec<&str> = [namespace, name].into_iter().flatten().filter(|part| !part.is_empty()).collect();
    parts.join("/")
}

/// Returns the namespace and name of an object, as far as they can be read.
pub(super) fn name_of(object: &Value) -> String {
    let text = |field: &str| object["metadata"][field].as_str();
    full_name(text("namespace"), text("name").or(text("generateName")))
}

/// Returns an error's text without its positions, which are relative to a part of the source, and with the API's names
/// of types.
pub(super) fn without_place(error: &impl Display) -> String {
    let text = ["expected i64", "expected i32"]
        .iter()
        .fold(error.to_string(), |text, number| text.replace(number, "expected an integer"));
    let mut parts = text.split(" at line ");
    let mut message = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match behind_place(part) {
            Some(rest) => message.push_str(rest),
            None => message.extend([" at line ", part]),
        }
    }
    message
}

/// Returns the text after the two numbers of a position such as `3 column 1`.
fn behind_place(text: &str) -> Option<&str> {
    let behind_digits = |text: &'_ str| -> Option<usize> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        (digits > 0).then_some(digits)
    };
    let column = text[behind_digits(text)?..].strip_prefix(" column ")?;
    Some(&column[behind_digits(column)?..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_message_keeps_its_start_and_its_end() {
        let long = |length: usize| format!("a{}z", "ä".repeat(length - 2));
        assert_eq!(shortened(long(2 * KEPT)), long(2 * KEPT));
        let half = "ä".repeat(KEPT - 1);
        assert_eq!(shortened(long(2 * KEPT + 1)), format!("a{half}…{half}z"));
    }
}
