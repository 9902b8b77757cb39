//! The report as a Code Quality report of GitLab.
//!
//! Source: <https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format>.

use std::borrow::Cow;
use std::io::{self, Write};

use serde::Serialize;
use serde::ser::{SerializeSeq as _, Serializer as _};

use super::fingerprint::Fingerprints;
use crate::governance::{Report, ViolationRow};
use crate::rules::Severity;

/// An entry of the report.
#[derive(Serialize)]
struct Issue<'r> {
    description: String,
    check_name: &'r str,
    fingerprint: String,
    severity: &'static str,
    location: Location<'r>,
}

#[derive(Serialize)]
struct Location<'r> {
    path: Cow<'r, str>,
    lines: Lines,
}

#[derive(Serialize)]
struct Lines {
    begin: u32,
}

pub(super) fn write(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let mut json = serde_json::Serializer::pretty(&mut *out);
    let mut issues = json.serialize_seq(None)?;
    let mut fingerprints = Fingerprints::default();
    for violation in report.violations.iter() {
        let ViolationRow { container, rule, severity, message, source, .. } = violation;
        let object = violation.object();
        let container = container.map(|container| format!(", container {container}")).unwrap_or_default();
        issues.serialize_element(&Issue {
            description: format!("{object}{container}: {message}"),
            check_name: rule.as_str(),
            fingerprint: fingerprints.next(&violation),
            severity: match severity {
                Severity::Critical => "critical",
                Severity::High => "major",
                Severity::Medium => "minor",
                Severity::Low => "info",
            },
            location: Location {
                // GitLab requires a path. A live object has none, and is named instead.
                path: source.map_or((&*object).into(), |source| report.project_root.relative(source.source)),
                lines: Lines { begin: source.map_or(1, |source| source.line) },
            },
        })?;
    }
    issues.end()?;
    writeln!(out)
}
