//! The summary: the figures, the worst namespaces and workloads, and the cheapest fixes.

use std::io::{self, Write};

use anstyle::Style;

use super::{Cell, Text, style, table};
use crate::governance::{Compliance, NewFindings, Report, ReportSummary};
use crate::rules::{self, HIGH_RESTARTS, LATEST_TAG, MISSING_LIVENESS, MISSING_READINESS, PENDING, Rule};
use crate::workload::count;

/// The rules that always have a line, in their order.
static LINES: [&Rule; 5] = [&LATEST_TAG, &MISSING_LIVENESS, &MISSING_READINESS, &HIGH_RESTARTS, &PENDING];

/// The number of namespaces that are listed.
const NAMESPACES: usize = 5;
/// The number of workloads that are listed.
const OFFENDERS: usize = 10;

pub(super) fn write(report: &Report, out: &mut Text<'_>) -> io::Result<()> {
    write_figures(report, out)?;
    write_compliance(report, out)?;
    if !report.errors.is_empty() {
        let parts = count(report.errors.len() as u64, "part of the input", "parts of the input");
        writeln!(out)?;
        out.paragraph(&format!("Partial: {parts} could not be read: see the errors."))?;
    }
    if !report.unrendered.is_empty() {
        let parts = count(
            report.unrendered.len() as u64,
            "chart or kustomization was",
            "charts or kustomizations were",
        );
        writeln!(out)?;
        out.paragraph(&format!("Partial: {parts} not evaluated: see the notes."))?;
    }
    if let Some(NewFindings { new, known, fixed, .. }) = &report.baseline {
        writeln!(out, "\nSince the baseline: {new} new, {known} known, {} fixed", fixed.len())?;
    }
    write_namespaces(report, out)?;
    write_offenders(report, out)?;
    write_costs(report, out)?;
    write_unscored(report, out)
}

/// Returns the rules without a line of their own in every summary.
fn others() -> impl Iterator<Item = &'static Rule> {
    rules::RULES.iter().copied().filter(|rule| !LINES.iter().any(|line| line.id == rule.id))
}

/// Writes the findings that have no part in the score, the worst severity first.
fn write_unscored(report: &Report, out: &mut Text<'_>) -> io::Result<()> {
    if report.unscored.is_empty() {
        return Ok(());
    }
    heading("Findings outside the score", report, out)?;
    let rows = report.unscored.iter().map(|found| {
        [
            Cell::from(found.rule.id.as_str()),
            Cell::severity(found.severity),
            found.count.to_string().into(),
            found.rule.summary.into(),
        ]
    });
    table(["RULE", "SEVERITY", "COUNT", "SUMMARY"], rows, out)
}

fn write_figures(report: &Report, out: &mut Text<'_>) -> io::Result<()> {
    let summary = &report.summary;
    writeln!(out, "===== DevOps Governance Summary =====")?;
    writeln!(out, "{:<27}: {}", "Workload Pods Analyzed", summary.pods)?;
    for rule in LINES {
        match summary.counts.get(&rule.id) {
            Some(count) => writeln!(out, "{:<27}: {count}", rule.label())?,
            None => writeln!(out, "{:<27}: off", rule.label())?,
        }
    }
    // A rule with a label has a line where it is on; all others are in a table of their own.
    for rule in others().filter(|rule| rule.label.is_some()) {
        if let Some(count) = summary.counts.get(&rule.id) {
            writeln!(out, "{:<27}: {count}", rule.label())?;
        }
    }
    writeln!(out, "{}", "-".repeat(38))?;
    let style = summary.status.map_or(Style::new(), style::classification);
    let unknown = || "Unknown".to_owned();
    let score = summary.score.map_or_else(unknown, |score| score.to_string());
    let status = summary.status.map_or_else(unknown, |status| status.to_string());
    for (name, value) in [("Cluster Health Score", score), ("Cluster Status", status)] {
        write!(out, "{name:<27}: ")?;
        out.styled(style, &value)?;
        writeln!(out)?;
    }
    writeln!(out, "{}", "=".repeat(38))
}

