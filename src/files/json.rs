//! Cuts JSON streams at the borders between documents, and between the items of large lists.

use memchr::memmem;

use super::blocks::{BLOCK, Text, Window, lines};
use super::fault::{in_item, repeated_key, without_place};
use super::json_repeats::repeated_keys;
use super::json_tokens::{
    Head, Stuck, Tail, TokenError, Tokens, Walk, first_item_is_typed, head, last_border, tail, walk_items,
    whole,
};
use super::piece::{Borders, CutError, Form, MAX_LISTS, Piece, Pieces};
use super::yaml::{self, Before};
use crate::workload::TypeMeta;
use crate::yaml::Repeated;

/// Cuts a JSON stream into pieces of whole documents or whole items, and returns the number of its documents. The
/// number is exact with exact borders only.
///
/// Markers may stand between documents, as in YAML. If the second document is not JSON, or one after a marker, it and
/// everything after it are cut as YAML. Lines are counted with exact borders if `count_lines` is set.
///
/// Repeated keys of a source of at most one block, and those beside the items of a larger list, are searched for here.
/// Those of other objects are found where the objects are read.
pub(super) fn cut(
    window: &mut Window<'_>,
    borders: Borders,
    count_lines: bool,
    pieces: &mut impl Pieces,
) -> Result<usize, CutError> {
    window.fill(BLOCK)?;
    let repeats = window.ended() && !repeated_keys(window.bytes()).is_empty();
    let count_lines = count_lines || repeats || borders == Borders::Exact;
    let mut cutter = Cutter {
        window,
        borders,
        count_lines,
        repeats,
        pieces,
        lines: 0,
        documents: 0,
        items: 0,
        outer: Vec::new(),
    };
    while cutter.skip_space()? {
        match cutter.marker()? {
            Some(Marker::End) => cutter.skip(3),
            Some(Marker::Json) => {
                cutter.skip(3);
                cutter.skip_space()?;
            }
            Some(Marker::Yaml) => return cutter.rest_as_yaml(),
            // kubectl skips a null, too.
            None if cutter.window.bytes().starts_with(b"null") => cutter.skip(4),
            None if cutter.becomes_yaml()? => return cutter.rest_as_yaml(),
            None if !repeats && cutter.documents()? => {}
            None => {
                cutter.document()?;
                cutter.documents += 1;
            }
        }
    }
    Ok(cutter.documents)
}

/// Distinguishes JSON from YAML, in which a document can also begin with a brace. A marker may come first.
pub(super) fn is_json(window: &Window<'_>) -> bool {
    let text = window.bytes();
    let text = if yaml::is_marker(text, b"---") { &text[3..] } else { text };
    let mut significant = text.iter().filter(|byte| !byte.is_ascii_whitespace());
    let begins = match significant.next() {
        Some(b'{') => matches!(significant.next(), Some(b'"' | b'}')),
        first => first == Some(&b'['),
    };
    // Invalid JSON can be valid YAML, for example with a trailing comma. Only a small source is checked for that.
    begins && !(window.ended() && whole(text).is_err() && yaml::is_valid(text))
}

/// A separator of documents.
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
    count_lines: bool,
    /// True if keys are repeated in the source.
    repeats: bool,
    pieces: &'c mut P,
    /// Lines before the window.
    lines: usize,
    /// Documents before the window.
    documents: usize,
    /// Items of the list before the window.
    items: usize,
    /// The numbers of the lists in lists around that list.
    outer: Vec<usize>,
}

impl<P: Pieces> Cutter<'_, '_, P> {
    /// Returns the marker with which the window begins.
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

    /// Returns true if YAML follows the only JSON document so far without a marker. After two JSON documents, kubectl
    /// reads no YAML. The number of documents is known with exact borders only.
    fn becomes_yaml(&mut self) -> Result<bool, CutError> {
        if self.borders == Borders::Guessed || self.documents != 1 {
            return Ok(false);
        }
        self.window.fill(BLOCK)?;
        Ok(!is_json(self.window))
    }

    fn rest_as_yaml(self) -> Result<usize, CutError> {
        let before = Before { lines: self.lines, documents: self.documents };
        yaml::cut(self.window, before, self.pieces)
    }

    /// Cuts as many whole documents as the window holds in one piece. Returns false if it holds none.
    fn documents(&mut self) -> Result<bool, CutError> {
        self.window.fill(BLOCK)?;
        let text = self.window.bytes();
        // A marker can't stand within a JSON string, which holds no line break.
        let markers = [b"\n---", b"\n..."].map(|marker| memmem::find(text, marker));
        let text = &text[..markers.into_iter().flatten().min().unwrap_or(text.len())];
        let (end, documents) = match self.borders {
            Borders::Guessed => (last_border(text).unwrap_or(0), 1),
            Borders::Exact => walk_documents(text),
        };
        if end > 0 {
            self.emit(end, Form::Json);
            self.documents += documents;
        }
        Ok(end > 0)
    }

