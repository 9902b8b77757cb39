//! Resolves aliases and merge keys, and refuses documents that would grow without bound.

use std::borrow::Cow;
use std::collections::HashSet;

use super::Error;
use super::scalar::{self, Value};
use super::tree::{Content, Document, MAX_READ_DEPTH, Node};

/// Returns the keys and values of a mapping after merges. The last one of repeated keys counts.
pub(super) fn entries(node: Node<'_, '_>) -> Option<Vec<(usize, usize)>> {
    match *node.document.content(node.index) {
        Content::Mapping { end, plain: true } => {
            let indices: Vec<usize> = node.children(end).map(|child| child.index).collect();
            Some(indices.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect())
        }
        Content::Mapping { .. } => Some(merged(node)),
        _ => None,
    }
}

/// Returns the entries of a mapping with merged or repeated keys.
pub(super) fn merged(mapping: Node<'_, '_>) -> Vec<(usize, usize)> {
    let mut all = Vec::new();
    gather(mapping, &mut all);
    let mut seen: HashSet<Cow<'_, str>> = HashSet::with_capacity(all.len());
    let mut last: Vec<_> = all
        .into_iter()
        .rev()
        .filter(|(key, _)| mapping.document.key(*key).is_none_or(|key| seen.insert(key)))
        .collect();
    last.reverse();
    last
}

/// Adds the entries of a mapping and of all that it merges, in the order in which they are set.
///
/// A merge overrides even keys that come before it, as in kubectl's decoder.
fn gather(mapping: Node<'_, '_>, all: &mut Vec<(usize, usize)>) {
    let mapping = mapping.resolved();
    let Content::Mapping { end, .. } = *mapping.document.content(mapping.index) else { return };
    let mut children = mapping.children(end);
    while let (Some(key), Some(value)) = (children.next(), children.next()) {
        if !matches!(mapping.document.content(key.index), Content::Merge) {
            all.push((key.index, value.index));
            continue;
        }
        let merged = value.resolved();
        match *mapping.document.content(value.index) {
            Content::Sequence { end } => {
                // The first mappings take precedence.
                let mut mappings: Vec<_> = merged.children(end).collect();
                mappings.reverse();
                for mapping in mappings {
                    gather(mapping, all);
                }
            }
            _ => gather(merged, all),
        }
    }
}

/// Refuses recursive aliases, excessive expansion by aliases, and merges of anything but mappings.
///
/// The limits are those of `go.yaml.in/yaml/v2`, which kubectl uses: at most 99% of the nodes of a small document come
/// from aliases, and 10% of those of a large one.
pub(super) fn check(document: &Document<'_>) -> Result<(), Error> {
    Walk { document, nodes: 0, aliased: 0, aliases: HashSet::new() }.node(0, 0)
}

struct Walk<'d, 't> {
    document: &'d Document<'t>,
    nodes: u32,
    /// The number of nodes reached through an alias.
    aliased: u32,
    /// The aliases that led here.
    aliases: HashSet<usize>,
}

impl Walk<'_, '_> {
    fn node(&mut self, index: usize, depth: usize) -> Result<(), Error> {
        self.nodes += 1;
        if !self.aliases.is_empty() {
            self.aliased += 1;
        }
        if self.aliased > 100
            && self.nodes > 1000
            && f64::from(self.aliased) / f64::from(self.nodes) > allowed_share(self.nodes)
        {
            return Err(self.document.error(index, "the document contains excessive aliasing"));
        }
        if depth > MAX_READ_DEPTH {
            return Err(self.document.error(index, format!("nested more than {MAX_READ_DEPTH} levels deep")));
        }
        match *self.document.content(index) {
            Content::Alias(target) => {
                if !self.aliases.insert(index) {
                    return Err(self.document.error(index, "the anchor's value contains itself"));
                }
                self.node(target, depth)?;
                self.aliases.remove(&index);
            }
            Content::Sequence { end } => {
                let mut next = index + 1;
                while next < end {
                    self.node(next, depth + 1)?;
                    next = self.document.next(next);
                }
            }
            Content::Mapping { end, .. } => {
                let mut key = index + 1;
                while key < end {
                    let value = self.document.next(key);
                    if matches!(self.document.content(key), Content::Merge) {
                        self.merge(value, depth)?;
                    } else {
                        self.node(key, depth + 1)?;
                        self.node(value, depth + 1)?;
                    }
                    key = self.document.next(value);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn merge(&mut self, value: usize, depth: usize) -> Result<(), Error> {
        if let Content::Sequence { end } = *self.document.content(value) {
            let mut next = value + 1;
            while next < end {
                self.merged(next, depth)?;
                next = self.document.next(next);
            }
            return Ok(());
        }
        self.merged(value, depth)
    }

    fn merged(&mut self, index: usize, depth: usize) -> Result<(), Error> {
        let target = match *self.document.content(index) {
            Content::Alias(target) => target,
            _ => index,
        };
        if !matches!(self.document.content(target), Content::Mapping { .. }) {
            return Err(self.document.error(index, "a merge key (<<) takes a map or a list of maps"));
        }
        // Chains of merges have the same depth limit as collections.
        self.node(index, depth + 1)
    }
}

fn allowed_share(nodes: u32) -> f64 {
    let (low, high) = (400_000, 4_000_000);
    match nodes {
        _ if nodes <= low => 0.99,
        _ if nodes >= high => 0.10,
        _ => 0.99 - 0.89 * (f64::from(nodes - low) / f64::from(high - low)),
    }
}

/// Refuses values that JSON can't represent: keys that are null or too large a number, and values that are no finite
/// number.
pub(super) fn check_json(root: Node<'_, '_>) -> Result<(), Error> {
    let document = root.document;
    // The first of them comes last.
    let mut left = vec![root];
    while let Some(node) = left.pop() {
        let node = node.resolved();
        let waiting = left.len();
        match document.content(node.index) {
            Content::Typed(text, tag) => {
                if matches!(scalar::resolve(*tag, text), Ok(Value::Float(number)) if !number.is_finite()) {
                    let message = format!("JSON has no number for `{text}`; write it in quotes");
                    return Err(document.error(node.index, message));
                }
            }
            Content::Sequence { end } => left.extend(node.children(*end)),
            Content::Mapping { .. } => {
                for (key, value) in merged(node) {
                    if document.key(key).is_none() {
                        let message = "a key can't be null or so large a number; write it in quotes";
                        return Err(document.error(key, message));
                    }
                    left.push(node.child(value));
                }
            }
            _ => {}
        }
        left[waiting..].reverse();
    }
    Ok(())
}
