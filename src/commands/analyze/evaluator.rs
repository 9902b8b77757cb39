//! The consumer of manifests: it evaluates objects as they are read.

use std::collections::HashSet;

use crate::commands::progress_spinner::ProgressSpinner;
use crate::files::{self, Place};
use crate::governance::{Analysis, Origin};
use crate::render::Origins;
use crate::workload::{Fields, Object};

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
        self.empty.policy().fields()
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
        part.analysis.add(object, Some(Origin { source, line }));
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
