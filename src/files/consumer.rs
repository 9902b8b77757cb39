//! The interface of the reader: the consumer of objects, the place of an object, and read errors.

use super::stream_copies::StreamCopies;
use crate::workload::{Fields, Object};

/// Takes the objects of all sources, in parts that are merged.
pub trait Consumer: Sync {
    /// The result of a part of one source.
    type Part: Send;

    /// Returns the fields to read from each object. Their types are checked in any case.
    fn fields(&self) -> Fields {
        Fields::All
    }

    /// Returns the place for copies of sources that can be read only once; `None` if nothing reads them again.
    fn copies(&self) -> Option<&StreamCopies> {
        None
    }

    /// Makes an empty part.
    fn part(&self) -> Self::Part;

    /// Adds an object to a part.
    fn add(&self, part: &mut Self::Part, object: &Object<'_>, place: Place<'_>);

    /// Adds a note about something that was read all the same, such as a repeated key.
    fn note(&self, part: &mut Self::Part, place: Place<'_>, message: &str);

    /// Adds one part to another.
    fn merge(&self, into: &mut Self::Part, part: Self::Part);
}

/// Finds the line of a field in the source, from 1, by the field's path in the object.
///
/// For a field that is not there, it is the line of the nearest parent. `None` if the text of the object is not at hand.
pub type LineOf<'a> = &'a dyn Fn(&str) -> Option<usize>;

/// The place of an object in its source.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// The name of the source.
    pub source: &'a str,
    /// The first line of the object, from 1. It is 1 for all objects unless lines were asked for.
    pub line: usize,
    /// The lines of its fields, with the same limits. Each call searches the text.
    pub line_of: LineOf<'a>,
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
