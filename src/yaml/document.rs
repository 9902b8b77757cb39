//! Parses a document: turns the parser's events into a tree.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, ScanError, Span, StructureStyle};

use super::error::{Error, at};
use super::scalar::{self, Tag, Value};
use super::tabs::Tabs;
use super::tree::{Content, Document, MAX_DEPTH, Place, Repeated};
use super::{aliases, dialect};

impl<'t> Document<'t> {
    /// Parses the first document of a text. The rest is skipped, as in kubectl.
    pub fn parse(text: &'t str) -> Result<Self, Error> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        dialect::check_characters(text)?;
        dialect::check_start(text)?;
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
    /// The node of each anchor, by the parser's number of the anchor.
    anchors: HashMap<usize, usize>,
    aliases: bool,
    merges: bool,
    /// True if there may be a value that JSON can't represent.
    unusual: bool,
}

/// A collection that has not ended yet.
struct Open {
    index: usize,
    next: Next,
    flow: bool,
    merges: bool,
    /// The number of keys of the mappings around it.
    keys: usize,
}

/// The part of a collection that comes next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Item,
    Key,
    Value,
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
        // The last node, if it is a key within brackets or braces. Its anchor follows it.
        let mut flow_key = None;
        let mut tabs = Tabs::find(source);
        for event in Parser::new_from_str_with_options(source, options) {
            let (event, span) = event.map_err(|error| syntax(source, &error))?;
            if let Some(tabs) = &mut tabs {
                tabs.check(&event, span, self.in_flow())?;
            }
            match event {
                Event::Scalar(text, style, anchor, tag) => {
                    dialect::check_scalar(source, &text, style, self.in_flow(), span)?;
                    let is_key = self.open.last().is_some_and(|open| open.next == Next::Key);
                    flow_key = (is_key && self.in_flow()).then_some(span);
                    if let Some(key) = flow_key {
                        dialect::check_flow_key(source, span.tag_start().unwrap_or(span.start), key)?;
                    }
                    let tag = tag.map(|tag| tag.handle().to_owned() + tag.suffix());
                    self.scalar(text, style, tag.as_deref(), anchor, span)?;
                }
                Event::SequenceStart(style, anchor, _) => {
                    flow_key = None;
                    self.begin(Content::Sequence { end: 0 }, style, anchor, span)?;
                }
                Event::MappingStart(style, anchor, _) => {
                    flow_key = None;
                    self.begin(Content::Mapping { end: 0, plain: true }, style, anchor, span)?;
                }
                Event::Anchor(_, name) => {
                    dialect::check_anchor(&name, span)?;
                    if let Some(key) = flow_key {
                        dialect::check_flow_key(source, span.start, key)?;
                    }
                }
                Event::SequenceEnd | Event::MappingEnd => self.end(),
                Event::Alias(anchor) => self.alias(source, anchor, span)?,
                Event::DocumentStart(_, Some(version)) => dialect::check_version(version, span)?,
                Event::DocumentEnd => return Ok(()),
                _ => {}
            }
        }
        Ok(())
    }

    fn alias(&mut self, source: &str, anchor: usize, span: Span) -> Result<(), Error> {
        dialect::check_anchor(span.slice(source).unwrap_or_default().trim_start_matches('*'), span)?;
        let Some(&target) = self.anchors.get(&anchor) else {
            return Err(at(span, "there is no such anchor"));
        };
        self.aliases = true;
        let complex = matches!(self.nodes[target], Content::Sequence { .. } | Content::Mapping { .. });
        if self.push(Content::Alias(target), 0, span) && complex {
            return Err(at(span, "a key can't be a list or a map"));
        }
        self.unusual |= matches!(self.nodes[target], Content::Typed(..));
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
        let is_key = self.open.last().is_some_and(|open| open.next == Next::Key);
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

    /// Adds a node. Returns true if it is a key.
    fn push(&mut self, content: Content<'t>, anchor: usize, span: Span) -> bool {
        let index = self.nodes.len();
        let next = self.open.last_mut().map(|open| {
            let after = match open.next {
                Next::Item => Next::Item,
                Next::Key => Next::Value,
                Next::Value => Next::Key,
            };
            std::mem::replace(&mut open.next, after)
        });
        let is_key = next == Some(Next::Key);
        if is_key {
            self.keys.push(index);
        }
        if anchor != 0 {
            self.anchors.insert(anchor, index);
        }
        let narrow = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        self.places.push(Place { line: narrow(span.start.line()), column: narrow(span.start.col() + 1) });
        self.nodes.push(content);
        is_key
    }

    /// Returns true if the next node is within brackets or braces.
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
        let index = self.nodes.len();
        let next = if matches!(content, Content::Mapping { .. }) { Next::Key } else { Next::Item };
        if self.push(content, anchor, span) {
            return Err(at(span, "a key can't be a list or a map"));
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(at(span, too_deep()));
        }
        let flow = style == StructureStyle::Flow || self.in_flow();
        self.open.push(Open { index, next, flow, merges: false, keys: self.keys.len() });
        Ok(())
    }

    fn end(&mut self) {
        let Some(open) = self.open.pop() else { return };
        let next = self.nodes.len();
        let repeats = open.next != Next::Item && self.find_repeated(open.keys);
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

    /// Finds the repeated keys of a mapping. Its own keys come after the first `around` ones.
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
        let mut seen = HashSet::with_capacity(keys.len());
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

/// The largest number of keys that are compared pairwise. More keys go into a set.
const FEW: usize = 16;

/// Explains a syntax error.
fn syntax(source: &str, error: &ScanError) -> Error {
    let (line, column) = (error.marker().line(), error.marker().col() + 1);
    if matches!(error.kind(), ErrorKind::RecursionLimitExceeded) {
        return Error::new(too_deep(), line, column);
    }
    // In YAML 1.1 an anchor ends earlier, so that kubectl may see no quote where this parser misses its end.
    let text = source.lines().nth(line.saturating_sub(1)).unwrap_or_default();
    dialect::check_anchors(text, line).err().unwrap_or_else(|| Error::new(error.info(), line, column))
}

fn too_deep() -> String {
    format!("nested more than {MAX_DEPTH} levels deep")
}

/// Makes a scalar of a text. The text or a tag determines its type.
fn typed(text: Cow<'_, str>, tag: Tag) -> Result<Content<'_>, String> {
    Ok(match scalar::resolve(tag, &text)? {
        Value::Text => Content::Text(text),
        _ => Content::Typed(text, tag),
    })
}

/// Decodes base64 as Go does, which skips line breaks. Invalid UTF-8 is replaced, as in JSON.
fn binary(text: &str) -> Option<String> {
    let text: Vec<u8> = text.bytes().filter(|byte| !matches!(byte, b'\n' | b'\r')).collect();
    Some(String::from_utf8_lossy(&STANDARD.decode(text).ok()?).into_owned())
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::{Value as Json, json};

    use super::*;

    fn read(text: &str) -> Result<Json, Error> {
        Json::deserialize(Document::parse(text)?.root())
    }

    #[test]
    fn a_merge_overrides_keys_above_it_but_not_below() {
        let text = "x: &x {a: 1, b: 1}\nz: {a: 2, <<: *x, b: 2}\n";
        assert_eq!(read(text).unwrap()["z"], json!({"a": 1, "b": 2}));
    }

    #[test]
    fn repeated_keys_are_found_in_any_notation() {
        let many = (0..50).fold(String::new(), |text, number| format!("{text}k{number}: 1\n"));
        for (text, key, line) in [
            ("a: 1\nb: 1\n\"a\": 2\n".to_owned(), "a", 3),
            ("8: 1\n010: 2\n".to_owned(), "8", 2),
            (format!("{many}k7: 2\n"), "k7", 51),
        ] {
            let document = Document::parse(&text).unwrap();
            assert_eq!(document.repeated(), [Repeated { key: key.to_owned(), line }]);
            assert_eq!(Json::deserialize(document.root()).unwrap()[key], json!(2));
        }
        assert!(Document::parse("a: {<<: {a: 1}, a: 1}\n").unwrap().repeated().is_empty());
    }

    #[test]
    fn documents_that_grow_without_bound_are_refused() {
        let bomb = (1..20)
            .map(|n| format!("a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 10].join(", ")))
            .collect::<Vec<_>>()
            .concat();
        let links = (1..10_000).map(|n| format!("a{n}: &a{n} {{<<: *a{}}}\n", n - 1));
        let chain = links.collect::<Vec<_>>().concat();
        for (text, message) in [
            (format!("a0: &a0 [1]\n{bomb}"), "the document contains excessive aliasing"),
            (format!("a0: &a0 {{b: 1}}\n{chain}"), "nested more than 250 levels deep"),
            ("a: &a [*a]\n".to_owned(), "the anchor's value contains itself"),
        ] {
            let error = read(&text).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
        assert!(read(&"[".repeat(100_000)).is_err());
    }

    #[test]
    fn an_error_has_the_line_and_column_of_its_node() {
        for (text, place) in [("a: 1\nb: .inf\n", (2, 4)), ("a:\n- !!int x\n", (2, 9)), ("a: [1\n", (1, 4))] {
            let error = read(text).unwrap_err();
            assert_eq!((error.line(), error.column()), (Some(place.0), Some(place.1)), "{text}: {error}");
        }
    }
}
