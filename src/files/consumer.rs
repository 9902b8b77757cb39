//! The ways out of reading: objects for a consumer, and what could not be read.

use crate::workload::Object;

/// Takes the objects that are read.
pub trait Consumer: Sync {
    /// What is gathered from a stretch of one source.
    type Part: Send;

    /// Makes an empty part.
    fn part(&self) -> Self::Part;

    /// Adds an object to a part.
    fn add(&self, part: &mut Self::Part, object: &Object<'_>, place: Place<'_>);

    /// Adds one part to another.
    fn merge(&self, into: &mut Self::Part, part: Self::Part);
}

/// The place of an object in the input.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The name of its source.
    pub source: &'a str,
    /// Its first line, from 1; 1 where lines were not asked for.
    pub line: usize,
}

/// Something that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// The name of its source.
    pub source: String,
    /// The document, from 1, where the source could be opened.
    pub document: Option<usize>,
    /// The line in the source, from 1.
    pub line: Option<usize>,
    /// What is wrong, and the mend.
    pub message: String,
}

/// The outcome of reading one source.
#[derive(Debug)]
pub struct Found<P> {
    /// What the consumer made of its objects.
    pub part: P,
    /// What could not be read.
    pub unread: Vec<Unread>,
}
