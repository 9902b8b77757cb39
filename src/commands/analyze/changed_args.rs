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
    #[arg(long, value_name = "REF", conflicts_with_all = ["compare", "write_baseline"])]
    pub(super) changed_since: Option<String>,
}

impl ChangedArgs {
    /// Asks Git for the changes; `None` without the flag.
    pub(super) fn changes(&self) -> anyhow::Result<Option<Changes>> {
        let since = |reference: &String| Changes::since(reference, Path::new(".")).context("--changed-since");
        self.changed_since.as_ref().map(since).transpose()
    }
}

/// Returns the names of the sources and packages in which nothing has changed; none without changes to compare with.
pub(super) fn unchanged(changes: Option<Changes>, rendering: &Rendering) -> HashSet<String> {
    let Some(mut changes) = changes else { return HashSet::new() };
    let mut unchanged = HashSet::new();
    for source in &rendering.sources {
        match source {
            Source::File(path) | Source::Found(path) if !changes.touch(path) => {
                unchanged.insert(source.name());
            }
            _ => {}
        }
    }
    for (name, inputs) in &rendering.inputs {
        if !inputs.iter().any(|path| changes.touch(path)) {
            unchanged.insert(name.clone());
        }
    }
    unchanged
}
