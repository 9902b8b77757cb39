//! Choices of paths by patterns, in the syntax of gitignore, and paths from the root of a project.

mod patterns;
mod root;

pub use patterns::{PathPatterns, PatternError};
pub use root::ProjectRoot;
