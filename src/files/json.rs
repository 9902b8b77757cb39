//! Cutting JSON streams: documents from each other, and the items of large lists from their neighbours.

use std::ops::Range;

use memchr::memmem;
use serde::de::IgnoredAny;

use super::blocks::{BLOCK, Window, lines};
use super::fault::without_place;
use super::piece::{CutError, Form, Piece, Pieces};
use super::yaml::{self, Before};
use crate::workload::TypeMeta;

/// How the borders between the items of a list are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Borders {
    /// By walking over every item.
    Exact,
    /// By the text of the first border: right for lists that a program wrote, and a piece that doesn't parse tells
    /// where it was wrong. Inside a JSON string that text can't stand, because its quotes would be escaped.
    Guessed,
}

/// Cuts a JSON stream into pieces of whole documents or whole items; the number of its documents.
///
/// Markers may stand between documents, as in YAML; from a document on that is no JSON, the stream is cut as YAML.
pub(super) fn cut(
    window: &mut Window<'_>,
    borders: Borders,
    pieces: &mut impl Pieces,
) -> Result<usize, CutError> {
    let mut cutter = Cutter { window, borders, pieces, lines: 0, documents: 0, items: 0 };
    while cutter.skip_space()? {
        match cutter.marker()? {
            Some(Marker::End) => cutter.skip(3),
            Some(Marker::Json) => {
                cutter.skip(3);
                cutter.skip_space()?;
            }
            Some(Marker::Yaml) => {
                let before = Before { lines: cutter.lines, documents: cutter.documents };
                return yaml::cut(cutter.window, before, cutter.pieces);
            }
            // As kubectl does it.
            None if cutter.window.bytes().starts_with(b"null") => cutter.skip(4),
            None => {
                cutter.document()?;
                cutter.documents += 1;
            }
        }
    }
    Ok(cutter.documents)
}

/// Tells JSON from YAML, which allows a brace at the beginning too; a marker may stand before it.
pub(super) fn is_json(window: &Window<'_>) -> bool {
    let text = window.bytes();
    let text = if yaml::is_marker(text, b"---") { &text[3..] } else { text };
    let mut significant = text.iter().filter(|byte| !byte.is_ascii_whitespace());
    let begins = match significant.next() {
        Some(b'{') => matches!(significant.next(), Some(b'"' | b'}')),
        first => first == Some(&b'['),
    };
    // What is no JSON can be YAML still, such as braces with a comma too many. Only a small source is looked through.
    begins && !(window.ended() && whole(text).is_err() && yaml::is_valid(text))
}

/// What stands between documents.
enum Marker {
    /// `...`, the end of a document.
    End,
    /// `---` before JSON.
    Json,
    /// `---` before anything else.
    Yaml,
}

struct Cutter<'c, 'r, P> {
    window: &'c mut Window<'r>,
    borders: Borders,
    pieces: &'c mut P,
    lines: usize,
    documents: usize,
    /// Items of the document before the window.
    items: usize,
}

/// The beginning of a document.
enum Head {
    /// A list whose items begin at the offset of their bracket.
    List { bracket: usize, item: Option<TypeMeta> },
    /// A document without items, which ends at the offset.
    Whole { end: usize },
}

impl<P: Pieces> Cutter<'_, '_, P> {
    /// The marker with which the window begins.
    fn marker(&mut self) -> Result<Option<Marker>, CutError> {
        self.window.fill(4)?;
        Ok(if yaml::is_marker(self.window.bytes(), b"...") {
            Some(Marker::End)
        } else if yaml::is_marker(self.window.bytes(), b"---") {
            self.window.fill(BLOCK)?;
            Some(if is_json(self.window) { Marker::Json } else { Marker::Yaml })
        } else {
            None
        })
    }

    fn document(&mut self) -> Result<(), CutError> {
        self.window.fill(BLOCK)?;
        loop {
            match head(self.window.bytes()) {
                Ok(Head::List { bracket, item }) if self.items_name_their_type(bracket, item.as_ref())? => {
                    self.skip(bracket);
                    self.items(item)?;
                    return self.tail();
                }
                Ok(Head::List { bracket, .. }) => {
                    let end = self.whole()?;
                    let types = serde_json::from_slice::<TypeMeta>(&self.window.bytes()[..end]);
                    let Some(item) = types.ok().and_then(|types| types.item()) else {
                        self.emit(end, Form::Json);
                        return Ok(());
                    };
                    self.skip(bracket);
                    self.items(Some(item))?;
                    return self.tail();
                }
                Ok(Head::Whole { end }) => {
                    self.emit(end, Form::Json);
                    return Ok(());
                }
                Err(error) if error.is_eof() && !self.window.ended() => self.window.grow()?,
                Err(error) => return Err(self.syntax(&error)),
            }
        }
    }

    /// Tells whether items can be read before the list's type is known.
    fn items_name_their_type(&mut self, bracket: usize, item: Option<&TypeMeta>) -> Result<bool, CutError> {
        if item.is_some() {
            return Ok(true);
        }
        loop {
            match first_keys(&self.window.bytes()[bracket..]) {
                Ok(named) => return Ok(named),
                Err(error) if error.is_eof() && !self.window.ended() => self.window.grow()?,
                // Walking the items says what is wrong, and where.
                Err(_) => return Ok(true),
            }
        }
    }

