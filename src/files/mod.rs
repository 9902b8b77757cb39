//! Reading manifests from files, directories and standard input.
//!
//! One thread reads and cuts the input into pieces at borders between objects; a worker on each core parses a
//! piece, hands its objects to the caller and drops them. Memory stays flat however large the input is. It knows
//! what an object is and nothing of rules.

mod blocks;
mod consumer;
mod fault;
mod json;
mod parse;
mod piece;
mod read;
mod sources;
mod yaml;
mod yaml_items;

pub use consumer::{Consumer, Place, Unread};
pub use fault::explain_pod;
pub use read::{Found, read};
pub use sources::{Inputs, Source};