fn write_compliance(report: &Report, out: &mut Text<'_>) -> io::Result<()> {
    let ReportSummary { compliance, compliant, workloads, .. } = &report.summary;
    let percent = compliance.map_or_else(|| "Unknown".to_owned(), |compliance| compliance.to_string());
    let (found, threshold) = (count(*workloads, "workload", "workloads"), Compliance::THRESHOLD);
    // Findings outside the score stand below, and don't count here.
    let scored = if report.unscored.is_empty() { "" } else { " by a rule of the score" };
    let share = match workloads {
        0 => String::new(),
        _ => {
            format!(" ({compliant} of {found} without a violation of {threshold} severity or worse{scored})")
        }
    };
    let line = format!("{:<27}: {percent}{share}", "Workload Compliance");
    writeln!(out)?;
    out.paragraph(&line)
}

fn write_namespaces(report: &Report, out: &mut Text<'_>) -> io::Result<()> {
    let worst = report.worst_namespaces(NAMESPACES);
    if worst.is_empty() {
        return Ok(());
    }
    heading("Worst namespaces", report, out)?;
    let rows = worst.into_iter().map(|namespace| {
        [
            Cell::from(&*namespace.namespace),
            namespace.pods.to_string().into(),
            namespace.score.to_string().into(),
            Cell::styled(namespace.status.to_string(), style::classification(namespace.status)),
            namespace.compliance.percent().to_string().into(),
        ]
    });
    table(["NAMESPACE", "PODS", "SCORE", "STATUS", "COMPLIANCE"], rows, out)
}

fn write_offenders(report: &Report, out: &mut Text<'_>) -> io::Result<()> {
    let worst = report.workloads.worst(OFFENDERS);
    if worst.is_empty() {
        return Ok(());
    }
    let rest = report.workloads.offenders() - worst.len();
    let more = match rest {
        0 => String::new(),
        // Beside a baseline, the table lists new findings only.
        _ if report.baseline.is_some() => format!(" (and {rest} more)"),
        _ => format!(" (and {rest} more: -o table)"),
    };
    heading(&format!("Worst offenders{more}"), report, out)?;
    let rows = worst.iter().map(|offender| {
        let what: Vec<String> =
            offender.counts.iter().map(|(rule, count)| format!("{rule} x{count}")).collect();
        [
            Cell::from(&*offender.namespace),
            Cell::from(&*offender.workload),
            offender.pods.to_string().into(),
            what.join(", ").into(),
            points(offender.half_points).into(),
        ]
    });
    table(["NAMESPACE", "WORKLOAD", "PODS", "WHAT", "PENALTY"], rows, out)
}

fn write_costs(report: &Report, out: &mut Text<'_>) -> io::Result<()> {
    if report.costs.is_empty() {
        return Ok(());
    }
    heading("Cheapest fixes first, by penalty per workload", report, out)?;
    let rows = report.costs.iter().map(|cost| {
        [
            Cell::from(cost.rule.id.as_str()),
            cost.count.to_string().into(),
            cost.workloads.to_string().into(),
            format!("{:.1}", cost.penalty_per_workload).into(),
            format!("{:.1}", cost.points).into(),
        ]
    });
    table(["RULE", "COUNT", "WORKLOADS TO EDIT", "PENALTY PER WORKLOAD", "SCORE GAIN"], rows, out)
}

/// Writes the heading of a table. Beside a baseline, it says that the table counts known findings.
fn heading(text: &str, report: &Report, out: &mut Text<'_>) -> io::Result<()> {
    let known = if report.counts_known_findings() { ", known findings included" } else { "" };
    writeln!(out, "\n{text}{known}")
}

fn points(half_points: u64) -> String {
    let half = if half_points % 2 == 1 { ".5" } else { "" };
    format!("{}{half}", half_points / 2)
}
