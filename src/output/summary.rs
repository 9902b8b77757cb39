//! The summary: the figures, the worst namespaces and workloads, and the cheapest fixes.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use super::{count, table};
use crate::governance::{Classification, Compliance, Report, ReportSummary};
use crate::rules::{self, HIGH_RESTARTS, LATEST_TAG, MISSING_LIVENESS, MISSING_READINESS, PENDING, Rule};

/// The rules that always have a line, in their order.
static LINES: [&Rule; 5] = [&LATEST_TAG, &MISSING_LIVENESS, &MISSING_READINESS, &HIGH_RESTARTS, &PENDING];

/// The number of namespaces that are listed.
const NAMESPACES: usize = 5;
/// The number of workloads that are listed.
const OFFENDERS: usize = 10;

pub(super) fn write(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    write_figures(report, out)?;
    write_compliance(report, out)?;
    if report.summary.partial {
        writeln!(out, "\nPartial: {} could not be read: see the errors.", problems(report.errors.len()))?;
    }
    write_namespaces(report, out)?;
    write_offenders(report, out)?;
    write_costs(report, out)
}

fn write_figures(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let summary = &report.summary;
    writeln!(out, "===== DevOps Governance Summary =====")?;
    writeln!(out, "{:<27}: {}", "Workload Pods Analyzed", summary.pods)?;
    let others = rules::RULES.iter().copied().filter(|rule| !LINES.iter().any(|line| line.id == rule.id));
    for rule in LINES {
        match summary.counts.get(&rule.id) {
            Some(count) => writeln!(out, "{:<27}: {count}", rule.label)?,
            None => writeln!(out, "{:<27}: off", rule.label)?,
        }
    }
    for rule in others {
        if let Some(count) = summary.counts.get(&rule.id) {
            writeln!(out, "{:<27}: {count}", rule.label)?;
        }
    }
    writeln!(out, "{}", "-".repeat(38))?;
    let style = summary.status.map_or(Style::new(), style);
    let unknown = || "Unknown".to_owned();
    let score = summary.score.map_or_else(unknown, |score| score.to_string());
    let status = summary.status.map_or_else(unknown, |status| status.to_string());
    writeln!(out, "{:<27}: {style}{score}{style:#}", "Cluster Health Score")?;
    writeln!(out, "{:<27}: {style}{status}{style:#}", "Cluster Status")?;
    writeln!(out, "{}", "=".repeat(38))
}

fn write_compliance(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let ReportSummary { compliance, compliant, workloads, .. } = &report.summary;
    let percent = compliance.map_or_else(|| "Unknown".to_owned(), |compliance| compliance.to_string());
    write!(out, "\n{:<27}: {percent}", "Workload Compliance")?;
    if *workloads > 0 {
        let (workloads, threshold) = (count(*workloads, "workload", "workloads"), Compliance::THRESHOLD);
        write!(out, " ({compliant} of {workloads} without a violation of {threshold} severity or worse)")?;
    }
    writeln!(out)
}

fn write_namespaces(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let worst = report.worst_namespaces(NAMESPACES);
    if worst.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nWorst namespaces")?;
    let rows = worst.into_iter().map(|namespace| {
        [
            namespace.namespace.clone(),
            namespace.pods.to_string(),
            namespace.score.to_string(),
            namespace.status.to_string(),
            namespace.compliance.percent().to_string(),
        ]
    });
    table(["NAMESPACE", "PODS", "SCORE", "STATUS", "COMPLIANCE"], rows, out)
}

fn write_offenders(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    if report.offenders.is_empty() {
        return Ok(());
    }
    let rest = report.offenders.len().saturating_sub(OFFENDERS);
    let more = if rest > 0 { format!(" (and {rest} more: -o table)") } else { String::new() };
    writeln!(out, "\nWorst offenders{more}")?;
    let rows = report.offenders.iter().take(OFFENDERS).map(|offender| {
        let what: Vec<String> =
            offender.counts.iter().map(|(rule, count)| format!("{rule} x{count}")).collect();
        [
            offender.namespace.clone(),
            offender.workload.clone(),
            offender.pods.to_string(),
            what.join(", "),
            points(offender.half_points),
        ]
    });
    table(["NAMESPACE", "WORKLOAD", "PODS", "WHAT", "PENALTY"], rows, out)
}

fn write_costs(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    if report.costs.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nCheapest fixes first, by penalty per workload")?;
    let rows = report.costs.iter().map(|cost| {
        [
            cost.rule.id.to_string(),
            cost.count.to_string(),
            cost.workloads.to_string(),
            format!("{:.1}", cost.penalty_per_workload),
            format!("{:.1}", cost.points),
        ]
    });
    table(["RULE", "COUNT", "WORKLOADS TO EDIT", "PENALTY PER WORKLOAD", "SCORE GAIN"], rows, out)
}

fn points(half_points: u64) -> String {
    let half = if half_points % 2 == 1 { ".5" } else { "" };
    format!("{}{half}", half_points / 2)
}

fn problems(count: usize) -> String {
    if count == 1 { "one part of the input".to_owned() } else { format!("{count} parts of the input") }
}

fn style(status: Classification) -> Style {
    let color = match status {
        Classification::Healthy => AnsiColor::Green,
        Classification::Stable => AnsiColor::Cyan,
        Classification::Degraded => AnsiColor::Yellow,
        Classification::Critical => AnsiColor::Red,
    };
    color.on_default().bold()
}
