//! Finds the line of a field in the text of an object, by the field's path.
//!
//! A missing field has the line of its nearest existing parent.

use serde::de::IgnoredAny;

use super::blocks::lines;
use super::json_tokens::{TokenError, Tokens};
use crate::yaml::Node;

/// A step of a path such as `metadata.labels['app.kubernetes.io/name']` or `spec.containers[0].image`.
#[derive(Debug, PartialEq, Eq)]
enum Step<'p> {
    Key(&'p str),
    Item(usize),
}

/// Returns the steps of a path.
fn steps(path: &str) -> impl Iterator<Item = Step<'_>> {
    let mut rest = path;
    std::iter::from_fn(move || {
        rest = rest.strip_prefix('.').unwrap_or(rest);
        if let Some(quoted) = rest.strip_prefix("['") {
            let (key, after) = quoted.split_once("']")?;
            rest = after;
            return Some(Step::Key(key));
        }
        if let Some(index) = rest.strip_prefix('[') {
            let (index, after) = index.split_once(']')?;
            rest = after;
            return index.parse().ok().map(Step::Item);
        }
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        let (key, after) = rest.split_at(end);
        rest = after;
        (!key.is_empty()).then_some(Step::Key(key))
    })
}

/// Returns the line of a field in a document, from 1. Anchors and merge keys lead to the line that sets the field.
pub(super) fn in_yaml(object: Node<'_, '_>, path: &str) -> usize {
    let (mut node, mut line) = (object, object.line());
    for step in steps(path) {
        let next = match step {
            Step::Key(key) => node.field(key),
            Step::Item(index) => {
                let item = node.items().and_then(|mut items| items.nth(index));
                item.map(|item| (item.line(), item))
            }
        };
        let Some(found) = next else { break };
        (line, node) = found;
    }
    line
}

/// Returns the line of a field in the text of a JSON object, from 1.
pub(super) fn in_json(text: &str, path: &str) -> usize {
    find(text, path, Repeats::None)
}

/// Returns the line of a field in the text of a JSON object, from 1. The last of repeated keys counts.
pub(super) fn in_repeats(text: &str, path: &str) -> usize {
    find(text, path, Repeats::Last)
}

/// The key that counts if an object has one more than once.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Repeats {
    /// No key is repeated, so that a search can end at the first one.
    None,
    Last,
}

fn find(text: &str, path: &str, repeats: Repeats) -> usize {
    let mut tokens = Tokens::at(text.as_bytes(), 0);
    let mut offset = 0;
    for step in steps(path) {
        // The text was parsed before, so that an error is only a value of another type.
        match enter(&mut tokens, &step, repeats) {
            Ok(Some(found)) => offset = found,
            Ok(None) | Err(_) => break,
        }
    }
    lines(&text.as_bytes()[..offset]) + 1
}

/// Moves to the value that a step leads to. Returns the offset at which the field begins; `None` if there is none.
fn enter(tokens: &mut Tokens<'_>, step: &Step<'_>, repeats: Repeats) -> Result<Option<usize>, TokenError> {
    let end = match step {
        Step::Key(_) => b'}',
        Step::Item(_) => b']',
    };
    // `}` and `]` stand two places behind the brackets that open them.
    tokens.expect(end - 2)?;
    let (mut index, mut found) = (0, None);
    while tokens.peek()? != end {
        if index > 0 {
            tokens.expect(b',')?;
            tokens.peek()?;
        }
        let start = tokens.offset;
        let is_next = match step {
            Step::Key(wanted) => {
                let key: String = tokens.value()?;
                tokens.expect(b':')?;
                key == **wanted
            }
            Step::Item(wanted) => index == *wanted,
        };
        if is_next {
            found = Some((start, tokens.offset));
            if repeats == Repeats::None {
                break;
            }
        }
        tokens.value::<IgnoredAny>()?;
        index += 1;
    }
    Ok(found.map(|(start, value)| {
        tokens.offset = value;
        start
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::Document;

    #[test]
    fn a_path_has_keys_quoted_keys_and_items() {
        let found: Vec<_> = steps("metadata.labels['a.b/c'].spec.list[12].x").collect();
        let expected = [
            Step::Key("metadata"),
            Step::Key("labels"),
            Step::Key("a.b/c"),
            Step::Key("spec"),
            Step::Key("list"),
            Step::Item(12),
            Step::Key("x"),
        ];
        assert_eq!(found, expected);
        assert_eq!(steps("").count(), 0);
    }

    #[test]
    fn anchors_and_merge_keys_lead_to_the_line_that_sets_the_field() {
        let text = "\
a: &base
  image: x
  ports:
  - 1
spec:
  list:
  - <<: *base
    name: own
  - *base
  other:
    ports: [2]
";
        let document = Document::parse(text).unwrap();
        for (path, line) in [
            ("spec", 5),
            ("spec.list[0].image", 2),
            ("spec.list[0].name", 8),
            ("spec.list[0].missing", 7),
            ("spec.list[1].ports", 3),
            ("spec.list[1].ports[0]", 4),
            ("spec.list[1].missing", 9),
            ("spec.list[2].name", 6),
            ("spec.other.missing.deeper", 10),
            ("missing", 1),
        ] {
            assert_eq!(in_yaml(document.root(), path), line, "{path}");
        }
    }

    #[test]
    fn json_and_yaml_find_the_same_lines() {
        let text = "{\n \"a\": {\"x\": [],\n  \"b\\u0063\": [\n   1,\n   {\"k\": 2,\n    \"l\": {}}\n  ]},\n \"z\": null\n}";
        let document = Document::parse(text).unwrap();
        for (path, line) in [
            ("a", 2),
            ("a.bc", 3),
            ("a.bc[0]", 4),
            ("a.bc[1].k", 5),
            ("a.bc[1].l.m", 6),
            ("a.bc[7]", 3),
            ("a.x[0]", 2),
            ("z.y", 8),
            ("q", 1),
        ] {
            assert_eq!(in_json(text, path), line, "{path}");
            assert_eq!(in_yaml(document.root(), path), line, "{path}");
        }
    }

    #[test]
    fn the_last_of_repeated_keys_has_the_line() {
        let text = "{\n\"a\": {\"x\": 1},\n\"b\": 1,\n\"a\": {\n\"y\": [\n1]}}";
        for (path, line) in [("a", 4), ("a.y", 5), ("a.y[0]", 6), ("a.x", 4), ("b", 3)] {
            assert_eq!(in_repeats(text, path), line, "{path}");
        }
    }
}
