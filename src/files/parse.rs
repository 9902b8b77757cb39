//! Parsing one piece: its objects go to the consumer one by one, what can't be read is named with its place.

use serde::de::{DeserializeSeed, Deserializer, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::Source;
use super::blocks::lines;
use super::json::{self, Borders};
use super::piece::{Form, Piece};
use super::read::{Consumer, Place, Unread};
use super::yaml::{self, Document};
use crate::workload::{Object, ObjectSeed, Parsed as Content, TypeMeta, Workload};

/// What came of a piece, or of all pieces of a source.
pub(super) struct Parsed<P> {
    pub(super) part: P,
    pub(super) unread: Vec<Unread>,
    pub(super) objects: usize,
}

/// Parses a piece of a source, which comes with its name.
pub(super) fn parse<C: Consumer>(
    piece: &Piece,
    borders: Borders,
    source: (&Source, &str),
    consumer: &C,
) -> Parsed<C::Part> {
    let parsed = Parsed { part: consumer.part(), unread: Vec::new(), objects: 0 };
    let (named, source) = (!matches!(source.0, Source::Found(_)), source.1);
    let mut parser = Parser { piece, source, named, consumer, parsed };
    let text = piece.text.as_bytes();
    match (&piece.form, borders) {
        (Form::Yaml, _) => parser.yaml(text),
        (Form::Json, _) => parser.json_object(text, piece.lines_before + 1, None),
        (Form::JsonItems(item), Borders::Exact) => parser.json_items(text, item.as_ref()),
        (Form::JsonItems(item), Borders::Guessed) => parser.guessed_items(text, item.as_ref()),
    }
    parser.parsed
}

struct Parser<'p, C: Consumer> {
    piece: &'p Piece,
    source: &'p str,
    /// Whether the user named the source, and so takes everything in it for an object.
    named: bool,
    consumer: &'p C,
    parsed: Parsed<C::Part>,
}

