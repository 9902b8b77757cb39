//! Splits a stream into documents by line, as apimachinery's `YAMLReader` does.

use std::borrow::Cow;

use super::Error;

/// The part of a stream between two separators.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk<'t> {
    /// The document, without the separator before it.
    pub text: &'t [u8],
    /// The lines of the stream before the document.
    pub lines_before: usize,
    /// The lines of the stream before the first content: comments, blank lines and a single null are no content.
    pub lines_before_content: usize,
    /// The text after the dashes of the separator, where only a comment is allowed.
    pub behind_separator: Option<&'t [u8]>,
}

impl<'t> Chunk<'t> {
    /// Returns the document as text, with invalid UTF-8 replaced. A wrong separator is an error.
    pub fn text(&self) -> Result<Cow<'t, str>, Error> {
        match self.behind_separator {
            // kubectl ends each line with a line feed, and a block scalar keeps it.
            None if !self.text.ends_with(b"\n") => Ok(String::from_utf8_lossy(self.text) + "\n"),
            None => Ok(String::from_utf8_lossy(self.text)),
            Some(behind) => Err(Error::new(
                format!(
                    "invalid document separator: put `{}` on a line of its own behind `---`",
                    String::from_utf8_lossy(behind)
                ),
                // The line of the separator, above the document or its first.
                usize::from(self.text.starts_with(SEPARATOR)),
                1,
            )),
        }
    }
}

/// Splits a text into its documents, except for those with only comments, blank lines or a single null.
///
/// The text is the start of a stream, or begins with a separator. A separator is any line that begins with three
/// dashes. On the first line of a stream it is part of its document.
pub fn chunks(text: &[u8], first: bool) -> impl Iterator<Item = Chunk<'_>> {
    let mut rest = text;
    let mut line = 0;
    let mut begun = false;
    std::iter::from_fn(move || {
        while !rest.is_empty() {
            let mut chunk =
                Chunk { text: rest, lines_before: line, lines_before_content: line, behind_separator: None };
            if rest.starts_with(SEPARATOR) {
                let end = memchr::memchr(b'\n', rest).map_or(rest.len(), |newline| newline + 1);
                let behind = rest[SEPARATOR.len()..end].trim_ascii();
                chunk.behind_separator =
                    Some(behind).filter(|behind| !matches!(behind.first(), None | Some(b'#')));
                if !first || begun {
                    chunk.text = &rest[end..];
                    chunk.lines_before += 1;
                }
            }
            // The first line of a stream doesn't end a document.
            let skipped = usize::from(first && !begun);
            begun = true;
            let (end, lines, content) = document(chunk.text, skipped);
            rest = &chunk.text[end..];
            line = chunk.lines_before + lines;
            chunk.text = &chunk.text[..end];
            if content.is_some() || chunk.behind_separator.is_some() {
                chunk.lines_before_content = chunk.lines_before + content.unwrap_or_default();
                return Some(chunk);
            }
        }
        None
    })
}

/// The separator of documents at the start of a line.
pub(crate) const SEPARATOR: &[u8] = b"---";

/// Returns the end of a document, the number of its lines, and the number of lines before its first content, if any.
fn document(text: &[u8], skipped: usize) -> (usize, usize, Option<usize>) {
    let mut content = None;
    let mut has_marker = false;
    let (mut offset, mut lines) = (0, 0);
    while offset < text.len() {
        let rest = &text[offset..];
        if lines >= skipped && rest.starts_with(SEPARATOR) {
            break;
        }
        let end = memchr::memchr(b'\n', rest).map_or(rest.len(), |newline| newline + 1);
        if content.is_none() {
            let whole = rest[..end].strip_prefix(b"\xef\xbb\xbf").unwrap_or(&rest[..end]);
            let line = whole.trim_ascii();
            has_marker |= lines < skipped && is_marker(line);
            let is_marker = has_marker && (lines < skipped || line == b"...");
            if has_tab(whole) || !is_marker && !is_nothing(line) {
                content = Some(lines);
            }
        } else if let Some(separator) = memchr::memmem::find(rest, b"\n---") {
            // After the first content only the separator matters.
            lines += memchr::memchr_iter(b'\n', &rest[..=separator]).count();
            return (offset + separator + 1, lines, content);
        } else {
            lines += memchr::memchr_iter(b'\n', rest).count();
            return (text.len(), lines, content);
        }
        offset += end;
        lines += 1;
    }
    (offset, lines, content)
}

