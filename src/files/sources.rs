//! Lists the sources at the user's paths, by the rules of kubectl's `-f` and `-R`.
//!
//! The rules are those of [`FilenameParam` and
//! `ExpandPathsToFileVisitors`](https://github.com/kubernetes/cli-runtime/tree/v0.36.3/pkg/resource).

use std::collections::{BTreeSet, HashSet};
use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use walkdir::{DirEntry, WalkDir};

use super::blocks::Input;
use super::consumer::ReadFailure;
use super::package::{CHART_FILE, Package, PackageKind, kustomization_file};
use super::stream_copies::{StreamCopies, StreamCopy};
use super::{fetch, pattern, text};
use crate::paths::PathPatterns;

/// The manifests to read, as the user names them.
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    /// Files, directories, patterns, URLs, comma-separated lists of these, or `-` for standard input.
    pub paths: Vec<PathBuf>,
    /// True if subdirectories are read.
    pub recursive: bool,
    /// True if charts and kustomizations are listed as packages. Their files are not listed then.
    pub packages: bool,
    /// True if a directory without any manifest is no error.
    pub may_be_empty: bool,
    /// The files that are not read.
    pub ignores: Option<Ignores>,
}

/// The files that are not read, by a configuration file.
#[derive(Debug, Clone)]
pub struct Ignores {
    /// The patterns of their paths.
    pub patterns: PathPatterns,
    /// The configuration file.
    pub file: PathBuf,
}

/// An entry of the list of inputs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listed {
    /// A stream of manifests.
    Source(Source),
    /// A directory that has to be rendered first.
    Package(Package),
    /// A path that can't be listed.
    Unread(ReadFailure),
    /// A path that the user named and that is ignored with everything in it, as a note for the user.
    Ignored(String),
}

impl Listed {
    /// Returns the pattern that matches the file or package.
    fn ignored_by<'i>(&self, ignores: &'i PathPatterns) -> Option<&'i str> {
        match self {
            Self::Source(Source::File(path) | Source::Found(path)) => ignores.matching(path),
            Self::Package(package) => match package.kind {
                PackageKind::Chart => ignores.matching(&package.directory.join(CHART_FILE)),
                PackageKind::Kustomization => ignores.matching(&kustomization_file(&package.directory)?),
            },
            Self::Source(_) | Self::Unread(_) | Self::Ignored(_) => None,
        }
    }
}

impl Ignores {
    /// Removes the ignored entries that a path led to. If none is left, a note takes their place.
    fn apply(&self, path: &Path, listed: &mut Vec<Listed>) {
        let mut patterns = BTreeSet::new();
        listed.retain(|listed| {
            let pattern = listed.ignored_by(&self.patterns);
            patterns.extend(pattern);
            pattern.is_none()
        });
        if listed.is_empty() && !patterns.is_empty() {
            let (path, file) = (path.display(), self.file.display());
            let patterns = patterns.into_iter().collect::<Vec<_>>().join(", ");
            listed.push(Listed::Ignored(format!(
                "{path} was not read: `ignore` in {file} matches it: {patterns}"
            )));
        }
    }
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
    /// The rendered objects of a package.
    Rendered {
        /// The name that places in the text have.
        name: String,
        /// The manifests.
        text: Arc<[u8]>,
    },
    /// A stream that was read before.
    Copy {
        /// The name of the stream.
        name: String,
        /// Its copy.
        copy: StreamCopy,
    },
}

/// The extensions of manifests in a directory.
const EXTENSIONS: [&str; 3] = ["json", "yaml", "yml"];

impl Inputs {
    /// Lists the sources, sorted within each directory. A path that can't be listed comes with the reason.
    ///
    /// A file or package is listed once, even if several paths and links lead to it.
    pub fn list(&self) -> Vec<Listed> {
        let mut seen = HashSet::new();
        let mut listed = Vec::new();
        for path in self.paths.iter().flat_map(|paths| split(paths)) {
            let mut found = Vec::new();
            self.add(&path, &mut found);
            if let Some(ignores) = &self.ignores {
                ignores.apply(&path, &mut found);
            }
            listed.append(&mut found);
        }
        listed.retain(|listed| match listed {
            Listed::Source(source) => seen.insert(source.identity()),
            Listed::Package(package) => seen.insert(Some(canonical(&package.directory))),
            Listed::Unread(_) | Listed::Ignored(_) => true,
        });
        listed
    }

    /// Lists the sources as [`Self::list`] does, without packages.
    pub fn sources(&self) -> impl Iterator<Item = Result<Source, ReadFailure>> {
        self.list().into_iter().filter_map(|listed| match listed {
            Listed::Source(source) => Some(Ok(source)),
            Listed::Unread(failure) => Some(Err(failure)),
            Listed::Package(_) | Listed::Ignored(_) => None,
        })
    }

