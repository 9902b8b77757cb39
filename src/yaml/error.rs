//! An error in a YAML document, with its place.

use std::fmt;

use granit_parser::Span;
use serde::de::{Expected, Unexpected};

use super::scalar::{self, Tag, Value};

/// The problem of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    message: String,
    place: Option<(usize, usize)>,
    /// True if a string was expected and quotes would fix the value.
    quotes: bool,
}

impl Error {
    pub(super) fn new(message: impl Into<String>, line: usize, column: usize) -> Self {
        Self { message: message.into(), place: Some((line, column)), quotes: false }
    }

    /// Returns the line, from 1, if the error has a place.
    pub fn line(&self) -> Option<usize> {
        self.place.map(|(line, _)| line)
    }

    /// Returns the column, from 1, if the error has a place.
    pub fn column(&self) -> Option<usize> {
        self.place.map(|(_, column)| column)
    }

    /// Gives the error a place unless it has one.
    pub(super) fn at(mut self, line: usize, column: usize) -> Self {
        self.place.get_or_insert((line, column));
        self
    }

    /// Adds the fix for a value that needs quotes to be a string.
    pub(super) fn about(mut self, written: &str) -> Self {
        if std::mem::take(&mut self.quotes) {
            self.message.extend(["; write \"", written, "\" in quotes"]);
        }
        self
    }
}

/// Displays the message without the place, which is relative to the document.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

impl serde::de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self { message: message.to_string(), place: None, quotes: false }
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let message = match unexpected {
            Unexpected::Unit => format!("invalid type: null, expected {expected}"),
            // The text was in quotes: without them it would be no text.
            Unexpected::Str(text) if !matches!(scalar::resolve(Tag::None, text), Ok(Value::Text)) => {
                format!("invalid type: {unexpected}, expected {expected}; remove the quotes")
            }
            other => format!("invalid type: {other}, expected {expected}"),
        };
        let typed = matches!(
            unexpected,
            Unexpected::Bool(_) | Unexpected::Signed(_) | Unexpected::Unsigned(_) | Unexpected::Float(_)
        );
        Self { message, place: None, quotes: typed && expected.to_string() == "a string" }
    }
}

/// Creates an error at the parser's position.
pub(super) fn at(span: Span, message: impl Into<String>) -> Error {
    Error::new(message, span.start.line(), span.start.col() + 1)
}
