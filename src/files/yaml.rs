//! Cuts YAML streams at the markers between documents, and splits a text into its documents.

use super::blocks::{BLOCK, Window, lines};
use super::piece::{CutError, Form, Piece, Pieces};

/// The part of a source that has been cut.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Before {
    pub(super) lines: usize,
    pub(super) documents: usize,
}

/// Cuts a YAML stream into pieces of whole documents. Returns the number of documents in the source.
pub(super) fn cut(
    window: &mut Window<'_>,
    before: Before,
    pieces: &mut impl Pieces,
) -> Result<usize, CutError> {
    let Before { lines: mut lines_before, documents: mut documents_before } = before;
    loop {
        window.fill(BLOCK)?;
        let end = loop {
            if window.ended() {
                break window.bytes().len();
            }
            match last_marker(window.bytes()) {
                Some(marker) => break marker,
                None => window.grow()?,
            }
        };
        let text = window.take(end, pieces.spare());
        let last = window.ended() && window.bytes().is_empty();
        let (lines, documents) = (lines(text.as_bytes()), documents(text.as_bytes()).len());
        pieces.push(Piece { text, form: Form::Yaml, lines_before, documents_before, items_before: 0 });
        lines_before += lines;
        documents_before += documents;
        if last {
            return Ok(documents_before);
        }
    }
}

/// Returns the start of the last line, after the first one, that begins a document.
fn last_marker(text: &[u8]) -> Option<usize> {
    let mut end = text.len();
    loop {
        let newline = memchr::memmem::rfind(&text[..end], b"\n---")?;
        // A marker ends with white space; four dashes are no marker.
        if text.get(newline + 4).is_some_and(u8::is_ascii_whitespace) {
            return Some(newline + 1);
        }
        end = newline + 1;
    }
}

/// A document within a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Document<'t> {
    /// The document, with its marker.
    pub(super) text: &'t [u8],
    /// The lines of the text before the document.
    pub(super) lines_before: usize,
    /// The lines of the text before the document's first content.
    pub(super) lines_before_content: usize,
}

/// Returns the documents of a text, except for those that hold only comments, directives, blank lines or a single null.
pub(super) fn documents(text: &[u8]) -> Vec<Document<'_>> {
    let mut documents = Vec::new();
    let (mut start, mut start_line) = (0, 0);
    // True if a document without content has already begun. It ends at the next marker.
    let mut empty = false;
    let mut content = None;
    let mut offset = 0;
    for (number, line) in text.split_inclusive(|&byte| byte == b'\n').enumerate() {
        let (marker, end) = (is_marker(line, b"---"), is_marker(line, b"..."));
        if (marker || end) && (content.is_some() || empty) {
            if let Some(lines_before_content) = content.take() {
                let text = &text[start..offset];
                documents.push(Document { text, lines_before: start_line, lines_before_content });
            }
            // An end marker belongs to no document.
            (start, start_line) = if marker { (offset, number) } else { (offset + line.len(), number + 1) };
            empty = false;
        }
        let inner = if marker { &line[3..] } else { line }.trim_ascii();
        if content.is_none() && !end {
            if is_null(inner) {
                empty = true;
            } else if !inner.is_empty() && !matches!(inner[0], b'#' | b'%') {
                content = Some(number);
            }
        }
        empty |= marker;
        offset += line.len();
    }
    if let Some(lines_before_content) = content {
        documents.push(Document { text: &text[start..], lines_before: start_line, lines_before_content });
    }
    documents
}

/// Returns true if a trimmed line is a null, with or without a comment after it.
fn is_null(line: &[u8]) -> bool {
    let word = line.split(u8::is_ascii_whitespace).next().unwrap_or_default();
    let rest = line[word.len()..].trim_ascii_start();
    matches!(word, b"~" | b"null" | b"Null" | b"NULL") && matches!(rest.first(), None | Some(b'#'))
}

/// Returns true if a text begins with a marker.
pub(super) fn is_marker(line: &[u8], marker: &[u8]) -> bool {
    line.strip_prefix(marker).is_some_and(|rest| rest.first().is_none_or(u8::is_ascii_whitespace))
}

/// The deepest allowed nesting of brackets and braces. The YAML parser takes time quadratic in the nesting.
pub(super) const MAX_NESTING: usize = 1_000;

/// Returns the deepest nesting of brackets and braces, including those within strings.
pub(super) fn nesting(text: &[u8]) -> usize {
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

/// Returns true if the first document of a text is valid YAML.
pub(super) fn is_valid(text: &[u8]) -> bool {
    documents(text).first().is_some_and(|document| {
        nesting(document.text) <= MAX_NESTING
            && yaml_serde::from_slice::<serde::de::IgnoredAny>(document.text).is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(&str, usize)> {
        let documents = documents(text.as_bytes()).into_iter();
        documents.map(|d| (std::str::from_utf8(d.text).unwrap(), d.lines_before_content)).collect()
    }

    #[test]
    fn documents_keep_their_first_lines() {
        assert_eq!(found("a: 1\n---\nb: 2\n"), [("a: 1\n", 0), ("---\nb: 2\n", 2)]);
        assert_eq!(
            found("---\n# why\n\na: 1\n--- # next\nb: 2"),
            [("---\n# why\n\na: 1\n", 3), ("--- # next\nb: 2", 5)]
        );
        assert_eq!(found("--- {a: 1}\n--- {b: 2}"), [("--- {a: 1}\n", 0), ("--- {b: 2}", 1)]);
    }

    #[test]
    fn comments_alone_are_no_document() {
        assert_eq!(found("---\n# one\n---\n\n---\na: 1\n---\n"), [("---\na: 1\n", 5)]);
        assert!(found("").is_empty() && found("# a\n---\n...\n").is_empty());
        assert_eq!(found("---\n...\n# b\n---\na: 1\n"), [("# b\n---\na: 1\n", 4)]);
    }

    #[test]
    fn a_null_is_no_document_and_a_name_that_begins_like_one_is() {
        for null in ["null", "~", "NULL # nothing", "Null"] {
            assert_eq!(found(&format!("{null}\n---\na: 1\n")), [("---\na: 1\n", 2)], "{null}");
            assert_eq!(found(&format!("--- {null}\n---\na: 1\n---\n{null}")), [("---\na: 1\n", 2)], "{null}");
        }
        for content in ["nullable: 1\n", "null: 1\n", "~a\n", "null\nb: 1\n"] {
            assert_eq!(found(content).len(), 1, "{content}");
        }
    }

    #[test]
    fn end_markers_and_directives_are_no_content() {
        assert_eq!(
            found("a: 1\n...\n%YAML 1.2\n---\nb: 2\n"),
            [("a: 1\n", 0), ("%YAML 1.2\n---\nb: 2\n", 4)]
        );
    }

    #[test]
    fn dashes_inside_a_string_are_no_marker() {
        assert_eq!(found("a: |\n  ---\n  x\n----: 1\n").len(), 1);
        assert_eq!(last_marker(b"a\n---\nb\n----\n---"), Some(2));
    }
}
