//! The interface of the reader: the consumer of objects, the place of an object, and read errors.

use crate::workload::Object;

/// Takes the objects of all sources, in parts that are merged.
pub trait Consumer: Sync {
    /// The result of a part of one source.
    type Part: Send;

    /// Makes an empty part.
    fn part(&self) -> Self::Part;

    /// Adds an object to a part.
    fn add(&self, part: &mut Self::Part, object: &Object<'_>, place: Place<'_>);

    /// Adds a note about something that was read all the same, such as a repeated key.
    fn note(&self, part: &mut Self::Part, place: Place<'_>, message: &str);

    /// Adds one part to another.
    fn merge(&self, into: &mut Self::Part, part: Self::Part);
}

/// The place of an object in its source.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The name of the source.
    pub source: &'a str,
    /// The first line of the object, from 1. It is 1 for all objects unless lines were asked for.
    pub line: usize,
}

/// Something that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadFailure {
    /// The name of the source.
    pub source: String,
    /// The document, from 1, where the source could be opened.
    pub document: Option<usize>,
    /// The line in the source, from 1.
    pub line: Option<usize>,
    /// The problem, and how to fix it.
    pub message: String,
}
