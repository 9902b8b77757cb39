//! Finds the items of a large YAML list in flow style, `items: [{...}, {...}]`, by brackets, quotes and commas, and
//! without parsing.

use super::yaml_list::{self, Head, Style, Walk};
use crate::yaml::Document;

/// Finds the items of the list at the start of a text; `None` for any other document or a list in another style.
pub(super) fn head(text: &[u8]) -> Option<Head> {
    let mut start = 0;
    loop {
        let line = yaml_list::line_at(text, start)?;
        if !yaml_list::is_blank(line) && !line.starts_with(b"---") {
            break;
        }
        start += line.len();
    }
    let first = start + yaml_list::indent(&text[start..]);
    let (end, closing) = if text.get(first) == Some(&b'{') {
        (bracket_in_braces(text, first)?, "]}")
    } else {
        (bracket_in_block(text, start)?, "]")
    };
    let above = std::str::from_utf8(&text[start..=end]).ok()?.to_owned() + closing;
    let is_typed = || first_item_is_typed(&text[end..]).unwrap_or_default();
    yaml_list::head_of(&above, end, Style::Flow, is_typed)
}

/// Returns the offset of the bracket behind a field `items` at the beginning of a line.
fn bracket_in_block(text: &[u8], start: usize) -> Option<usize> {
    let mut offset = start;
    let mut is_items = false;
    loop {
        let line = yaml_list::line_at(text, offset)?;
        let value = if is_items { Some(line) } else { line.strip_prefix(b"items:") };
        if let Some(value) = value {
            is_items = true;
            if !yaml_list::is_blank(value) {
                let bracket = offset + line.len() - value.trim_ascii_start().len();
                return (text[bracket] == b'[').then_some(bracket);
            }
        }
        offset += line.len();
    }
}

/// Returns the offset of the bracket behind the key `items` of the map that begins at a brace.
fn bracket_in_braces(text: &[u8], brace: usize) -> Option<usize> {
    let mut tokens = Tokens { text, offset: brace + 1, is_json: false };
    let (mut depth, mut key, mut is_items) = (1, None, false);
    loop {
        match tokens.next()? {
            Token::Open(b'[') if depth == 1 && is_items => return Some(tokens.offset - 1),
            Token::Open(_) => depth += 1,
            Token::Close => depth -= 1,
            Token::Comma if depth == 1 => (key, is_items) = (None, false),
            Token::Colon if depth == 1 => is_items = key == Some(b"items".as_slice()),
            Token::Scalar(text) if depth == 1 => key = Some(text),
            Token::Comma | Token::Colon | Token::Scalar(_) => {}
        }
        if depth == 0 {
            return None;
        }
    }
}

/// Returns true if the first item of a list names its type; `None` if the item is not complete.
fn first_item_is_typed(items: &[u8]) -> Option<bool> {
    let mut tokens = Tokens { text: items, offset: 1, is_json: false };
    let mut depth = 0;
    let end = loop {
        match tokens.next()? {
            Token::Open(_) => depth += 1,
            Token::Close | Token::Comma if depth == 0 => break tokens.offset - 1,
            Token::Close => depth -= 1,
            _ => {}
        }
    };
    let item = String::from_utf8_lossy(&items[1..end]);
    let document = Document::parse(&item).ok()?;
    Some(["apiVersion", "kind"].iter().all(|key| document.root().get(key).is_some()))
}

/// Walks over the items of a list. The text begins with the bracket before the first one, or with the comma after the
/// last one that was cut.
///
/// An incomplete last item is not counted unless the stream has `ended`.
pub(super) fn walk(text: &[u8], ended: bool) -> Walk {
    let mut walk = Walk { items: 0, last: 0, end: None };
    let mut tokens = Tokens { text, offset: 1, is_json: false };
    let (mut depth, mut is_begun) = (0, false);
    loop {
        // Blanks and comments behind a token belong to the text that follows.
        let end = tokens.offset;
        match tokens.next() {
            Some(Token::Comma) if depth == 0 => {
                walk.items += 1;
                walk.last = tokens.offset - 1;
                is_begun = false;
            }
            Some(Token::Close) if depth == 0 => {
                walk.items += usize::from(is_begun);
                walk.end = Some(end);
                return walk;
            }
            Some(Token::Open(_)) => (depth, is_begun) = (depth + 1, true),
            Some(Token::Close) => depth -= 1,
            Some(_) => is_begun = true,
            None => {
                // A list that is cut off is an error of its last item.
                walk.items += usize::from(is_begun && ended);
                walk.end = ended.then_some(text.len());
                return walk;
            }
        }
    }
}

