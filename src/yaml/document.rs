//! A document as a tree of nodes in the order of the text.

use std::borrow::Cow;
use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use granit_parser::{Event, Parser, ScalarStyle, Span, StructureStyle};

use super::scalar::{self, Tag, Value};
use super::{Error, aliases, dialect};

/// How deep a document may be nested, with its aliases resolved.
pub(super) const MAX_DEPTH: usize = 250;

/// One YAML document.
#[derive(Debug)]
pub struct Document<'t> {
    nodes: Vec<Content<'t>>,
    places: Vec<Place>,
    repeated: Vec<Repeated>,
}

/// A key that a mapping has more than once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repeated {
    /// The key.
    pub key: String,
    /// The line of the document on which the key is repeated, from 1.
    pub line: usize,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    line: u32,
    column: u32,
}

/// A node; what a collection holds follows it.
#[derive(Debug)]
pub(super) enum Content<'t> {
    Text(Cow<'t, str>),
    /// A scalar that is no text.
    Typed(Cow<'t, str>, Tag),
    /// A merge key.
    Merge,
    Alias(usize),
    Sequence {
        end: usize,
    },
    Mapping {
        end: usize,
        /// Whether there is neither a merge key nor a repeated key.
        plain: bool,
    },
}

/// A node of a document, in which aliases are resolved.
#[derive(Debug, Clone, Copy)]
pub struct Node<'d, 't> {
    pub(super) document: &'d Document<'t>,
    pub(super) index: usize,
    /// How many collections are around the node, those of the aliases that led here among them.
    pub(super) depth: usize,
}

impl<'t> Document<'t> {
    /// Parses the first document of a text; all that stands behind it is passed over, as kubectl does.
    pub fn parse(text: &'t str) -> Result<Self, Error> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        dialect::check_characters(text)?;
        let mut loader = Loader::default();
        loader.load(text)?;
        let Loader { mut nodes, mut places, repeated, aliases, merges, unusual, .. } = loader;
        if nodes.is_empty() {
            nodes.push(Content::Typed(Cow::Borrowed(""), Tag::None));
            places.push(Place { line: 1, column: 1 });
        }
        let document = Self { nodes, places, repeated };
        if aliases || merges {
            aliases::check(&document)?;
        }
        if unusual {
            aliases::check_json(document.root())?;
        }
        Ok(document)
    }

    /// Returns the root.
    pub fn root(&self) -> Node<'_, 't> {
        Node { document: self, index: 0, depth: 0 }
    }

    /// Returns the keys that stand in a mapping more than once, in the order in which the mappings end.
    pub fn repeated(&self) -> &[Repeated] {
        &self.repeated
    }

    pub(super) fn content(&self, index: usize) -> &Content<'t> {
        &self.nodes[index]
    }

    /// Returns the index of the node behind a node and all that it holds.
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

    /// Returns a key as JSON has it; none for what can't be one.
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

impl<'d, 't> Node<'d, 't> {
    /// Returns the value of a mapping's key.
    pub fn get(self, key: &str) -> Option<Self> {
        let node = self.resolved();
        let entries = node.entries()?;
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

    /// Returns the text, unless the node is anything else.
    pub fn text(self) -> Option<&'d str> {
        match node_content(self.resolved()) {
            Content::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Tells whether the node is null.
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

    /// Returns what an alias stands for.
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

    /// Returns the keys and values of a mapping: merged, and each key once.
    fn entries(self) -> Option<Vec<(usize, usize)>> {
        match *self.document.content(self.index) {
            Content::Mapping { end, plain: true } => {
                let indices: Vec<usize> = self.children(end).map(|child| child.index).collect();
                Some(indices.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect())
            }
            Content::Mapping { .. } => Some(aliases::entries(self)),
            _ => None,
        }
    }
}

fn node_content<'d, 't>(node: Node<'d, 't>) -> &'d Content<'t> {
    node.document.content(node.index)
}

/// Builds the tree from the parser's events.
#[derive(Default)]
struct Loader<'t> {
    nodes: Vec<Content<'t>>,
    places: Vec<Place>,
    repeated: Vec<Repeated>,
    open: Vec<Open>,
    /// The keys of the open mappings.
    keys: Vec<usize>,
    /// The nodes by the parser's number of their anchor.
    anchors: HashMap<usize, usize>,
    aliases: bool,
    merges: bool,
    /// Whether there is something that JSON may be unable to say.
    unusual: bool,
}

/// A collection whose end was not read yet.
struct Open {
    index: usize,
    mapping: bool,
    flow: bool,
    /// Whether a key comes next.
    key: bool,
    merges: bool,
    /// The number of keys of the mappings around it.
    keys: usize,
}

impl<'t> Loader<'t> {
    fn load(&mut self, source: &'t str) -> Result<(), Error> {
        let mut options = granit_parser::options! {
            flow_nesting_limit: MAX_DEPTH,
            block_nesting_limit: MAX_DEPTH,
            bom_inside_document_as_content: true,
            emit_anchor_events: true,
        };
        options.set_emit_comments(false);
        for event in Parser::new_from_str_with_options(source, options) {
            let (event, span) = event
                .map_err(|error| Error::new(error.info(), error.marker().line(), error.marker().col() + 1))?;
            match event {
                Event::Scalar(text, style, anchor, tag) => {
                    dialect::check_scalar(source, &text, style, self.in_flow(), span)?;
                    let tag = tag.map(|tag| tag.handle().to_owned() + tag.suffix());
                    self.scalar(text, style, tag.as_deref(), anchor, span)?;
                }
                Event::SequenceStart(style, anchor, _) => {
                    self.begin(Content::Sequence { end: 0 }, style, anchor, span)?;
                }
                Event::MappingStart(style, anchor, _) => {
                    self.begin(Content::Mapping { end: 0, plain: true }, style, anchor, span)?;
                }
                Event::Anchor(_, name) => dialect::check_anchor(&name, span)?,
                Event::SequenceEnd | Event::MappingEnd => self.end(),
                Event::Alias(anchor) => {
                    dialect::check_anchor(
                        span.slice(source).unwrap_or_default().trim_start_matches('*'),
                        span,
                    )?;
                    let Some(&target) = self.anchors.get(&anchor) else {
                        return Err(at(span, "there is no such anchor"));
                    };
                    self.aliases = true;
                    let complex =
                        matches!(self.nodes[target], Content::Sequence { .. } | Content::Mapping { .. });
                    if self.push(Content::Alias(target), 0, span) && complex {
                        return Err(at(span, "a key can't be a list or a map"));
                    }
                    self.unusual |= matches!(self.nodes[target], Content::Typed(..));
                }
                Event::DocumentStart(_, Some(version)) => dialect::check_version(version, span)?,
                Event::DocumentEnd => return Ok(()),
                _ => {}
            }
        }
        Ok(())
    }

    fn scalar(
        &mut self,
        text: Cow<'t, str>,
        style: ScalarStyle,
        tag: Option<&str>,
        anchor: usize,
        span: Span,
    ) -> Result<(), Error> {
        let plain = style == ScalarStyle::Plain;
        let core = tag.map(|tag| tag.strip_prefix("tag:yaml.org,2002:").unwrap_or(tag));
        let is_key = self.open.last().is_some_and(|open| open.mapping && open.key);
        let content = match core {
            None | Some("!") if is_key && text == "<<" && (plain || core.is_some()) => Content::Merge,
            Some("merge") if is_key && text == "<<" => Content::Merge,
            None if !plain => Content::Text(text),
            None => typed(text, Tag::None).map_err(|message| at(span, message))?,
            Some("bool") => typed(text, Tag::Bool).map_err(|message| at(span, message))?,
            Some("int") => typed(text, Tag::Int).map_err(|message| at(span, message))?,
            Some("float") => typed(text, Tag::Float).map_err(|message| at(span, message))?,
            Some("null") => typed(text, Tag::Null).map_err(|message| at(span, message))?,
            Some("timestamp") => typed(text, Tag::Timestamp).map_err(|message| at(span, message))?,
            Some("binary") => Content::Text(Cow::Owned(
                binary(&text).ok_or_else(|| at(span, "a !!binary value must be base64 text"))?,
            )),
            Some(_) => Content::Text(text),
        };
        match &content {
            Content::Merge => {
                self.merges = true;
                if let Some(open) = self.open.last_mut() {
                    open.merges = true;
                }
            }
            Content::Typed(text, tag) => {
                self.unusual |= match scalar::resolve(*tag, text) {
                    Ok(Value::Float(number)) => !number.is_finite(),
                    Ok(Value::Null | Value::Unsigned(_)) => is_key,
                    _ => false,
                };
            }
            _ => {}
        }
        self.push(content, anchor, span);
        Ok(())
    }

    /// Adds a node; tells whether it is a key.
    fn push(&mut self, content: Content<'t>, anchor: usize, span: Span) -> bool {
        let index = self.nodes.len();
        let mut is_key = false;
        if let Some(open) = self.open.last_mut()
            && open.mapping
        {
            is_key = open.key;
            open.key = !is_key;
            if is_key {
                self.keys.push(index);
            }
        }
        if anchor != 0 {
            self.anchors.insert(anchor, index);
        }
        let narrow = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        self.places.push(Place { line: narrow(span.start.line()), column: narrow(span.start.col() + 1) });
        self.nodes.push(content);
        is_key
    }

    /// Tells whether a node that comes next stands within brackets or braces.
    fn in_flow(&self) -> bool {
        self.open.last().is_some_and(|open| open.flow)
    }

    fn begin(
        &mut self,
        content: Content<'t>,
        style: StructureStyle,
        anchor: usize,
        span: Span,
    ) -> Result<(), Error> {
        let (index, mapping) = (self.nodes.len(), matches!(content, Content::Mapping { .. }));
        if self.push(content, anchor, span) {
            return Err(at(span, "a key can't be a list or a map"));
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(at(span, format!("nested more than {MAX_DEPTH} levels deep")));
        }
        let flow = style == StructureStyle::Flow || self.in_flow();
        self.open.push(Open { index, mapping, flow, key: true, merges: false, keys: self.keys.len() });
        Ok(())
    }

    fn end(&mut self) {
        let Some(open) = self.open.pop() else { return };
        let next = self.nodes.len();
        let repeats = open.mapping && self.find_repeated(open.keys);
        self.keys.truncate(open.keys);
        match &mut self.nodes[open.index] {
            Content::Sequence { end } => *end = next,
            Content::Mapping { end, plain } => {
                *end = next;
                *plain = !open.merges && !repeats;
            }
            _ => {}
        }
    }

    /// Finds the keys that a mapping repeats; its own keys are those behind the first `around`.
    fn find_repeated(&mut self, around: usize) -> bool {
        let keys = &self.keys[around..];
        if keys.len() <= FEW {
            let text = |index: usize| match &self.nodes[index] {
                Content::Text(text) => Some(&**text),
                _ => None,
            };
            let mut unlike = keys.iter().enumerate().map(|(at, key)| (text(*key), &keys[..at]));
            if unlike.all(|(key, before)| key.is_some() && before.iter().all(|other| text(*other) != key)) {
                return false;
            }
        }
        let document = Document {
            nodes: std::mem::take(&mut self.nodes),
            places: std::mem::take(&mut self.places),
            repeated: Vec::new(),
        };
        let mut seen = std::collections::HashSet::with_capacity(keys.len());
        let before = self.repeated.len();
        for &key in keys {
            let Some(text) = document.key(key) else { continue };
            if seen.contains(&text) {
                self.repeated.push(Repeated { key: text.into_owned(), line: document.place(key).0 });
            } else {
                seen.insert(text);
            }
        }
        drop(seen);
        (self.nodes, self.places) = (document.nodes, document.places);
        self.repeated.len() > before
    }
}

/// How many keys are compared with each other; of more a set is made.
const FEW: usize = 16;

pub(super) fn at(span: Span, message: impl Into<String>) -> Error {
    Error::new(message, span.start.line(), span.start.col() + 1)
}

/// Makes a scalar of a text whose type is to be told by the text or a tag.
fn typed(text: Cow<'_, str>, tag: Tag) -> Result<Content<'_>, String> {
    Ok(match scalar::resolve(tag, &text)? {
        Value::Text => Content::Text(text),
        _ => Content::Typed(text, tag),
    })
}

/// Decodes base64 as Go does, which passes over line breaks; what is no text is replaced as in JSON.
fn binary(text: &str) -> Option<String> {
    let text: Vec<u8> = text.bytes().filter(|byte| !matches!(byte, b'\n' | b'\r')).collect();
    Some(String::from_utf8_lossy(&STANDARD.decode(text).ok()?).into_owned())
}
