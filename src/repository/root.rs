//! Finds the root of a repository.

use std::path::{Path, PathBuf};

/// Returns the directory above, or the directory itself, that Git made a repository or a work tree.
pub fn root_above(directory: &Path) -> Option<PathBuf> {
    directory.ancestors().find(|above| above.join(".git").exists()).map(Path::to_owned)
}
