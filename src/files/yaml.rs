//! Cuts YAML streams at the separators between documents, and large lists at the borders between their items.

use super::blocks::{BLOCK, Text, Window, lines};
use super::piece::{CutError, Form, MAX_LISTS, Piece, Pieces};
use super::yaml_flow;
use super::yaml_list::{self, Head, Style, Walk};
use crate::yaml::{Document, chunks};

/// The bytes of a list that are parsed at once. The tree of the items takes several times as much memory.
const ITEMS: usize = BLOCK / 4;

/// The part of a source that has been cut.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Before {
    pub(super) lines: usize,
    pub(super) documents: usize,
}

/// Cuts a YAML stream into pieces of whole documents or whole items. Returns the number of documents in the source.
pub(super) fn cut(
    window: &mut Window<'_>,
    before: Before,
    pieces: &mut impl Pieces,
) -> Result<usize, CutError> {
    let Before { lines, documents } = before;
    let mut cutter = Cutter { window, pieces, lines, documents };
    while cutter.fill()? {
        match cutter.border()? {
            Border::Separator(end) => cutter.documents(end),
            Border::List(head) => cutter.list(&head)?,
        }
    }
    Ok(cutter.documents)
}

/// The next place at which the window can be cut.
enum Border {
    /// The start of a document, or the end of the stream.
    Separator(usize),
    /// The first item of a list that is larger than the window.
    List(Head),
}

/// The text above the items of a list.
struct Above {
    text: Vec<u8>,
    /// The lines of the source before it.
    lines_before: usize,
    /// Its lines that are complete.
    lines: usize,
    /// The style of the items below it.
    style: Style,
}

struct Cutter<'c, 'r, P> {
    window: &'c mut Window<'r>,
    pieces: &'c mut P,
    /// Lines before the window.
    lines: usize,
    /// Documents before the window.
    documents: usize,
}

impl<P: Pieces> Cutter<'_, '_, P> {
    /// Fills the window. Returns false at the end of the stream.
    fn fill(&mut self) -> Result<bool, CutError> {
        self.window.fill(BLOCK)?;
        Ok(!self.window.bytes().is_empty())
    }

    fn border(&mut self) -> Result<Border, CutError> {
        loop {
            let text = self.window.bytes();
            if self.window.ended() {
                return Ok(Border::Separator(text.len()));
            }
            if let Some(newline) = memchr::memmem::rfind(text, b"\n---") {
                return Ok(Border::Separator(newline + 1));
            }
            if let Some(head) = yaml_list::head(text).or_else(|| yaml_flow::head(text)) {
                return Ok(Border::List(head));
            }
            self.window.grow()?;
        }
    }

    /// Emits the documents before an offset.
    fn documents(&mut self, end: usize) {
        let documents = chunks(&self.window.bytes()[..end], self.lines == 0).count();
        self.emit(end, Form::Yaml, Vec::new());
        self.documents += documents;
    }

    /// Emits the items of a list block by block, and then the text around them.
    fn list(&mut self, head: &Head) -> Result<(), CutError> {
        let around = self.head(head);
        self.items(head, &[])?;
        let end = self.end_of_document()?;
        self.around(around, end, Vec::new());
        self.documents += 1;
        Ok(())
    }

    /// Takes the text above the items of a list.
    fn head(&mut self, head: &Head) -> Above {
        let mut text = self.window.bytes()[..head.end].to_vec();
        if head.style == Style::Flow {
            // The first piece of items needs a bracket, too.
            text.push(b'[');
        }
        let above = Above { lines_before: self.lines, lines: lines(&text), text, style: head.style };
        self.lines += above.lines;
        self.window.skip(head.end);
        above
    }

    /// Emits the text above the items of a list together with the text below, which ends at an offset.
    fn around(&mut self, above: Above, end: usize, path: Vec<usize>) {
        let Above { text: mut around, lines_before, lines: mut above, style } = above;
        let between = self.lines - lines_before - above;
        // The line with the bracket is above the items.
        above += usize::from(style == Style::Flow);
        around.extend_from_slice(&self.window.bytes()[..end]);
        let mut text = self.window.take(end, self.pieces.spare());
        self.lines += lines(text.as_bytes());
        (text.bytes, text.start) = (around, 0);
        let form = Form::YamlAround { above, between };
        self.pieces.push(Piece { text, form, lines_before, documents_before: self.documents, path });
    }

