//! Finds the items of a large YAML list, such as the output of `kubectl get -o yaml`, by indentation and without
//! parsing.
//!
//! Such a list is in block style, and the content of an item is indented deeper than its dash. Only quoted strings and
//! brackets can break this rule, and then a piece that ends within them is invalid YAML.

use crate::workload::TypeMeta;
use crate::yaml::Document;

/// The part of a list above its items.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// The offset of the first item's line, or of a comment above it. In flow style, that of the bracket.
    pub(super) end: usize,
    /// The style of the items.
    pub(super) style: Style,
    /// The type for items that name none.
    pub(super) item: Option<TypeMeta>,
}

/// The way in which the items of a list are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// An item a dash, with this indentation of the dashes.
    Block {
        /// The number of blanks.
        dash: usize,
    },
    /// Within brackets.
    Flow,
}

/// Finds the items of the list at the start of a text; `None` for any other document or a list in another style.
pub(super) fn head(text: &[u8]) -> Option<Head> {
    let mut end = 0;
    loop {
        let line = line_at(text, end)?;
        end += line.len();
        if line.strip_prefix(b"items:").is_some_and(is_blank) {
            break;
        }
    }
    let above = std::str::from_utf8(&text[..end]).ok()?;
    let above = if above.starts_with("---") { above.split_once('\n')?.1 } else { above };
    head_above(text, end, above)
}

/// Finds the items of a list that is itself an item, whose dash has the indentation `dash`; `None` for any other item.
/// The text begins with the item.
pub(super) fn inner_head(text: &[u8], dash: usize) -> Option<Head> {
    let mut end = 0;
    // The indentation of the item's fields.
    let mut column = None;
    let mut is_within = false;
    loop {
        let line = line_at(text, end)?;
        end += line.len();
        if is_blank(line) {
            continue;
        }
        let field = if is_within {
            let column = *column.get_or_insert(indent(line));
            if column <= dash || indent(line) < column {
                return None;
            }
            &line[column..]
        } else if is_dash(line) && indent(line) == dash {
            is_within = true;
            let field = line[dash + 1..].trim_ascii_start();
            column = (!is_blank(field)).then(|| line.len() - field.len());
            field
        } else {
            return None;
        };
        if field.strip_prefix(b"items:").is_some_and(is_blank) {
            break;
        }
    }
    let mut above = text[..end].to_vec();
    blank_dash(&mut above);
    let head = head_above(text, end, std::str::from_utf8(&above).ok()?)?;
    matches!(head.style, Style::Block { dash } if dash >= column?).then_some(head)
}

/// Replaces the dash of the item at the start of a text by a blank, so that the item stands for itself.
pub(super) fn blank_dash(item: &mut [u8]) {
    let mut offset = 0;
    while let Some(line) = line_at(item, offset) {
        if !is_blank(line) {
            let dash = offset + indent(line);
            item[dash] = b' ';
            return;
        }
        offset += line.len();
    }
}

/// Returns the offset at which the item around an inner list ends; `None` if it may go on behind the text.
pub(super) fn end_of_item(text: &[u8], dash: usize, ended: bool) -> Option<usize> {
    let mut offset = 0;
    while let Some(line) = line_at(text, offset) {
        if !ended && !line.ends_with(b"\n") {
            return None;
        }
        if indent(line) <= dash && !is_blank(line) {
            return Some(offset);
        }
        offset += line.len();
    }
    ended.then_some(text.len())
}

/// Completes the head of a list from the text above its items, which end at an offset.
fn head_above(text: &[u8], end: usize, above: &str) -> Option<Head> {
    let mut first = end;
    let dash = loop {
        let line = line_at(text, first)?;
        if !is_blank(line) {
            break is_dash(line).then(|| indent(line))?;
        }
        first += line.len();
    };
    // If the kind comes after the items, they must name their own.
    let is_typed = || names_its_type(&text[first..], dash) || inner_head(&text[first..], dash).is_some();
    head_of(above, end, Style::Block { dash }, is_typed)
}

