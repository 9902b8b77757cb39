//! Choices of paths by patterns, in the syntax of gitignore.

mod patterns;

pub use patterns::{PathPatterns, PatternError};
