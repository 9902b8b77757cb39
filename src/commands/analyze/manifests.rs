//! Feeds manifests to an analysis.

use std::path::PathBuf;

use super::changed_args::ChangedArgs;
use super::evaluator::{Evaluator, Request, error};
use super::render_args::RenderArgs;
use crate::commands::args::ConnectArgs;
use crate::commands::progress_spinner::ProgressSpinner;
use crate::files::{self, FieldPlace, Inputs, Source, StreamCopies};
use crate::governance::{Analysis, Report};
use crate::paths::PathPatterns;
use crate::render::Rendering;
use crate::workload::{Fields, Kind, Kinds};

/// The manifests to evaluate.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("manifests").args(["filename", "paths", "compare"]).multiple(true))]
pub(super) struct ManifestArgs {
    /// Evaluate manifests: files, directories, URLs or quoted patterns, or - for standard input (repeatable, or with commas)
    #[arg(short = 'f', long, value_name = "PATH", allow_hyphen_values = true, conflicts_with_all = ConnectArgs::FLAGS)]
    filename: Vec<PathBuf>,
    /// The same as -f
    #[arg(value_name = "PATH", conflicts_with_all = ConnectArgs::FLAGS)]
    pub(super) paths: Vec<PathBuf>,
    /// Read subdirectories too
    #[arg(short = 'R', long, requires = "manifests")]
    pub(super) recursive: bool,

    /// Take the manifests for everything there will be, so that rules report objects that are missing
    #[arg(long, requires = "manifests")]
    complete: bool,

    #[command(flatten)]
    pub(super) render: RenderArgs,

    #[command(flatten)]
    pub(super) changed: ChangedArgs,

    /// The files that are not read, by the configuration file.
    #[arg(skip)]
    pub(super) ignores: Option<PathPatterns>,
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
            ignores: self.ignores.clone(),
        }
    }
}

/// The manifests that were read.
#[derive(Debug)]
pub(super) struct ManifestsRead {
    /// Notes about them.
    pub(super) notes: Vec<String>,
    sources: Vec<Source>,
    copies: StreamCopies,
    fields: Fields,
}

impl ManifestsRead {
    /// Finds the lines of the fields of violations that were found after their object was read, as those of rules about
    /// relations are.
    pub(super) fn find_lines(&self, report: &mut Report) {
        report.violations.find_lines(|violations| {
            let fields = violations.iter().map(|violation| {
                let (source, line) =
                    violation.source.map_or(("", 0), |source| (source.source, source.line as usize));
                FieldPlace { source, line, name: violation.name, path: violation.path }
            });
            files::find_fields(&fields.collect::<Vec<_>>(), &self.sources, &self.copies, self.fields)
        });
    }
}

/// Evaluates the objects in the manifests.
///
/// Fails if charts can't be rendered for a reason that concerns them all, or if the changes of a repository are unknown.
pub(super) fn read(
    args: &ManifestArgs,
    request: &Request<'_>,
    analysis: &mut Analysis<'_>,
    progress: &ProgressSpinner,
) -> anyhow::Result<ManifestsRead> {
    let inputs = args.inputs(request.allow_empty);
    let rendering = args.render.render(&inputs, request.namespace)?;
    let unchanged = args.changed.unchanged(&rendering)?;
    let Rendering { sources, mut unread, origins, mut notes, .. } = rendering;
    // An input without any object is an error only if nothing else explains it.
    let explained =
        request.allow_empty || inputs.ignores.is_some() || !unread.is_empty() || !notes.is_empty();
    let paths = if explained { Vec::new() } else { inputs.paths };
    let mut is_complete = args.complete;
    let empty = analysis.part();
    let (policy, copies, lines) = (analysis.policy(), StreamCopies::default(), request.lines);
    let finds_later = !policy.relates().is_empty() || policy.reads_namespace();
    let consumer = Evaluator {
        empty,
        origins: &origins,
        unchanged: &unchanged,
        progress,
        lines,
        copies: (lines && finds_later).then_some(&copies),
    };
    for found in files::read(&paths, sources.clone(), lines, &consumer) {
        let mut part = found.part;
        // Several threads read a source.
        part.notes.sort();
        // One line can repeat a key several times.
        part.notes.dedup();
        notes.extend(part.notes.into_iter().map(|(source, line, note)| format!("{source}:{line}: {note}")));
        analysis.merge(part.analysis);
        unread.extend(found.unread);
    }
    is_complete &= unread.is_empty();
    for unread in unread {
        let unchanged = unchanged.contains(&unread.source);
        let error = error(&origins, unread);
        if unchanged {
            notes.push(format!("{error} (unchanged, so this is no error)"));
        } else {
            analysis.fail(error);
        }
    }
    if is_complete {
        analysis.close(Kinds::of(&Kind::ALL));
    }
    Ok(ManifestsRead { notes, sources, copies, fields: policy.fields() })
}
