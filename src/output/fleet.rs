//! The report of many clusters as text: a row for each cluster, the matrix of clusters and rules, and drift.

use std::io::{self, Write as _};

use anstyle::Style;

use super::{Cell, Text, style, summary, table};
use crate::governance::{ClusterReport, ClusterResult, FleetReport};
use crate::policy::PolicyDrift;
use crate::workload::{PolicyRef, count};

/// The most settings of one policy that are listed.
const FIELDS: usize = 5;

/// Output format of the report of many clusters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum FleetFormat {
    /// Tables
    #[default]
    Text,
    /// One JSON object
    Json,
}

impl FleetFormat {
    /// Writes the report of many clusters, and those of single clusters that it has kept.
    pub fn write(self, report: &FleetReport, out: &mut Text<'_>) -> io::Result<()> {
        match self {
            Self::Json => {
                serde_json::to_writer_pretty(out.exact(), report)?;
                writeln!(out)
            }
            Self::Text => {
                write_text(report, out)?;
                for cluster in &report.clusters {
                    if let Some(report) = &cluster.report {
                        writeln!(out, "\nCluster {}", cluster.context)?;
                        summary::write(report, out)?;
                    }
                }
                Ok(())
            }
        }
    }
}

fn write_text(report: &FleetReport, out: &mut Text<'_>) -> io::Result<()> {
    write_clusters(report, out)?;
    write_total(report, out)?;
    write_matrix(report, out)?;
    write_namespaces(report, out)?;
    write_drift(&report.drift, out)
}

fn write_clusters(report: &FleetReport, out: &mut Text<'_>) -> io::Result<()> {
    let rows: Vec<_> = report.clusters.iter().map(cluster).collect();
    let header = ["CLUSTER", "RESULT", "VERSION", "PODS", "SCORE", "STATUS", "COMPLIANCE", "REASON"];
    table(header, rows, out)
}

fn cluster(row: &ClusterReport) -> [Cell<'_>; 8] {
    let (result, result_style) = match row.result {
        ClusterResult::Analyzed => ("analyzed", Style::new()),
        ClusterResult::Partial => ("partial", style::NO),
        ClusterResult::SameCluster => ("same cluster", Style::new()),
        ClusterResult::Failed => ("failed", style::NO),
    };
    let figures = row.figures.as_ref();
    let or_dash = |text: Option<String>| Cell::from(text.unwrap_or_else(|| "-".to_owned()));
    let class = figures.and_then(|figures| figures.status);
    [
        row.context.as_str().into(),
        Cell::styled(result, result_style),
        or_dash(row.version.clone()),
        or_dash(figures.map(|figures| figures.pods.to_string())),
        or_dash(figures.and_then(|figures| figures.score).map(|score| score.to_string())),
        class.map_or_else(
            || "-".into(),
            |class| Cell::styled(class.to_string(), style::classification(class)),
        ),
        or_dash(figures.and_then(|figures| figures.compliance).map(|percent| percent.to_string())),
        row.reason.as_deref().unwrap_or_default().into(),
    ]
}

fn write_total(report: &FleetReport, out: &mut Text<'_>) -> io::Result<()> {
    let summary = &report.summary;
    let unknown = || "Unknown".to_owned();
    let score = summary.score.map_or_else(unknown, |score| score.to_string());
    let class = summary.status.map_or_else(unknown, |class| class.to_string());
    let compliance = summary.compliance.map_or_else(unknown, |percent| percent.to_string());
    let clusters = count(summary.clusters as u64, "cluster", "clusters");
    writeln!(out, "\n{:<19}: {}", "Clusters analyzed", summary.clusters)?;
    writeln!(out, "{:<19}: {}", "Pods analyzed", summary.pods)?;
    writeln!(out, "{:<19}: {score} ({class})", "Health score")?;
    writeln!(out, "{:<19}: {compliance}", "Workload compliance")?;
    if summary.partial {
        let failed = count(summary.failed as u64, "cluster", "clusters");
        writeln!(out, "Partial: {failed} could not be read; the figures are those of {clusters}.")?;
    }
    Ok(())
}

/// Writes a row for each cluster and a column for each rule that found something.
fn write_matrix(report: &FleetReport, out: &mut Text<'_>) -> io::Result<()> {
    let rules: Vec<_> =
        report.summary.counts.iter().filter(|(_, count)| **count > 0).map(|(rule, _)| rule).collect();
    if rules.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nViolations by cluster and rule")?;
    let rows = report.clusters.iter().filter_map(|row| Some((row.context.as_str(), row.figures.as_ref()?)));
    let rows: Vec<_> = rows.collect();
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0).max("CLUSTER".len());
    write!(out, "{:<width$}", "CLUSTER")?;
    rules.iter().try_for_each(|rule| write!(out, "   {}", rule.as_str().to_uppercase()))?;
    writeln!(out)?;
    for (name, figures) in rows {
        write!(out, "{name:<width$}")?;
        for rule in &rules {
            let count = figures.counts.get(rule).copied().unwrap_or(0);
            write!(out, "   {count:>width$}", width = rule.as_str().len())?;
        }
        writeln!(out)?;
    }
    Ok(())
}

fn write_namespaces(report: &FleetReport, out: &mut Text<'_>) -> io::Result<()> {
    if report.worst_namespaces.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nWorst namespaces")?;
    let rows = report.worst_namespaces.iter().map(|row| {
        let figures = &row.figures;
        [
            Cell::from(row.cluster.as_str()),
            figures.namespace.as_str().into(),
            figures.pods.to_string().into(),
            figures.score.to_string().into(),
            Cell::styled(figures.status.to_string(), style::classification(figures.status)),
            figures.compliance.percent().to_string().into(),
        ]
    });
    table(["CLUSTER", "NAMESPACE", "PODS", "SCORE", "STATUS", "COMPLIANCE"], rows, out)
}

fn write_drift(drift: &[PolicyDrift], out: &mut Text<'_>) -> io::Result<()> {
    if drift.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nPolicies that are not the same everywhere")?;
    for policy in drift {
        let common = if policy.same.len() > 1 { "most common" } else { "measure" };
        let name = PolicyRef::new(&policy.namespace, &policy.name);
        writeln!(out, "{name}, {common} in {}", policy.same.join(", "))?;
        if !policy.missing.is_empty() {
            writeln!(out, "  missing in {}", policy.missing.join(", "))?;
        }
        for different in &policy.different {
            writeln!(out, "  different in {}", different.cluster)?;
            for field in different.fields.iter().take(FIELDS) {
                let value = |value: &Option<serde_json::Value>| {
                    value.as_ref().map_or_else(|| "absent".to_owned(), ToString::to_string)
                };
                writeln!(out, "    {}: {} instead of {}", field.path, value(&field.to), value(&field.from))?;
            }
            if let Some(more) = different.fields.len().checked_sub(FIELDS).filter(|more| *more > 0) {
                writeln!(
                    out,
                    "    and {} (-o json lists them)",
                    count(more as u64, "more setting", "more settings")
                )?;
            }
        }
    }
    Ok(())
}