    fn add(&self, path: &Path, listed: &mut Vec<Listed>) {
        if path.as_os_str().is_empty() {
            let message = "there is no such file or directory; remove the comma beside it";
            let (source, message) = ("the path \"\"".to_owned(), message.to_owned());
            listed.push(Listed::Unread(ReadFailure { source, document: None, line: None, message }));
        } else if path.as_os_str() == "-" {
            listed.push(Listed::Source(Source::Stdin));
        } else if let Some(url) = path.to_str().filter(|path| is_url(path)) {
            listed.push(Listed::Source(Source::Url(url.to_owned())));
        } else if path.exists() || !pattern::is_pattern(path) {
            match self.named(path) {
                Some(found) => listed.extend(found),
                None if self.may_be_empty => {}
                None => listed.push(self.no_manifest(path)),
            }
        } else {
            match pattern::expand(path) {
                // A directory that matches a pattern may hold no manifest.
                Ok(paths) => listed.extend(paths.iter().filter_map(|path| self.named(path)).flatten()),
                Err(reason) => listed.push(unread(path, reason)),
            }
        }
    }

    /// Lists the file, or the content of the directory, at a path; `None` if the directory holds no manifest.
    fn named(&self, path: &Path) -> Option<Vec<Listed>> {
        if path.is_symlink() && !path.exists() {
            return Some(vec![unread(path, "it is a link to nothing".to_owned())]);
        }
        if !path.is_dir() {
            return Some(vec![Listed::Source(Source::File(path.to_owned()))]);
        }
        let depth = if self.recursive { usize::MAX } else { 1 };
        let mut found = Vec::new();
        let mut kustomizations = HashSet::new();
        // The directory itself may be a link. Links to directories below it are not followed.
        let mut entries = WalkDir::new(path).max_depth(depth).sort_by_file_name().into_iter();
        while let Some(entry) = entries.next() {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    let reason = error.io_error().map_or_else(|| error.to_string(), ToString::to_string);
                    found.push(unread(error.path().unwrap_or(path), format!("can't be read: {reason}")));
                    continue;
                }
            };
            let named = entry.depth() == 0;
            if let Some(package) = self.package(&entry, named) {
                if package.kind == PackageKind::Kustomization {
                    // Other kustomizations may be below it.
                    kustomizations.insert(package.directory.clone());
                } else if named {
                    return Some(vec![Listed::Package(package)]);
                } else {
                    entries.skip_current_dir();
                }
                found.push(Listed::Package(package));
            } else if is_manifest(&entry)
                && !entry.path().parent().is_some_and(|directory| kustomizations.contains(directory))
            {
                found.push(Listed::Source(Source::Found(entry.into_path())));
            }
        }
        (!found.is_empty()).then_some(found)
    }

    /// Returns the package that a directory is, if packages are asked for, and subdirectories are read if it is one.
    fn package(&self, entry: &DirEntry, named: bool) -> Option<Package> {
        let is_read = self.packages && (named || self.recursive && entry.file_type().is_dir());
        is_read.then(|| Package::at(entry.path(), named)).flatten()
    }

    fn no_manifest(&self, directory: &Path) -> Listed {
        let deeper = !self.recursive && has_directories(directory);
        let hint = if deeper { "; use -R to read its subdirectories" } else { "" };
        unread(directory, format!("no file in it ends in .yaml, .yml or .json{hint}"))
    }
}

fn unread(path: &Path, message: String) -> Listed {
    Listed::Unread(ReadFailure { source: path.display().to_string(), document: None, line: None, message })
}

fn canonical(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
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
            Self::Rendered { name, .. } | Self::Copy { name, .. } => name.clone(),
        }
    }

    /// Reads the whole text of the source, which is expected to be small.
    pub fn text(&self) -> io::Result<String> {
        let mut bytes = Vec::new();
        self.open()?.read_to_end(&mut bytes)?;
        text::decode(&bytes)
    }

    /// Returns true if the user named the source and expects an object in it.
    pub(super) fn is_named(&self) -> bool {
        !matches!(self, Self::Found(_))
    }

    /// Returns true if the source can be read again from its start. A pipe can't, even if it has a path.
    pub(super) fn is_repeatable(&self) -> bool {
        match self {
            Self::File(path) | Self::Found(path) => path.is_file(),
            Self::Url(_) | Self::Stdin | Self::Rendered { .. } | Self::Copy { .. } => false,
        }
    }

    /// Returns true if nothing but a copy of the source can be read again.
    pub(super) fn is_read_once(&self) -> bool {
        !self.is_repeatable() && !matches!(self, Self::Rendered { .. } | Self::Copy { .. })
    }

    /// Returns the source for a second reading, from the copy if it could be read only once; `None` without a copy.
    pub(super) fn again(&self, copies: &StreamCopies) -> Option<Self> {
        if self.is_repeatable() {
            return Some(self.clone());
        }
        let name = self.name();
        copies.get(&name).map(|copy| Self::Copy { name, copy })
    }

    /// Returns a key that is equal for two paths to the same stream.
    fn identity(&self) -> Option<PathBuf> {
        match self {
            Self::File(path) | Self::Found(path) => Some(canonical(path)),
            Self::Url(name) | Self::Rendered { name, .. } | Self::Copy { name, .. } => {
                Some(PathBuf::from(name))
            }
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
            Self::Rendered { text, .. } => stream(Cursor::new(Arc::clone(text))),
            Self::Copy { copy, .. } => stream(copy.rewound()?),
        })
    }
}

fn stream(reader: impl Read + Send + 'static) -> Input {
    Input::Stream(Box::new(reader))
}
