//! Feeds manifests to an analysis.

use std::path::PathBuf;

use crate::commands::args::ConnectArgs;
use crate::commands::progress_spinner::ProgressSpinner;
use crate::files::{self, Inputs, Place};
use crate::governance::{Analysis, Origin, ReportError};
use crate::workload::Object;

/// The manifests to evaluate.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("manifests").args(["filename", "paths"]).multiple(true))]
pub(super) struct ManifestArgs {
    /// Evaluate manifests: files, directories, URLs or quoted patterns, or - for standard input (repeatable, or with commas)
    #[arg(short = 'f', long, value_name = "PATH", allow_hyphen_values = true, conflicts_with_all = ConnectArgs::FLAGS)]
    filename: Vec<PathBuf>,

    /// The same as -f
    #[arg(value_name = "PATH", conflicts_with_all = ConnectArgs::FLAGS)]
    paths: Vec<PathBuf>,

    /// Read subdirectories too
    #[arg(short = 'R', long, requires = "manifests")]
    recursive: bool,
}

impl ManifestArgs {
    /// Returns true if no manifests are named.
    pub(super) fn is_empty(&self) -> bool {
        self.filename.is_empty() && self.paths.is_empty()
    }

    fn inputs(&self) -> Inputs {
        Inputs { paths: [&*self.filename, &*self.paths].concat(), recursive: self.recursive }
    }
}

/// Evaluates the objects in the manifests, and returns notes about them; `lines` asks for the line of every object.
pub(super) fn read(
    args: &ManifestArgs,
    lines: bool,
    analysis: &mut Analysis<'_>,
    progress: &ProgressSpinner,
) -> Vec<String> {
    let consumer = Evaluator { empty: analysis.part(), progress };
    let mut notes = Vec::new();
    for found in files::read(&args.inputs(), lines, &consumer) {
        let mut part = found.part;
        // Several threads read a source.
        part.notes.sort();
        // One line can repeat a key several times.
        part.notes.dedup();
        notes.extend(part.notes.into_iter().map(|(source, line, note)| format!("{source}:{line}: {note}")));
        analysis.merge(part.analysis);
        for unread in found.unread {
            let files::ReadFailure { source, document, line, message } = unread;
            analysis.fail(ReportError { source, document, line, message });
        }
    }
    notes
}

/// Evaluates objects as they are read.
struct Evaluator<'p, 'a> {
    empty: Analysis<'p>,
    progress: &'a ProgressSpinner,
}

/// The evaluation of one part of a source.
struct Evaluated<'p> {
    analysis: Analysis<'p>,
    /// Notes with their sources and lines.
    notes: Vec<(String, usize, String)>,
}

impl<'p> files::Consumer for Evaluator<'p, '_> {
    type Part = Evaluated<'p>;

    fn part(&self) -> Evaluated<'p> {
        Evaluated { analysis: self.empty.part(), notes: Vec::new() }
    }

    fn add(&self, part: &mut Evaluated<'p>, object: &Object<'_>, place: Place<'_>) {
        self.progress.add(1);
        part.analysis.add(object, Some(Origin { source: place.source, line: place.line }));
    }

    fn note(&self, part: &mut Evaluated<'p>, place: Place<'_>, message: &str) {
        part.notes.push((place.source.to_owned(), place.line, message.to_owned()));
    }

    fn merge(&self, into: &mut Evaluated<'p>, part: Evaluated<'p>) {
        into.analysis.merge(part.analysis);
        into.notes.extend(part.notes);
    }
}
