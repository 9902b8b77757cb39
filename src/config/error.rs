//! The errors of a configuration file.

use crate::policy::similar;

/// An invalid configuration file.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{0}")]
    Read(#[from] std::io::Error),
    /// A line of the file is invalid.
    #[error("line {line}: {message}")]
    Line {
        /// The line, from 1.
        line: usize,
        /// The problem, and the allowed values.
        message: String,
    },
}

impl ConfigError {
    pub(super) fn at(line: usize, message: impl Into<String>) -> Self {
        Self::Line { line, message: message.into() }
    }

    /// Makes an error about an unknown name, with a suggestion.
    pub(super) fn unknown<'n>(
        line: usize,
        path: &str,
        problem: &str,
        name: &str,
        known: impl Iterator<Item = &'n str>,
    ) -> Self {
        Self::at(line, format!("{path}: {problem}{}", suggestion(name, known)))
    }
}

/// Returns the end of a message about an unknown name: the most similar one, or all of a few.
fn suggestion<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> String {
    let known: Vec<&str> = known.collect();
    match similar(name, known.iter().copied()) {
        Some(best) => format!("; did you mean {best:?}?"),
        None if known.len() <= 16 => format!("; known are {}", known.join(", ")),
        None => "; `kube-devops rules` lists the rules".to_owned(),
    }
}