    /// Cuts one document, which may be larger than the window.
    fn document(&mut self) -> Result<(), CutError> {
        if self.repeats {
            let end = self.whole()?;
            self.emit(end, Form::JsonRepeats);
            return Ok(());
        }
        loop {
            match head(self.window.bytes()) {
                Ok(Head::List { bracket, types }) => return self.list(bracket, types),
                Ok(Head::Whole { end }) => {
                    self.emit(end, Form::Json);
                    return Ok(());
                }
                Err(error) if error.is_eof() && !self.window.ended() => self.window.grow()?,
                Err(error) => return Err(self.syntax(&error)),
            }
        }
    }

    /// Cuts a list whose items begin at a bracket, or an object that looks like a list so far.
    fn list(&mut self, bracket: usize, mut types: TypeMeta) -> Result<(), CutError> {
        let item = if types.kind.is_empty() && !self.first_item_is_typed(bracket)? {
            if let Ok(end) = whole(self.window.bytes()) {
                self.emit(end, Form::Json);
                return Ok(());
            }
            self.read_type_behind(bracket, &mut types)?;
            let Some(item) = types.item() else {
                let end = self.whole()?;
                self.emit(end, Form::Json);
                return Ok(());
            };
            Some(item)
        } else {
            types.item()
        };
        let mut beside = Beside::default();
        beside.add(&self.window.bytes()[..=bracket], self.lines);
        self.skip(bracket);
        if self.borders == Borders::Exact {
            self.pieces.begin_list();
        }
        self.items(item)?;
        self.tail(&mut types, Some(&mut beside))?;
        self.pieces.end_list();
        for (line, key) in beside.repeated() {
            if !self.count_lines {
                // The second reading counts lines.
                return Err(self.error("keys are repeated"));
            }
            self.pieces.note(line, &repeated_key(&key));
        }
        Ok(())
    }

    /// Returns true if the items can be read before the list's type is known.
    fn first_item_is_typed(&mut self, bracket: usize) -> Result<bool, CutError> {
        loop {
            match first_item_is_typed(&self.window.bytes()[bracket..]) {
                Ok(typed) => return Ok(typed),
                Err(error) if error.is_eof() && !self.window.ended() => self.window.grow()?,
                // The walk over the items reports the error and its place.
                Err(_) => return Ok(true),
            }
        }
    }

    /// Reads the type of a list that comes after its items, as in the output of a tool that sorts keys.
    fn read_type_behind(&mut self, bracket: usize, types: &mut TypeMeta) -> Result<(), CutError> {
        let (lines, documents) = (self.lines, self.documents);
        self.window.look_ahead(|window| {
            let pieces = &mut Discard::default();
            let (borders, items, outer) = (Borders::Exact, 0, Vec::new());
            let (count_lines, repeats) = (true, false);
            let mut cutter =
                Cutter { window, borders, count_lines, repeats, pieces, lines, documents, items, outer };
            cutter.skip(bracket);
            cutter.items(None)?;
            cutter.tail(types, None)
        })?
    }

    /// Reads until the window holds the whole document, and returns its length.
    fn whole(&mut self) -> Result<usize, CutError> {
        loop {
            match whole(self.window.bytes()) {
                Ok(end) => return Ok(end),
                Err(error) if error.is_eof() && !self.window.ended() => self.window.grow()?,
                Err(error) => return Err(self.syntax(&error)),
            }
        }
    }

