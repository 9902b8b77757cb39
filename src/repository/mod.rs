//! Asks Git which files of a repository have changed.

mod changes;

pub use changes::{Changes, ChangesError};
