//! Finds the repeated keys of JSON text. kubectl takes the last one and says nothing.

use std::borrow::Cow;
use std::collections::HashSet;

use super::blocks::lines;
use crate::yaml::Repeated;

/// Returns the repeated keys of all objects in a text, with their lines. Invalid text yields as much as is readable.
pub(super) fn repeated_keys(text: &[u8]) -> Vec<Repeated> {
    let mut found = Vec::new();
    // The keys of the objects around the current place. An array has none.
    let mut open: Vec<HashSet<Cow<'_, str>>> = Vec::new();
    let mut offset = 0;
    // The lines up to an offset, so that each part of the text is counted once.
    let (mut counted, mut lines_before) = (0, 0);
    while let Some(byte) = text.get(offset) {
        match byte {
            b'{' | b'[' => open.push(HashSet::new()),
            b'}' | b']' => {
                open.pop();
            }
            b'"' => {
                let end = end_of_string(text, offset);
                if let Some(keys) = open.last_mut()
                    && text[end..].iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b':')
                {
                    let key = key(&text[offset..end]);
                    if !keys.insert(key.clone()) {
                        lines_before += lines(&text[counted..offset]);
                        counted = offset;
                        found.push(Repeated { key: key.into_owned(), line: lines_before + 1 });
                    }
                }
                offset = end;
                continue;
            }
            _ => {}
        }
        offset += 1;
    }
    found
}

/// Returns the offset after the string that begins at an offset.
fn end_of_string(text: &[u8], start: usize) -> usize {
    let mut offset = start + 1;
    while let Some(found) = text.get(offset..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
        offset += found;
        if text[offset] == b'"' {
            return offset + 1;
        }
        offset += 2;
    }
    text.len()
}

/// Returns the key that a string literal stands for.
fn key(literal: &[u8]) -> Cow<'_, str> {
    if literal.contains(&b'\\')
        && let Ok(key) = serde_json::from_slice::<String>(literal)
    {
        return key.into();
    }
    String::from_utf8_lossy(literal.get(1..literal.len() - 1).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repeated(text: &str) -> Vec<(String, usize)> {
        repeated_keys(text.as_bytes()).into_iter().map(|Repeated { key, line }| (key, line)).collect()
    }

    #[test]
    fn keys_are_repeated_only_within_one_object() {
        let found = |text: &str, key: &str, line: usize| assert_eq!(repeated(text), [(key.to_owned(), line)]);
        found(r#"{"a": 1, "b": 2, "a": 3}"#, "a", 1);
        found("{\"x\": [{\"a\": {\"a\": 1},\n \"\\u0061\" : 2}]}", "a", 2);
        found("{\"a\\\"\": 1, \"b\": \"a\",\n\n\"a\\\"\": 1}", "a\"", 3);
        for text in [
            r#"{"a": {"a": [{"a": "a"}, {"a": 1}]}, "b": ["a", "a"]}"#,
            r#"{"a": "b\\", "b": "\"a\": 1, \"a\": 2"}"#,
            "{\"a\": 1}\n{\"a\": 1}",
            r#"{"a": 1, "#,
            r#"]}"a": 1, "a"#,
            r#"{"a\"#,
        ] {
            assert!(repeated(text).is_empty(), "{text}");
        }
    }
}
