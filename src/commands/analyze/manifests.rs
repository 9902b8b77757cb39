//! Feeds manifests to an analysis.

use std::path::PathBuf;

use super::changed_args::ChangedArgs;
use super::evaluator::Evaluator;
use super::render_args::RenderArgs;
use crate::commands::args::ConnectArgs;
use crate::commands::progress_spinner::ProgressSpinner;
use crate::files::{self, Inputs, ReadFailure};
use crate::governance::{Analysis, ReportError};
use crate::render::{Origins, Rendering};

/// The manifests to evaluate.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("manifests").args(["filename", "paths"]).multiple(true))]
pub(super) struct ManifestArgs {
    /// Evaluate manifests: files, directories, URLs or quoted patterns, or - for standard input (repeatable, or with commas)
    #[arg(short = 'f', long, value_name = "PATH", conflicts_with_all = ConnectArgs::FLAGS)]
    filename: Vec<PathBuf>,

    /// The same as -f
    #[arg(value_name = "PATH", conflicts_with_all = ConnectArgs::FLAGS)]
    paths: Vec<PathBuf>,

    /// Read subdirectories too
    #[arg(short = 'R', long, requires = "manifests")]
    recursive: bool,

    #[command(flatten)]
    render: RenderArgs,

    #[command(flatten)]
    changed: ChangedArgs,
}

impl ManifestArgs {
    /// Returns true if no manifests are named.
    pub(super) fn is_empty(&self) -> bool {
        self.filename.is_empty() && self.paths.is_empty()
    }

    /// Returns the commit since which changes are reported; `None` if everything is reported.
    pub(super) fn changed_since(&self) -> Option<&str> {
        self.changed.changed_since.as_deref()
    }

    fn inputs(&self, may_be_empty: bool) -> Inputs {
        Inputs {
            paths: [&*self.filename, &*self.paths].concat(),
            recursive: self.recursive,
            packages: self.render.renders(),
            may_be_empty,
        }
    }
}

/// The way to read the manifests.
pub(super) struct Request<'a> {
    /// The namespace of objects without one.
    pub(super) namespace: &'a str,
    /// True if the line of every object is asked for.
    pub(super) lines: bool,
    /// True if an input without any object is no error.
    pub(super) allow_empty: bool,
}

/// Evaluates the objects in the manifests, and returns notes about them.
///
/// Fails if charts can't be rendered for a reason that concerns them all, or if the changes of a repository are unknown.
pub(super) fn read(
    args: &ManifestArgs,
    request: &Request<'_>,
    analysis: &mut Analysis<'_>,
    progress: &ProgressSpinner,
) -> anyhow::Result<Vec<String>> {
    let inputs = args.inputs(request.allow_empty);
    let rendering = args.render.render(&inputs, request.namespace)?;
    let unchanged = args.changed.unchanged(&rendering)?;
    let Rendering { sources, unread, origins, mut notes, .. } = rendering;
    // An input without any object is an error only if nothing else explains it.
    let explained = request.allow_empty || !unread.is_empty() || !notes.is_empty();
    let paths = if explained { Vec::new() } else { inputs.paths };
    let consumer = Evaluator { empty: analysis.part(), origins: &origins, unchanged: &unchanged, progress };
    let mut unread = unread;
    for found in files::read(&paths, sources, request.lines, &consumer) {
        let mut part = found.part;
        // Several threads read a source.
        part.notes.sort();
        notes.extend(part.notes.into_iter().map(|(source, line, note)| format!("{source}:{line}: {note}")));
        analysis.merge(part.analysis);
        unread.extend(found.unread);
    }
    for unread in unread {
        let unchanged = unchanged.contains(&unread.source);
        let error = error(&origins, unread);
        if unchanged {
            notes.push(format!("{error} (unchanged, so this is no error)"));
        } else {
            analysis.fail(error);
        }
    }
    Ok(notes)
}

/// Returns the error for something that could not be read, with the file that it was rendered from.
fn error(origins: &Origins, unread: ReadFailure) -> ReportError {
    let ReadFailure { source, document, line, message } = unread;
    match line.and_then(|line| origins.find(&source, line)) {
        Some((file, line)) => {
            let message = format!("rendered from {source}: {message}");
            ReportError { source: file.to_owned(), document: None, line: Some(line), message }
        }
        None => ReportError { source, document, line, message },
    }
}
