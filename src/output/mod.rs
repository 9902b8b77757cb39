//! The output for users: reports, tables, notes, colours, and the two standard streams. It computes nothing.

mod baseline;
mod catalogue;
mod check;
mod columns;
mod comparison;
mod fingerprint;
mod format;
mod github;
mod gitlab;
mod html;
mod json;
mod junit;
mod manifests;
mod markdown;
mod notes;
mod rehearsal;
mod sarif;
mod standard;
mod style;
mod summary;
mod text;
mod undo_result;
mod violations;
mod yaml;

pub use baseline::write_baseline;
pub use catalogue::{catalogue, explain};
pub use check::{Check, CheckFormat};
pub use columns::{Cell, columns, table};
pub use comparison::comparison;
pub use format::{FORMATS, Format};
pub use manifests::ManifestFormat;
pub use notes::Notes;
pub use rehearsal::rehearsal;
pub use standard::{error, note, to_stderr, to_stdout};
pub use text::Text;
pub use undo_result::undone;