    /// Cuts the items of a list.
    ///
    /// The window begins with the bracket before the items, and later with the comma or bracket after the last item
    /// cut.
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
                Ok(Walk::Open { end: 0, .. }) if !self.window.ended() => {
                    if !self.inner_list()? {
                        self.window.grow()?;
                    }
                }
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
                    // The error's offset is relative to the start of the window, which moves next.
                    let path = [&*self.outer, &[self.items + items]].concat();
                    let error = self.syntax_in(&error, &in_item(&path, "", ""));
                    if end > 0 {
                        self.emit_items(end, items, &form)?;
                    }
                    return Err(error);
                }
            }
        }
    }

    /// Cuts the next item if it is a list itself. Returns false if it is no list, or if that is not known.
    fn inner_list(&mut self) -> Result<bool, CutError> {
        let text = self.window.bytes();
        let start = 1 + text[1..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        let Ok(Head::List { bracket, mut types }) = head(&text[start..]) else { return Ok(false) };
        let is_list = match &*types.kind {
            "" => matches!(first_item_is_typed(&text[start + bracket..]), Ok(true)),
            kind => kind == "List" || types.item().is_some(),
        };
        if !is_list || self.outer.len() + 1 >= MAX_LISTS {
            return Ok(false);
        }
        self.skip(start + bracket);
        self.outer.push(self.items);
        self.items(types.item())?;
        self.tail(&mut types, None)?;
        self.items = self.outer.pop().unwrap_or_default() + 1;
        self.skip_space()?;
        Ok(true)
    }

    /// Skips the rest of the document after the items of a list, and adds it to what is beside the items.
    ///
    /// If there are other items, they count instead of those that were read, as with kubectl.
    fn tail(&mut self, types: &mut TypeMeta, mut beside: Option<&mut Beside>) -> Result<(), CutError> {
        let kind = types.kind.clone();
        loop {
            let (rest, lines) = (self.window.bytes(), self.lines);
            let (end, has_items) = match tail(rest, types) {
                Ok(Tail::End(end)) => (end, false),
                Ok(Tail::Items(bracket)) if self.outer.is_empty() && self.borders == Borders::Exact => {
                    (bracket + 1, true)
                }
                Ok(Tail::Items(_)) => {
                    let message =
                        "a list this large within a list can't have the key `items` twice: keep one";
                    return Err(self.error(message));
                }
                Err(error) if error.is_eof() && !self.window.ended() => {
                    self.window.grow()?;
                    continue;
                }
                Err(error) => return Err(self.syntax(&error)),
            };
            if let Some(beside) = &mut beside {
                beside.add(&rest[..end], lines);
            }
            if !has_items {
                self.skip(end);
                break;
            }
            self.skip(end - 1);
            self.pieces.begin_list();
            self.items(types.item())?;
        }
        if !kind.is_empty() && kind != types.kind {
            return Err(self.error("a list this large can't have the key `kind` twice: keep one"));
        }
        Ok(())
    }

    /// Emits items and counts them with exact borders. The byte before them becomes the bracket that opens their array.
    fn emit_items(&mut self, end: usize, items: usize, form: &Form) -> Result<(), CutError> {
        let mut text = self.window.take(end, self.pieces.spare());
        let start = text.start;
        text.bytes[start] = b'[';
        text.bytes.push(b']');
        self.push(text, form.clone());
        self.items += items;
        // The comma stays in the window and will be replaced by a bracket.
        self.skip_space()?;
        Ok(())
    }

    fn emit(&mut self, end: usize, form: Form) {
        let text = self.window.take(end, self.pieces.spare());
        self.push(text, form);
    }

    fn push(&mut self, text: Text, form: Form) {
        let lines_before = if self.count_lines { self.lines } else { 0 };
        if self.count_lines {
            self.lines += lines(text.as_bytes());
        }
        let path = match form {
            Form::JsonItems(_) => [&*self.outer, &[self.items]].concat(),
            _ => Vec::new(),
        };
        self.pieces.push(Piece { text, form, lines_before, documents_before: self.documents, path });
    }

    fn skip(&mut self, count: usize) {
        self.lines += lines(&self.window.bytes()[..count]);
        self.window.skip(count);
    }

    /// Skips white space. Returns false at the end of the stream.
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

/// Walks over the whole objects at the start of a text. Returns the end of the last one and their number.
fn walk_documents(text: &[u8]) -> (usize, usize) {
    let mut tokens = Tokens::at(text, 0);
    let (mut end, mut documents) = (0, 0);
    while matches!(tokens.peek(), Ok(b'{')) && tokens.value::<serde::de::IgnoredAny>().is_ok() {
        end = tokens.offset;
        documents += 1;
    }
    (end, documents)
}

/// The text of a list beside its items: above, between and below them.
#[derive(Default)]
struct Beside {
    text: Vec<u8>,
    /// The line in the text at which each part begins, and that in the source, both from 0.
    parts: Vec<(usize, usize)>,
}

impl Beside {
    /// Adds a part that begins on a line of the source. All but the last one end with the bracket before items.
    fn add(&mut self, part: &[u8], line: usize) {
        if !self.text.is_empty() {
            self.text.extend_from_slice(b"\n]");
        }
        self.parts.push((lines(&self.text), line));
        self.text.extend_from_slice(part);
    }

    /// Returns the repeated keys with their lines in the source, from 1.
    fn repeated(&self) -> impl Iterator<Item = (usize, String)> {
        repeated_keys(&self.text).into_iter().map(move |Repeated { key, line }| {
            let after = self.parts.partition_point(|(start, _)| *start < line);
            let (start, source) = self.parts.get(after.saturating_sub(1)).copied().unwrap_or_default();
            (source + line - start, key)
        })
    }
}

/// Discards pieces.
#[derive(Default)]
struct Discard {
    buffer: Vec<u8>,
}

impl Pieces for Discard {
    fn push(&mut self, piece: Piece) {
        self.buffer = piece.text.bytes;
    }

    fn spare(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.buffer)
    }

    fn begin_list(&mut self) {}

    fn end_list(&mut self) {}

    fn note(&mut self, _: usize, _: &str) {}
}