enum Token<'t> {
    /// An opening bracket or brace.
    Open(u8),
    /// A closing bracket or brace.
    Close,
    Comma,
    /// A colon between a key and its value.
    Colon,
    /// Text, without its quotes.
    Scalar(&'t [u8]),
}

/// A position within brackets or braces.
struct Tokens<'t> {
    text: &'t [u8],
    offset: usize,
    /// True after a token behind which a colon needs no blank, as in JSON.
    is_json: bool,
}

impl<'t> Tokens<'t> {
    /// Returns the next token; `None` if the text ends before it or within it.
    fn next(&mut self) -> Option<Token<'t>> {
        loop {
            self.skip_space();
            let start = self.offset;
            let byte = *self.text.get(start)?;
            let is_json = std::mem::take(&mut self.is_json);
            self.offset += 1;
            match byte {
                b'[' | b'{' => return Some(Token::Open(byte)),
                b']' | b'}' => {
                    self.is_json = true;
                    return Some(Token::Close);
                }
                b',' => return Some(Token::Comma),
                b':' if is_json || self.is_at_border() => return Some(Token::Colon),
                b'"' | b'\'' => {
                    self.skip_quoted(byte)?;
                    self.is_json = true;
                    return Some(Token::Scalar(&self.text[start + 1..self.offset - 1]));
                }
                // A tag or an anchor before a value.
                b'!' | b'&' => self.offset = self.end_of_word(),
                _ => {
                    self.skip_plain();
                    return Some(Token::Scalar(self.text[start..self.offset].trim_ascii_end()));
                }
            }
        }
    }

    /// Skips blanks, line breaks and comments.
    fn skip_space(&mut self) {
        while let Some(byte) = self.text.get(self.offset) {
            if byte.is_ascii_whitespace() {
                self.offset += 1;
            } else if self.is_comment() {
                let rest = &self.text[self.offset..];
                self.offset += memchr::memchr(b'\n', rest).unwrap_or(rest.len());
            } else {
                return;
            }
        }
    }

    /// Returns true if a comment begins here: a number sign behind a blank.
    fn is_comment(&self) -> bool {
        self.text[self.offset] == b'#' && self.text[..self.offset].last().is_none_or(u8::is_ascii_whitespace)
    }

    /// Returns true if a blank, a bracket, a brace, a comma or the end of the text is next.
    fn is_at_border(&self) -> bool {
        self.text.get(self.offset).is_none_or(|byte| byte.is_ascii_whitespace() || is_indicator(*byte))
    }

    fn end_of_word(&self) -> usize {
        let is_end = |byte: &u8| byte.is_ascii_whitespace() || is_indicator(*byte);
        let rest = &self.text[self.offset..];
        self.offset + rest.iter().position(is_end).unwrap_or(rest.len())
    }

    /// Skips text to behind its closing quote; `None` if the quote is missing.
    fn skip_quoted(&mut self, quote: u8) -> Option<()> {
        loop {
            self.offset += memchr::memchr2(quote, b'\\', self.text.get(self.offset..)?)?;
            let is_escape = self.text[self.offset] == b'\\';
            let is_double = self.text[self.offset..].starts_with(b"''");
            match (quote, is_escape) {
                (b'"', true) => self.offset += 2,
                (_, true) => self.offset += 1,
                (b'\'', false) if is_double => self.offset += 2,
                _ => {
                    self.offset += 1;
                    return Some(());
                }
            }
        }
    }

    /// Skips text without quotes.
    fn skip_plain(&mut self) {
        while let Some(byte) = self.text.get(self.offset) {
            let is_end = match byte {
                b':' => self
                    .text
                    .get(self.offset + 1)
                    .is_none_or(|next| next.is_ascii_whitespace() || is_indicator(*next)),
                b'#' => self.is_comment(),
                byte => is_indicator(*byte),
            };
            if is_end {
                return;
            }
            self.offset += 1;
        }
    }
}

