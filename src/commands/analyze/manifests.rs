//! Feeds manifests to an analysis.

use std::path::PathBuf;

use crate::commands::args::ConnectArgs;
use crate::commands::progress_spinner::ProgressSpinner;
use crate::files::{self, Inputs, Place};
use crate::governance::{Analysis, Origin, ReportError};
use crate::paths::PathPatterns;
use crate::workload::{Fields, Kind, Kinds, Object};

/// The manifests to evaluate.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("manifests").args(["filename", "paths", "compare"]).multiple(true))]
pub(super) struct ManifestArgs {
    /// Evaluate manifests: files, directories, URLs or quoted patterns, or - for standard input (repeatable, or with commas)
    #[arg(short = 'f', long, value_name = "PATH", conflicts_with_all = ConnectArgs::FLAGS)]
    filename: Vec<PathBuf>,
    /// The same as -f
    #[arg(value_name = "PATH", conflicts_with_all = ConnectArgs::FLAGS)]
    pub(super) paths: Vec<PathBuf>,
    /// Read subdirectories too
    #[arg(short = 'R', long, requires = "manifests")]
    pub(super) recursive: bool,

    /// Take the manifests for everything there will be, so that rules report objects that are missing
    ///
    /// Without it, a rule that needs another object, such as the pods of a Service, can't tell if it will be there.
    #[arg(long, requires = "manifests")]
    complete: bool,

    /// The files that are not read, by the configuration file.
    #[arg(skip)]
    pub(super) ignores: Option<PathPatterns>,
}

impl ManifestArgs {
    /// Returns true if no manifests are named.
    pub(super) fn is_empty(&self) -> bool {
        self.filename.is_empty() && self.paths.is_empty()
    }

    fn inputs(&self) -> Inputs {
        Inputs {
            paths: [&*self.filename, &*self.paths].concat(),
            recursive: self.recursive,
            ignores: self.ignores.clone(),
        }
    }
}

/// Evaluates the objects in the manifests, and returns notes about them; `lines` asks for the lines of objects and fields.
pub(super) fn read(
    args: &ManifestArgs,
    lines: bool,
    analysis: &mut Analysis<'_>,
    progress: &ProgressSpinner,
) -> Vec<String> {
    let consumer = Evaluator { empty: analysis.part(), progress, lines };
    let mut notes = Vec::new();
    let mut is_complete = args.complete;
    for found in files::read(&args.inputs(), lines, &consumer) {
        let mut part = found.part;
        // Several threads read a source.
        part.notes.sort();
        notes.extend(part.notes.into_iter().map(|(source, line, note)| format!("{source}:{line}: {note}")));
        analysis.merge(part.analysis);
        for unread in found.unread {
            let files::ReadFailure { source, document, line, message } = unread;
            analysis.fail(ReportError { source, document, line, message });
            is_complete = false;
        }
    }
    if is_complete {
        analysis.close(Kinds::of(&Kind::ALL));
    }
    notes
}

/// Evaluates objects as they are read.
struct Evaluator<'p, 'a> {
    empty: Analysis<'p>,
    progress: &'a ProgressSpinner,
    /// True if the lines of fields are asked for.
    lines: bool,
}

/// The evaluation of one part of a source.
struct Evaluated<'p> {
    analysis: Analysis<'p>,
    /// Notes with their sources and lines.
    notes: Vec<(String, usize, String)>,
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
        let line_of: files::LineOf<'_> = if self.lines { place.line_of } else { &|_| None };
        part.analysis.add(object, Some(Origin { source: place.source, line: place.line, line_of }));
    }

    fn note(&self, part: &mut Evaluated<'p>, place: Place<'_>, message: &str) {
        part.notes.push((place.source.to_owned(), place.line, message.to_owned()));
    }

    fn merge(&self, into: &mut Evaluated<'p>, part: Evaluated<'p>) {
        into.analysis.merge(part.analysis);
        into.notes.extend(part.notes);
    }
}
