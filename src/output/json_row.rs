//! One violation as indented JSON, an item of the list in a report.

use std::io::Write as _;

use crate::governance::{SourceLine, ViolationRow};

/// Appends a violation, without the indentation of its first line.
///
/// The result is that of the serializer, in a fraction of the time.
pub(super) fn append(violation: &ViolationRow<'_>, json: &mut Vec<u8>) {
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
    json.push(b'{');
    field(json, "\n      \"namespace\": ", Some(namespace));
    field(json, ",\n      \"kind\": ", Some(kind));
    field(json, ",\n      \"name\": ", Some(name));
    field(json, ",\n      \"owner\": ", owner);
    field(json, ",\n      \"container\": ", container);
    field(json, ",\n      \"rule\": ", Some(rule.as_str()));
    field(json, ",\n      \"severity\": ", Some(severity.as_str()));
    field(json, ",\n      \"message\": ", Some(message));
    field(json, ",\n      \"path\": ", Some(path));
    place(json, ",\n      \"source\": ", source);
    json.extend_from_slice(b"\n    }");
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
    fn a_violation_is_written_as_the_serializer_writes_it() {
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
        for violation in [plain, full] {
            let mut json = Vec::new();
            append(&violation, &mut json);
            let expected = serde_json::to_string_pretty(&[violation]).unwrap();
            let written = format!("[\n  {}\n]", String::from_utf8(json).unwrap().replace("\n    ", "\n  "));
            assert_eq!(written, expected);
        }
    }
}
