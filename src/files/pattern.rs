//! Expands patterns such as `deploy/*.yaml` that the shell passes on in quotes, as Go's `filepath.Glob` does.

use std::path::{Path, PathBuf};

use glob::{MatchOptions, Pattern, glob_with};

/// Returns true if a path holds a pattern character.
pub(super) fn is_pattern(path: &Path) -> bool {
    path.to_str().is_some_and(|path| path.contains(['*', '?', '[', '\\']))
}

/// Lists the files and directories that match a pattern, sorted by name. An error says why there are none.
pub(super) fn expand(pattern: &Path) -> Result<Vec<PathBuf>, String> {
    let text = pattern.to_str().unwrap_or_default();
    let invalid = || "not a valid pattern: close the [ or put a \\ before it".to_owned();
    let options = MatchOptions { case_sensitive: true, ..MatchOptions::new() };
    let matches = glob_with(&from_go(text).ok_or_else(invalid)?, options).map_err(|_| invalid())?;
    // Like Go, this skips directories that can't be read.
    let paths: Vec<PathBuf> = matches.filter_map(Result::ok).collect();
    if paths.is_empty() { Err("no file matches this pattern".to_owned()) } else { Ok(paths) }
}

/// Translates a Go pattern into one of the `glob` crate; `None` if it is invalid.
///
/// In Go, `**` means the same as `*`, `^` negates a class as `!` does here, and `\` escapes a character.
fn from_go(text: &str) -> Option<String> {
    let mut pattern = String::new();
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '*' if pattern.ends_with('*') => {}
            '\\' => pattern.push_str(&Pattern::escape(&characters.next()?.to_string())),
            '[' => {
                let negated = characters.next_if_eq(&'^').is_some();
                let mut ranges = Vec::new();
                while ranges.is_empty() || characters.next_if_eq(&']').is_none() {
                    let low = class_member(&mut characters)?;
                    let is_range = characters.next_if_eq(&'-').is_some();
                    ranges.push((low, if is_range { class_member(&mut characters)? } else { low }));
                }
                pattern.push_str(&class(negated, ranges));
            }
            other => pattern.push(other),
        }
    }
    Some(pattern)
}

/// Reads one character of a class, which may be escaped.
fn class_member(characters: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<char> {
    match characters.next()? {
        '\\' => characters.next(),
        '-' | ']' => None,
        character => Some(character),
    }
}

/// Writes a class so that no member reads as syntax: a bracket comes first, a dash or an exclamation mark last.
fn class(negated: bool, mut ranges: Vec<(char, char)>) -> String {
    ranges.sort_by_key(|(low, _)| match low {
        ']' => 0,
        '-' => 3,
        '!' => 2,
        _ => 1,
    });
    let members = ranges.into_iter().map(
        |(low, high)| {
            if low == high { low.to_string() } else { format!("{low}-{high}") }
        },
    );
    format!("[{}{}]", if negated { "!" } else { "" }, members.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_go() {
        for (pattern, matching, other) in [
            ("*.yaml", "a.yaml", "a.json"),
            ("*", ".hidden", "a/b"),
            ("a**c", "abbc", "ab"),
            ("?.yaml", "a.yaml", "ab.yaml"),
            ("[a-c]x", "bx", "dx"),
            ("[^a-c]x", "dx", "bx"),
            ("[!a]x", "!x", "bx"),
            (r"\*.yaml", "*.yaml", "a.yaml"),
            (r"[\]\-]", "]", "\\"),
            (r"[\]\-]", "-", "a"),
            ("{a}", "{a}", "a"),
        ] {
            let matches = |name: &str| {
                let options = MatchOptions { require_literal_separator: true, ..MatchOptions::new() };
                Pattern::new(&from_go(pattern).unwrap()).unwrap().matches_with(name, options)
            };
            assert!(matches(matching) && !matches(other), "{pattern}");
        }
        for invalid in ["[a", "[]a]", "[a-]", "[", "a\\"] {
            assert_eq!(from_go(invalid), None, "{invalid}");
        }
    }
}
