//! Parsing one piece: its objects go to the consumer one by one, what can't be read is named with its place.

use serde::Deserialize;
use serde::de::{DeserializeSeed, IgnoredAny};

use super::Source;
use super::blocks::lines;
use super::consumer::{Consumer, Place, Unread};
use super::fault::{self, Fault};
use super::json_objects::{self, Read, text_of};
use super::piece::{Form, Piece};
use super::yaml::{self, Document, MAX_NESTING, nesting};
use super::yaml_items::{self, YamlItems};
use crate::workload::{Object, ObjectSeed, Parsed as Content, TypeMeta};

/// What came of a piece, or of all pieces of a source.
pub(super) struct Parsed<P> {
    pub(super) part: P,
    pub(super) unread: Vec<Unread>,
}

/// Parses a piece of a source, which comes with its name; `lines` asks for the lines of objects.
pub(super) fn parse<C: Consumer>(
    piece: &Piece,
    lines: bool,
    source: (&Source, &str),
    consumer: &C,
) -> Parsed<C::Part> {
    let parsed = Parsed { part: consumer.part(), unread: Vec::new() };
    let (named, source) = (source.0.is_named(), source.1);
    let mut parser = Parser { piece, source, named, exact: lines, consumer, parsed };
    let text = piece.text.as_bytes();
    match &piece.form {
        Form::Yaml => parser.yaml(text),
        Form::Json => json_objects::documents(&text_of(text), lines, &mut |read| parser.json(read)),
        Form::JsonItems(item) => {
            json_objects::items(&text_of(text), item.as_ref(), lines, &mut |read| parser.json(read));
        }
    }
    parser.parsed
}

struct Parser<'p, C: Consumer> {
    piece: &'p Piece,
    source: &'p str,
    /// Whether the user named the source, and so takes everything in it for an object.
    named: bool,
    /// Whether lines are asked for.
    exact: bool,
    consumer: &'p C,
    parsed: Parsed<C::Part>,
}

/// A document that is a sequence, such as a JSON patch for kustomize: it has no kind either.
const SEQUENCE: Object<'_> =
    Object { types: TypeMeta { api_version: String::new(), kind: String::new() }, parsed: Content::Foreign };

/// Where in a piece an object stands.
#[derive(Clone, Copy)]
struct Spot {
    /// The document of the piece, from 1.
    document: usize,
    /// The line of the source, from 1.
    line: usize,
    /// The item of the list, from 0, where it is one of a list.
    item: Option<usize>,
}

