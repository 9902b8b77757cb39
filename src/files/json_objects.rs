//! Reads the objects of JSON documents and the items of lists one by one. An invalid object doesn't affect the others.

use std::borrow::Cow;

use serde::Deserialize as _;
use serde::de::{DeserializeSeed, IgnoredAny};
use serde_json::Value;

use super::blocks::lines;
use super::fault::{self, Fault};
use super::json_repeats::{has_repeated_keys, repeated_keys};
use super::json_tokens::{Head, TokenError, Tokens, head, whole};
use super::piece::MAX_LISTS;
use crate::workload::{Object, ObjectSeed, Parsed, TypeMeta};
use crate::yaml::Repeated;

/// An object or its fault, with its place in the text.
pub(super) struct Read<'i, 't> {
    /// The lines of the text before the object; 0 if lines are not counted.
    pub(super) lines_before: usize,
    /// The document of the text, from 1.
    pub(super) document: usize,
    /// The item's number in each of the lists around it, from the outside; empty outside of lists.
    pub(super) path: &'i [usize],
    /// The object. A fault counts lines from the first line of the object.
    pub(super) object: Result<Object<'t>, Fault>,
    /// True if the object is an array, such as a JSON patch.
    pub(super) is_array: bool,
    /// The text in which the lines of the object's fields are found; empty without an object.
    pub(super) text: &'t str,
    /// The path of the object in the text, with a dot behind it, if keys are repeated there.
    pub(super) within: Option<String>,
    /// The repeated keys of the object, as far as they were searched for; lines count from its first line.
    pub(super) repeated: Vec<Repeated>,
}

/// Returns the text of a piece. Like kubectl, this replaces bytes that are not UTF-8.
pub(super) fn text_of(bytes: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

/// Reads whole documents and the items of lists among them. Stops at a syntax error.
pub(super) fn documents<'t>(text: &'t str, count_lines: bool, each: &mut dyn FnMut(Read<'_, 't>)) {
    let mut reader = Reader::new(text, count_lines, each);
    // Documents are counted as they begin.
    reader.document = 0;
    let mut tokens = Tokens::at(text.as_bytes(), 0);
    while tokens.space() {
        if text[tokens.offset..].starts_with("null") {
            tokens.offset += 4;
            continue;
        }
        reader.document += 1;
        match reader.object(tokens.offset, None) {
            Some(end) => tokens.offset = end,
            None => return,
        }
    }
}

/// Reads the items of an array at the end of the text, the first of which is at `path`. Items without a type get the
/// default one. Stops at a syntax error.
pub(super) fn items<'t>(
    text: &'t str,
    default: Option<&TypeMeta>,
    path: &[usize],
    count_lines: bool,
    each: &mut dyn FnMut(Read<'_, 't>),
) {
    let mut reader = Reader::new(text, count_lines, each);
    let (first, around) = path.split_last().unwrap_or((&0, &[]));
    reader.path.extend_from_slice(around);
    let Some(end) = reader.items(0, default, *first) else { return };
    if !text[end..].trim_ascii_start().is_empty() {
        // The guessed border before the end was wrong.
        let message = "expected the end of the list".to_owned();
        reader.emit(end, Err(Fault { line: 1, name: String::new(), message }));
    }
}

/// Reads one document in which keys are repeated.
pub(super) fn with_repeats<'t>(text: &'t str, each: &mut dyn FnMut(Read<'_, 't>)) {
    let mut reader = Reader::new(text, true, each);
    match serde_json::from_str::<Value>(text) {
        Ok(value) => reader.value((0, text), "", value, None),
        Err(error) => reader.emit(0, Err(fault_of(&error))),
    }
}

struct Reader<'e, 't> {
    text: &'t str,
    count_lines: bool,
    /// The offset up to which lines are counted.
    counted: usize,
    lines: usize,
    document: usize,
    /// The number of the next object in each of the lists around it.
    path: Vec<usize>,
    /// The repeated keys of the next object.
    repeated: Vec<Repeated>,
    each: &'e mut dyn FnMut(Read<'_, 't>),
}

impl<'e, 't> Reader<'e, 't> {
    fn new(text: &'t str, count_lines: bool, each: &'e mut dyn FnMut(Read<'_, 't>)) -> Self {
        Self {
            text,
            count_lines,
            counted: 0,
            lines: 0,
            document: 1,
            path: Vec::new(),
            repeated: Vec::new(),
            each,
        }
    }

    /// Reads the items of an array that begins at an offset; `first` is the number of the first one. Returns the offset
    /// of the array's end, if it has one.
    fn items(&mut self, bracket: usize, default: Option<&TypeMeta>, first: usize) -> Option<usize> {
        self.path.push(first);
        let end = self.each_item(bracket, default);
        self.path.pop();
        end
    }