impl<C: Consumer> Parser<'_, C> {
    fn add(&mut self, object: &Object<'_>, document: usize, line: usize) {
        match &object.parsed {
            Content::Foreign if self.named => {
                return self.fail(document, line, "not a Kubernetes object: `kind` is missing".to_owned());
            }
            // The API server would refuse it, and rules would find nothing wrong with it.
            Content::Workload(workload) if workload.pod.containers.is_empty() => {
                return self.fail(document, line, no_container(workload));
            }
            Content::List(items) => items.iter().for_each(|item| self.add(item, document, line)),
            _ => self.consumer.add(&mut self.parsed.part, object, Place { source: self.source, line }),
        }
        self.parsed.objects += 1;
    }

    fn fail(&mut self, document: usize, line: usize, message: String) {
        let (document, line) = (Some(self.piece.documents_before + document), Some(line));
        self.parsed.unread.push(Unread { source: self.source.to_owned(), document, line, message });
    }

    fn yaml(&mut self, text: &[u8]) {
        for (index, document) in yaml::documents(text).into_iter().enumerate() {
            let first = self.piece.lines_before + document.lines_before;
            match Self::yaml_document(document) {
                Ok(object) => {
                    self.add(&object, index + 1, self.piece.lines_before + document.lines_before_content + 1);
                }
                Err((line, message)) => self.fail(index + 1, first + line, message),
            }
        }
    }

    /// Reads one YAML document; an error comes with its line in the document, from 1.
    fn yaml_document(document: Document<'_>) -> Result<Object<'_>, (usize, String)> {
        let text = std::str::from_utf8(document.text).map_err(|error| {
            let line = lines(&document.text[..error.valid_up_to()]) + 1;
            (line, "not UTF-8 text: manifests are YAML or JSON in UTF-8".to_owned())
        })?;
        if nesting(document.text) > MAX_NESTING {
            return Err((1, format!("nested more than {MAX_NESTING} levels deep")));
        }
        yaml_object(text).map_err(|error| {
            let content = document.lines_before_content - document.lines_before + 1;
            let line = error.location().map_or(content, |place| place.line().max(content));
            let mut message = without_place(&error.to_string());
            if text.contains("{{") {
                message.push_str("; it looks like a Helm template: render it with `helm template` first");
            }
            (line, message)
        })
    }

    fn json_items(&mut self, text: &[u8], item: Option<&TypeMeta>) {
        match serde_json::from_slice::<Vec<&RawValue>>(text) {
            Ok(items) => {
                let (mut line, mut offset) = (self.piece.lines_before + 1, 0);
                for raw in items {
                    let raw = raw.get().as_bytes();
                    // The item borrows from the text, so its place in it is known.
                    let start = raw.as_ptr().addr() - text.as_ptr().addr();
                    line += lines(&text[offset..start]);
                    offset = start;
                    self.json_object(raw, line, item);
                }
            }
            Err(error) => {
                let line = self.piece.lines_before + error.line();
                self.fail(1, line, json::message(&error));
            }
        }
    }

    fn json_object(&mut self, text: &[u8], line: usize, item: Option<&TypeMeta>) {
        let seed = ObjectSeed { default: item };
        if let Ok(object) = seed.deserialize(&mut serde_json::Deserializer::from_slice(text)) {
            return self.add(&object, 1, line);
        }
        // Keeping the path costs time, so it is found only for those who need it.
        let mut track = serde_path_to_error::Track::new();
        let mut inner = serde_json::Deserializer::from_slice(text);
        let tracked = serde_path_to_error::Deserializer::new(&mut inner, &mut track);
        if let Err(error) = seed.deserialize(tracked) {
            let path = track.path().to_string();
            let message = json::message(&error);
            let message = if path == "." { message } else { format!("{path}: {message}") };
            self.fail(1, line + error.line().saturating_sub(1), message);
        }
    }

    fn guessed_items(&mut self, text: &[u8], item: Option<&TypeMeta>) {
        let mut deserializer = serde_json::Deserializer::from_slice(text);
        let items = Items { parser: self, item };
        if let Err(error) = deserializer.deserialize_seq(items).and_then(|()| deserializer.end()) {
            self.fail(1, 1, json::message(&error));
        }
    }
}

fn no_container(workload: &Workload<'_>) -> String {
    format!(
        "{}.containers: give the pod at least one container, or, if this is a patch, judge what `kubectl kustomize` builds",
        workload.pod_path()
    )
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
        while let Some(object) = items.next_element_seed(ObjectSeed { default: self.item })? {
            self.parser.add(&object, 1, 1);
        }
        Ok(())
    }
}

/// How deep brackets and braces may be nested: the YAML parser's time grows with the square of that.
const MAX_NESTING: usize = 1_000;

/// How deep brackets and braces are nested at most; those within text count too.
fn nesting(text: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    for byte in text {
        match byte {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => continue,
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// Reads the object of a document.
fn yaml_object(text: &str) -> Result<Object<'_>, yaml_serde::Error> {
    if text.contains("<<:") {
        return with_merge_keys(text);
    }
    if text.contains('&') && text.contains('*') {
        // A bomb of aliases does no harm in a field that is skipped, and is still no manifest: values expand it, up to
        // the parser's limit.
        yaml_serde::from_str::<yaml_serde::Value>(text)?;
    }
    yaml_serde::from_str(text)
}

/// Reads a document with YAML 1.1 merge keys (`<<: *anchor`), which kubectl follows too.
fn with_merge_keys<'t>(text: &str) -> Result<Object<'t>, yaml_serde::Error> {
    let mut value: yaml_serde::Value = yaml_serde::from_str(text)?;
    value.apply_merge()?;
    // By way of JSON values, because objects borrow and a YAML value doesn't lend.
    let value: serde_json::Value = yaml_serde::from_value(value)?;
    serde::Deserialize::deserialize(value).map_err(|error: serde_json::Error| serde::de::Error::custom(error))
}

fn without_place(message: &str) -> String {
    message.rsplit_once(" at line ").map_or(message, |(message, _)| message).to_owned()
}