/// Completes the head of a list from the document above its items; `None` for no list. A document without a kind is a
/// list if its items have types.
pub(super) fn head_of(
    above: &str,
    end: usize,
    style: Style,
    is_typed: impl FnOnce() -> bool,
) -> Option<Head> {
    let document = Document::parse(above).ok()?;
    let field = |name: &str| document.root().get(name).and_then(|value| value.text().map(ToOwned::to_owned));
    let item = match field("kind") {
        Some(kind) if kind == "List" => None,
        Some(kind) => Some(TypeMeta { api_version: field("apiVersion")?, kind }.item()?),
        None if is_typed() => None,
        None => return None,
    };
    Some(Head { end, style, item })
}

/// Returns true if the first item of a list has both an `apiVersion` and a `kind`.
fn names_its_type(text: &[u8], dash: usize) -> bool {
    let (mut api_version, mut kind, mut depth) = (false, false, None);
    let mut offset = 0;
    while let Some(line) = line_at(text, offset) {
        let mut field = line.trim_ascii_start();
        let mut column = indent(line);
        if column <= dash && !is_blank(line) {
            if offset > 0 || !is_dash(line) {
                break;
            }
            field = field[1..].trim_ascii_start();
            column = line.len() - field.len();
        }
        offset += line.len();
        if is_blank(field) || *depth.get_or_insert(column) != column {
            continue;
        }
        api_version |= field.starts_with(b"apiVersion:");
        kind |= field.starts_with(b"kind:");
    }
    api_version && kind
}

/// The items in a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Walk {
    /// The number of items that begin in the text.
    pub(super) items: usize,
    /// The offset at which the last of them begins.
    pub(super) last: usize,
    /// The offset at which the list ends, if it ends in the text.
    pub(super) end: Option<usize>,
}

/// Walks over the items of a list with this indentation of the dashes. The text begins with an item.
///
/// An incomplete last line is ignored, unless the stream has `ended`.
pub(super) fn walk(text: &[u8], dash: usize, ended: bool) -> Walk {
    let mut walk = Walk { items: 0, last: 0, end: None };
    let mut offset = 0;
    while let Some(line) = line_at(text, offset) {
        if !ended && !line.ends_with(b"\n") {
            return walk;
        }
        let depth = indent(line);
        if depth <= dash && !is_blank(line) {
            if depth < dash || !is_dash(line) {
                walk.end = Some(offset);
                return walk;
            }
            walk.items += 1;
            walk.last = offset;
        }
        offset += line.len();
    }
    walk.end = ended.then_some(text.len());
    walk
}

/// Returns the line at an offset with its line feed; `None` at the end of the text.
pub(super) fn line_at(text: &[u8], offset: usize) -> Option<&[u8]> {
    let rest = &text[offset..];
    let end = memchr::memchr(b'\n', rest).map_or(rest.len(), |newline| newline + 1);
    (end > 0).then_some(&rest[..end])
}

pub(super) fn indent(line: &[u8]) -> usize {
    line.iter().take_while(|byte| **byte == b' ').count()
}

/// Returns true if a line is blank or a comment.
pub(super) fn is_blank(line: &[u8]) -> bool {
    matches!(line.trim_ascii_start().first(), None | Some(b'#'))
}

