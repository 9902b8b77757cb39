//! Refuses tabs at the beginning of a line where kubectl does.
//!
//! The parser follows YAML 1.2, in which blank lines and lines with only a comment may hold tabs. go-yaml follows YAML
//! 1.1: outside of brackets and quotes, a tab may stand at the beginning of a line only within a scalar, behind its
//! indentation.

use std::iter::Peekable;
use std::vec;

use granit_parser::{Event, Marker, ScalarStyle, Span, StructureStyle};

use super::error::Error;

/// The lines of a document that are indented with tabs, as far as they were not checked yet.
pub(super) struct Tabs<'t> {
    source: &'t str,
    lines: Peekable<vec::IntoIter<Line>>,
    within: Within,
    /// The block collections around the next node.
    around: Vec<Around>,
}

/// A block collection.
#[derive(Clone, Copy, Default)]
struct Around {
    /// Its indentation, increased by one.
    indent: usize,
    is_map: bool,
}

/// A line with a tab in its indentation.
struct Line {
    /// The offset at which the line begins.
    offset: usize,
    /// The number of the line, from 1.
    number: usize,
    /// The blanks at its beginning.
    blanks: usize,
    /// True if the tab is behind the dash of an item.
    has_dash: bool,
}

/// The text in which a line begins, outside of brackets and quotes.
enum Within {
    /// A plain scalar, whose further lines are indented this deep.
    Plain { indent: usize },
    /// The gap behind a plain scalar, in which the scalar would go on.
    BehindPlain { end: usize, indent: usize },
    /// A block of text. Its first line is at an offset, and may begin with a tab if its header sets the indentation.
    Block { first: usize, indent: usize, is_set: bool },
    /// The gap behind any other token.
    Gap,
}

impl<'t> Tabs<'t> {
    /// Finds the lines; `None` if there are none.
    pub(super) fn find(source: &'t str) -> Option<Self> {
        let bytes = source.as_bytes();
        let (mut lines, mut end, mut number) = (Vec::new(), 0, 1);
        while let Some(tab) = memchr::memchr(b'\t', &bytes[end..]).map(|tab| end + tab) {
            let offset = memchr::memrchr(b'\n', &bytes[..tab]).map_or(0, |newline| newline + 1);
            number += memchr::memchr_iter(b'\n', &bytes[end..offset.max(end)]).count();
            let blanks = bytes[offset..tab].iter().take_while(|byte| **byte == b' ').count();
            let has_dash = offset + blanks < tab;
            if !has_dash || is_dash(&source[offset..tab]) {
                lines.push(Line { offset, number, blanks, has_dash });
            }
            end = memchr::memchr(b'\n', &bytes[tab..]).map_or(bytes.len(), |newline| tab + newline);
        }
        let lines = (!lines.is_empty()).then(|| lines.into_iter().peekable())?;
        Some(Self { source, lines, within: Within::Gap, around: Vec::new() })
    }

