//! Which files an input names, in the order in which they are read.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

/// What to read, as kubectl's `-f` and `-R` name it.
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    /// Files, directories, or `-` for standard input.
    pub paths: Vec<PathBuf>,
    /// Whether directories within directories are read.
    pub recursive: bool,
}

/// One stream of manifests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A file, which the user named.
    File(PathBuf),
    /// A file found in a directory, which may be there for another program.
    Found(PathBuf),
    /// Standard input.
    Stdin,
}

/// What a directory is searched for, as kubectl does.
const EXTENSIONS: [&str; 3] = ["json", "yaml", "yml"];

impl Inputs {
    /// Lists the sources, sorted within each directory; what can't be listed comes as the path and the reason.
    ///
    /// A file is listed once, however many paths and links lead to it.
    pub fn sources(&self) -> Vec<Result<Source, (String, String)>> {
        let mut seen = HashSet::new();
        let mut sources: Vec<_> = self.paths.iter().flat_map(|path| self.sources_of(path)).collect();
        sources.retain(|source| source.as_ref().map_or(true, |source| seen.insert(source.identity())));
        sources
    }

    fn sources_of(&self, path: &Path) -> Vec<Result<Source, (String, String)>> {
        if path.as_os_str() == "-" {
            return vec![Ok(Source::Stdin)];
        }
        if let Some(url) = path.to_str().filter(|path| is_url(path)) {
            let message = "URLs are not read: fetch it with `curl -sSL URL | kube-devops analyze -f -`";
            return vec![Err((url.to_owned(), message.to_owned()))];
        }
        if !path.is_dir() {
            return vec![Ok(Source::File(path.to_owned()))];
        }
        let depth = if self.recursive { usize::MAX } else { 1 };
        let mut found: Vec<_> = WalkDir::new(path)
            .max_depth(depth)
            .follow_links(true)
            .sort_by_file_name()
            .into_iter()
            .filter_map(|entry| match entry {
                Ok(entry) => (entry.file_type().is_file() && is_manifest(entry.path()))
                    .then(|| Ok(Source::Found(entry.into_path()))),
                // A link to a directory above leads to nothing that isn't read already.
                Err(error) if error.loop_ancestor().is_some() => None,
                Err(error) => {
                    let place = error.path().unwrap_or(path);
                    let reason = if is_dangling(place) {
                        "it is a link to nothing".to_owned()
                    } else {
                        let reason = error.io_error().map_or_else(|| error.to_string(), ToString::to_string);
                        format!("can't be read: {reason}")
                    };
                    Some(Err((place.display().to_string(), reason)))
                }
            })
            .collect();
        if found.is_empty() {
            let deeper = !self.recursive && has_directories(path);
            let hint = if deeper { "; -R looks into the directories below it" } else { "" };
            let message = format!("no file in it ends in .yaml, .yml or .json{hint}");
            found.push(Err((path.display().to_string(), message)));
        }
        found
    }
}

fn is_manifest(path: &Path) -> bool {
    path.extension()
        .and_then(|extension| extension.to_str())
        .is_some_and(|extension| EXTENSIONS.contains(&extension))
}

fn is_dangling(path: &Path) -> bool {
    path.is_symlink() && !path.exists()
}

fn is_url(path: &str) -> bool {
    path.split_once("://").is_some_and(|(scheme, _)| matches!(scheme, "http" | "https"))
}

fn has_directories(path: &Path) -> bool {
    path.read_dir().is_ok_and(|entries| entries.flatten().any(|entry| entry.path().is_dir()))
}

impl Source {
    /// The name that errors and reports use.
    pub fn name(&self) -> String {
        match self {
            Self::File(path) | Self::Found(path) => path.display().to_string(),
            Self::Stdin => "standard input".to_owned(),
        }
    }

    /// Tells whether it can be read again from its start: a pipe, though it has a path, can't.
    pub(super) fn is_repeatable(&self) -> bool {
        match self {
            Self::File(path) | Self::Found(path) => path.is_file(),
            Self::Stdin => false,
        }
    }

    /// What tells the stream from others; of a file that isn't there only its path can.
    fn identity(&self) -> Option<PathBuf> {
        match self {
            Self::File(path) | Self::Found(path) => {
                Some(path.canonicalize().unwrap_or_else(|_| path.clone()))
            }
            Self::Stdin => None,
        }
    }

    pub(super) fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        Ok(match self {
            Self::File(path) | Self::Found(path) => Box::new(File::open(path)?),
            Self::Stdin => Box::new(io::stdin()),
        })
    }
}
