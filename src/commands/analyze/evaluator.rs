//! The consumer of manifests: it evaluates objects as they are read.

use std::collections::HashSet;

use crate::commands::progress_spinner::ProgressSpinner;
use crate::files::{self, LineOf, Place, ReadFailure, StreamCopies};
use crate::governance::{Analysis, Origin, ReportError};
use crate::render::Origins;
use crate::workload::{Fields, Object};

/// The way to read the manifests.
pub(super) struct Request<'a> {
    /// The namespace of objects without one.
    pub(super) namespace: &'a str,
    /// True if the lines of objects and fields are asked for.
    pub(super) lines: bool,
    /// True if an input without any object is no error.
    pub(super) allow_empty: bool,
}

/// Evaluates objects as they are read.
pub(super) struct Evaluator<'p, 'a> {
    /// An empty analysis, of which every part is a copy.
    pub(super) empty: Analysis<'p>,
    /// The files behind rendered objects.
    pub(super) origins: &'a Origins,
    /// The sources whose objects are not reported.
    pub(super) unchanged: &'a HashSet<String>,
    /// The display of the progress.
    pub(super) progress: &'a ProgressSpinner,
    /// True if the lines of fields are asked for.
    pub(super) lines: bool,
    /// The copies of streams, if rules find something after an object was read.
    pub(super) copies: Option<&'a StreamCopies>,
}

/// The evaluation of one part of a source.
pub(super) struct Evaluated<'p> {
    /// The objects of the part.
    pub(super) analysis: Analysis<'p>,
    /// Notes with their sources and lines.
    pub(super) notes: Vec<(String, usize, String)>,
}

impl Evaluator<'_, '_> {
    /// Returns the file and line of a place, or those that it was rendered from.
    fn place<'s>(&'s self, place: Place<'s>) -> (&'s str, usize) {
        self.origins.find(place.source, place.line).unwrap_or((place.source, place.line))
    }
}

impl<'p> files::Consumer for Evaluator<'p, '_> {
    type Part = Evaluated<'p>;

    fn fields(&self) -> Fields {
        self.empty.policy().fields_of_manifests()
    }

    fn copies(&self) -> Option<&StreamCopies> {
        self.copies
    }

    fn part(&self) -> Evaluated<'p> {
        Evaluated { analysis: self.empty.part(), notes: Vec::new() }
    }

    fn add(&self, part: &mut Evaluated<'p>, object: &Object<'_>, place: Place<'_>) {
        self.progress.add(1);
        if self.unchanged.contains(place.source) {
            part.analysis.add_unreported(object);
            return;
        }
        let (source, line) = self.place(place);
        let in_template = |path: &str| self.origins.find_line(place.source, (place.line_of)(path)?);
        let is_rendered = self.origins.find(place.source, place.line).is_some();
        let line_of: LineOf<'_> = match (self.lines, is_rendered) {
            (false, _) => &|_| None,
            (true, true) => &in_template,
            (true, false) => place.line_of,
        };
        part.analysis.add(object, Some(Origin { source, line, line_of }));
    }

    fn note(&self, part: &mut Evaluated<'p>, place: Place<'_>, message: &str) {
        if self.unchanged.contains(place.source) {
            return;
        }
        let (source, line) = self.place(place);
        part.notes.push((source.to_owned(), line, message.to_owned()));
    }

    fn merge(&self, into: &mut Evaluated<'p>, part: Evaluated<'p>) {
        into.analysis.merge(part.analysis);
        into.notes.extend(part.notes);
    }
}

/// Returns the error for something that could not be read, with the file that it was rendered from.
pub(super) fn error(origins: &Origins, unread: ReadFailure) -> ReportError {
    let ReadFailure { source, document, line, message } = unread;
    match line.and_then(|line| origins.find(&source, line)) {
        Some((file, line)) => {
            let message = format!("rendered from {source}: {message}");
            ReportError { source: file.to_owned(), document: None, line: Some(line), message }
        }
        None => ReportError { source, document, line, message },
    }
}