    /// Checks the lines up to the end of an event, which may be within brackets or braces.
    pub(super) fn check(&mut self, event: &Event<'_>, span: Span, in_flow: bool) -> Result<(), Error> {
        let offset = |marker: Marker| marker.byte_offset().unwrap_or_default();
        let (start, end) = (offset(span.start), offset(span.end));
        if in_flow {
            self.allow(end);
            self.within = Within::Gap;
            return Ok(());
        }
        let around = self.around.last().copied().unwrap_or_default();
        let indent = around.indent;
        match event {
            // A value that is left out has no text.
            Event::Scalar(..) if start == end => {
                self.refuse(start)?;
                self.within = Within::Gap;
            }
            Event::Scalar(_, ScalarStyle::Plain, ..) => {
                self.refuse(start)?;
                self.within = Within::Plain { indent };
                self.refuse(end)?;
                self.within = Within::BehindPlain { end, indent };
            }
            Event::Scalar(_, ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted, ..) => {
                self.refuse(start)?;
                self.allow(end);
                self.within = Within::Gap;
            }
            // Blank lines at the end of a block of text belong to it.
            Event::Scalar(..) => {
                let (first, indent) = (start - span.start.col().min(start), span.start.col());
                self.refuse(first)?;
                let is_set = sets_indentation(self.source.get(..first).unwrap_or_default());
                self.within = Within::Block { first, indent, is_set };
            }
            Event::SequenceStart(style, ..) | Event::MappingStart(style, ..) => {
                self.refuse(start)?;
                self.within = Within::Gap;
                if *style == StructureStyle::Block {
                    let is_map = matches!(event, Event::MappingStart(..));
                    let is_flush = !is_map && around.is_map && self.is_flush(start, span.start.col(), indent);
                    let indent = if is_flush { indent } else { span.start.col() + 1 };
                    self.around.push(Around { indent, is_map });
                }
            }
            Event::SequenceEnd | Event::MappingEnd => {
                self.around.pop();
            }
            Event::Alias(..) => {
                self.refuse(start)?;
                self.within = Within::Gap;
            }
            Event::DocumentStart(..) => self.refuse(start)?,
            Event::DocumentEnd | Event::StreamEnd => {
                let is_marked = self.source.get(start..).is_some_and(|rest| rest.starts_with("..."));
                self.refuse(if is_marked { start } else { self.source.len() })?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Takes the lines that begin before an offset, within quotes or brackets, as they are.
    fn allow(&mut self, offset: usize) {
        while self.lines.next_if(|line| line.offset < offset).is_some() {}
    }

    /// Checks the lines that begin before an offset.
    fn refuse(&mut self, end: usize) -> Result<(), Error> {
        while let Some(line) = self.lines.next_if(|line| line.offset < end) {
            let Line { offset, number, blanks, has_dash } = line;
            let is_allowed = match self.within {
                Within::Plain { indent } => has_dash || blanks >= indent,
                Within::BehindPlain { end, indent } => {
                    let between = self.source.get(end..offset).unwrap_or_default();
                    !has_dash && blanks >= indent && between.trim_ascii().is_empty()
                }
                Within::Block { first, indent, is_set } => {
                    blanks >= indent && (offset > first || is_set || has_dash)
                }
                Within::Gap => false,
            };
            if !is_allowed {
                return Err(Error::new("a tab can't indent: use blanks", number, blanks + 1));
            }
        }
        Ok(())
    }

    /// Returns true if the dashes of a list have the indentation of the keys around it. The parser then has the column
    /// of the first item for the list.
    fn is_flush(&self, start: usize, column: usize, indent: usize) -> bool {
        let line = self.source.get(start - column.min(start)..).unwrap_or_default();
        let blanks = line.len() - line.trim_start_matches(' ').len();
        line[blanks..].starts_with('-') && blanks + 1 == indent
    }
}

/// Returns true if a text is made of blanks and of the indicators of items and keys.
fn is_dash(text: &str) -> bool {
    text.split(' ').all(|word| matches!(word, "" | "-" | "?"))
}

/// Returns true if the header of a block of text, which ends the text above, sets the indentation.
fn sets_indentation(above: &str) -> bool {
    let header = above.trim_end().lines().next_back().unwrap_or_default();
    let header = header.rsplit_once(" #").map_or(header, |(header, _)| header);
    header.rfind(['|', '>']).is_some_and(|at| header[at..].contains(|c: char| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use crate::yaml::Document;

    #[test]
    fn tabs_at_the_beginning_of_lines_are_refused_as_in_kubectl() {
        for (text, line) in [
            ("\t\na: b\n", Some(1)),
            (" \t\na: b\n", Some(1)),
            ("a: b\n\t\nc: d\n", Some(2)),
            ("a: b\n \t\nc: d\n", None),
            ("a: b\n \tc\n", None),
            ("a: b # c\n \t\nd: e\n", Some(2)),
            ("a: b\n\t", Some(2)),
            ("a:\n  \t\n  b: c\n", Some(2)),
            ("- a\n\t\n- b\n", Some(2)),
            ("a: b\n\t# c\n", Some(2)),
            ("a: 'x\n\t\n  y'\n", None),
            ("a: 'x'\n \t\nb: c\n", Some(2)),
            ("{a: b,\n\t\nc: d}\n", None),
            ("{a: b}\n\t\n", Some(2)),
            ("a: |\n  x\n\t\n  y\n", Some(4)),
            ("a: |\n  x\n  \t\n  y\n", None),
            ("a: |\n  \tx\n", Some(2)),
            ("a: |2\n  \tx\n", None),
            ("a: |\n  x\n\t\n", Some(3)),
            ("a:\n- b\n \t\n- c\n", None),
            ("a:\n- b\n\t\n- c\n", Some(3)),
            ("a:\n  - b\n  \t\n  - c\n", Some(3)),
            ("a:\n  - b\n   \t\n  - c\n", None),
            ("-\t a\n", Some(1)),
            ("- b\n- \t{a: b}\n", Some(2)),
            ("a: |\n  - \tx\n", None),
            ("a: b\n - \tx\n", None),
            ("\t\n", Some(1)),
            ("a: b\n...\n\t\n", None),
            ("a\tb: c\n", None),
        ] {
            let error = Document::parse(text).err();
            assert_eq!(error.as_ref().and_then(crate::yaml::Error::line), line, "{text:?}: {error:?}");
        }
    }
}
