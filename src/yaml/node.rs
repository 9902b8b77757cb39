//! Access to single nodes of a document.

use super::aliases;
use super::scalar::{self, Value};
use super::tree::{Content, Node};

impl<'d> Node<'d, '_> {
    /// Returns the value of a mapping's key.
    pub fn get(self, key: &str) -> Option<Self> {
        let node = self.resolved();
        let entries = aliases::entries(node)?;
        let (_, value) =
            entries.into_iter().find(|(index, _)| node.document.key(*index).is_some_and(|k| k == key))?;
        Some(node.child(value))
    }

    /// Returns the items of a sequence.
    pub fn items(self) -> Option<impl Iterator<Item = Self>> {
        let node = self.resolved();
        match *node.document.content(node.index) {
            Content::Sequence { end } => Some(node.children(end)),
            _ => None,
        }
    }

    /// Returns the text; `None` unless the node is a string.
    pub fn text(self) -> Option<&'d str> {
        match node_content(self.resolved()) {
            Content::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Returns true if the node is null.
    pub fn is_null(self) -> bool {
        match node_content(self.resolved()) {
            Content::Typed(text, tag) => matches!(scalar::resolve(*tag, text), Ok(Value::Null)),
            _ => false,
        }
    }

    /// Returns the line of the document, from 1, on which the node begins.
    pub fn line(self) -> usize {
        self.document.place(self.index).0
    }
}

fn node_content<'d, 't>(node: Node<'d, 't>) -> &'d Content<'t> {
    node.document.content(node.index)
}
