//! The formats of a report.

use std::io;

use super::{Text, github, gitlab, html, json, junit, markdown, sarif, summary, violations, yaml};
use crate::governance::Report;

/// A format of a report.
#[derive(Debug)]
pub struct Format {
    /// The name on the command line.
    pub name: &'static str,
    /// The description for `--help`.
    pub help: &'static str,
    /// True if the format shows every violation, and not only figures.
    pub shows_violations: bool,
    /// True if the format lists the objects of kinds that are not judged.
    pub lists_other_kinds: bool,
    /// True for a format for people. It leaves out a report that has only errors, which are written elsewhere.
    for_people: bool,
    writer: Writer,
}

/// Every format. The first one is the default.
pub static FORMATS: [Format; 11] = [
    Format {
        shows_violations: false,
        ..for_people(
            "summary",
            "The figures, the worst namespaces and workloads, and the cheapest fixes",
            summary::write,
        )
    },
    for_people("table", "A row for each workload, container and rule", violations::write),
    for_people("wide", "A row for each violation, with its message, path and source", violations::write_wide),
    Format {
        lists_other_kinds: true,
        ..exact("json", "The whole report as JSON", |report, out| json::write(report, out.exact()))
    },
    Format {
        lists_other_kinds: true,
        ..exact("yaml", "The whole report as YAML", |report, out| yaml::write(report, out.exact()))
    },
    exact("sarif", "SARIF 2.1.0, for code scanning", |report, out| sarif::write(report, out.exact())),
    exact("junit", "JUnit XML, for test reports", |report, out| junit::write(report, out.exact())),
    exact("github", "Workflow commands of GitHub Actions", |report, out| github::write(report, out)),
    exact("gitlab", "A Code Quality report of GitLab", |report, out| gitlab::write(report, out.exact())),
    exact("markdown", "Markdown that fits into a comment of a pull request", |report, out| {
        markdown::write(report, out)
    }),
    exact("html", "One HTML page with at most 10,000 violations", |report, out| html::write(report, out)),
];

/// A function that writes a report.
type Writer = fn(&Report, &mut Text<'_>) -> io::Result<()>;

const fn for_people(name: &'static str, help: &'static str, writer: Writer) -> Format {
    Format { for_people: true, ..exact(name, help, writer) }
}

const fn exact(name: &'static str, help: &'static str, writer: Writer) -> Format {
    Format { name, help, shows_violations: true, lists_other_kinds: false, for_people: false, writer }
}

impl Format {
    /// Finds a format by its name.
    pub fn find(name: &str) -> Option<&'static Self> {
        FORMATS.iter().find(|format| format.name == name)
    }

    /// Writes a report.
    pub fn write(&self, report: &Report, out: &mut Text<'_>) -> io::Result<()> {
        if self.for_people && report.has_only_errors() {
            return Ok(());
        }
        (self.writer)(report, out)
    }
}
