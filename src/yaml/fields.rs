//! Access to the fields of a mapping, with the lines of their keys.

use std::borrow::Cow;

use super::aliases;
use super::tree::Node;

impl<'d> Node<'d, '_> {
    /// Returns the line of a mapping's key, from 1, and its value. A merged key has the line on which it is written.
    pub fn field(self, key: &str) -> Option<(usize, Self)> {
        self.fields()?.find(|(name, ..)| name == key).map(|(_, line, value)| (line, value))
    }

    /// Returns the keys of a mapping with their lines and values; `None` for any other node.
    pub fn fields(self) -> Option<impl Iterator<Item = (Cow<'d, str>, usize, Self)>> {
        let node = self.resolved();
        let entries = aliases::entries(node)?;
        Some(entries.into_iter().filter_map(move |(key, value)| {
            let (line, _) = node.document.place(key);
            Some((node.document.key(key)?, line, node.child(value)))
        }))
    }
}
