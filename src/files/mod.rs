//! Reads manifests from files, directories, URLs and standard input.
//!
//! One thread reads the input and cuts it into pieces at borders between objects. A worker on each core parses a piece,
//! passes its objects to the caller and drops them. Memory use doesn't grow with the input. The module doesn't depend
//! on rules.

mod blocks;
mod consumer;
mod fault;
mod fetch;
mod field_lines;
mod field_search;
mod json;
mod json_objects;
mod json_repeats;
mod json_tokens;
mod package;
mod parse;
mod pattern;
mod piece;
mod read;
mod sources;
mod stream_copies;
mod text;
mod yaml;
mod yaml_flow;
mod yaml_list;
mod yaml_objects;

pub use consumer::{Consumer, LineOf, Place, ReadFailure};
pub use fault::{explain_pod, repeated_key};
pub use field_search::{FieldPlace, find_fields};
pub use package::{CHART_FILE, Package, PackageKind, kustomization_file};
pub use read::{Found, read};
pub use sources::{Ignores, Inputs, Listed, Source};
pub use stream_copies::{StreamCopies, StreamCopy};
pub use text::read_text;