    /// Reads until the window holds the whole document; its length.
    fn whole(&mut self) -> Result<usize, CutError> {
        loop {
            match whole(self.window.bytes()) {
                Ok(end) => return Ok(end),
                Err(error) if error.is_eof() && !self.window.ended() => self.window.grow()?,
                Err(error) => return Err(self.syntax(&error)),
            }
        }
    }

    /// Cuts the items of a list; the window begins with the bracket before them, later with the comma or bracket
    /// behind those that were cut.
    fn items(&mut self, item: Option<TypeMeta>) -> Result<(), CutError> {
        let form = Form::JsonItems(item);
        let mut border: Option<Vec<u8>> = None;
        self.items = 0;
        loop {
            self.window.fill(BLOCK)?;
            if self.window.bytes().first() == Some(&b']') {
                self.skip(1);
                return Ok(());
            }
            if let (Borders::Guessed, Some(border)) = (self.borders, &border)
                && let Some(last) = memmem::rfind(self.window.bytes(), border)
            {
                self.emit_items(last + 1, 0, &form)?;
                continue;
            }
            match walk_items(self.window.bytes()) {
                Ok(Walk::Closed { end, items, bracket }) => {
                    if end > 0 {
                        self.emit_items(end, items, &form)?;
                    } else {
                        self.skip(bracket);
                    }
                }
                Ok(Walk::Open { end: 0, .. }) if !self.window.ended() => self.window.grow()?,
                Ok(Walk::Open { end, items, border: found }) if !self.window.ended() => {
                    border = border.or(found);
                    self.emit_items(end, items, &form)?;
                }
                Ok(Walk::Open { end, items, .. }) => {
                    if end > 0 {
                        self.emit_items(end, items, &form)?;
                    }
                    return Err(self.error("the list ends in the middle: was the file cut off?"));
                }
                Err(Stuck { end, items, error }) => {
                    // Before the window moves, from whose start the error counts.
                    let error = self.syntax_in(&error, &format!("items[{}]: ", self.items + items));
                    if end > 0 {
                        self.emit_items(end, items, &form)?;
                    }
                    return Err(error);
                }
            }
        }
    }

    /// Passes over what follows the items of a list, to the end of the document.
    fn tail(&mut self) -> Result<(), CutError> {
        loop {
            match tail(self.window.bytes()) {
                Ok(end) => {
                    self.skip(end);
                    return Ok(());
                }
                Err(error) if error.is_eof() && !self.window.ended() => self.window.grow()?,
                Err(error) => return Err(self.syntax(&error)),
            }
        }
    }

    /// Emits items, which only exact borders count; the byte before them becomes the bracket that opens their array.
    fn emit_items(&mut self, end: usize, items: usize, form: &Form) -> Result<(), CutError> {
        let mut text = self.window.take(end, self.pieces.spare());
        let start = text.start;
        text.bytes[start] = b'[';
        text.bytes.push(b']');
        self.push(text, form.clone());
        self.items += items;
        // The comma stays in the window, where it will become a bracket.
        self.skip_space()?;
        Ok(())
    }

    fn emit(&mut self, end: usize, form: Form) {
        let text = self.window.take(end, self.pieces.spare());
        self.push(text, form);
    }

    fn push(&mut self, text: super::blocks::Text, form: Form) {
        let lines = if self.borders == Borders::Exact { lines(text.as_bytes()) } else { 0 };
        let (lines_before, documents_before, items_before) = (self.lines, self.documents, self.items);
        self.pieces.push(Piece { text, form, lines_before, documents_before, items_before });
        self.lines += lines;
    }

    fn skip(&mut self, count: usize) {
        self.lines += lines(&self.window.bytes()[..count]);
        self.window.skip(count);
    }

    /// Passes over white space; false at the end of the stream.
    fn skip_space(&mut self) -> Result<bool, CutError> {
        loop {
            let space = self.window.bytes().iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            self.skip(space);
            if !self.window.bytes().is_empty() {
                return Ok(true);
            }
            if self.window.ended() {
                return Ok(false);
            }
            self.window.fill(BLOCK)?;
        }
    }

    fn syntax(&self, error: &TokenError) -> CutError {
        self.syntax_in(error, "")
    }

    fn syntax_in(&self, TokenError { error, offset }: &TokenError, place: &str) -> CutError {
        let line = self.lines + lines(&self.window.bytes()[..*offset]) + error.line().max(1);
        CutError::Syntax {
            message: format!("{place}{}", without_place(error)),
            document: self.documents + 1,
            line,
        }
    }

    fn error(&self, message: &str) -> CutError {
        CutError::Syntax { message: message.to_owned(), document: self.documents + 1, line: self.lines + 1 }
    }
}

