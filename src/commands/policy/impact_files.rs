//! Evaluates manifests under the policies of both sides of an impact.

use std::path::PathBuf;

use super::impact_reader::{Reader, merge};
use crate::files::{self, Inputs};
use crate::governance::{Analysis, ImpactPolicies, ReportError};

/// Adds manifests to the analyses of both sides, and returns what could not be read.
pub(super) fn read<'p>(
    policies: &'p ImpactPolicies,
    analyses: &mut [Analysis<'p>],
    paths: &[PathBuf],
    recursive: bool,
) -> Vec<String> {
    let inputs = Inputs { paths: paths.to_vec(), recursive, ..Inputs::default() };
    let shown = |failure| {
        let files::ReadFailure { source, document, line, message } = failure;
        ReportError { source, document, line, message }.to_string()
    };
    let (mut sources, mut errors) = (Vec::new(), Vec::new());
    for source in inputs.sources() {
        match source {
            Ok(source) => sources.push(source),
            Err(failure) => errors.push(shown(failure)),
        }
    }
    for found in files::read(paths, sources, false, &Reader { policies }) {
        merge(analyses, found.part);
        errors.extend(found.unread.into_iter().map(shown));
    }
    errors
}
