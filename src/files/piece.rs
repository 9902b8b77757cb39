//! A part of the input that holds whole objects and can be parsed on any thread.

use std::io;

use super::blocks::Text;
use crate::workload::TypeMeta;

/// The deepest nesting of lists in lists that is read.
pub(super) const MAX_LISTS: usize = 32;

/// A part of the input that holds whole objects.
#[derive(Debug)]
pub(super) struct Piece {
    /// The text.
    pub(super) text: Text,
    /// The format of the text.
    pub(super) form: Form,
    /// Lines of the source before this piece; 0 if lines are not counted.
    pub(super) lines_before: usize,
    /// Documents of the source before this piece; exact only with exact borders.
    pub(super) documents_before: usize,
    /// The place of the first item: its number in the list, after that of the list around it, and so on. Counted only
    /// with exact borders; empty for whole documents.
    pub(super) path: Vec<usize>,
}

/// The format of a piece.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Form {
    /// Whole YAML documents.
    Yaml,
    /// The items of a YAML list; their type, where they need not name their own.
    YamlItems(Option<TypeMeta>),
    /// The lines above and below the items of a YAML list.
    YamlAround {
        /// The number of lines above.
        above: usize,
        /// The number of lines of the items.
        between: usize,
    },
    /// Whole JSON documents.
    Json,
    /// One JSON document of a source in which keys are repeated.
    JsonRepeats,
    /// A JSON array with items of a list, and the type for items that name none.
    JsonItems(Option<TypeMeta>),
}

/// The way to find the borders between the items of a list, or between JSON documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Borders {
    /// Walk over every item.
    Exact,
    /// Search for the text of the first border between two items.
    ///
    /// The guess is right for lists that a program wrote. A wrong one yields a piece that doesn't parse. JSON strings
    /// can't hold that text, because its quotes would be escaped.
    Guessed,
}

/// An error that ends the cutting of a source.
#[derive(Debug, thiserror::Error)]
pub(super) enum CutError {
    /// The source can't be read.
    #[error("can't be read: {0}")]
    Read(#[from] io::Error),
    /// The source has a syntax error.
    #[error("{message}")]
    Syntax {
        /// The problem.
        message: String,
        /// The document, from 1.
        document: usize,
        /// The line in the source, from 1.
        line: usize,
    },
}

/// Takes pieces and returns buffers for reuse.
pub(super) trait Pieces {
    /// Passes a piece on.
    fn push(&mut self, piece: Piece);
    /// Returns a buffer to read into.
    fn spare(&mut self) -> Vec<u8>;
    /// Takes the following pieces for the items of a list. They count instead of those of a list that has not ended.
    fn begin_list(&mut self);
    /// Ends the list.
    fn end_list(&mut self);
    /// Takes a note about a line, from 1.
    fn note(&mut self, line: usize, message: &str);
}
