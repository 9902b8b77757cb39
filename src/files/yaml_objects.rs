//! Reads the objects of YAML documents and the items of lists one by one. An invalid object doesn't affect the others.

use serde::de::DeserializeSeed;

use super::consumer::Consumer;
use super::fault;
use super::field_lines;
use super::parse::{Parser, SEQUENCE, Spot};
use super::piece::MAX_LISTS;
use crate::workload::{ObjectSeed, TypeMeta};
use crate::yaml::{self, Document, Node, chunks};

/// A node that holds an object, and its place.
#[derive(Clone, Copy)]
struct Read<'r, 't> {
    node: Node<'r, 't>,
    spot: Spot<'r>,
    /// The lines of the source before the document's text.
    lines_before: usize,
    /// The type from the list above, for an object that names none.
    default: Option<&'r TypeMeta>,
}

impl<C: Consumer> Parser<'_, C> {
    /// Reads whole documents.
    pub(super) fn yaml(&mut self, text: &[u8]) {
        let before = self.piece.lines_before;
        for (index, chunk) in chunks(text, before == 0).enumerate() {
            let spot = Spot { document: index + 1, line: before + chunk.lines_before_content + 1, path: &[] };
            let lines_before = before + chunk.lines_before;
            match chunk.text() {
                Ok(text) => self.yaml_document(&text, spot, lines_before),
                Err(error) => self.yaml_fault(spot, lines_before, &error, ""),
            }
        }
    }

    fn yaml_document(&mut self, text: &str, spot: Spot<'_>, lines_before: usize) {
        match Document::parse(text) {
            Ok(document) => {
                self.repeated_keys(&document, lines_before);
                let node = document.root();
                if !node.is_null() {
                    self.yaml_object(Read { node, spot, lines_before, default: None }, text);
                }
            }
            Err(error) => self.yaml_fault(spot, lines_before, &error, text),
        }
    }

    /// Reads the items of a list. Items without a type get the default one.
    pub(super) fn yaml_list_items(&mut self, text: &[u8], default: Option<&TypeMeta>) {
        let lines_before = self.piece.lines_before;
        let list = Spot { document: 1, line: lines_before + 1, path: &[] };
        let text = String::from_utf8_lossy(text);
        match Document::parse(&text) {
            Ok(document) => {
                self.repeated_keys(&document, lines_before);
                for (index, node) in document.root().items().into_iter().flatten().enumerate() {
                    let mut path = self.piece.path.clone();
                    if let Some(number) = path.last_mut() {
                        *number += index;
                    }
                    let spot = Spot { line: lines_before + node.line(), path: &path, ..list };
                    self.yaml_object(Read { node, spot, lines_before, default }, &text);
                }
            }
            Err(error) => self.yaml_fault(list, lines_before, &error, &text),
        }
    }

    /// Reads the text around the items of a list: `above` lines, and the rest, which is `between` lines further on.
    pub(super) fn yaml_around_items(&mut self, text: &[u8], above: usize, between: usize) {
        let lines_before = self.piece.lines_before;
        let piece = self.piece;
        let spot = Spot { document: 1, line: lines_before + 1, path: &piece.path };
        let text = String::from_utf8_lossy(text);
        // The separator above belongs to no document.
        let own = match text.split_once('\n') {
            Some((separator, rest)) if separator.starts_with("---") => rest,
            _ => &*text,
        };
        let skipped = usize::from(own.len() < text.len());
        let source_line = |line: usize| {
            let line = line + skipped;
            lines_before + line + if line > above { between } else { 0 }
        };
        match Document::parse(own) {
            Ok(document) => {
                for repeated in document.repeated() {
                    self.repeated_key(&repeated.key, source_line(repeated.line));
                }
                let types = types(document.root());
                let repeats = document.repeated().iter().any(|repeated| repeated.key == "items");
                if repeats || types.is_none_or(|types| types.kind != "List" && types.item().is_none()) {
                    let message = "the items of a list this large can be read only under a `kind` that is a list: \
                                   put `kind: List` and `items`, once, at its top";
                    self.fail(spot, "", message);
                }
            }
            Err(error) => {
                let line = error.line().map_or(spot.line, source_line);
                self.fail(Spot { line, ..spot }, "", &error.to_string());
            }
        }
    }

    fn yaml_object(&mut self, read: Read<'_, '_>, text: &str) {
        let Read { node, spot, lines_before, default } = read;
        if spot.path.len() < MAX_LISTS
            && let Some((item, items)) = list(node, default)
        {
            for (index, node) in items.enumerate() {
                let path = [spot.path, &[index]].concat();
                let spot = Spot { line: lines_before + node.line(), path: &path, ..spot };
                self.yaml_object(Read { node, spot, lines_before, default: item.as_ref() }, text);
            }
            return;
        }
        let seed = ObjectSeed { default, known: None };
        match seed.deserialize(node) {
            Ok(object) => {
                self.add(&object, spot, &|path| Some(lines_before + field_lines::in_yaml(node, path)));
            }
            Err(_) if !self.named && spot.path.is_empty() && node.items().is_some() => {
                self.add(&SEQUENCE, spot, &|_| None);
            }
            Err(error) => {
                // The type often comes after the items, as in the output of kubectl.
                let known = types(node);
                let seed = ObjectSeed { default, known: known.as_ref() };
                let (error, message) = match fault::with_path(seed, node) {
                    Err(explained) => explained,
                    Ok(_) => (error.clone(), error.to_string()),
                };
                let line = error.line().map_or(spot.line, |line| lines_before + line);
                self.fail(Spot { line, ..spot }, &name_of(node), &templated(message, text));
            }
        }
    }

    fn yaml_fault(&mut self, spot: Spot<'_>, lines_before: usize, error: &yaml::Error, text: &str) {
        let line = error.line().map_or(spot.line, |line| (lines_before + line).max(1));
        self.fail(Spot { line, ..spot }, "", &templated(error.to_string(), text));
    }

    fn repeated_keys(&mut self, document: &Document<'_>, lines_before: usize) {
        for repeated in document.repeated() {
            self.repeated_key(&repeated.key, lines_before + repeated.line);
        }
    }

    fn repeated_key(&mut self, key: &str, line: usize) {
        self.note(line, &fault::repeated_key(key));
    }
}

