//! Maps lines of rendered text to the files that they come from.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::template_lines::matching_line;

/// The files behind the documents of rendered sources, by the name of the source.
#[derive(Debug, Default)]
pub struct Origins {
    sources: HashMap<String, Vec<Part>>,
}

/// A document of a rendered source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    /// The line of the rendered text on which the document begins, from 1.
    pub(super) first: usize,
    /// The file that the document comes from.
    pub(super) file: String,
    /// The line in that file, from 1.
    pub(super) line: usize,
    /// The text of that file.
    pub(super) template: Arc<str>,
    /// The text of the document, which begins on the line after the first.
    pub(super) document: String,
}

impl Origins {
    /// Adds the documents of a source, in their order.
    pub(super) fn add(&mut self, source: String, parts: Vec<Part>) {
        self.sources.insert(source, parts);
    }

    /// Returns the file and the line behind an object that begins on a line of a source; `None` if the source was not
    /// rendered.
    pub fn find(&self, source: &str, line: usize) -> Option<(&str, usize)> {
        self.part(source, line).map(|part| (&*part.file, part.line))
    }

    /// Returns the line behind a line of a source, in the same file as [`Self::find`]; `None` if it can't be told.
    pub fn find_line(&self, source: &str, line: usize) -> Option<usize> {
        let part = self.part(source, line)?;
        matching_line(&part.document, line.checked_sub(part.first + 1)?, &part.template)
    }

    fn part(&self, source: &str, line: usize) -> Option<&Part> {
        let parts = self.sources.get(source)?;
        let after = parts.partition_point(|part| part.first <= line);
        parts.get(after.saturating_sub(1))
    }
}

/// A document within rendered text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rendered<'t> {
    /// The line on which the document begins, from 1.
    pub(super) first: usize,
    /// The text, without the separator.
    pub(super) text: &'t str,
}

/// Splits rendered text into its documents.
pub(super) fn documents(text: &str) -> Vec<Rendered<'_>> {
    let mut documents = Vec::new();
    let (mut first, mut start, mut end) = (1, 0, 0);
    for (index, line) in text.split_inclusive('\n').enumerate() {
        if line.starts_with("---") {
            documents.push(Rendered { first, text: &text[start..end] });
            (first, start) = (index + 1, end + line.len());
        }
        end += line.len();
    }
    documents.push(Rendered { first, text: &text[start..] });
    documents.retain(|document| has_content(document.text));
    documents
}

/// Returns true if a text has more than comments.
fn has_content(text: &str) -> bool {
    text.lines().any(|line| !matches!(line.trim(), "" | "...") && !line.trim_start().starts_with('#'))
}

/// The templates that were read.
#[derive(Debug, Default)]
pub(super) struct Templates {
    read: HashMap<PathBuf, Arc<str>>,
}

impl Templates {
    /// Returns the text of a file; empty if it can't be read.
    pub(super) fn read(&mut self, file: &Path) -> Arc<str> {
        let read = || fs::read_to_string(file).unwrap_or_default().into();
        Arc::clone(self.read.entry(file.to_owned()).or_insert_with(read))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_a_document_leads_to_its_file() {
        let text = "---\n# Source: a\nkind: A\n---\n\n# nothing\n--- # b\nkind: B\nspec: 1\n";
        let documents = documents(text);
        assert_eq!(documents.iter().map(|document| document.first).collect::<Vec<_>>(), [1, 7]);
        assert_eq!(documents[1].text, "kind: B\nspec: 1\n");
        let mut origins = Origins::default();
        let parts = documents.iter().zip(["a", "b"]).map(|(document, file)| Part {
            first: document.first,
            file: file.to_owned(),
            line: 1,
            template: "".into(),
            document: document.text.to_owned(),
        });
        origins.add("chart".to_owned(), parts.collect());
        let file = |line| origins.find("chart", line).unwrap().0;
        assert_eq!([1, 3, 6, 7, 9].map(file), ["a", "a", "a", "b", "b"]);
        assert_eq!(origins.find("other", 1), None);
    }
}
