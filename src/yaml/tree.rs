//! A document as a tree of nodes in the order of the text.

use std::borrow::Cow;

use super::Error;
use super::scalar::{self, Tag, Value};

/// The deepest allowed nesting of a document, as in `go.yaml.in/yaml/v2`.
pub(super) const MAX_DEPTH: usize = 10_000;

/// The deepest nesting of a value that is read, after its aliases are resolved. Each level takes some of the stack.
pub(super) const MAX_READ_DEPTH: usize = 250;

/// One YAML document.
#[derive(Debug)]
pub struct Document<'t> {
    pub(super) nodes: Vec<Content<'t>>,
    pub(super) places: Vec<Place>,
    pub(super) repeated: Vec<Repeated>,
}

/// A key that a mapping holds more than once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repeated {
    /// The key.
    pub key: String,
    /// The line of the document on which the key is repeated, from 1.
    pub line: usize,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) line: u32,
    pub(super) column: u32,
}

/// A node. The content of a collection follows it.
#[derive(Debug)]
pub(super) enum Content<'t> {
    Text(Cow<'t, str>),
    /// A scalar that is not simply a string.
    Typed(Cow<'t, str>, Tag),
    /// A merge key.
    Merge,
    Alias(usize),
    Sequence {
        end: usize,
    },
    Mapping {
        end: usize,
        /// True if there are neither merge keys nor repeated keys.
        plain: bool,
    },
}

/// A node of a document, in which aliases are resolved.
#[derive(Debug, Clone, Copy)]
pub struct Node<'d, 't> {
    pub(super) document: &'d Document<'t>,
    pub(super) index: usize,
    /// The number of collections around the node, including those on the path through aliases.
    pub(super) depth: usize,
}

impl<'t> Document<'t> {
    /// Returns the root.
    pub fn root(&self) -> Node<'_, 't> {
        Node { document: self, index: 0, depth: 0 }
    }

    /// Returns the repeated keys, in the order in which their mappings end.
    pub fn repeated(&self) -> &[Repeated] {
        &self.repeated
    }

    pub(super) fn content(&self, index: usize) -> &Content<'t> {
        &self.nodes[index]
    }

    /// Returns the index of the node after a node and its content.
    pub(super) fn next(&self, index: usize) -> usize {
        match self.nodes[index] {
            Content::Sequence { end } | Content::Mapping { end, .. } => end,
            _ => index + 1,
        }
    }

    /// Returns the line and column of a node, from 1.
    pub(super) fn place(&self, index: usize) -> (usize, usize) {
        let Place { line, column } = self.places[index];
        (line as usize, column as usize)
    }

    pub(super) fn error(&self, index: usize, message: impl Into<String>) -> Error {
        let (line, column) = self.place(index);
        Error::new(message, line, column)
    }

    /// Returns a key as in JSON; `None` if it can't be a key.
    pub(super) fn key(&self, index: usize) -> Option<Cow<'_, str>> {
        match &self.nodes[index] {
            Content::Text(text) => Some(Cow::Borrowed(text)),
            Content::Typed(text, tag) => match scalar::resolve(*tag, text).ok()? {
                Value::Bool(flag) => Some(Cow::Owned(flag.to_string())),
                Value::Integer(number) => Some(Cow::Owned(number.to_string())),
                Value::Float(number) => Some(Cow::Owned(super::number::key(number))),
                Value::Text => Some(Cow::Borrowed(text)),
                Value::Null | Value::Unsigned(_) => None,
            },
            Content::Alias(target) => match self.nodes[*target] {
                Content::Merge => Some(Cow::Borrowed("<<")),
                _ => self.key(*target),
            },
            Content::Merge | Content::Sequence { .. } | Content::Mapping { .. } => None,
        }
    }
}

impl Node<'_, '_> {
    /// Follows an alias to its node.
    pub(super) fn resolved(self) -> Self {
        match *self.document.content(self.index) {
            Content::Alias(target) => Self { index: target, ..self },
            _ => self,
        }
    }

    pub(super) fn child(self, index: usize) -> Self {
        Self { index, depth: self.depth + 1, ..self }
    }

    pub(super) fn children(self, end: usize) -> impl Iterator<Item = Self> {
        let mut next = self.index + 1;
        std::iter::from_fn(move || {
            let index = next;
            (index < end).then(|| {
                next = self.document.next(index);
                self.child(index)
            })
        })
    }
}
