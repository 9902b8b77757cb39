//! Feeds manifests to an analysis, and reads the policy of `--policy`.

use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context as _, bail};

use super::Args;
use crate::commands::progress::Progress;
use crate::files::{self, Inputs, Place};
use crate::governance::{Analysis, Origin, ReportError};
use crate::output::note;
use crate::policy::EffectivePolicy;
use crate::workload::Object;

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

/// Evaluates the objects in the files of `-f`.
pub(super) fn read(args: &Args, analysis: &mut Analysis<'_>, progress: &Progress) {
    let inputs = Inputs { paths: args.filename.clone(), recursive: args.recursive };
    let consumer = Evaluator { empty: analysis.part(), progress };
    for found in files::read(&inputs, args.output.shows_violations(), &consumer) {
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
