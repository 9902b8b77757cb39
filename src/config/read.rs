//! Reads a configuration file, and names the line of each problem.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::Deserialize as _;
use serde_json::Value;

use super::check::check;
use super::{Config, ConfigError, ExemptionConfig, FILE_NAME, schema};
use crate::files::{Ignores, read_text};
use crate::governance::{Exemption, ExemptionPlace, Exemptions};
use crate::paths::{PathPatterns, PatternError};
use crate::policy::{EffectivePolicy, SelectionError, rule_names};
use crate::rules;
use crate::yaml::{Document, Node, chunks};

/// A configuration file that was read.
#[derive(Debug, Clone)]
pub struct ConfigFile {
    /// The path of the file, relative to the working directory if it was found there or above.
    pub path: PathBuf,
    /// The settings.
    pub config: Config,
    written: Written,
    lines: Lines,
}

impl ConfigFile {
    /// Finds the path of the configuration file: in a directory, or in the nearest one above that has it.
    ///
    /// The path is relative to the directory.
    pub fn find(directory: &Path) -> Option<PathBuf> {
        let mut found = PathBuf::new();
        for directory in directory.ancestors() {
            if directory.join(FILE_NAME).is_file() {
                return Some(found.join(FILE_NAME));
            }
            found.push("..");
        }
        None
    }

    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = match read_text(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(std::io::Error::new(ErrorKind::NotFound, "there is no such file").into());
            }
            read => read?,
        };
        let (config, written, lines) = parse(&text)?;
        let file = Self { path: path.to_owned(), config, written, lines };
        file.check_rules()?;
        file.ignores()?;
        file.exemptions()?;
        Ok(file)
    }

    /// Returns the place of a setting, as `file:line`; `None` if the file does not have it.
    pub fn place(&self, key: &str) -> Option<String> {
        self.lines.get(key).map(|line| format!("{}:{line}", self.path.display()))
    }

    /// Returns the value of a setting as one line of text; `None` if the file does not have it.
    pub fn text(&self, key: &str) -> Option<String> {
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        self.written.get(key).map(|value| match value {
            Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(", "),
            other => text(other),
        })
    }

    /// Returns the path of a file that a setting names.
    pub fn resolved(&self, path: &str) -> PathBuf {
        if path == "-" || path.contains("://") { path.into() } else { self.directory().join(path) }
    }

    /// Returns the files that are not read; `None` if there are none.
    pub fn ignores(&self) -> Result<Option<Ignores>, ConfigError> {
        let Some(patterns) = &self.config.ignore else { return Ok(None) };
        let patterns = self.patterns(patterns, "ignore")?;
        Ok(Some(Ignores { patterns, file: self.path.clone() }))
    }

    /// Returns the exemptions.
    pub fn exemptions(&self) -> Result<Exemptions, ConfigError> {
        let exemption = |(index, exemption): (usize, &ExemptionConfig)| {
            let path = format!("exemptions[{index}]");
            let ids = exemption.rules.as_ref();
            let rules =
                ids.map(|ids| ids.iter().filter_map(|id| rules::find(id)).map(|rule| rule.id).collect());
            let paths = self.patterns(&exemption.paths, &format!("{path}.paths"))?;
            Ok(Exemption {
                place: ExemptionPlace::Paths { patterns: exemption.paths.join(", "), paths },
                rules,
                reason: exemption.reason.trim().to_owned(),
                expires: exemption.expires,
            })
        };
        let all: Result<Vec<_>, _> = self.config.exemptions.iter().enumerate().map(exemption).collect();
        all.map(Exemptions::new)
    }

    fn directory(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    /// Returns the line of the value at a path.
    fn line(&self, path: &str) -> usize {
        self.lines.get(path).copied().unwrap_or(1)
    }

    fn patterns(&self, patterns: &[String], path: &str) -> Result<PathPatterns, ConfigError> {
        PathPatterns::new(self.directory(), patterns).map_err(|error: PatternError| {
            let path = format!("{path}[{}]", error.index);
            ConfigError::at(self.line(&path), format!("{path}: {error}"))
        })
    }

    /// Checks the choice of rules.
    fn check_rules(&self) -> Result<(), ConfigError> {
        let Config { rules, bundle, policy, severities, .. } = &self.config;
        let choices =
            [("rules", rules.is_some()), ("bundle", bundle.is_some()), ("policy", policy.is_some())];
        let chosen: Vec<&str> = choices.iter().filter(|(_, is_set)| *is_set).map(|(key, _)| *key).collect();
        if let [_, .., last] = chosen.as_slice() {
            let message = format!("{} exclude each other: keep one", chosen.join(" and "));
            return Err(ConfigError::at(self.line(last), message));
        }
        if policy.is_some() && !severities.is_empty() {
            let message = "severities: the policy has severityOverrides of its own: use those";
            return Err(ConfigError::at(self.line("severities"), message));
        }
        let Some(rules) = rules else { return Ok(()) };
        match EffectivePolicy::select(&rules.join(",")) {
            Ok(_) => Ok(()),
            Err(SelectionError::Unknown { name }) => {
                let problem = format!("there is no rule {name:?}");
                let names =
                    |rule: &String| rule.split(',').any(|one| one.trim_matches(['+', '-', ' ']) == name);
                let index = rules.iter().position(names).unwrap_or_default();
                let path = format!("rules[{index}]");
                Err(ConfigError::unknown(self.line(&path), &path, &problem, &name, rule_names()))
            }
            Err(error) => Err(ConfigError::at(self.line("rules"), format!("rules: {error}"))),
        }
    }
}

