//! Asks Git which files of a repository have changed.

mod changes;
mod root;

pub use changes::{Changes, ChangesError};
pub use root::root_above;
