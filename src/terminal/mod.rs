//! The standard streams: their colours, their width, and readers that close their end.

mod standard;

pub use standard::{error, note, to_stderr, to_stdout};
