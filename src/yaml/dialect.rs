//! Refuses syntax of YAML 1.2 that kubectl refuses or reads differently.

use granit_parser::{Marker, ScalarStyle, Span, YamlVersion};

use super::error::{Error, at};

/// Refuses characters that no YAML allows, and byte-order marks that kubectl takes as part of a key.
pub(super) fn check_characters(text: &str) -> Result<(), Error> {
    let suspect = |byte: &u8| (*byte < b' ' && !matches!(byte, b'\t' | b'\n' | b'\r')) || *byte >= 0x7f;
    if !text.as_bytes().iter().any(suspect) {
        return Ok(());
    }
    let forbidden = |c: char| match c {
        '\t' | '\n' | '\r' | '\u{85}' => false,
        '\u{fffe}' | '\u{ffff}' => true,
        c => c.is_control(),
    };
    let mark = memchr::memmem::find(text.as_bytes(), "\n\u{feff}".as_bytes()).map(|newline| newline + 1);
    let (at, message) = match (text.find(forbidden), mark) {
        (Some(at), _) => (
            at,
            format!(
                "the control character U+{:04X} is not allowed: remove it, or write it as an escape in double quotes",
                text[at..].chars().next().map_or(0, u32::from)
            ),
        ),
        (None, Some(at)) => {
            (at, "a byte-order mark may stand only at the beginning of a document".to_owned())
        }
        (None, None) => return Ok(()),
    };
    let line_start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let line = text[..at].matches('\n').count() + 1;
    Err(Error::new(message, line, text[line_start..at].chars().count() + 1))
}

/// Refuses a document that begins with the marker of its end.
pub(super) fn check_start(text: &str) -> Result<(), Error> {
    let is_content = |line: &str| !matches!(line.trim_ascii_start().bytes().next(), None | Some(b'#'));
    let first = text.lines().enumerate().find(|(_, line)| is_content(line));
    match first.and_then(|(index, line)| Some((index, line.strip_prefix("...")?))) {
        Some((index, rest)) if rest.is_empty() || rest.starts_with([' ', '\t']) => {
            Err(Error::new("a document can't begin with `...`: remove the line", index + 1, 1))
        }
        _ => Ok(()),
    }
}

/// Refuses a document that declares another version of YAML.
pub(super) fn check_version(YamlVersion { major, minor }: YamlVersion, span: Span) -> Result<(), Error> {
    if (major, minor) == (1, 1) {
        return Ok(());
    }
    Err(at(span, format!("kubectl reads YAML 1.1 and no {major}.{minor}: remove the %YAML directive")))
}

/// Refuses an anchor whose name ends earlier in YAML 1.1.
pub(super) fn check_anchor(name: &str, span: Span) -> Result<(), Error> {
    if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')) {
        return Ok(());
    }
    Err(at(span, format!("the anchor `{name}` may hold only letters, digits, - and _")))
}

/// Refuses a line in which an anchor's name ends earlier in YAML 1.1, so that what follows is read differently.
pub(super) fn check_anchors(line: &str, number: usize) -> Result<(), Error> {
    let mut before = None;
    for (at, c) in line.char_indices() {
        let begins = before.is_none_or(|c: char| c.is_whitespace() || matches!(c, '[' | '{' | ','));
        before = Some(c);
        if c != '&' || !begins {
            continue;
        }
        let name = line[at + 1..].split([' ', '\t', ',', '[', ']', '{', '}']).next().unwrap_or_default();
        if name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
            let place = Marker::new(0, number, line[..at].chars().count());
            check_anchor(name, Span::empty(place))?;
        }
    }
    Ok(())
}

/// Refuses a key within brackets or braces that ends on another line than it begins, with its tag and its anchor.
pub(super) fn check_flow_key(source: &str, start: Marker, key: Span) -> Result<(), Error> {
    let before = start.byte_offset().and_then(|start| source.get(..start)).unwrap_or_default();
    if start.line() >= key.end.line() || before.trim_end().ends_with('?') {
        return Ok(());
    }
    Err(at(key, "within brackets and braces, a key has to be on one line, with its tag and its anchor"))
}

/// Refuses a scalar that YAML 1.1 reads differently; `flow` is true within brackets or braces.
pub(super) fn check_scalar(
    source: &str,
    text: &str,
    style: ScalarStyle,
    flow: bool,
    span: Span,
) -> Result<(), Error> {
    let start = span.start.byte_offset().unwrap_or_default();
    let before = &source.as_bytes()[..start.min(source.len())];
    match style {
        ScalarStyle::Plain if flow && (text.starts_with(':') || text.contains('?')) => {
            return Err(at(span, format!("within brackets and braces, write \"{text}\" in quotes")));
        }
        // YAML 1.1 takes the following comma or bracket as part of the tag.
        ScalarStyle::Plain if flow && text.is_empty() && span.tag_span().is_some() => {
            return Err(at(span, "within brackets and braces, a tag needs a value"));
        }
        // YAML 1.1 takes the colon as part of the preceding text.
        ScalarStyle::Plain
            if flow
                && span.is_empty()
                && matches!(source.as_bytes()[before.len()..], [b':', b',' | b']' | b'}', ..]) =>
        {
            return Err(at(span, "within brackets and braces, a colon needs a blank behind it"));
        }
        ScalarStyle::DoubleQuoted if has_slash_escape(span.slice(source).unwrap_or_default()) => {
            return Err(at(span, "write / instead of \\/: kubectl doesn't know this escape"));
        }
        _ => {}
    }
    Ok(())
}

fn has_slash_escape(quoted: &str) -> bool {
    let mut bytes = quoted.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'\\' && bytes.next() == Some(b'/') {
            return true;
        }
    }
    false
}