/// The settings as they are written, by key.
type Written = BTreeMap<String, Value>;
/// The line of each value, by its path.
type Lines = BTreeMap<String, usize>;

/// Parses the text of a file. Returns the settings, each as it is written, and the lines.
fn parse(text: &str) -> Result<(Config, Written, Lines), ConfigError> {
    let mut found = None;
    for chunk in chunks(text.as_bytes(), true) {
        let at = |line: Option<usize>| chunk.lines_before + line.unwrap_or(1);
        let text = chunk.text().map_err(|error| ConfigError::at(at(error.line()), error.to_string()))?;
        let document =
            Document::parse(&text).map_err(|error| ConfigError::at(at(error.line()), error.to_string()))?;
        let root = document.root();
        if root.is_null() {
            continue;
        }
        if found.is_some() {
            return Err(ConfigError::at(at(None), "a configuration is one document: remove the others"));
        }
        if let Some(repeated) = document.repeated().first() {
            let message = format!("the key {} is there already: remove one of the two", repeated.key);
            return Err(ConfigError::at(at(Some(repeated.line)), message));
        }
        let shifted = |error: ConfigError| match error {
            ConfigError::Line { line, message } => ConfigError::at(at(Some(line)), message),
            read @ ConfigError::Read(_) => read,
        };
        check(root, &schema()).map_err(shifted)?;
        let config = Config::deserialize(root)
            .map_err(|error| ConfigError::at(at(error.line()), error.to_string()))?;
        let written = root.fields().into_iter().flatten().map(|(key, _, value)| {
            let value = Value::deserialize(value).unwrap_or_default();
            (key.into_owned(), value)
        });
        let mut lines = Lines::new();
        note_lines(root, "", chunk.lines_before, &mut lines);
        found = Some((config, written.collect(), lines));
    }
    Ok(found.unwrap_or_default())
}

