//! Lists the sources at the user's paths, by the rules of kubectl's `-f` and `-R`.
//!
//! The rules are those of [`FilenameParam` and
//! `ExpandPathsToFileVisitors`](https://github.com/kubernetes/cli-runtime/tree/v0.36.3/pkg/resource).

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use walkdir::{DirEntry, WalkDir};

use super::blocks::Input;
use super::fetch;
use super::pattern;

/// The manifests to read, as the user names them.
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    /// Files, directories, patterns, URLs, comma-separated lists of these, or `-` for standard input.
    pub paths: Vec<PathBuf>,
    /// True if subdirectories are read.
    pub recursive: bool,
}

/// One stream of manifests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A file that the user named.
    File(PathBuf),
    /// A file found in a directory, which may belong to another program.
    Found(PathBuf),
    /// The response of an `http://` or `https://` URL.
    Url(String),
    /// Standard input.
    Stdin,
}

/// A path without manifests, and the reason.
pub(super) type Unlisted = (String, String);

/// The extensions of manifests in a directory.
const EXTENSIONS: [&str; 3] = ["json", "yaml", "yml"];

impl Inputs {
    /// Lists the sources, sorted within each directory. A path that can't be listed comes with the reason.
    ///
    /// A file is listed once, even if several paths and links lead to it.
    pub fn sources(&self) -> Vec<Result<Source, Unlisted>> {
        let mut seen = HashSet::new();
        let mut sources = Vec::new();
        for path in self.paths.iter().flat_map(|paths| split(paths)) {
            self.add(&path, &mut sources);
        }
        sources.retain(|source| source.as_ref().map_or(true, |source| seen.insert(source.identity())));
        sources
    }

    fn add(&self, path: &Path, sources: &mut Vec<Result<Source, Unlisted>>) {
        if path.as_os_str().is_empty() {
            let message = "there is no such file or directory; remove the comma beside it";
            sources.push(Err(("the path \"\"".to_owned(), message.to_owned())));
        } else if path.as_os_str() == "-" {
            sources.push(Ok(Source::Stdin));
        } else if let Some(url) = path.to_str().filter(|path| is_url(path)) {
            sources.push(Ok(Source::Url(url.to_owned())));
        } else if path.exists() || !pattern::is_pattern(path) {
            let found = self.named(path).unwrap_or_else(|| vec![Err(self.no_manifest(path))]);
            sources.extend(found);
        } else {
            match pattern::expand(path) {
                // A directory that matches a pattern may hold no manifest.
                Ok(paths) => sources.extend(paths.iter().filter_map(|path| self.named(path)).flatten()),
                Err(reason) => sources.push(Err((path.display().to_string(), reason))),
            }
        }
    }

    /// Lists the file, or the files of the directory, at a path; `None` if the directory holds no manifest.
    fn named(&self, path: &Path) -> Option<Vec<Result<Source, Unlisted>>> {
        if path.is_symlink() && !path.exists() {
            return Some(vec![Err((path.display().to_string(), "it is a link to nothing".to_owned()))]);
        }
        if !path.is_dir() {
            return Some(vec![Ok(Source::File(path.to_owned()))]);
        }
        let depth = if self.recursive { usize::MAX } else { 1 };
        // The directory itself may be a link. Links to directories below it are not followed.
        let entries = WalkDir::new(path).max_depth(depth).sort_by_file_name().into_iter();
        let found: Vec<_> = entries
            .filter_map(|entry| match entry {
                Ok(entry) => is_manifest(&entry).then(|| Ok(Source::Found(entry.into_path()))),
                Err(error) => {
                    let place = error.path().unwrap_or(path).display().to_string();
                    let reason = error.io_error().map_or_else(|| error.to_string(), ToString::to_string);
                    Some(Err((place, format!("can't be read: {reason}"))))
                }
            })
            .collect();
        (!found.is_empty()).then_some(found)
    }

    fn no_manifest(&self, directory: &Path) -> Unlisted {
        let deeper = !self.recursive && has_directories(directory);
        let hint = if deeper { "; use -R to read its subdirectories" } else { "" };
        (directory.display().to_string(), format!("no file in it ends in .yaml, .yml or .json{hint}"))
    }
}

/// Splits a comma-separated list of paths, unless it is the path of an existing file.
fn split(paths: &Path) -> Vec<PathBuf> {
    match paths.to_str() {
        Some(text) if text.contains(',') && !paths.exists() => text.split(',').map(PathBuf::from).collect(),
        _ => vec![paths.to_owned()],
    }
}

/// Returns true if a directory entry is a file, or a link to one, with the extension of a manifest.
fn is_manifest(entry: &DirEntry) -> bool {
    let extension = entry.path().extension().and_then(|extension| extension.to_str());
    let is_file = || entry.file_type().is_file() || (entry.path_is_symlink() && entry.path().is_file());
    extension.is_some_and(|extension| EXTENSIONS.contains(&extension)) && is_file()
}

fn is_url(path: &str) -> bool {
    path.starts_with("http://") || path.starts_with("https://")
}

fn has_directories(path: &Path) -> bool {
    path.read_dir().is_ok_and(|entries| entries.flatten().any(|entry| entry.path().is_dir()))
}

impl Source {
    /// Returns the name that errors and reports use.
    pub fn name(&self) -> String {
        match self {
            Self::File(path) | Self::Found(path) => path.display().to_string(),
            Self::Url(url) => url.clone(),
            Self::Stdin => "standard input".to_owned(),
        }
    }

    /// Returns true if the user named the source and expects an object in it.
    pub(super) fn is_named(&self) -> bool {
        !matches!(self, Self::Found(_))
    }

    /// Returns true if the source can be read again from its start. A pipe can't, even if it has a path.
    pub(super) fn is_repeatable(&self) -> bool {
        match self {
            Self::File(path) | Self::Found(path) => path.is_file(),
            Self::Url(_) | Self::Stdin => false,
        }
    }

    /// Returns a key that is equal for two paths to the same stream.
    fn identity(&self) -> Option<PathBuf> {
        match self {
            Self::File(path) | Self::Found(path) => {
                Some(path.canonicalize().unwrap_or_else(|_| path.clone()))
            }
            Self::Url(url) => Some(PathBuf::from(url)),
            Self::Stdin => None,
        }
    }

    /// Opens the source at its start.
    pub(super) fn open(&self) -> io::Result<Input> {
        Ok(match self {
            Self::File(path) | Self::Found(path) if self.is_repeatable() => Input::File(File::open(path)?),
            Self::File(path) | Self::Found(path) => stream(File::open(path)?),
            Self::Url(url) => stream(fetch::get(url)?),
            Self::Stdin => stream(io::stdin()),
        })
    }
}

fn stream(reader: impl Read + Send + 'static) -> Input {
    Input::Stream(Box::new(reader))
}
