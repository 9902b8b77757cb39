//! Feeds manifests to an analysis, and reads the policy of `--policy`.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use crate::commands::progress::Progress;
use crate::files::{self, Inputs, Place};
use crate::governance::{Analysis, Origin, ReportError};
use crate::output::note;
use crate::policy::EffectivePolicy;
use crate::workload::Object;

/// The manifests to evaluate.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("manifests").args(["filename", "paths"]).multiple(true))]
pub(super) struct ManifestArgs {
    /// Evaluate manifests: files, directories, URLs or quoted patterns, or - for standard input (repeatable, or with commas)
    #[arg(short = 'f', long, value_name = "PATH", conflicts_with_all = ["kubeconfig", "context"])]
    filename: Vec<PathBuf>,

    /// The same as -f
    #[arg(value_name = "PATH", conflicts_with_all = ["kubeconfig", "context"])]
    paths: Vec<PathBuf>,

    /// Read subdirectories too
    #[arg(short = 'R', long, requires = "manifests")]
    recursive: bool,
}

impl ManifestArgs {
    /// Tells whether no manifests are named.
    pub(super) fn is_empty(&self) -> bool {
        self.filename.is_empty() && self.paths.is_empty()
    }

    fn inputs(&self) -> Inputs {
        Inputs { paths: [&*self.filename, &*self.paths].concat(), recursive: self.recursive }
    }
}

/// Reads a DevOpsPolicy from a file.
pub(super) fn read_policy(path: &Path) -> anyhow::Result<EffectivePolicy> {
    let place = || format!("policy {}", path.display());
    let text = match std::fs::read_to_string(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => bail!("{}: there is no such file", place()),
        read => read.with_context(place)?,
    };
    let policy = EffectivePolicy::from_manifest(&text).with_context(place)?;
    if policy.rules().is_empty() {
        note(format_args!("{} turns no rule on, so nothing can violate it", place()))?;
    }
    Ok(policy)
}

/// Evaluates the objects in the manifests; `lines` asks for the line of every object.
pub(super) fn read(args: &ManifestArgs, lines: bool, analysis: &mut Analysis<'_>, progress: &Progress) {
    let consumer = Evaluator { empty: analysis.part(), progress };
    for found in files::read(&args.inputs(), lines, &consumer) {
        analysis.merge(found.part);
        for unread in found.unread {
            let files::Unread { source, document, line, message } = unread;
            analysis.fail(ReportError { source, document, line, message });
        }
    }
}

/// Evaluates objects as they are read.
struct Evaluator<'p, 'a> {
    empty: Analysis<'p>,
    progress: &'a Progress,
}

impl<'p> files::Consumer for Evaluator<'p, '_> {
    type Part = Analysis<'p>;

    fn part(&self) -> Analysis<'p> {
        self.empty.part()
    }

    fn add(&self, part: &mut Analysis<'p>, object: &Object<'_>, place: Place<'_>) {
        self.progress.add(1);
        part.add(object, Some(Origin { source: place.source, line: place.line }));
    }

    fn merge(&self, into: &mut Analysis<'p>, part: Analysis<'p>) {
        into.merge(part);
    }
}
