//! Patterns of paths below a directory, in the syntax of gitignore.

use std::io;
use std::path::{Component, Path, PathBuf};

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};

/// Patterns of paths, as in a `.gitignore` of a directory. A pattern with `!` takes paths out again.
#[derive(Debug, Clone)]
pub struct PathPatterns {
    root: PathBuf,
    /// The working directory below the root; `None` if it is elsewhere.
    here: Option<PathBuf>,
    matcher: Gitignore,
}

/// An invalid pattern.
#[derive(Debug, thiserror::Error)]
#[error("{pattern:?} is not a pattern of gitignore: {problem}")]
pub struct PatternError {
    /// The place in the list, from 0.
    pub index: usize,
    /// The pattern.
    pub pattern: String,
    problem: String,
}

impl PathPatterns {
    /// Compiles the patterns of a directory, which is relative to the working directory.
    pub fn new(directory: &Path, patterns: &[String]) -> Result<Self, PatternError> {
        let root = absolute(directory).unwrap_or_else(|_| directory.to_owned());
        let here = absolute(Path::new("")).ok();
        let here = here.and_then(|here| here.strip_prefix(&root).ok().map(Path::to_owned));
        let mut builder = GitignoreBuilder::new(&root);
        let mut failed = None;
        for (index, pattern) in patterns.iter().enumerate() {
            let error = |problem: String| PatternError { index, pattern: pattern.clone(), problem };
            if let Err(problem) = builder.add_line(None, pattern) {
                failed.get_or_insert(error(problem.to_string()));
            }
        }
        match (failed, builder.build()) {
            (None, Ok(matcher)) => Ok(Self { root, here, matcher }),
            (Some(error), _) => Err(error),
            (None, Err(problem)) => {
                let pattern = patterns.join(", ");
                Err(PatternError { index: 0, pattern, problem: problem.to_string() })
            }
        }
    }

    /// Returns true if a file, or a directory above it, matches. A file outside the directory never does.
    pub fn has(&self, file: &Path) -> bool {
        self.matching(file).is_some()
    }

    /// Returns the pattern that a file, or a directory above it, matches.
    pub fn matching(&self, file: &Path) -> Option<&str> {
        let plain = file.strip_prefix(".").unwrap_or(file);
        // Most paths are plain ones, and the working directory is not asked for again.
        match &self.here {
            Some(here) if plain.components().all(|part| matches!(part, Component::Normal(_))) => {
                if here.as_os_str().is_empty() { self.find(plain) } else { self.find(&here.join(plain)) }
            }
            _ => {
                let file = absolute(file).ok().filter(|file| file.starts_with(&self.root))?;
                self.find(&file)
            }
        }
    }

    fn find(&self, file: &Path) -> Option<&str> {
        let file = file.strip_prefix(&self.root).unwrap_or(file);
        let matched = |path: &Path, is_directory| match self.matcher.matched(path, is_directory) {
            Match::Ignore(pattern) => Some(pattern.original()),
            Match::None | Match::Whitelist(_) => None,
        };
        // As in Git, no pattern brings back a file below an ignored directory.
        let mut above = PathBuf::new();
        for part in file.parent().into_iter().flat_map(Path::components) {
            above.push(part);
            if let Some(pattern) = matched(&above, true) {
                return Some(pattern);
            }
        }
        matched(file, false)
    }
}

/// Returns an absolute path without `.` and `..`. Links are not followed, so that patterns match the names that users see.
pub(super) fn absolute(path: &Path) -> io::Result<PathBuf> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let mut whole = PathBuf::new();
    for part in std::path::absolute(path)?.components() {
        if part == Component::ParentDir {
            whole.pop();
        } else if part != Component::CurDir {
            whole.push(part);
        }
    }
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_a_gitignore() {
        let patterns =
            ["vendor/", "*.gen.yaml", "!keep.gen.yaml", "/top.yaml", "a/**/z.yaml"].map(str::to_owned);
        let found = PathPatterns::new(Path::new("x/.."), &patterns).unwrap();
        for (path, matches) in [
            ("vendor/a/b.yaml", true),
            ("vendor/a/keep.gen.yaml", true),
            ("c/vendor/b.yaml", true),
            ("vendor", false),
            ("b/c.gen.yaml", true),
            ("b/keep.gen.yaml", false),
            ("top.yaml", true),
            ("./b/../top.yaml", true),
            ("./top.yaml", true),
            ("b/top.yaml", false),
            ("a/z.yaml", true),
            ("a/b/c/z.yaml", true),
            ("../vendor/b.yaml", false),
        ] {
            assert_eq!(found.has(Path::new(path)), matches, "{path}");
        }
    }

    #[test]
    fn patterns_of_a_directory_above_match_from_there() {
        let here = std::env::current_dir().unwrap();
        let name = here.file_name().unwrap().to_str().unwrap();
        let patterns = [format!("/{name}/a.yaml"), "/b.yaml".to_owned()];
        let found = PathPatterns::new(Path::new(".."), &patterns).unwrap();
        let matched =
            ["a.yaml", "./a.yaml", "b.yaml", "../b.yaml", "c/a.yaml"].map(|path| found.has(Path::new(path)));
        assert_eq!(matched, [true, true, false, true, false]);
        assert!(found.has(&here.join("a.yaml")));
        let below = PathPatterns::new(Path::new("src"), &["/a.yaml".to_owned()]).unwrap();
        assert!(below.has(Path::new("src/a.yaml")) && !below.has(Path::new("a.yaml")));
    }

    #[test]
    fn an_invalid_pattern_is_named() {
        let error = PathPatterns::new(Path::new(""), &["ok".to_owned(), "a[z-a]".to_owned()]).unwrap_err();
        assert_eq!(error.index, 1);
        assert!(error.to_string().starts_with("\"a[z-a]\" is not a pattern of gitignore: "), "{error}");
    }
}
