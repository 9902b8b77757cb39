//! Walks over JSON text token by token, without building any value.

use serde::de::IgnoredAny;

use super::piece::MAX_LISTS;
use crate::workload::TypeMeta;

/// A syntax error in the token at an offset. The line and column of the error are relative to that offset.
#[derive(Debug)]
pub(super) struct TokenError {
    /// The error.
    pub(super) error: serde_json::Error,
    /// The offset of the token.
    pub(super) offset: usize,
}

impl TokenError {
    /// Returns true if the text ended too early.
    pub(super) fn is_eof(&self) -> bool {
        self.error.is_eof()
    }
}

/// A position in a text from which JSON tokens are read one by one.
pub(super) struct Tokens<'t> {
    text: &'t [u8],
    /// The offset of the position.
    pub(super) offset: usize,
}

impl<'t> Tokens<'t> {
    /// Starts at an offset.
    pub(super) fn at(text: &'t [u8], offset: usize) -> Self {
        Self { text, offset }
    }

    /// Skips white space and returns the next byte.
    pub(super) fn peek(&mut self) -> Result<u8, TokenError> {
        self.space();
        self.text.get(self.offset).copied().ok_or_else(|| self.error(end_of_text()))
    }

    /// Skips white space. Returns false at the end of the text.
    pub(super) fn space(&mut self) -> bool {
        let space = self.text[self.offset..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        self.offset += space;
        self.offset < self.text.len()
    }

    /// Reads one value as `T`.
    pub(super) fn value<T: serde::Deserialize<'t>>(&mut self) -> Result<T, TokenError> {
        self.peek()?;
        let mut stream = serde_json::Deserializer::from_slice(&self.text[self.offset..]).into_iter::<T>();
        let value = stream.next().unwrap_or_else(|| Err(end_of_text())).map_err(|error| self.error(error))?;
        self.offset += stream.byte_offset();
        Ok(value)
    }

    /// Skips a byte that must come next.
    pub(super) fn expect(&mut self, byte: u8) -> Result<(), TokenError> {
        if self.peek()? == byte {
            self.offset += 1;
            return Ok(());
        }
        Err(self.error(serde::de::Error::custom(format_args!("expected `{}`", char::from(byte)))))
    }

    fn error(&self, error: serde_json::Error) -> TokenError {
        TokenError { error, offset: self.offset }
    }
}

/// Returns the parser's own error for a text that ends too early.
fn end_of_text() -> serde_json::Error {
    match serde_json::from_slice::<IgnoredAny>(b"") {
        Err(error) => error,
        Ok(_) => serde::de::Error::custom("the text ends too early"),
    }
}

/// Skips one value. Returns the offset of its end.
pub(super) fn whole(text: &[u8]) -> Result<usize, TokenError> {
    let mut tokens = Tokens::at(text, 0);
    tokens.value::<IgnoredAny>()?;
    Ok(tokens.offset)
}

/// The beginning of a document.
#[derive(Debug)]
pub(super) enum Head {
    /// A list, or an object that may turn out to be a list. Its items begin at the bracket.
    List {
        /// The offset.
        bracket: usize,
        /// The type, as far as it comes before the items.
        types: TypeMeta,
    },
    /// A document without items.
    Whole {
        /// The offset.
        end: usize,
    },
}

/// Reads a document up to its items.
pub(super) fn head(text: &[u8]) -> Result<Head, TokenError> {
    let mut tokens = Tokens::at(text, 0);
    if tokens.peek()? != b'{' {
        tokens.value::<IgnoredAny>()?;
        return Ok(Head::Whole { end: tokens.offset });
    }
    tokens.offset += 1;
    let mut types = TypeMeta::default();
    loop {
        match tokens.peek()? {
            b'}' => return Ok(Head::Whole { end: tokens.offset + 1 }),
            b',' => tokens.offset += 1,
            _ => {}
        }
        let key: String = tokens.value()?;
        tokens.expect(b':')?;
        // An object of unknown kind may be a list, because its kind can come after its items.
        let may_be_list = types.kind.is_empty() || types.kind.ends_with("List");
        match (key.as_str(), tokens.peek()?) {
            ("items", b'[') if may_be_list => return Ok(Head::List { bracket: tokens.offset, types }),
            _ => field(&key, &mut types, &mut tokens)?,
        }
    }
}

/// The end of the fields after a list's items.
#[derive(Debug)]
pub(super) enum Tail {
    /// The end of the document, at an offset.
    End(usize),
    /// Other items, which count instead of those before. They begin at a bracket, at an offset.
    Items(usize),
}

/// Skips the fields after a list's items and adds the list's type.
pub(super) fn tail(text: &[u8], types: &mut TypeMeta) -> Result<Tail, TokenError> {
    let mut tokens = Tokens::at(text, 0);
    while tokens.peek()? != b'}' {
        tokens.expect(b',')?;
        let key: String = tokens.value()?;
        tokens.expect(b':')?;
        match (key.as_str(), tokens.peek()?) {
            ("items", b'[') => return Ok(Tail::Items(tokens.offset)),
            ("items", _) => {
                let message = "the key `items` is repeated, and the last one, which counts, is no list";
                return Err(tokens.error(serde::de::Error::custom(message)));
            }
            _ => field(&key, types, &mut tokens)?,
        }
    }
    Ok(Tail::End(tokens.offset + 1))
}

