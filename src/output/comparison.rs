//! The comparison of two reports as text, Markdown and JSON.

use std::fmt::Display;
use std::io::{self, Write};

use super::markdown::{MOST, section, text};
use super::{Cell, Text, table};
use crate::governance::{ChangedFinding, ComparedFigures, Comparison};
use crate::workload::count;

/// Writes a comparison in a format: `summary`, `markdown` or `json`. Returns false for any other one.
pub fn comparison(comparison: &Comparison, format: &str, out: &mut Text<'_>) -> io::Result<bool> {
    match format {
        "summary" => write_text(comparison, out)?,
        "markdown" => write_markdown(comparison, out)?,
        "json" => {
            serde_json::to_writer_pretty(out.exact(), comparison)?;
            writeln!(out)?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// Returns the figures of both reports.
fn figures(comparison: &Comparison) -> [(&'static str, String, String); 4] {
    let Comparison { old, new, .. } = comparison;
    let row = |name, figure: &dyn Fn(&ComparedFigures) -> String| (name, figure(old), figure(new));
    [
        row("Score", &|figures| known(figures.score)),
        row("Compliance", &|figures| known(figures.compliance)),
        row("Workloads", &|figures| figures.workloads.to_string()),
        row("Pods", &|figures| figures.pods.to_string()),
    ]
}

fn known(figure: Option<impl Display>) -> String {
    figure.map_or_else(|| "unknown".to_owned(), |figure| figure.to_string())
}

/// Returns the number of findings.
fn total(findings: &[ChangedFinding]) -> String {
    count(findings.iter().map(|finding| finding.count).sum(), "finding", "findings")
}

fn write_text(comparison: &Comparison, out: &mut Text<'_>) -> io::Result<()> {
    let rows = figures(comparison).map(|(name, old, new)| [Cell::from(name), old.into(), new.into()]);
    table(["FIGURE", "OLD", "NEW"], rows, out)?;
    for (title, findings) in [("Worse", &comparison.worse), ("Better", &comparison.better)] {
        writeln!(out, "\n{title}: {}", total(findings))?;
        let rows = findings.iter().map(|finding| {
            [
                Cell::severity(finding.severity),
                (&*finding.namespace).into(),
                (&*finding.workload).into(),
                finding.container.as_deref().unwrap_or("<none>").into(),
                (&*finding.rule).into(),
                finding.count.to_string().into(),
                finding.source.as_deref().unwrap_or("<none>").into(),
            ]
        });
        if !findings.is_empty() {
            table(["SEVERITY", "NAMESPACE", "WORKLOAD", "CONTAINER", "RULE", "COUNT", "SOURCE"], rows, out)?;
        }
    }
    writeln!(out, "\nUnchanged: {}", count(comparison.unchanged, "finding", "findings"))
}

fn write_markdown(comparison: &Comparison, out: &mut dyn Write) -> io::Result<()> {
    let mut head = Vec::new();
    let (worse, better) = (total(&comparison.worse), total(&comparison.better));
    writeln!(head, "## kube-devops: {worse} worse, {better} better\n")?;
    writeln!(head, "| Figure | Old | New |\n|---|---:|---:|")?;
    for (name, old, new) in figures(comparison) {
        writeln!(head, "| {name} | {old} | {new} |")?;
    }
    writeln!(head, "\n{} did not change.", count(comparison.unchanged, "finding", "findings"))?;
    out.write_all(&head)?;
    let mut room = MOST.saturating_sub(head.len());
    for (title, findings) in [("Worse", &comparison.worse), ("Better", &comparison.better)] {
        let heading = format!(
            "\n### {title}\n\n| Severity | Workload | Container | Rule | Count | Problem | Source |\n\
             |---|---|---|---|---:|---|---|\n"
        );
        section(&heading, findings.iter().map(row), "\nAnd {}.\n", &mut room, out)?;
    }
    Ok(())
}

fn row(finding: &ChangedFinding) -> String {
    let ChangedFinding { severity, namespace, workload, container, rule, count, message, source } = finding;
    let object = if namespace.is_empty() { workload.clone() } else { format!("{namespace}/{workload}") };
    let workload = text(&object);
    let container = text(container.as_deref().unwrap_or_default());
    let (message, source) = (text(message), text(source.as_deref().unwrap_or_default()));
    format!("| {severity} | {workload} | {container} | `{rule}` | {count} | {message} | {source} |\n")
}
