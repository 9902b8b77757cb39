//! A stretch of input that holds whole objects, and can be parsed on any thread.

use std::io;

use super::blocks::Text;
use crate::workload::TypeMeta;

/// A stretch of input that holds whole objects.
#[derive(Debug)]
pub(super) struct Piece {
    /// The text.
    pub(super) text: Text,
    /// How the text is to be read.
    pub(super) form: Form,
    /// Lines of the source before this piece; counted only by precise cutters.
    pub(super) lines_before: usize,
    /// Documents of the source before this piece; counted only by precise cutters.
    pub(super) documents_before: usize,
    /// Items of the document before this piece; counted only by precise cutters of JSON.
    pub(super) items_before: usize,
}

/// How a piece is to be read.
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
    /// One JSON document.
    Json,
    /// A JSON array of items of a list; the items' type, where they need not name their own.
    JsonItems(Option<TypeMeta>),
}

/// Why a source can't be cut any further.
#[derive(Debug, thiserror::Error)]
pub(super) enum CutError {
    /// The source can't be read.
    #[error("can't be read: {0}")]
    Read(#[from] io::Error),
    /// The source breaks the rules of its format.
    #[error("{message}")]
    Syntax {
        /// What is wrong.
        message: String,
        /// The document, from 1.
        document: usize,
        /// The line in the source, from 1.
        line: usize,
    },
}

/// Where pieces go, and where buffers come back from.
pub(super) trait Pieces {
    /// Passes a piece on.
    fn push(&mut self, piece: Piece);
    /// A buffer to read into.
    fn spare(&mut self) -> Vec<u8>;
}
