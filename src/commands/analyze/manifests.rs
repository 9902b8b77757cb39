//! Feeds manifests to an analysis.

use std::panic::resume_unwind;
use std::thread;

use super::changed_args::unchanged;
use super::evaluator::{Evaluator, Request, error};
use super::manifest_args::ManifestArgs;
use crate::commands::progress_spinner::ProgressSpinner;
use crate::files::{self, FieldPlace, Source, StreamCopies};
use crate::governance::{Analysis, Report};
use crate::render::Rendering;
use crate::workload::{Fields, Kind, Kinds};

/// Evaluates the objects in the manifests. Returns the report, and notes about the input.
///
/// Fails if charts can't be rendered for a reason that concerns them all, or if the changes of a repository are unknown.
pub(super) fn report(
    args: &ManifestArgs,
    request: &Request<'_>,
    mut analysis: Analysis<'_>,
    progress: &ProgressSpinner,
) -> anyhow::Result<(Report, Vec<String>)> {
    let read = read(args, request, &mut analysis, progress)?;
    let mut report = analysis.finish();
    if request.lines {
        read.find_lines(&mut report);
    }
    Ok((report, read.notes))
}

/// The manifests that were read.
#[derive(Debug)]
struct ManifestsRead {
    /// Notes about them.
    notes: Vec<String>,
    sources: Vec<Source>,
    copies: StreamCopies,
    fields: Fields,
}

impl ManifestsRead {
    /// Finds the lines of the fields of violations that were found after their object was read, as those of rules about
    /// relations are.
    fn find_lines(&self, report: &mut Report) {
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

fn read(
    args: &ManifestArgs,
    request: &Request<'_>,
    analysis: &mut Analysis<'_>,
    progress: &ProgressSpinner,
) -> anyhow::Result<ManifestsRead> {
    let inputs = args.inputs(request.allow_empty);
    // Git compares the whole repository while the inputs are listed and rendered.
    let (rendering, changes) = thread::scope(|scope| {
        let changes = scope.spawn(|| args.changed.changes());
        let rendering = args.render.render(&inputs, request.namespace);
        (rendering, changes.join().unwrap_or_else(|panic| resume_unwind(panic)))
    });
    let rendering = rendering?;
    let unchanged = unchanged(changes?, &rendering);
    let Rendering { sources, mut unread, unrendered, origins, mut notes, .. } = rendering;
    // An input without any object is an error only if nothing else explains it.
    let explained = request.allow_empty
        || inputs.ignores.is_some()
        || !(unread.is_empty() && unrendered.is_empty() && notes.is_empty());
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
    is_complete &= unread.is_empty() && unrendered.is_empty() && !analysis.has_errors();
    for directory in unrendered.into_iter().filter(|directory| !unchanged.contains(&directory.source)) {
        analysis.leave_unrendered(error(&origins, directory));
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
    if is_complete {
        analysis.close(Kinds::of(&Kind::ALL));
    }
    Ok(ManifestsRead { notes, sources, copies, fields: policy.fields() })
}