/// Returns true if a line begins an item.
fn is_dash(line: &[u8]) -> bool {
    matches!(line.trim_ascii_start(), [b'-'] | [b'-', b' ' | b'\r' | b'\n' | b'\t', ..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(kind: &str) -> TypeMeta {
        TypeMeta { api_version: "apps/v1".to_owned(), kind: kind.to_owned() }
    }

    #[test]
    fn a_list_is_recognized_by_its_kind_or_its_first_item() {
        for (text, dash, item) in [
            ("apiVersion: v1\nkind: List\nitems:\n- a: 1\n", 0, None),
            (
                "---\n# all\nkind: List\nmetadata:\n  resourceVersion: \"\"\nitems: # all\n\n  # one\n  - a: 1\n",
                2,
                None,
            ),
            ("apiVersion: apps/v1\nkind: DeploymentList\nitems:\n- a: 1\n", 0, Some(item("Deployment"))),
            ("apiVersion: v1\nitems:\n- apiVersion: v1\n  data:\n    a: 1\n  kind: Pod\n- b: 1\n", 0, None),
            ("apiVersion: v1\nitems:\n  -\n    kind: Pod\n    apiVersion: v1\n", 2, None),
        ] {
            let head = head(text.as_bytes()).unwrap_or_else(|| panic!("{text}"));
            assert_eq!((head.style, head.item), (Style::Block { dash }, item), "{text}");
            assert!(
                text[..head.end].trim_end().ends_with(':') || text[..head.end].contains("items: # all\n")
            );
        }
        for text in [
            "apiVersion: v1\nkind: Pod\nitems:\n- a: 1\n",
            "apiVersion: v1\nitems:\n- metadata:\n    apiVersion: v1\n    kind: Pod\n",
            "kind: List\nitems: [a, b]\n",
            "kind: List\nitems:\n  [a,\n  b]\n",
            "kind: \"List\nitems:\n- a: 1\n",
            "kind: List\n",
        ] {
            assert_eq!(head(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_list_within_a_list_is_recognized() {
        for (text, outer, dash, kind) in [
            ("- apiVersion: v1\n  items:\n  - apiVersion: v1\n    kind: Pod\n", 0, 2, None),
            ("# a\n- kind: List\n  items: # b\n\n    - a: 1\n", 0, 4, None),
            ("  - items:\n    - kind: Pod\n      apiVersion: v1\n", 2, 4, None),
            (
                "-\n  apiVersion: apps/v1\n  kind: DeploymentList\n  items:\n  - a: 1\n",
                0,
                2,
                Some("Deployment"),
            ),
        ] {
            let head = inner_head(text.as_bytes(), outer).unwrap_or_else(|| panic!("{text}"));
            assert_eq!((head.style, head.item), (Style::Block { dash }, kind.map(item)), "{text}");
            assert!(text[head.end..].contains("- ") && text[..head.end].contains("items:"), "{text}");
        }
        for text in [
            "- apiVersion: v1\n  kind: ConfigMap\n  data:\n    items:\n    - a\n",
            "- apiVersion: v1\n  kind: Pod\n- items:\n  - a: 1\n",
            "- kind: List\n  items: [a]\n",
            "- kind: List\n  items:\n- a\n",
        ] {
            assert_eq!(inner_head(text.as_bytes(), 0), None, "{text}");
        }
        let rest = "  kind: List\n\n# a\n- b\n";
        assert_eq!(end_of_item(rest.as_bytes(), 0, false), Some(rest.len() - 4));
        assert_eq!(end_of_item(b"  kind: List\n", 0, false), None);
        assert_eq!(end_of_item(b"  kind: List", 0, true), Some(12));
    }

    #[test]
    fn an_item_ends_at_the_next_one_or_at_less_indentation() {
        fn walked(text: &str, dash: usize, ended: bool) -> (usize, &str, Option<&str>) {
            let Walk { items, last, end } = walk(text.as_bytes(), dash, ended);
            (items, &text[last..], end.map(|end| &text[end..]))
        }
        assert_eq!(
            walked("- a: 1\n- b: |\n    - c\n\n# d\n  e: 1\n", 0, false),
            (2, "- b: |\n    - c\n\n# d\n  e: 1\n", None)
        );
        assert_eq!(
            walked("  - a\n  - b\nkind: List\n", 2, false),
            (2, "  - b\nkind: List\n", Some("kind: List\n"))
        );
        assert_eq!(walked("- a\n- b\n---\nc: 1\n", 0, false), (2, "- b\n---\nc: 1\n", Some("---\nc: 1\n")));
        assert_eq!(walked("- a\n-", 0, false), (1, "- a\n-", None), "the line may go on");
        assert_eq!(walked("- a\n-", 0, true), (2, "-", Some("")));
    }
}
