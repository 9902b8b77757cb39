//! Finds the repeated keys of JSON text. kubectl takes the last one and says nothing.

use std::borrow::Cow;
use std::collections::HashSet;

use super::blocks::lines;
use crate::yaml::Repeated;

/// The number of keys of an object up to which each one is compared with all others.
const FEW: usize = 32;

/// Returns true if a key is repeated in an object of a text. Most texts repeat none, which this function finds out faster
/// than [`repeated_keys`].
pub(super) fn has_repeated_keys(text: &[u8]) -> bool {
    may_repeat_keys(text) && !repeated_keys(text).is_empty()
}

/// Compares the keys of each object by their length and a few bytes. Returns true if two look alike, or if it can't tell.
fn may_repeat_keys(text: &[u8]) -> bool {
    // The looks of the keys of all objects around the current place.
    let mut keys: Vec<u64> = Vec::new();
    // The number of keys before each object around the current place; `None` for an array.
    let mut open: Vec<Option<usize>> = Vec::new();
    let mut first = None;
    let mut is_key = false;
    let mut offset = 0;
    while let Some(byte) = text.get(offset) {
        match byte {
            b'"' => {
                let end = end_of_string(text, offset);
                if is_key && let Some(first) = first {
                    let looks = looks(&text[offset..end]);
                    let others = &keys[first..];
                    if others.len() >= FEW || others.contains(&looks) || text[offset..end].contains(&b'\\') {
                        return true;
                    }
                    keys.push(looks);
                }
                offset = end;
                continue;
            }
            b'{' | b'[' => {
                first = (*byte == b'{').then_some(keys.len());
                open.push(first);
            }
            b'}' | b']' => {
                if let Some(Some(first)) = open.pop() {
                    keys.truncate(first);
                }
                first = open.last().copied().flatten();
            }
            _ => {}
        }
        is_key = matches!(byte, b'{' | b',') || (is_key && byte.is_ascii_whitespace());
        offset += 1;
    }
    false
}

/// Returns a number that differs for most keys: the length, the first bytes and the last ones of a key in quotes.
fn looks(key: &[u8]) -> u64 {
    let bytes = |part: &[u8]| part.iter().fold(0, |sum, byte| (sum << 8) | u64::from(*byte));
    let first = bytes(&key[..key.len().min(8)]);
    let last = bytes(&key[key.len().saturating_sub(8)..]);
    first ^ last.rotate_left(29) ^ (key.len() as u64).rotate_left(57)
}

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
    use std::fmt::Write as _;

    fn repeated(text: &str) -> Vec<(String, usize)> {
        repeated_keys(text.as_bytes()).into_iter().map(|Repeated { key, line }| (key, line)).collect()
    }

    #[test]
    fn keys_are_repeated_only_within_one_object() {
        let found = |text: &str, key: &str, line: usize| assert_eq!(repeated(text), [(key.to_owned(), line)]);
        found(r#"{"a": 1, "b": 2, "a": 3}"#, "a", 1);
        found("{\"x\": [{\"a\": {\"a\": 1},\n \"\\u0061\" : 2}]}", "a", 2);
        assert!(has_repeated_keys(br#"{"a": 1, "b": 2, "a": 3}"#));
        assert!(has_repeated_keys(br#"[{"x": {"a": [1, {"c": "a"}], "\u0061" : 3}}]"#));
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
            assert!(!has_repeated_keys(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn keys_that_look_alike_and_objects_with_many_keys_are_compared_in_full() {
        assert!(!has_repeated_keys(br#"{"abcdefgh1ijklmnop": 1, "abcdefgh2ijklmnop": 2}"#));
        let mut many = String::from("{");
        for number in 0..100 {
            let _ = write!(many, "\"k{number}\": [{number}],");
        }
        assert!(!has_repeated_keys(format!("{many} \"k\": 1}}").as_bytes()));
        assert!(has_repeated_keys(format!("{many} \"k50\": 1}}").as_bytes()));
    }
}