    /// Emits the items of a list block by block. `outer` has the numbers of the lists around it.
    fn items(&mut self, head: &Head, outer: &[usize]) -> Result<(), CutError> {
        let mut items = 0;
        loop {
            self.window.fill(ITEMS)?;
            let (text, ended) = (self.window.bytes(), self.window.ended());
            let (walk, end, count) = match head.style {
                Style::Flow => {
                    let walk = yaml_flow::walk(text, ended);
                    (walk.end, walk.end.unwrap_or(walk.last), walk.items)
                }
                Style::Block { dash } => match yaml_list::walk(text, dash, ended) {
                    Walk { items, end: Some(end), .. } => (Some(end), end, items),
                    Walk { items, last, .. } => (None, last, items - usize::from(items > 0)),
                },
            };
            if count > 0 || (end > 0 && head.style != Style::Flow) {
                let text = self.window.take(end, self.pieces.spare());
                self.emit_items(text, head, [outer, &[items]].concat());
                items += count;
            } else if walk.is_some() {
                // The bracket of an empty list, or the comma behind the last item.
                self.window.skip(end);
            }
            if walk.is_some() {
                return Ok(());
            }
            if end == 0 {
                if self.inner_list(head.style, [outer, &[items]].concat())? {
                    items += 1;
                } else {
                    self.window.grow()?;
                }
            }
        }
    }

    /// Emits items. In flow style, brackets are put around them.
    fn emit_items(&mut self, mut text: Text, head: &Head, path: Vec<usize>) {
        if head.style == Style::Flow {
            let start = text.start;
            text.bytes[start] = b'[';
            text.bytes.push(b']');
        }
        self.push(text, Form::YamlItems(head.item.clone()), path);
    }

    /// Emits the items of the next item if that is a list itself. Returns false if it is no list.
    fn inner_list(&mut self, style: Style, path: Vec<usize>) -> Result<bool, CutError> {
        let Style::Block { dash } = style else { return Ok(false) };
        if path.len() >= MAX_LISTS {
            return Ok(false);
        }
        let Some(head) = yaml_list::inner_head(self.window.bytes(), dash) else { return Ok(false) };
        let mut around = self.head(&head);
        yaml_list::blank_dash(&mut around.text);
        self.items(&head, &path)?;
        let end = loop {
            match yaml_list::end_of_item(self.window.bytes(), dash, self.window.ended()) {
                Some(end) => break end,
                None => self.window.grow()?,
            }
        };
        self.around(around, end, path);
        Ok(true)
    }

    /// Reads until the window holds the rest of a document, and returns its length.
    fn end_of_document(&mut self) -> Result<usize, CutError> {
        loop {
            let text = self.window.bytes();
            if text.starts_with(b"---") {
                return Ok(0);
            }
            if let Some(newline) = memchr::memmem::find(text, b"\n---") {
                return Ok(newline + 1);
            }
            if self.window.ended() {
                return Ok(text.len());
            }
            self.window.grow()?;
        }
    }

    fn emit(&mut self, end: usize, form: Form, path: Vec<usize>) {
        let text = self.window.take(end, self.pieces.spare());
        self.push(text, form, path);
    }

    fn push(&mut self, text: Text, form: Form, path: Vec<usize>) {
        let count = lines(text.as_bytes());
        let (lines_before, documents_before) = (self.lines, self.documents);
        self.pieces.push(Piece { text, form, lines_before, documents_before, path });
        self.lines += count;
    }
}

/// Returns true if a text begins with a marker.
pub(super) fn is_marker(line: &[u8], marker: &[u8]) -> bool {
    line.strip_prefix(marker).is_some_and(|rest| rest.first().is_none_or(u8::is_ascii_whitespace))
}

/// Returns true if the first document of a text is valid YAML.
pub(super) fn is_valid(text: &[u8]) -> bool {
    let first = chunks(text, true).next();
    first.and_then(|chunk| chunk.text().ok()).is_some_and(|text| Document::parse(&text).is_ok())
}
