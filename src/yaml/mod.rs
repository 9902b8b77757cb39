//! YAML as kubectl reads it: YAML 1.1 by the rules of `sigs.k8s.io/yaml`, converted to JSON.
//!
//! A stream is split into documents by line, a document is parsed into a tree of nodes, and serde reads the nodes as
//! the JSON that kubectl would send. The parser crate handles the syntax. This module handles types, merge keys,
//! aliases and repeated keys. A test compares the result with kubectl's own code. `write` is the way back.

mod aliases;
mod de;
mod dialect;
mod document;
mod error;
mod fields;
mod node;
mod number;
mod scalar;
mod split;
mod tabs;
mod tree;
mod utf16;
mod write;

pub use error::Error;
pub use split::{Chunk, chunks};
pub use tree::{Document, Node, Repeated};
pub use utf16::{Decoder, Encoding};
pub use write::{stream, to_string, write};
