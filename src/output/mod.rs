//! Ways to write a report, one a file.

mod columns;
mod json;
mod manifests;
mod rehearsal;
mod standard;
mod summary;
mod violations;
mod yaml;

use std::io::{self, Write};

use crate::governance::Report;

pub use columns::{columns, table};
pub use manifests::ManifestFormat;
pub use rehearsal::rehearsal;
pub use standard::{to_stderr, to_stdout};

/// How a report is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// The figures, the worst offenders and the cheapest fixes.
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

    /// Writes a report.
    pub fn write(self, report: &Report, out: &mut dyn Write) -> io::Result<()> {
        match self {
            Self::Summary => summary::write(report, out),
            Self::Table => violations::write(report, out),
            Self::Wide => violations::write_wide(report, out),
            Self::Json => json::write(report, out),
            Self::Yaml => yaml::write(report, out),
        }
    }
}