/// Skips the value of a field, and keeps it if it is part of the object's type.
fn field(key: &str, types: &mut TypeMeta, tokens: &mut Tokens<'_>) -> Result<(), TokenError> {
    match (key, tokens.peek()?) {
        ("kind", b'"') => types.kind = tokens.value()?,
        ("apiVersion", b'"') => types.api_version = tokens.value()?,
        _ => {
            tokens.value::<IgnoredAny>()?;
        }
    }
    Ok(())
}

/// Returns true if the first item of a list names its kind, or is itself a list with such an item, or if the list is
/// empty.
pub(super) fn first_item_is_typed(items: &[u8]) -> Result<bool, TokenError> {
    is_typed_within(items, MAX_LISTS)
}

/// Looks into at most `levels` lists within lists. Nothing behind the first sign of a type is read.
fn is_typed_within(items: &[u8], levels: usize) -> Result<bool, TokenError> {
    let mut tokens = Tokens::at(items, 1);
    if tokens.peek()? == b']' {
        return Ok(true);
    }
    tokens.expect(b'{')?;
    loop {
        match tokens.peek()? {
            b'}' => return Ok(false),
            b',' => tokens.offset += 1,
            _ => {}
        }
        let key: String = tokens.value()?;
        tokens.expect(b':')?;
        let found = match (key.as_str(), tokens.peek()?) {
            ("kind", first) => first != b'n',
            ("items", b'[') if levels > 0 => is_typed_within(&items[tokens.offset..], levels - 1)?,
            _ => false,
        };
        if found {
            return Ok(true);
        }
        tokens.value::<IgnoredAny>()?;
    }
}

/// The outcome of a walk over items.
pub(super) enum Walk {
    /// The array is closed.
    Closed {
        /// The end of the last whole item, 0 when there is none.
        end: usize,
        /// The number of items.
        items: usize,
        /// The offset of the closing bracket.
        bracket: usize,
    },
    /// The text ends within the array.
    Open {
        /// The end of the last whole item, 0 when there is none.
        end: usize,
        /// The number of items.
        items: usize,
        /// The text from the end of the first item to the first key of the second.
        border: Option<Vec<u8>>,
    },
}

/// The point at which a walk over items failed.
pub(super) struct Stuck {
    /// The end of the last whole item, 0 when there is none.
    pub(super) end: usize,
    /// The number of whole items.
    pub(super) items: usize,
    /// The error after them.
    pub(super) error: TokenError,
}

/// Walks over items, from the byte before the first one.
pub(super) fn walk_items(text: &[u8]) -> Result<Walk, Stuck> {
    let mut tokens = Tokens::at(text, 1);
    let (mut end, mut items) = (0, 0);
    let mut border = None;
    loop {
        let step = |tokens: &mut Tokens<'_>| {
            if tokens.peek()? == b']' {
                return Ok(true);
            }
            if end > 0 {
                tokens.expect(b',')?;
            }
            tokens.value::<IgnoredAny>().map(|_| false)
        };
        match step(&mut tokens) {
            Ok(true) => return Ok(Walk::Closed { end, items, bracket: tokens.offset }),
            Ok(false) => {
                if end > 0 && border.is_none() {
                    border = border_at(text, end);
                }
                end = tokens.offset;
                items += 1;
            }
            Err(error) if error.is_eof() => return Ok(Walk::Open { end, items, border }),
            Err(error) => return Err(Stuck { end, items, error }),
        }
    }
}

/// Returns the text from the closing brace of an item that ends at `end` to the first key of the next one.
fn border_at(text: &[u8], end: usize) -> Option<Vec<u8>> {
    let mut tokens = Tokens::at(text, end);
    tokens.expect(b',').ok()?;
    tokens.expect(b'{').ok()?;
    tokens.value::<String>().ok()?;
    tokens.expect(b':').ok()?;
    Some(text[end - 1..tokens.offset].to_vec())
}

/// Returns the end of the last document but one of a text, if the next line begins with a brace.
///
/// In valid JSON, such a line after a closing brace begins a document: a string can't hold a line break, and within a
/// value a comma would separate the braces.
pub(super) fn last_border(text: &[u8]) -> Option<usize> {
    let mut end = text.len();
    loop {
        let newline = memchr::memmem::rfind(&text[..end], b"\n{")?;
        let before = text[..newline].trim_ascii_end();
        if before.ends_with(b"}") {
            return Some(before.len());
        }
        end = newline + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_end_before_a_line_that_begins_with_a_brace() {
        for (text, end) in [
            (r#"{"a": 1}"#, None),
            ("{}\n{\"a\": ", Some(2)),
            ("{}\n{}\r\n\r\n{", Some(5)),
            ("{}\n[1,\n{}]\n", None),
            ("{\"a\": {}}\n[\n{}", None),
            ("{}\n{\"a\":\n{}}", Some(2)),
        ] {
            assert_eq!(last_border(text.as_bytes()), end, "{text}");
        }
    }
}