    fn each_item(&mut self, bracket: usize, default: Option<&TypeMeta>) -> Option<usize> {
        let mut tokens = Tokens::at(self.text.as_bytes(), bracket + 1);
        let mut is_first = true;
        loop {
            let next = |tokens: &mut Tokens<'_>| -> Result<bool, TokenError> {
                if tokens.peek()? == b']' {
                    return Ok(false);
                }
                if !is_first {
                    tokens.expect(b',')?;
                    tokens.peek()?;
                }
                Ok(true)
            };
            match next(&mut tokens) {
                Ok(false) => return Some(tokens.offset + 1),
                Ok(true) => {}
                Err(TokenError { error, offset }) => {
                    self.emit(offset, Err(fault_of(&error)));
                    return None;
                }
            }
            tokens.offset = self.object(tokens.offset, default)?;
            is_first = false;
            if let Some(number) = self.path.last_mut() {
                *number += 1;
            }
        }
    }

    /// Reads the object at an offset, or the items of a list one by one. Returns the offset of its end, if it has one.
    fn object(&mut self, start: usize, default: Option<&TypeMeta>) -> Option<usize> {
        let text = &self.text[start..];
        match object(text, ObjectSeed { default, known: None }) {
            Ok((object, length)) => {
                let end = start + length;
                // The bracket is only looked for in lists, because the search walks over the whole text.
                if let Parsed::List(items) = &object.parsed
                    && !items.is_empty()
                    && let Some(bracket) = bracket(&text[..length])
                {
                    self.items(start + bracket, object.types.item().as_ref(), 0);
                } else if !is_stored(&object, &text[..length])
                    && has_repeated_keys(&text.as_bytes()[..length])
                    && let Ok(value) = serde_json::from_str(&text[..length])
                {
                    self.repeats(start, &text[..length], value, default);
                } else {
                    self.emit_text(start, Ok(object), &text[..length], None);
                }
                Some(end)
            }
            Err(error) => {
                let Ok(length) = whole(text.as_bytes()) else {
                    self.emit(start, Err(fault_of(&error)));
                    return None;
                };
                let (text, end) = (&text[..length], start + length);
                if fault::without_place(&error).starts_with("duplicate field")
                    && let Ok(value) = serde_json::from_str(text)
                {
                    self.repeats(start, text, value, default);
                    return Some(end);
                }
                match broken_list(text).filter(|_| self.path.len() < MAX_LISTS) {
                    Some((bracket, default)) => {
                        self.items(start + bracket, default.as_ref(), 0);
                    }
                    None => self.emit(start, Err(fault::json(text, default, error))),
                }
                Some(end)
            }
        }
    }

    /// Reads an object, or the items of a list, in whose text keys are repeated.
    fn repeats(&mut self, start: usize, text: &'t str, value: Value, default: Option<&TypeMeta>) {
        if self.count_lines {
            self.repeated = repeated_keys(text.as_bytes());
            self.value((start, text), "", value, default);
        } else {
            // The fault leads to a second reading with lines.
            let message = "keys are repeated".to_owned();
            self.emit(start, Err(Fault { line: 1, name: String::new(), message }));
        }
    }

    /// Reads an object, or the items of a list one by one, from the value of a text, in which the last of repeated keys
    /// counts; `within` is the path of the value in the text.
    fn value(
        &mut self,
        (start, text): (usize, &'t str),
        within: &str,
        mut value: Value,
        default: Option<&TypeMeta>,
    ) {
        let types = TypeMeta::deserialize(&value).ok();
        let types = types.as_ref().or(default);
        if let Some(types) = types.filter(|types| types.kind.ends_with("List"))
            && let Value::Array(items) = value["items"].take()
        {
            for (index, value) in items.into_iter().enumerate() {
                self.path.push(index);
                let within = format!("{within}items[{index}].");
                self.value((start, text), &within, value, types.item().as_ref());
                self.path.pop();
            }
            return;
        }
        let object = ObjectSeed { default, known: None }.deserialize(value.clone());
        let object = object.map_err(|error| {
            let fault = fault::json(&value.to_string(), default, error);
            Fault { line: 1, ..fault }
        });
        self.emit_text(start, object, text, Some(within.to_owned()));
    }

    fn emit(&mut self, start: usize, object: Result<Object<'t>, Fault>) {
        self.emit_text(start, object, "", None);
    }

    fn emit_text(
        &mut self,
        start: usize,
        object: Result<Object<'t>, Fault>,
        text: &'t str,
        within: Option<String>,
    ) {
        if self.count_lines {
            self.lines += lines(&self.text.as_bytes()[self.counted..start]);
            self.counted = start;
        }
        let is_array = self.text[start..].starts_with('[');
        let (lines_before, document) = (self.lines, self.document);
        let repeated = std::mem::take(&mut self.repeated);
        let path = &self.path;
        (self.each)(Read { lines_before, document, path, object, is_array, text, within, repeated });
    }
}

/// Returns true if an object comes from an API server, which repeats no keys: it has a uid.
fn is_stored(object: &Object<'_>, text: &str) -> bool {
    match &object.parsed {
        Parsed::Workload(workload) => workload.metadata.uid.as_deref().is_some_and(|uid| !uid.is_empty()),
        _ => memchr::memmem::find(text.as_bytes(), b"\"uid\"").is_some(),
    }
}

/// Reads the object at the start of a text. Returns it and its length.
fn object<'t>(text: &'t str, seed: ObjectSeed<'_>) -> serde_json::Result<(Object<'t>, usize)> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let object = seed.deserialize(&mut deserializer)?;
    // The deserializer's iterator knows the offset at which the object ended.
    Ok((object, deserializer.into_iter::<IgnoredAny>().byte_offset()))
}

/// Returns the offset of the bracket before a list's items.
fn bracket(list: &str) -> Option<usize> {
    match head(list.as_bytes()) {
        Ok(Head::List { bracket, .. }) => Some(bracket),
        _ => None,
    }
}

/// Returns the offset of the bracket before the items of a list that could not be read, and their type.
fn broken_list(text: &str) -> Option<(usize, Option<TypeMeta>)> {
    let types: TypeMeta = serde_json::from_str(text).ok()?;
    let is_list = types.kind == "List" || types.item().is_some();
    Some((bracket(text).filter(|_| is_list)?, types.item()))
}

fn fault_of(error: &serde_json::Error) -> Fault {
    Fault { line: error.line().max(1), name: String::new(), message: fault::without_place(error) }
}
