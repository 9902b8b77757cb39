//! Parses one piece: passes its objects to the consumer, and reports unreadable ones with their place.

use std::cell::LazyCell;

use super::Source;
use super::consumer::{Consumer, LineOf, Place, ReadFailure};
use super::fault::{self, Fault, repeated_key};
use super::field_lines;
use super::json_objects::{self, Read, text_of};
use super::json_repeats::repeated_keys;
use super::piece::{Form, Piece};
use crate::workload::{Object, Parsed as Content, TypeMeta};
use crate::yaml::Repeated;

/// The result of a piece, or of all pieces of a source.
pub(super) struct Parsed<P> {
    pub(super) part: P,
    pub(super) unread: Vec<ReadFailure>,
}

/// Parses a piece of the named source. Lines of objects are exact if `lines` is set.
pub(super) fn parse<C: Consumer>(
    piece: &Piece,
    lines: bool,
    source: (&Source, &str),
    consumer: &C,
) -> Parsed<C::Part> {
    let parsed = Parsed { part: consumer.part(), unread: Vec::new() };
    let (named, source) = (source.0.is_named(), source.1);
    let mut parser = Parser { piece, source, named, consumer, parsed };
    let text = piece.text.as_bytes();
    // In a field that no rule reads, a value of another type than the API's is an error too.
    consumer.fields().within_checked(|| match &piece.form {
        Form::Yaml => parser.yaml(text),
        Form::YamlItems(item) => parser.yaml_list_items(text, item.as_ref()),
        Form::YamlAround { above, between } => parser.yaml_around_items(text, *above, *between),
        Form::Json => json_objects::documents(&text_of(text), lines, &mut |read| parser.json(read)),
        Form::JsonRepeats => {
            for Repeated { key, line } in repeated_keys(text) {
                parser.note(piece.lines_before + line, &repeated_key(&key));
            }
            json_objects::with_repeats(&text_of(text), &mut |read| parser.json(read));
        }
        Form::JsonItems(item) => {
            json_objects::items(&text_of(text), item.as_ref(), &piece.path, lines, &mut |read| {
                parser.json(read);
            });
        }
    });
    parser.parsed
}

pub(super) struct Parser<'p, C: Consumer> {
    pub(super) piece: &'p Piece,
    source: &'p str,
    /// True if the user named the source. Everything in it then has to be an object.
    pub(super) named: bool,
    consumer: &'p C,
    parsed: Parsed<C::Part>,
}

/// Stands for a document that is a sequence, such as a JSON patch for kustomize, which has no kind either.
pub(super) const SEQUENCE: Object<'_> =
    Object { types: TypeMeta { api_version: String::new(), kind: String::new() }, parsed: Content::Foreign };

/// The place of an object in a piece.
#[derive(Clone, Copy)]
pub(super) struct Spot<'i> {
    /// The document of the piece, from 1.
    pub(super) document: usize,
    /// The line of the source, from 1.
    pub(super) line: usize,
    /// The item's number in each of the lists around it, from the outside; empty outside of lists.
    pub(super) path: &'i [usize],
}

impl<C: Consumer> Parser<'_, C> {
    /// Passes an object to the consumer.
    pub(super) fn add(&mut self, object: &Object<'_>, spot: Spot<'_>, line_of: LineOf<'_>) {
        match &object.parsed {
            Content::Foreign if self.named => {
                self.fail(spot, "", "not a Kubernetes object: `kind` is missing");
            }
            // A kustomize patch in a directory is skipped.
            Content::Workload(workload) if self.named || !workload.is_patch() => match workload.defect() {
                Some(defect) => {
                    let name =
                        fault::full_name(workload.metadata.namespace.as_deref(), Some(workload.name()));
                    let line = line_of(&defect.path).unwrap_or(spot.line);
                    self.fail(Spot { line, ..spot }, &name, &defect.to_string());
                }
                None => self.consume(object, spot, line_of),
            },
            Content::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.add(item, Spot { path: &[spot.path, &[index]].concat(), ..spot }, line_of);
                }
            }
            _ => self.consume(object, spot, line_of),
        }
    }

    fn consume(&mut self, object: &Object<'_>, spot: Spot<'_>, line_of: LineOf<'_>) {
        let place = Place { source: self.source, line: spot.line, line_of };
        self.consumer.add(&mut self.parsed.part, object, place);
    }

    /// Passes a note about a readable object to the consumer.
    pub(super) fn note(&mut self, line: usize, message: &str) {
        let place = Place { source: self.source, line, line_of: &|_| None };
        self.consumer.note(&mut self.parsed.part, place, message);
    }

    /// Reports the problem of an object. An item of a list is named by namespace and name, too.
    pub(super) fn fail(&mut self, spot: Spot<'_>, name: &str, message: &str) {
        let message = match spot.path {
            [] => message.to_owned(),
            path => fault::in_item(path, name, message),
        };
        self.parsed.unread.push(ReadFailure {
            source: self.source.to_owned(),
            document: Some(self.piece.documents_before + spot.document),
            line: Some(spot.line),
            message: fault::shortened(message),
        });
    }

    fn json(&mut self, read: Read<'_, '_>) {
        let Read { lines_before, document, path, object, is_array, text, within, repeated } = read;
        let line = self.piece.lines_before + lines_before + 1;
        let spot = Spot { document, line, path };
        for repeated in repeated {
            self.note(spot.line + repeated.line - 1, &repeated_key(&repeated.key));
        }
        match object {
            Ok(object) => {
                // An API server sends an object on one line, and a list may have very many of them.
                let is_one_line = LazyCell::new(|| memchr::memchr(b'\n', text.as_bytes()).is_none());
                let line_of = |path: &str| {
                    if *is_one_line {
                        return Some(spot.line);
                    }
                    let line = match &within {
                        None => field_lines::in_json(text, path),
                        Some(within) => field_lines::in_repeats(text, &format!("{within}{path}")),
                    };
                    Some(spot.line + line - 1)
                };
                self.add(&object, spot, &line_of);
            }
            Err(_) if is_array && path.is_empty() && !self.named => self.add(&SEQUENCE, spot, &|_| None),
            Err(Fault { line, name, message }) => {
                self.fail(Spot { line: spot.line + line - 1, ..spot }, &name, &message);
            }
        }
    }
}
