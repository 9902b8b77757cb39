//! The report as workflow commands of GitHub Actions, which annotate the changed files of a pull request.
//!
//! Source: <https://docs.github.com/en/actions/reference/workflow-commands-for-github-actions>.

use std::io::{self, Write};

use crate::governance::{Report, ReportError, ViolationRow};
use crate::rules::Severity;

pub(super) fn write(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let file = |path: &str| property(&report.project_root.relative(path));
    for error in &report.errors {
        let line = error.line.map(|line| format!(",line={line}")).unwrap_or_default();
        let (place, message) = (file(&error.source), data(&error.message));
        writeln!(out, "::error file={place}{line},title=not read::{message}")?;
    }
    for ReportError { source, message, .. } in &report.unrendered {
        let (place, message) = (file(source), data(message));
        writeln!(out, "::warning file={place},title=not evaluated::{message}")?;
    }
    for violation in report.violations.iter() {
        let ViolationRow { kind, container, rule, severity, message, source, .. } = violation;
        let level = match severity {
            Severity::Critical | Severity::High => "error",
            Severity::Medium => "warning",
            Severity::Low => "notice",
        };
        let place = source.map(|source| format!("file={},line={},", file(source.source), source.line));
        let title = property(&format!("{rule} ({severity})"));
        let container = container.map(|container| format!(", container {container}")).unwrap_or_default();
        let subject = data(&format!("{kind} {}{container}: {message}", violation.full_name()));
        writeln!(out, "::{level} {}title={title}::{subject}", place.unwrap_or_default())?;
    }
    Ok(())
}

/// Escapes the text of a command.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// Escapes a property of a command.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
