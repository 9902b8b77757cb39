//! The files that have changed since a commit, as a pull request shows them, with those that are not committed yet.

use std::collections::{BTreeSet, HashMap};
use std::ffi::OsStr;
use std::io::{self, ErrorKind};
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The changes in the repository around the working directory.
#[derive(Debug)]
pub struct Changes {
    /// The top directory of the repository.
    root: PathBuf,
    /// The absolute paths of files that were changed, added or deleted. A renamed file has two.
    paths: BTreeSet<PathBuf>,
    /// The directories of files that were asked about, by their names.
    directories: HashMap<PathBuf, Option<Directory>>,
}

/// A directory with files that were asked about.
#[derive(Debug)]
struct Directory {
    /// The path without links.
    path: PathBuf,
    /// True if all files in it count as changed, because it is elsewhere or in a changed submodule.
    is_changed: bool,
}

/// The reason why changes can't be found.
#[derive(Debug, thiserror::Error)]
pub enum ChangesError {
    /// Git is not installed, or can't be started.
    #[error("git can't be run")]
    Git(#[from] io::Error),
    /// The directory is in no repository.
    #[error("{} is not in a Git repository", .0.display())]
    NoRepository(PathBuf),
    /// There is no such commit.
    #[error(
        "{0} is no commit of this repository: fetch it, or name another one (`git branch -a` lists branches)"
    )]
    Unknown(String),
    /// The histories don't meet.
    #[error("{0} and HEAD have no common commit: fetch more of the history, as with `git fetch --unshallow`")]
    Unrelated(String),
    /// Git reported another error.
    #[error("git {0}: {1}")]
    Failed(&'static str, String),
}

impl Changes {
    /// Finds the changes in the repository around a directory since `HEAD` and a commit parted.
    pub fn since(reference: &str, directory: &Path) -> Result<Self, ChangesError> {
        let root = match git(directory, "rev-parse", &["--show-toplevel"]) {
            Err(ChangesError::Failed(_, message)) if message.contains("not a git repository") => {
                let directory = directory.canonicalize().unwrap_or_else(|_| directory.to_owned());
                return Err(ChangesError::NoRepository(directory));
            }
            root => PathBuf::from(path(root?.trim_ascii_end())).canonicalize()?,
        };
        let commit = format!("{reference}^{{commit}}");
        let base = match git(&root, "merge-base", &["--end-of-options", &commit, "HEAD"]) {
            Ok(base) => text(&base),
            Err(error) => {
                let known = git(&root, "rev-parse", &["--verify", "--quiet", "--end-of-options", &commit]);
                return match known {
                    // Before the first commit, everything is new.
                    Err(_) if reference == "HEAD" => Ok(Self::new([root.clone()].into(), root)),
                    Err(error) => Err(error.or(ChangesError::Unknown(reference.to_owned()))),
                    Ok(_) => Err(error.or(ChangesError::Unrelated(reference.to_owned()))),
                };
            }
        };
        let options =
            ["--name-only", "-z", "--no-renames", "--no-relative", "--no-ext-diff", "--no-textconv"];
        let changed = git(&root, "diff", &[&options[..], &[&base, "--"]].concat())?;
        let names = changed.split(|byte| *byte == 0).filter(|name| !name.is_empty());
        let paths = names.map(|name| root.join(path(name))).collect();
        Ok(Self::new(paths, root))
    }

    fn new(paths: BTreeSet<PathBuf>, root: PathBuf) -> Self {
        Self { root, paths, directories: HashMap::new() }
    }

    /// Returns true if a file, or anything in a directory, has changed. Nothing is known about other repositories, so
    /// that their files count as changed.
    pub fn touch(&mut self, path: &Path) -> bool {
        let parent = within(path.parent().unwrap_or(path));
        let Some(name) = path.file_name() else {
            return path.canonicalize().is_ok_and(|path| self.has(&path));
        };
        if !self.directories.contains_key(parent) {
            let directory = parent.canonicalize().ok();
            let directory =
                directory.map(|path| Directory { is_changed: self.is_within_change(&path), path });
            self.directories.insert(parent.to_owned(), directory);
        }
        let directory = self.directories.get(parent).and_then(Option::as_ref);
        directory.is_some_and(|Directory { path, is_changed }| *is_changed || self.is_above(&path.join(name)))
            // The target of a link can change while its name does not.
            || path.is_symlink() && path.canonicalize().is_ok_and(|target| self.has(&target))
    }

    fn has(&self, path: &Path) -> bool {
        self.is_within_change(path) || self.is_above(path)
    }

    /// Returns true if the path itself, or something in it, has changed.
    fn is_above(&self, path: &Path) -> bool {
        let mut below = self.paths.range::<Path, _>((Bound::Included(path), Bound::Unbounded));
        below.next().is_some_and(|changed| changed.starts_with(path))
    }

    /// Returns true if the path is in another repository, or in a submodule that has changed.
    fn is_within_change(&self, path: &Path) -> bool {
        // Git lists a changed submodule as one path.
        !path.starts_with(&self.root) || path.ancestors().any(|above| self.paths.contains(above))
    }
}

impl ChangesError {
    /// Returns another error for a command that says only by its exit status that there is no result.
    fn or(self, other: Self) -> Self {
        match self {
            Self::Failed(_, message) if message.is_empty() => other,
            error => error,
        }
    }
}

/// Runs a command of Git, and returns what it prints.
fn git(directory: &Path, verb: &'static str, args: &[&str]) -> Result<Vec<u8>, ChangesError> {
    let mut command = Command::new("git");
    // The repository may name a program as its monitor.
    command.args(["-c", "core.fsmonitor=false", verb]).args(args).current_dir(directory).env("LC_ALL", "C");
    let output = command.output().map_err(|error| match error.kind() {
        ErrorKind::NotFound => io::Error::new(ErrorKind::NotFound, "it is not installed"),
        _ => error,
    })?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    Err(ChangesError::Failed(verb, errors.trim().trim_start_matches("fatal: ").to_owned()))
}

fn text(output: &[u8]) -> String {
    String::from_utf8_lossy(output).trim().to_owned()
}

fn within(parent: &Path) -> &Path {
    if parent.as_os_str().is_empty() { Path::new(".") } else { parent }
}

#[cfg(unix)]
fn path(bytes: &[u8]) -> &OsStr {
    std::os::unix::ffi::OsStrExt::from_bytes(bytes)
}

/// Git for Windows prints UTF-8.
#[cfg(not(unix))]
fn path(bytes: &[u8]) -> &OsStr {
    OsStr::new(std::str::from_utf8(bytes).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_touched_by_what_is_in_it_and_a_file_by_the_submodule_around_it() {
        let paths = ["/r/a/b.yaml", "/r/a-b/c", "/r/module"].map(PathBuf::from).into();
        let changes = Changes::new(paths, PathBuf::from("/r"));
        let has = |path: &str| changes.has(Path::new(path));
        assert!(has("/r/a/b.yaml") && has("/r/a") && has("/r") && has("/r/module/x/y.yaml"));
        assert!(!has("/r/a/b") && !has("/r/a/c.yaml") && !has("/r/b"));
        assert!(has("/elsewhere/a.yaml"));
    }
}
