//! One violation as indented JSON, an item of the list in a report.

use std::io::Write as _;

use crate::governance::{SourceLine, ViolationRow};
use crate::rules::{RuleId, Severity};

/// The bytes between two violations.
pub(super) const SEPARATOR: &[u8] = b",\n    ";

/// The number of findings whose JSON is kept. Objects that follow one another have few different ones.
const FINDINGS: usize = 256;

/// Writes violations one after the other. The JSON of what many of them have in common is kept.
///
/// A report stores equal texts once for many violations. Texts are therefore compared by their address, which is fast.
/// If equal texts have different addresses, their JSON is only formatted once more.
#[derive(Default)]
pub(super) struct RowTexts<'r> {
    /// The JSON before the name, by namespace and kind.
    start: Kept<[Option<&'r str>; 2]>,
    /// The JSON between the name and the container, by owner.
    owner: Kept<[Option<&'r str>; 1]>,
    /// The JSON from the container to the path, by all of its texts.
    findings: Vec<Kept<FindingKey<'r>>>,
    /// The JSON of the source, by file and line.
    source: Kept<([Option<&'r str>; 1], u32)>,
}

/// The container, the message and the path of a finding, and its rule and severity.
type FindingKey<'r> = ([Option<&'r str>; 3], Option<(RuleId, Severity)>);

/// Some JSON, and the key that it belongs to.
#[derive(Default)]
struct Kept<K> {
    key: K,
    json: Vec<u8>,
}

impl<K: Key> Kept<K> {
    /// Returns the JSON of a key, which is formatted if it is not that of the last key.
    fn get(&mut self, key: K, format: impl FnOnce(&mut Vec<u8>)) -> &[u8] {
        if self.json.is_empty() || !key.is_same(&self.key) {
            self.json.clear();
            format(&mut self.json);
            self.key = key;
        }
        &self.json
    }
}

/// A key with texts.
trait Key {
    /// Returns true if all texts have the same address, and the rest is equal.
    fn is_same(&self, other: &Self) -> bool;
}

impl<const N: usize> Key for [Option<&str>; N] {
    fn is_same(&self, other: &Self) -> bool {
        self.iter().zip(other).all(|texts| match texts {
            (Some(a), Some(b)) => std::ptr::eq(*a, *b),
            (None, None) => true,
            _ => false,
        })
    }
}

impl<K: Key, R: PartialEq> Key for (K, R) {
    fn is_same(&self, other: &Self) -> bool {
        self.1 == other.1 && self.0.is_same(&other.0)
    }
}

impl<'r> RowTexts<'r> {
    /// Appends a violation, without the indentation of its first line.
    ///
    /// The result is that of the serializer, in a fraction of the time.
    pub(super) fn append(&mut self, violation: &ViolationRow<'r>, json: &mut Vec<u8>) {
        let ViolationRow {
            namespace,
            kind,
            name,
            owner,
            container,
            rule,
            severity,
            count: _,
            message,
            path,
            source,
        } = *violation;
        json.extend_from_slice(self.start.get([Some(namespace), Some(kind)], |json| {
            field(json, "{\n      \"namespace\": ", Some(namespace));
            field(json, ",\n      \"kind\": ", Some(kind));
            json.extend_from_slice(b",\n      \"name\": \"");
        }));
        characters(json, name);
        json.extend_from_slice(self.owner.get([owner], |json| {
            field(json, "\",\n      \"owner\": ", owner);
        }));
        self.findings.resize_with(FINDINGS, Kept::default);
        let key = ([container, Some(message), Some(path)], Some((rule, severity)));
        let slot = [message, path].map(|text| text.as_ptr().addr());
        if let Some(kept) = self.findings.get_mut(slot_of(slot)) {
            json.extend_from_slice(kept.get(key, |json| {
                field(json, ",\n      \"container\": ", container);
                field(json, ",\n      \"rule\": ", Some(rule.as_str()));
                field(json, ",\n      \"severity\": ", Some(severity.as_str()));
                field(json, ",\n      \"message\": ", Some(message));
                field(json, ",\n      \"path\": ", Some(path));
            }));
        }
        let key = ([source.map(|source| source.source)], source.map_or(0, |source| source.line));
        json.extend_from_slice(self.source.get(key, |json| {
            place(json, ",\n      \"source\": ", source);
            json.extend_from_slice(b"\n    }");
        }));
    }
}

/// Returns the place for the JSON of a finding, from the addresses of its texts.
fn slot_of([message, path]: [usize; 2]) -> usize {
    // Texts that are stored one after the other have addresses close to each other.
    let hash = message.wrapping_mul(31).wrapping_add(path).wrapping_mul(0x9e37_79b9);
    (hash >> 16) % FINDINGS
}

fn field(json: &mut Vec<u8>, key: &str, value: Option<&str>) {
    json.extend_from_slice(key.as_bytes());
    match value {
        Some(text) => {
            json.push(b'"');
            characters(json, text);
            json.push(b'"');
        }
        None => json.extend_from_slice(b"null"),
    }
}

fn place(json: &mut Vec<u8>, key: &str, place: Option<SourceLine<'_>>) {
    let Some(SourceLine { source, line }) = place else { return field(json, key, None) };
    json.extend_from_slice(key.as_bytes());
    json.push(b'"');
    characters(json, source);
    // Writing to memory can't fail.
    let _ = write!(json, ":{line}\"");
}

/// Appends the characters of a text, escaped where JSON needs it.
fn characters(json: &mut Vec<u8>, text: &str) {
    // Without a branch within, the compiler looks at many bytes at once.
    let is_plain = |byte: u8| byte >= b' ' && byte != b'"' && byte != b'\\';
    if text.bytes().fold(true, |plain, byte| plain & is_plain(byte)) {
        json.extend_from_slice(text.as_bytes());
        return;
    }
    let start = json.len();
    // A text is always written.
    let _ = serde_json::to_writer(&mut *json, text);
    json.pop();
    json.remove(start);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::LATEST_TAG;

    #[test]
    fn violations_are_written_as_the_serializer_writes_them() {
        let plain = ViolationRow {
            namespace: "",
            kind: "Pod",
            name: "web",
            owner: None,
            container: None,
            rule: LATEST_TAG.id,
            severity: LATEST_TAG.severity,
            count: 1,
            message: "a message",
            path: "spec",
            source: None,
        };
        let odd = "\"a\"\\\u{1}\n\u{7f}\u{e4}\u{1f600}";
        let full = ViolationRow {
            owner: Some(odd),
            container: Some(odd),
            message: odd,
            source: Some(SourceLine { source: odd, line: u32::MAX }),
            ..plain
        };
        // The same texts come again, with another name, and then with one other text at a time.
        let named = ViolationRow { name: "db", ..full };
        let mut violations = vec![plain, full, named];
        violations.extend([
            ViolationRow { namespace: "team", ..named },
            ViolationRow { kind: odd, ..named },
            ViolationRow { owner: Some("ReplicaSet/web"), ..named },
            ViolationRow { container: None, ..named },
            ViolationRow { severity: Severity::Low, ..named },
            ViolationRow { message: "another", ..named },
            ViolationRow { path: "status", ..named },
            ViolationRow { source: Some(SourceLine { source: odd, line: 1 }), ..named },
            ViolationRow { source: None, ..named },
            named,
        ]);
        let (mut json, mut texts) = (Vec::new(), RowTexts::default());
        for violation in &violations {
            json.extend_from_slice(if json.is_empty() { b"" } else { SEPARATOR });
            texts.append(violation, &mut json);
        }
        let expected = serde_json::to_string_pretty(&violations).unwrap();
        let written = format!("[\n  {}\n]", String::from_utf8(json).unwrap().replace("\n    ", "\n  "));
        assert_eq!(written, expected);
    }
}
