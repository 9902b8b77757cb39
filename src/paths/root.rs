//! Paths as they are named from the root of a project.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use super::patterns::absolute;

/// The root of a project, for the names of files that other programs read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProjectRoot {
    root: PathBuf,
    /// True if the working directory is the root.
    is_here: bool,
}

impl ProjectRoot {
    /// Makes a root from an absolute directory; `working` is the working directory.
    pub fn new(root: &Path, working: &Path) -> Self {
        Self { root: root.to_owned(), is_here: root == working }
    }

    /// Returns a path of a file, which is absolute or relative to the working directory, relative to the root. A file
    /// elsewhere, and a URL, keeps its name.
    pub fn relative<'p>(&self, path: &'p str) -> Cow<'p, str> {
        let plain = path.strip_prefix("./").unwrap_or(path);
        let is_plain = self.is_here && !plain.starts_with('/') && !plain.contains("./");
        if is_plain || path.contains("://") || self.root.as_os_str().is_empty() {
            return plain.into();
        }
        let whole = absolute(Path::new(path)).ok();
        let below = whole.as_deref().and_then(|whole| whole.strip_prefix(&self.root).ok());
        below.map_or(plain.into(), |below| below.display().to_string().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_the_project_are_named_from_its_root() {
        let here = std::env::current_dir().unwrap();
        let below = here.join("a/./b/../c.yaml").display().to_string();
        let elsewhere = format!("/elsewhere{}/a.yaml", here.display());
        let root = ProjectRoot::new(&here, &here);
        for (path, expected) in [
            ("a.yaml", "a.yaml"),
            ("./a/b.yaml", "a/b.yaml"),
            ("a/../b.yaml", "b.yaml"),
            (&*below, "a/c.yaml"),
            ("../x.yaml", "../x.yaml"),
            (&*elsewhere, &*elsewhere),
            ("https://example.com/./a.yaml", "https://example.com/./a.yaml"),
        ] {
            assert_eq!(root.relative(path), expected);
        }
        let above = ProjectRoot::new(here.parent().unwrap(), &here);
        let name = here.file_name().unwrap().to_str().unwrap();
        for (path, expected) in [("a.yaml", format!("{name}/a.yaml")), ("../x.yaml", "x.yaml".to_owned())] {
            assert_eq!(above.relative(path), expected);
        }
        assert_eq!(ProjectRoot::default().relative("./a.yaml"), "a.yaml");
    }
}
