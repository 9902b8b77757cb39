//! Parsing one piece: its objects go to the consumer one by one, what can't be read is named with its place.

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, SeqAccess, Visitor};

use super::Source;
use super::blocks::lines;
use super::consumer::{Consumer, Place, Unread};
use super::fault::{self, Fault};
use super::json::{self, Borders};
use super::piece::{Form, Piece};
use crate::workload::{Object, ObjectSeed, Parsed as Content, TypeMeta};

/// What came of a piece, or of all pieces of a source.
pub(super) struct Parsed<P> {
    pub(super) part: P,
    pub(super) unread: Vec<Unread>,
}

/// Parses a piece of a source, which comes with its name.
pub(super) fn parse<C: Consumer>(
    piece: &Piece,
    borders: Borders,
    source: (&Source, &str),
    consumer: &C,
) -> Parsed<C::Part> {
    let parsed = Parsed { part: consumer.part(), unread: Vec::new() };
    let (named, source) = (!matches!(source.0, Source::Found(_)), source.1);
    let mut parser = Parser { piece, source, named, consumer, parsed };
    let text = piece.text.as_bytes();
    match (&piece.form, borders) {
        (Form::Yaml, _) => parser.yaml(text),
        (Form::YamlItems(item), _) => parser.yaml_list_items(text, item.as_ref()),
        (Form::YamlAround { above, between }, _) => parser.yaml_around_items(text, *above, *between),
        (Form::Json, _) => {
            let spot = Spot { line: piece.lines_before + 1, ..Spot::FIRST };
            parser.json_object(text, spot, None);
        }
        (Form::JsonItems(item), Borders::Exact) => parser.json_items(text, item.as_ref()),
        (Form::JsonItems(item), Borders::Guessed) => parser.guessed_items(text, item.as_ref()),
    }
    parser.parsed
}

pub(super) struct Parser<'p, C: Consumer> {
    pub(super) piece: &'p Piece,
    source: &'p str,
    /// Whether the user named the source, and so takes everything in it for an object.
    pub(super) named: bool,
    consumer: &'p C,
    parsed: Parsed<C::Part>,
}

/// A document that is a sequence, such as a JSON patch for kustomize: it has no kind either.
pub(super) const SEQUENCE: Object<'_> =
    Object { types: TypeMeta { api_version: String::new(), kind: String::new() }, parsed: Content::Foreign };

fn is_json_sequence(text: &[u8]) -> bool {
    serde_json::from_slice::<Vec<IgnoredAny>>(text).is_ok()
}

/// Where in a piece an object stands.
#[derive(Clone, Copy)]
pub(super) struct Spot {
    /// The document of the piece, from 1.
    pub(super) document: usize,
    /// The line of the source, from 1.
    pub(super) line: usize,
    /// The item of the list, from 0, where it is one of a list.
    pub(super) item: Option<usize>,
}

impl Spot {
    /// What stands for a place that is not asked for.
    const FIRST: Self = Self { document: 1, line: 1, item: None };
}

impl<C: Consumer> Parser<'_, C> {
    pub(super) fn add(&mut self, object: &Object<'_>, spot: Spot) {
        match &object.parsed {
            Content::Foreign if self.named => {
                self.fail(spot, "", "not a Kubernetes object: `kind` is missing");
            }
            // The API server would refuse it, and rules would find nothing wrong with it.
            Content::Workload(workload) if workload.pod.containers.is_empty() => {
                let name = fault::full_name(workload.metadata.namespace.as_deref(), Some(workload.name()));
                self.fail(spot, &name, &fault::no_container(workload));
            }
            Content::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.add(item, Spot { item: spot.item.or(Some(index)), ..spot });
                }
            }
            _ => {
                let place = Place { source: self.source, line: spot.line };
                self.consumer.add(&mut self.parsed.part, object, place);
            }
        }
    }

    /// Tells the consumer of something that was read all the same.
    pub(super) fn note(&mut self, line: usize, message: &str) {
        let place = Place { source: self.source, line };
        self.consumer.note(&mut self.parsed.part, place, message);
    }

    /// Reports what is wrong with an object, whose namespace and name matter where it is one of many items.
    pub(super) fn fail(&mut self, spot: Spot, name: &str, message: &str) {
        let message = spot.item.map_or(message.to_owned(), |item| fault::in_item(item, name, message));
        self.parsed.unread.push(Unread {
            source: self.source.to_owned(),
            document: Some(self.piece.documents_before + spot.document),
            line: Some(spot.line),
            message: fault::shortened(message),
        });
    }

    fn json_items(&mut self, text: &[u8], types: Option<&TypeMeta>) {
        let (mut line, mut offset) = (self.piece.lines_before + 1, 0);
        match json::items(text) {
            Ok(items) => {
                for (index, place) in items.into_iter().enumerate() {
                    line += lines(&text[offset..place.start]);
                    offset = place.start;
                    let item = Some(self.piece.items_before + index);
                    self.json_object(&text[place], Spot { line, item, ..Spot::FIRST }, types);
                }
            }
            Err(error) => {
                self.fail(Spot { line, ..Spot::FIRST }, "", &fault::without_place(&error.error));
            }
        }
    }

    fn json_object(&mut self, text: &[u8], spot: Spot, types: Option<&TypeMeta>) {
        let seed = ObjectSeed { default: types, known: None };
        let read = match std::str::from_utf8(text) {
            Ok(text) => seed
                .deserialize(&mut serde_json::Deserializer::from_str(text))
                .map_err(|error| fault::json(text, types, error)),
            Err(error) => Err(fault::no_text(text, error)),
        };
        match read {
            Ok(object) => self.add(&object, spot),
            Err(_) if !self.named && spot.item.is_none() && is_json_sequence(text) => {
                self.add(&SEQUENCE, spot);
            }
            Err(Fault { line, name, message }) => {
                self.fail(Spot { line: spot.line + line - 1, ..spot }, &name, &message);
            }
        }
    }

    fn guessed_items(&mut self, text: &[u8], item: Option<&TypeMeta>) {
        // The parser would pass over bytes that are no text in the fields that it skips.
        let Ok(text) = std::str::from_utf8(text) else {
            return self.fail(Spot::FIRST, "", fault::NO_TEXT);
        };
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let items = Items { parser: self, item };
        if let Err(error) = deserializer.deserialize_seq(items).and_then(|()| deserializer.end()) {
            self.fail(Spot::FIRST, "", &fault::without_place(&error));
        }
    }
}

/// Hands the items of an array to a parser one by one.
struct Items<'i, 'p, C: Consumer> {
    parser: &'i mut Parser<'p, C>,
    item: Option<&'i TypeMeta>,
}

impl<'de, C: Consumer> Visitor<'de> for Items<'_, '_, C> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a list of Kubernetes objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while let Some(object) = items.next_element_seed(ObjectSeed { default: self.item, known: None })? {
            self.parser.add(&object, Spot::FIRST);
        }
        Ok(())
    }
}
