//! The output for users: reports, tables, notes, colours, and the two standard streams. It computes nothing.

mod catalogue;
mod check;
mod columns;
mod count;
mod json;
mod manifests;
mod notes;
mod rehearsal;
mod standard;
mod style;
mod summary;
mod text;
mod undone;
mod violations;
mod yaml;

use std::io;

use crate::governance::Report;

pub use catalogue::{catalogue, explain};
pub use check::{Check, CheckFormat};
pub use columns::{Cell, columns, table};
pub use count::count;
pub use manifests::ManifestFormat;
pub use notes::Notes;
pub use rehearsal::rehearsal;
pub use standard::{error, note, to_stderr, to_stdout};
pub use text::Text;
pub use undone::undone;

/// Output format of a report.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// The figures, the worst namespaces and workloads, and the cheapest fixes.
    #[default]
    Summary,
    /// A row for each workload, container and rule.
    Table,
    /// A row for each violation, with its message, path and source.
    Wide,
    /// The whole report as JSON.
    Json,
    /// The whole report as YAML.
    Yaml,
}

impl Format {
    /// Tells whether the format shows every violation, and not only figures.
    pub fn shows_violations(self) -> bool {
        self != Self::Summary
    }

    /// Tells whether the format lists the objects of kinds that are not judged.
    pub fn lists_other_kinds(self) -> bool {
        matches!(self, Self::Json | Self::Yaml)
    }

    /// Writes a report. Formats for people leave out one that has only errors, which are written elsewhere.
    pub fn write(self, report: &Report, out: &mut Text<'_>) -> io::Result<()> {
        match self {
            Self::Summary | Self::Table | Self::Wide if report.has_only_errors() => Ok(()),
            Self::Summary => summary::write(report, out),
            Self::Table => violations::write(report, out),
            Self::Wide => violations::write_wide(report, out),
            Self::Json => json::write(report, out.exact()),
            Self::Yaml => yaml::write(report, out.exact()),
        }
    }
}
