//! Finds the targets of the links in a chart, which Helm follows.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Returns the targets of all links in a directory, and of those in the directories that they lead to.
pub(super) fn targets(directory: &Path) -> BTreeSet<PathBuf> {
    let mut targets = BTreeSet::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            let path = entry.path();
            if !path.is_symlink() {
                directories.extend(path.is_dir().then_some(path));
            } else if let Ok(target) = path.canonicalize()
                && targets.insert(target.clone())
            {
                directories.extend(target.is_dir().then_some(target));
            }
        }
    }
    targets
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_are_followed_once_and_into_directories() {
        let home = tempfile::tempdir().unwrap();
        let root = home.path().canonicalize().unwrap();
        for directory in ["chart/templates", "common/templates"] {
            fs::create_dir_all(root.join(directory)).unwrap();
        }
        for file in ["shared.yaml", "common/templates/a.yaml"] {
            fs::write(root.join(file), "").unwrap();
        }
        symlink(root.join("common"), root.join("chart/common")).unwrap();
        symlink(root.join("shared.yaml"), root.join("common/templates/b.yaml")).unwrap();
        symlink(root.join("chart"), root.join("common/again")).unwrap();
        symlink(root.join("nothing"), root.join("chart/dangling")).unwrap();
        let expected = ["chart", "common", "shared.yaml"].map(|path| root.join(path));
        assert_eq!(targets(&root.join("chart")), BTreeSet::from(expected));
    }
}
