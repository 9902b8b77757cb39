//! `analyze --compare OLD NEW`: the difference between two inputs or reports.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use super::Args;
use super::evaluator::Request;
use super::manifest_args::ManifestArgs;
use super::manifests;
use crate::commands::ExitStatus;
use crate::commands::args::ConnectArgs;
use crate::commands::progress_spinner::ProgressSpinner;
use crate::files::read_text;
use crate::governance::{Analysis, ComparedReport, Comparison, Scope};
use crate::output::comparison;
use crate::terminal::{error, note, to_stderr, to_stdout};

/// Two inputs to compare.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct CompareArgs {
    /// Show what improved and what got worse from OLD to NEW: manifests, or reports of -o json
    ///
    /// The formats are summary, markdown and json. With --fail-on, a new finding of that severity or worse is exit
    /// status 1.
    #[arg(long, action = clap::ArgAction::Set, num_args = 2, value_names = ["OLD", "NEW"])]
    #[arg(conflicts_with_all = ["filename", "paths", "baseline", "write_baseline"], conflicts_with_all = ConnectArgs::FLAGS)]
    compare: Option<Vec<PathBuf>>,
}

impl CompareArgs {
    /// Returns the two inputs, if they are given.
    pub(super) fn inputs(&self) -> Option<[PathBuf; 2]> {
        self.compare.clone()?.try_into().ok()
    }
}

/// Compares two inputs; `empty` is the analysis of an input that is no report.
pub(super) fn run(
    inputs: &[PathBuf; 2],
    args: &mut Args,
    scope: &Scope,
    empty: &Analysis<'_>,
) -> anyhow::Result<ExitStatus> {
    let [old, new] = inputs;
    let filters = args.filters();
    let Args { manifests, outputs, gates, .. } = args;
    let mut read = |input| read(input, manifests, scope.default_namespace(), &filters, empty);
    let (old, new) = (read(old)?, read(new)?);
    let compared = Comparison::new(&old, &new).context("--compare")?;
    let format = outputs.only_stdout().context("--compare writes to stdout, in one format")?;
    let mut is_known = true;
    to_stdout(|out| {
        is_known = comparison(&compared, format, out)?;
        Ok(())
    })?;
    if !is_known {
        bail!("--compare has no format {format:?}: use summary, markdown or json");
    }
    let breach = gates.fail_on().zip(compared.worst()).filter(|(limit, worst)| worst >= limit);
    if let Some((limit, worst)) = breach {
        to_stderr(|err| {
            err.failed(format_args!("the worst new finding is {worst}, and --fail-on is {limit}"))
        })?;
    }
    Ok(if old.summary.partial || new.summary.partial {
        ExitStatus::Failed
    } else if breach.is_some() {
        ExitStatus::Findings
    } else {
        ExitStatus::Clean
    })
}

/// Reads a report, or evaluates manifests.
fn read(
    path: &Path,
    manifests: &mut ManifestArgs,
    namespace: &str,
    filters: &[String],
    empty: &Analysis<'_>,
) -> anyhow::Result<ComparedReport> {
    let text = if path.is_file() { read_text(path).unwrap_or_default() } else { String::new() };
    if let Some(report) = ComparedReport::from_json(&text) {
        let place = || format!("report {}", path.display());
        if let Some(filter) = filters.first() {
            bail!("{}: {filter} is for manifests: make the report with it", place());
        }
        return report.with_context(place);
    }
    manifests.paths = vec![path.to_owned()];
    let request = Request { namespace, lines: true, allow_empty: false };
    let (mut report, _) = manifests::report(manifests, &request, empty.part(), &ProgressSpinner::start())?;
    report.errors.iter().try_for_each(error)?;
    report.unrendered.iter().try_for_each(note)?;
    report.filters = filters.to_vec();
    // Reports in memory and in files are compared in the same form.
    Ok(serde_json::from_value(serde_json::to_value(&report)?)?)
}