/// Passes over one value; the offset of its end.
fn whole(text: &[u8]) -> Result<usize, TokenError> {
    let mut tokens = Tokens { text, offset: 0 };
    tokens.value::<IgnoredAny>()?;
    Ok(tokens.offset)
}

/// What is wrong with a token, which begins at the offset; the error's own place counts from there.
pub(super) struct TokenError {
    pub(super) error: serde_json::Error,
    offset: usize,
}

impl TokenError {
    fn is_eof(&self) -> bool {
        self.error.is_eof()
    }
}

/// A place in a text, from which JSON tokens are read one by one.
struct Tokens<'t> {
    text: &'t [u8],
    offset: usize,
}

impl<'t> Tokens<'t> {
    /// The next byte that isn't white space, which stays.
    fn peek(&mut self) -> Result<u8, TokenError> {
        let space = self.text[self.offset..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        self.offset += space;
        self.text.get(self.offset).copied().ok_or_else(|| self.error(end_of_text()))
    }

    /// Passes over one value of any kind.
    fn value<T: serde::Deserialize<'t>>(&mut self) -> Result<T, TokenError> {
        self.peek()?;
        let mut stream = serde_json::Deserializer::from_slice(&self.text[self.offset..]).into_iter::<T>();
        let value = stream.next().unwrap_or_else(|| Err(end_of_text())).map_err(|error| self.error(error))?;
        self.offset += stream.byte_offset();
        Ok(value)
    }

    /// Passes over a byte that must come next.
    fn expect(&mut self, byte: u8) -> Result<(), TokenError> {
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

/// The error of a text that ends too early, as the parser makes it.
fn end_of_text() -> serde_json::Error {
    match serde_json::from_slice::<IgnoredAny>(b"") {
        Err(error) => error,
        Ok(_) => serde::de::Error::custom("the text ends too early"),
    }
}

/// Reads a document up to its items.
fn head(text: &[u8]) -> Result<Head, TokenError> {
    let mut tokens = Tokens { text, offset: 0 };
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
        match (key.as_str(), tokens.peek()?) {
            ("items", b'[') => {
                // What isn't known to be no list may be one: its kind can stand behind the items.
                let listed = types.kind.is_empty() || types.kind.ends_with("List");
                if listed {
                    return Ok(Head::List { bracket: tokens.offset, item: types.item() });
                }
                tokens.value::<IgnoredAny>()?;
            }
            ("kind", b'"') => types.kind = tokens.value()?,
            ("apiVersion", b'"') => types.api_version = tokens.value()?,
            _ => {
                tokens.value::<IgnoredAny>()?;
            }
        }
    }
}

/// Tells whether the first item of a list names its kind, or there is none.
fn first_keys(text: &[u8]) -> Result<bool, TokenError> {
    #[derive(serde::Deserialize)]
    struct Named {
        kind: Option<IgnoredAny>,
    }
    let mut tokens = Tokens { text, offset: 1 };
    Ok(tokens.peek()? == b']' || tokens.value::<Named>()?.kind.is_some())
}

/// What walking over items found.
enum Walk {
    /// The end of the last whole item, how many there are, and where the list's closing bracket stands.
    Closed { end: usize, items: usize, bracket: usize },
    /// The end of the last whole item, 0 when there is none, how many there are, and the text from the first item to the
    /// second's first key.
    Open { end: usize, items: usize, border: Option<Vec<u8>> },
}

/// Where a walk over items could not go on: behind the end of so many whole items.
struct Stuck {
    end: usize,
    items: usize,
    error: TokenError,
}

/// Walks over items, from the byte before the first one.
fn walk_items(text: &[u8]) -> Result<Walk, Stuck> {
    let mut tokens = Tokens { text, offset: 1 };
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

/// Where in an array its items stand, whatever is in their strings.
pub(super) fn items(text: &[u8]) -> Result<Vec<Range<usize>>, TokenError> {
    let mut tokens = Tokens { text, offset: 1 };
    let mut items = Vec::new();
    while tokens.peek()? != b']' {
        if !items.is_empty() {
            tokens.expect(b',')?;
            tokens.peek()?;
        }
        let start = tokens.offset;
        tokens.value::<IgnoredAny>()?;
        items.push(start..tokens.offset);
    }
    Ok(items)
}

/// The text from the closing brace of an item that ends at `end` to the first key of the next one.
fn border_at(text: &[u8], end: usize) -> Option<Vec<u8>> {
    let mut tokens = Tokens { text, offset: end };
    tokens.expect(b',').ok()?;
    tokens.expect(b'{').ok()?;
    tokens.value::<String>().ok()?;
    tokens.expect(b':').ok()?;
    Some(text[end - 1..tokens.offset].to_vec())
}

/// Passes over the fields behind a list's items; the offset behind the document.
fn tail(text: &[u8]) -> Result<usize, TokenError> {
    let mut tokens = Tokens { text, offset: 0 };
    while tokens.peek()? != b'}' {
        tokens.expect(b',')?;
        tokens.value::<String>()?;
        tokens.expect(b':')?;
        tokens.value::<IgnoredAny>()?;
    }
    Ok(tokens.offset + 1)
}
