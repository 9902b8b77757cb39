//! The options of a rendering.

use std::path::PathBuf;

/// The values for charts.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Values files for every chart. Without any, the files of a chart's `ci` make its variants.
    pub values: Vec<PathBuf>,
    /// Single values, in the notation of Helm's `--set`.
    pub set: Vec<String>,
    /// The namespace of the releases.
    pub namespace: String,
}
