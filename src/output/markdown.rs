//! The report as Markdown that fits into a comment of a pull request.

use std::io::{self, Write};

use crate::governance::{NewFindings, Report, ReportError, ViolationRow};
use crate::workload::count;

/// The maximum size of the report in bytes. GitHub takes comments of 65,536 characters, and other text may stand
/// around the report.
pub(super) const MOST: usize = 60_000;

pub(super) fn write(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let summary = &report.summary;
    let score = summary.score.map_or_else(|| "unknown".to_owned(), |score| score.to_string());
    let status = summary.status.map_or_else(|| "Unknown".to_owned(), |status| status.to_string());
    let compliance = summary.compliance.map_or_else(|| "unknown".to_owned(), |percent| percent.to_string());
    let mut head = format!(
        "## kube-devops: {score} of 100, {status}\n\n| Pods | Workloads | Compliance | Violations |\n\
         |---:|---:|---:|---:|\n| {} | {} | {compliance} | {} |\n",
        summary.pods,
        summary.workloads,
        report.violations.len()
    );
    if let Some(NewFindings { new, known, fixed, .. }) = &report.baseline {
        let fixed = fixed.len();
        let line = format!("\nSince the baseline: {new} new, {known} known and not listed, {fixed} fixed.\n");
        head += &line;
    }
    out.write_all(head.as_bytes())?;
    let mut room = MOST.saturating_sub(head.len());
    let exempt = report.exempt.iter().filter(|exempt| exempt.matters());
    let exempt = exempt.map(|exempt| format!("- {}\n", text(&exempt.to_string())));
    part("\n", exempt, "- and {}\n", &mut room, out)?;
    let counts = summary.counts.iter().filter(|(_, count)| **count > 0);
    let counts = counts.map(|(rule, count)| format!("| `{rule}` | {count} |\n"));
    let heading = if report.counts_known_findings() { "Count with known findings" } else { "Count" };
    let heading = format!("\n| Rule | {heading} |\n|---|---:|\n");
    part(&heading, counts, "\nAnd {}.\n", &mut room, out)?;
    let listed = |error: &ReportError| format!("- {}\n", text(&error.to_string()));
    let errors = report.errors.iter().map(listed);
    part("\n### Could not be read\n\n", errors, "- and {}\n", &mut room, out)?;
    let unrendered = report.unrendered.iter().map(listed);
    part("\n### Not evaluated\n\n", unrendered, "- and {}\n", &mut room, out)?;
    let heading = "\n### Violations\n\n| Severity | Workload | Container | Rule | Problem | Source |\n|---|---|---|---|---|---|\n";
    section(heading, report.violations.iter().map(|violation| row(&violation)), "\nAnd {}.\n", &mut room, out)
}

/// Writes a section that takes at most a quarter of the room, so that something is left for the others.
fn part(
    heading: &str,
    lines: impl Iterator<Item = String>,
    rest: &str,
    room: &mut usize,
    out: &mut dyn Write,
) -> io::Result<()> {
    let quarter = *room / 4;
    let mut left = quarter;
    section(heading, lines, rest, &mut left, out)?;
    *room -= quarter - left;
    Ok(())
}

/// Writes the lines of a section for which there is room, and counts the others.
pub(super) fn section(
    heading: &str,
    lines: impl Iterator<Item = String>,
    rest: &str,
    room: &mut usize,
    out: &mut dyn Write,
) -> io::Result<()> {
    let (mut written, mut left_out) = (false, 0);
    for line in lines {
        let needed = line.len() + if written { 0 } else { heading.len() };
        if left_out > 0 || needed > *room {
            left_out += 1;
            continue;
        }
        if !written {
            out.write_all(heading.as_bytes())?;
        }
        out.write_all(line.as_bytes())?;
        (written, *room) = (true, *room - needed);
    }
    if left_out == 0 {
        return Ok(());
    }
    out.write_all(rest.replace("{}", &count(left_out, "more", "more")).as_bytes())
}

fn row(violation: &ViolationRow<'_>) -> String {
    let ViolationRow { namespace, container, rule, severity, message, source, .. } = violation;
    let workload = text(&violation.workload().full_name(namespace));
    let container = text(container.unwrap_or_default());
    let source = text(&source.map(|source| source.to_string()).unwrap_or_default());
    let message = text(message);
    format!("| {severity} | {workload} | {container} | `{rule}` | {message} | {source} |\n")
}

/// Escapes the characters that have a meaning in Markdown or HTML, and puts the text on one line.
pub(super) fn text(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            // A mention would notify somebody.
            '@' => escaped.push_str("&#64;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '~' | '!' => escaped.extend(['\\', c]),
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}