/// Notes the lines of all values below a node, which is at a path.
fn note_lines(node: Node<'_, '_>, path: &str, lines_before: usize, lines: &mut Lines) {
    for (key, line, value) in node.fields().into_iter().flatten() {
        let path = if path.is_empty() { key.into_owned() } else { format!("{path}.{key}") };
        note_lines(value, &path, lines_before, lines);
        lines.insert(path, lines_before + line);
    }
    for (index, item) in node.items().into_iter().flatten().enumerate() {
        let path = format!("{path}[{index}]");
        note_lines(item, &path, lines_before, lines);
        lines.insert(path, lines_before + item.line());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<ConfigFile, ConfigError> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(FILE_NAME);
        std::fs::write(&path, text).unwrap();
        ConfigFile::read(&path)
    }

    #[test]
    fn a_file_with_every_setting_is_read() {
        let file = read(
            "inputs: [a, 'https://b/c.yaml']\nrecursive: true\nignore: [vendor/]\nrules: [recommended, -pending]\n\
             severities: {latest-tag: critical}\nfailOn: high\nfailUnder: 80\nfailUnderCompliance: 99.5\n\
             allowEmpty: true\nbaseline: known.json\nexemptions:\n- paths: [legacy/]\n  rules: [latest-tag]\n  \
             reason: old\n  expires: 2027-01-31\n",
        );
        let file = file.unwrap();
        assert_eq!(file.config.fail_under_compliance, "99.5".parse().ok());
        assert_eq!(file.place("failOn").unwrap(), format!("{}:6", file.path.display()));
        assert_eq!(file.resolved("https://b/c.yaml"), Path::new("https://b/c.yaml"));
        assert!(file.resolved("a").ends_with("a") && file.resolved("a") != Path::new("a"));
        assert!(read("# nothing\n").unwrap().config == Config::default());
    }

    #[test]
    fn each_problem_has_its_line_and_a_way_out() {
        for (text, expected) in [
            ("\nfialOn: high", "line 2: fialOn: there is no such key; did you mean \"failOn\"?"),
            (
                "severities:\n  latest-tags: low",
                "line 2: severities.latest-tags: there is no such key; did you mean \"latest-tag\"?",
            ),
            (
                "failOn: hihg",
                "line 1: failOn: \"hihg\" is not one of the allowed values; did you mean \"high\"?",
            ),
            (
                "exemptions:\n- path: [a]",
                "line 2: exemptions[0].path: there is no such key; did you mean \"paths\"?",
            ),
            (
                "exemptions:\n- paths: [a]\n  reason: b\n  rules:\n  - latest-tga",
                "line 5: exemptions[0].rules[0]: \"latest-tga\" is not one of the allowed values; did you mean \"latest-tag\"?",
            ),
            (
                "rules:\n- default\n- -latest-tga",
                "line 3: rules[1]: there is no rule \"latest-tga\"; did you mean \"latest-tag\"?",
            ),
            ("rules: [all]\nbundle: pss-baseline", "line 2: rules and bundle exclude each other: keep one"),
            ("ignore:\n- ok\n- 'a[z-a]'", "line 3: ignore[1]: \"a[z-a]\" is not a pattern of gitignore:"),
            ("failOn: low\nfailOn: high", "line 2: the key failOn is there already: remove one of the two"),
            ("a: [", "line "),
            ("failUnder: many", "line 1: failUnder: expected a whole number from 0 to 100, found \"many\""),
            ("failUnder: 101", "line 1: failUnder: expected a whole number from 0 to 100, found 101"),
            ("failOn: low\n---\nfailOn: high", "line 3: a configuration is one document"),
            (
                "exemptions:\n- paths: [a]\n  reason: ' '",
                "line 3: exemptions[0].reason: expected text that is not empty, found \" \"",
            ),
            (
                "exemptions:\n- reason: b\n  paths: []",
                "line 3: exemptions[0].paths: expected a list with at least one entry, found []",
            ),
            ("exemptions:\n- paths: [a]", "line 2: exemptions[0]: `reason` is missing"),
            (
                "exemptions:\n- {paths: [a], reason: b, expires: tomorrow}",
                "line 2: exemptions[0].expires: expected a day, such as 2027-01-31, found \"tomorrow\"",
            ),
            ("rules: default", "line 1: rules: expected a list, found \"default\""),
            ("- a", "line 1: expected a map, found [\"a\"]"),
            ("failOn: {a: 1}", "line 1: failOn: expected text, found {\"a\":1}"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{text}: {error}");
        }
    }

    #[test]
    fn the_file_is_found_in_a_directory_above() {
        let directory = tempfile::tempdir().unwrap();
        let deep = directory.path().join("a/b");
        std::fs::create_dir_all(&deep).unwrap();
        std::fs::write(directory.path().join(FILE_NAME), "").unwrap();
        assert_eq!(ConfigFile::find(&deep), Some(PathBuf::from("../..").join(FILE_NAME)));
        assert_eq!(ConfigFile::find(directory.path()), Some(PathBuf::from(FILE_NAME)));
    }
}
