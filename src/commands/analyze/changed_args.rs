//! The flag for a pull request: only what has changed is reported.

use std::collections::HashSet;
use std::path::Path;

use anyhow::Context as _;

use crate::files::Source;
use crate::render::Rendering;
use crate::repository::Changes;

/// The changes to report.
#[derive(Debug, clap::Args)]
pub(super) struct ChangedArgs {
    /// Report only objects whose files have changed since the merge base of REF and HEAD
    ///
    /// Changes that are not committed count, too. All other objects are read as well, because a pod stands for its
    /// workload's template. An object of a chart or kustomization counts as changed with any of its files.
    #[arg(long, value_name = "REF", conflicts_with = "compare")]
    pub(super) changed_since: Option<String>,
}

impl ChangedArgs {
    /// Returns the names of the sources and packages in which nothing has changed; none without the flag.
    pub(super) fn unchanged(&self, rendering: &Rendering) -> anyhow::Result<HashSet<String>> {
        let Some(reference) = &self.changed_since else { return Ok(HashSet::new()) };
        let changes = Changes::since(reference, Path::new(".")).context("--changed-since")?;
        let is_unchanged = |source: &Source| match source {
            Source::File(path) | Source::Found(path) => !changes.touch(path),
            Source::Rendered { .. } | Source::Copy { .. } | Source::Url(_) | Source::Stdin => false,
        };
        let sources = rendering.sources.iter().filter(|source| is_unchanged(source)).map(Source::name);
        let is_untouched = |paths: &[_]| !paths.iter().any(|path: &std::path::PathBuf| changes.touch(path));
        let packages = rendering.inputs.iter().filter(|(_, inputs)| is_untouched(inputs));
        Ok(sources.chain(packages.map(|(name, _)| name.clone())).collect())
    }
}