/// Returns the items of a list, and the type for items that name none.
fn list<'r, 't>(
    node: Node<'r, 't>,
    default: Option<&TypeMeta>,
) -> Option<(Option<TypeMeta>, impl Iterator<Item = Node<'r, 't>>)> {
    let kind = node.get("kind").and_then(Node::text);
    let kind = kind.or_else(|| default.map(|default| &*default.kind))?;
    if !kind.ends_with("List") {
        return None;
    }
    let item = if kind == "List" { None } else { Some(types(node).or(default.cloned())?.item()?) };
    Some((item, node.get("items")?.items()?))
}

/// Returns the type that an object names.
fn types(node: Node<'_, '_>) -> Option<TypeMeta> {
    let field = |name: &str| node.get(name).and_then(Node::text).map(ToOwned::to_owned);
    Some(TypeMeta { api_version: field("apiVersion")?, kind: field("kind")? })
}

fn name_of(object: Node<'_, '_>) -> String {
    let metadata = object.get("metadata");
    let field = |name: &str| metadata.and_then(|metadata| metadata.get(name)).and_then(Node::text);
    fault::full_name(field("namespace"), field("name").or(field("generateName")))
}

/// Adds the fix to the message if the unreadable document is a template.
fn templated(mut message: String, text: &str) -> String {
    if text.contains("{{") {
        message.push_str("; it looks like a Helm template: render it with `helm template` first");
    }
    message
}

#[cfg(test)]
mod tests;