impl<C: Consumer> Parser<'_, C> {
    fn add(&mut self, object: &Object<'_>, spot: Spot) {
        match &object.parsed {
            Content::Foreign if self.named => {
                self.fail(spot, "", "not a Kubernetes object: `kind` is missing");
            }
            // In a directory, a patch for kustomize is passed over.
            Content::Workload(workload) if self.named || !workload.is_patch() => match workload.defect() {
                Some(defect) => {
                    let name =
                        fault::full_name(workload.metadata.namespace.as_deref(), Some(workload.name()));
                    self.fail(spot, &name, &defect.to_string());
                }
                None => self.consume(object, spot),
            },
            Content::List(items) => self.add_items(items, spot, &[]),
            _ => self.consume(object, spot),
        }
    }

    fn consume(&mut self, object: &Object<'_>, spot: Spot) {
        let place = Place { source: self.source, line: spot.line };
        self.consumer.add(&mut self.parsed.part, object, place);
    }

    /// Adds the items of a list, which begin on lines of their own where these are known.
    fn add_items(&mut self, items: &[Object<'_>], list: Spot, first_lines: &[usize]) {
        for (index, item) in items.iter().enumerate() {
            let line = first_lines.get(index).copied().unwrap_or(list.line);
            self.add(item, Spot { line, item: list.item.or(Some(index)), ..list });
        }
    }

    /// Reports what is wrong with an object, whose namespace and name matter where it is one of many items.
    fn fail(&mut self, spot: Spot, name: &str, message: &str) {
        let message = spot.item.map_or(message.to_owned(), |item| fault::in_item(item, name, message));
        self.parsed.unread.push(Unread {
            source: self.source.to_owned(),
            document: Some(self.piece.documents_before + spot.document),
            line: Some(spot.line),
            message: fault::shortened(message),
        });
    }

    fn yaml(&mut self, text: &[u8]) {
        for (index, document) in yaml::documents(text).into_iter().enumerate() {
            let spot = |line| Spot { document: index + 1, line: self.piece.lines_before + line, item: None };
            let (object, content) = (spot(document.lines_before), spot(document.lines_before_content + 1));
            let read = yaml_text(document).map(|text| (text, Self::yaml_document(document, text)));
            match read {
                Ok((text, Ok(Object { parsed: Content::List(items), .. }))) if self.exact => {
                    self.add_items(&items, content, &item_lines(text, items.len(), object));
                }
                Ok((_, Ok(read))) => self.add(&read, content),
                Ok((text, Err(error))) => match YamlItems::of(text) {
                    Some(items) => self.yaml_items(items, object, content),
                    None if !self.named && yaml_serde::from_str::<Vec<IgnoredAny>>(text).is_ok() => {
                        self.add(&SEQUENCE, content);
                    }
                    None => self.yaml_fault(object, error),
                },
                Err(error) => self.yaml_fault(object, error),
            }
        }
    }

    fn yaml_fault(&mut self, document: Spot, (line, message): (usize, String)) {
        self.fail(Spot { line: document.line + line, ..document }, "", &message);
    }

    /// Reads the items of a list that begins at `object`, and its first content at `content`, one by one.
    fn yaml_items(&mut self, mut items: YamlItems<'_>, object: Spot, content: Spot) {
        let values = items.take();
        let lines = item_lines(items.text(), values.len(), object);
        for (index, value) in values.into_iter().enumerate() {
            let known = TypeMeta::deserialize(&value).ok();
            let seed = ObjectSeed { default: items.item(), known: known.as_ref() };
            let name = fault::name_of(&value);
            let line = lines.get(index).copied().unwrap_or(content.line);
            let spot = Spot { line, item: Some(index), ..content };
            match fault::with_path(seed, value) {
                Ok(read) => self.add(&read, spot),
                Err((_, message)) => {
                    let line = items.line(index, known.as_ref()).map_or(spot.line, |line| object.line + line);
                    self.fail(Spot { line, ..spot }, &name, &message);
                }
            }
        }
    }

    /// Reads one YAML document; an error comes with its line in the document, from 1.
    fn yaml_document<'t>(document: Document<'_>, text: &'t str) -> Result<Object<'t>, (usize, String)> {
        yaml_object(text, None).map_err(|error| {
            // The type often stands behind the parts, as kubectl writes it.
            let known = yaml_serde::from_str::<TypeMeta>(text).ok();
            let error = known.and_then(|known| yaml_object(text, Some(&known)).err()).unwrap_or(error);
            let content = document.lines_before_content - document.lines_before + 1;
            let line = error.location().map_or(content, |place| place.line().max(content));
            let mut message = fault::without_place(&error);
            if text.contains("{{") {
                message.push_str("; it looks like a Helm template: render it with `helm template` first");
            }
            (line, message)
        })
    }

    fn json(&mut self, read: Read<'_>) {
        let Read { lines_before, document, item, object, is_array } = read;
        let line = self.piece.lines_before + lines_before + 1;
        let spot = Spot { document, line, item: item.map(|item| self.piece.items_before + item) };
        match object {
            Ok(object) => self.add(&object, spot),
            Err(_) if is_array && item.is_none() && !self.named => self.add(&SEQUENCE, spot),
            Err(Fault { line, name, message }) => {
                self.fail(Spot { line: spot.line + line - 1, ..spot }, &name, &message);
            }
        }
    }
}

/// The lines of the source on which the items of a list begin, where a look at its text tells.
fn item_lines(text: &str, count: usize, list: Spot) -> Vec<usize> {
    yaml_items::first_lines(text, count).into_iter().map(|line| list.line + line).collect()
}

/// The text of a document that the YAML parser can take; an error comes with its line in the document, from 1.
fn yaml_text(document: Document<'_>) -> Result<&str, (usize, String)> {
    if nesting(document.text) > MAX_NESTING {
        return Err((1, format!("nested more than {MAX_NESTING} levels deep")));
    }
    std::str::from_utf8(document.text).map_err(|error| {
        let line = lines(&document.text[..error.valid_up_to()]) + 1;
        (line, fault::NO_TEXT.to_owned())
    })
}

/// Reads the object of a document, whose type may be known already.
fn yaml_object<'t>(text: &'t str, known: Option<&TypeMeta>) -> Result<Object<'t>, yaml_serde::Error> {
    let seed = ObjectSeed { default: None, known };
    if text.contains("<<:") {
        return fault::with_path(seed, yaml_items::value(text)?)
            .map_err(|(_, message)| serde::de::Error::custom(message));
    }
    if text.contains('&') && text.contains('*') {
        // A bomb of aliases does no harm in a field that is skipped, and is still no manifest: values expand it, up to
        // the parser's limit.
        yaml_serde::from_str::<yaml_serde::Value>(text)?;
    }
    seed.deserialize(yaml_serde::Deserializer::from_str(text))
}