/// Returns true for a character that ends text without quotes.
fn is_indicator(byte: u8) -> bool {
    matches!(byte, b',' | b'[' | b']' | b'{' | b'}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::TypeMeta;

    #[test]
    fn a_list_in_flow_style_is_recognized_by_its_kind_or_its_first_item() {
        let deployment = TypeMeta { api_version: "apps/v1".to_owned(), kind: "Deployment".to_owned() };
        for (text, item) in [
            ("apiVersion: v1\nkind: List\nitems: [{a: 1},", Some(None)),
            (
                "---\n# all\nkind: List\nmetadata: {items: [a]}\nitems: # all\n\n  # one\n  [{a: 1}",
                Some(None),
            ),
            ("apiVersion: apps/v1\nkind: DeploymentList\nitems: [", Some(Some(deployment))),
            ("apiVersion: v1\nitems: [{apiVersion: v1, kind: Pod}, {b: 1}", Some(None)),
            ("{apiVersion: v1, kind: List, items: [{a: 1}", Some(None)),
            ("---\n{\"metadata\":{\"items\":[]},\"kind\":\"List\",\"items\":[{", Some(None)),
            ("{items: [{apiVersion: v1, kind: Pod}, {b: 1}", Some(None)),
            ("items: [{kind: Pod}, {b: 1}", None),
            ("items: [{apiVersion: v1, kind: Pod", None),
            ("kind: ConfigMap\nitems: [", None),
            ("kind: List\nitems: &a [", None),
            ("kind: List\nitems:\n- a", None),
            ("{kind: List, items: a, b: [", None),
            ("{kind: List, a: {items: [", None),
            ("{kind: List}\nitems: [", None),
        ] {
            let found = head(text.as_bytes());
            assert_eq!(found.as_ref().map(|head| head.item.clone()), item, "{text}");
            if let Some(head) = found {
                assert!(text[..head.end].trim_end().ends_with([':', 'l', 'e']), "{text}");
                assert!(text[head.end..].starts_with('['), "{text}");
            }
        }
    }

    #[test]
    fn items_end_at_commas_outside_of_brackets_and_quotes() {
        let cut = |text: &str| {
            let Walk { items, last, end } = walk(text.as_bytes(), false);
            (items, text[last..end.unwrap_or(text.len())].to_owned(), end.is_some())
        };
        let complete = |items, rest: &str| (items, rest.to_owned(), true);
        let open = |items, rest: &str| (items, rest.to_owned(), false);
        assert_eq!(cut("[{a: 1}, {b: 2}\n]\nc: 3\n"), complete(2, ", {b: 2}"));
        assert_eq!(cut("[{a: 1},\n {b: 2}, # last\n]"), complete(2, ","));
        assert_eq!(cut("[]"), complete(0, "["));
        assert_eq!(cut(", {a: 1}"), open(0, ", {a: 1}"));
        assert_eq!(cut("[{a: 1}, {b: 2}"), open(1, ", {b: 2}"));
        assert_eq!(
            cut("[{a: \"],\\\"\", b: '],''', c: it's, d: x:y, e: a#b}, # ],\n{b"),
            open(1, ", # ],\n{b")
        );
        assert_eq!(cut("[{a: !!str 'x,', b: &c \"],\", \"d\":'],', e: [1, 2]}, {"), open(1, ", {"));
        assert_eq!(cut("[{a: b\n  'c', d: \"e\n ],\"}, {"), open(1, ", {"));
        assert_eq!(cut("[{a: 'x"), open(0, "[{a: 'x"));
        assert_eq!(walk(b"[{a: 1}, {b", true).end, Some(11));
    }
}