/// Returns true if a line begins with a tab, maybe behind blanks. Where kubectl takes such a line, it is part of a value.
fn has_tab(line: &[u8]) -> bool {
    line.iter().find(|byte| **byte != b' ') == Some(&b'\t')
}

fn is_marker(line: &[u8]) -> bool {
    line.strip_prefix(SEPARATOR)
        .is_some_and(|rest| is_nothing(rest.trim_ascii_start()) && !rest.starts_with(b"#"))
}

/// Returns true if a trimmed line is blank, a comment or a null.
fn is_nothing(line: &[u8]) -> bool {
    let word = line.split(u8::is_ascii_whitespace).next().unwrap_or_default();
    let rest = line[word.len()..].trim_ascii_start();
    let null =
        matches!(word, b"~" | b"null" | b"Null" | b"NULL") && matches!(rest.first(), None | Some(b'#'));
    null || matches!(line.first(), None | Some(b'#'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(&str, usize)> {
        let chunks = chunks(text.as_bytes(), true);
        chunks.map(|chunk| (std::str::from_utf8(chunk.text).unwrap(), chunk.lines_before_content)).collect()
    }

    #[test]
    fn a_separator_is_a_line_that_begins_with_three_dashes() {
        assert_eq!(found("a: 1\n---\nb: 2\n"), [("a: 1\n", 0), ("b: 2\n", 2)]);
        assert_eq!(found("a: 1\n---# next\nb: 2"), [("a: 1\n", 0), ("b: 2", 2)]);
        assert_eq!(found("---\n# why\n\na: 1\n--- # next\nb: 2"), [("---\n# why\n\na: 1\n", 3), ("b: 2", 5)]);
        assert_eq!(found("a: |\n  ---\n  x\n").len(), 1);
    }

    #[test]
    fn the_first_line_of_a_stream_is_part_of_its_document() {
        assert_eq!(found("---# Source: a\nb: 2\n"), [("---# Source: a\nb: 2\n", 0)]);
        let rest: Vec<_> = chunks(b"---# Source: a\nb: 2\n", false).map(|chunk| chunk.text).collect();
        assert_eq!(rest, [b"b: 2\n"]);
    }

    #[test]
    fn only_a_comment_may_follow_a_separator() {
        let error = |text: &str| {
            let chunk = chunks(text.as_bytes(), true).last().unwrap();
            chunk.text().unwrap_err().line().map(|line| chunk.lines_before + line)
        };
        for text in ["a: 1\n---apiVersion: v1\nb: 2\n", "a: 1\n--- {b: 2}\n", "a: 1\n----\n"] {
            assert_eq!(error(text), Some(2), "{text}");
        }
        assert_eq!(error("--- {a: 1}\n"), Some(1));
    }

    #[test]
    fn comments_and_a_null_are_no_document() {
        assert_eq!(found("---\n# one\n---\n\n---\na: 1\n---\n"), [("a: 1\n", 5)]);
        assert!(found("").is_empty() && found("---\n...\n").is_empty());
        for null in ["null", "~", "NULL # nothing", "Null"] {
            assert_eq!(found(&format!("{null}\n---\na: 1\n")), [("a: 1\n", 2)], "{null}");
        }
        for content in
            ["nullable: 1\n", "null: 1\n", "~a\n", "null\nb: 1\n", "...\n", "# a\n---\n...\n", "\t\n"]
        {
            assert_eq!(found(content).len(), 1, "{content}");
        }
    }
}
