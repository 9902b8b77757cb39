//! The options of a rendering.

use std::path::{Path, PathBuf};

use crate::paths::PathPatterns;

/// The values for charts.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Values files for every chart. Without any, the files of a chart's `ci` make its variants.
    pub values: Vec<PathBuf>,
    /// Single values, in the notation of Helm's `--set`.
    pub set: Vec<String>,
    /// The namespace of the releases.
    pub namespace: String,
    /// The files that are not read: they make no variants, and objects that come from them are left out.
    pub ignores: Option<PathPatterns>,
}

impl Options {
    pub(super) fn ignores(&self, file: &Path) -> bool {
        self.ignores.as_ref().is_some_and(|patterns| patterns.has(file))
    }
}
