//! The status of the policies in many clusters as text.

use std::io::{self, Write as _};

use anstyle::Style;

use super::{Cell, FleetFormat, Text, style, table};
use crate::governance::{ClusterPolicy, ClusterResult, ClusterStatus, FleetStatus, Score};
use crate::workload::count;

/// The most policies that are listed.
const WORST: usize = 10;

impl FleetFormat {
    /// Writes the status of the policies in many clusters.
    pub fn write_status(self, status: &FleetStatus, out: &mut Text<'_>) -> io::Result<()> {
        match self {
            Self::Json => {
                serde_json::to_writer_pretty(out.exact(), status)?;
                writeln!(out)
            }
            Self::Text => write_text(status, out),
        }
    }
}

fn write_text(status: &FleetStatus, out: &mut Text<'_>) -> io::Result<()> {
    let rows: Vec<_> = status.clusters.iter().map(cluster).collect();
    let header =
        ["CLUSTER", "RESULT", "VERSION", "POLICIES", "PODS", "SCORE", "LOWEST", "VIOLATIONS", "REASON"];
    table(header, rows, out)?;
    let summary = &status.summary;
    let figures = &summary.figures;
    let score = figures
        .score
        .map_or_else(|| "Unknown".to_owned(), |score| format!("{score} ({})", score.classification()));
    writeln!(out, "\n{:<19}: {}", "Clusters read", summary.clusters)?;
    writeln!(out, "{:<19}: {}", "Policies", figures.policies)?;
    writeln!(out, "{:<19}: {}", "Pods evaluated", figures.pods)?;
    writeln!(out, "{:<19}: {score}", "Health score")?;
    if figures.unevaluated > 0 {
        let policies = count(figures.unevaluated as u64, "policy has", "policies have");
        writeln!(out, "{policies} no score: no operator has evaluated them.")?;
    }
    if figures.cluster_policies > 0 && figures.cluster_policies < figures.policies {
        writeln!(out, "Pods under a cluster policy and a policy of their namespace count for both.")?;
    }
    if summary.partial {
        let failed = count(summary.failed as u64, "cluster", "clusters");
        writeln!(out, "Partial: {failed} could not be read.")?;
    }
    if status.policies.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nPolicies with the lowest scores")?;
    let header = ["CLUSTER", "NAMESPACE", "POLICY", "MODE", "SCORE", "STATUS", "VIOLATIONS", "PODS"];
    table(header, status.policies.iter().take(WORST).map(policy), out)?;
    if let Some(more) = status.policies.len().checked_sub(WORST).filter(|more| *more > 0) {
        writeln!(out, "and {} (-o json lists them)", count(more as u64, "more policy", "more policies"))?;
    }
    Ok(())
}

fn cluster(row: &ClusterStatus) -> [Cell<'_>; 9] {
    let (result, result_style) = match row.result {
        ClusterResult::Analyzed => ("read", Style::new()),
        ClusterResult::Partial => ("partial", style::NO),
        ClusterResult::SameCluster => ("same cluster", Style::new()),
        ClusterResult::Failed => ("failed", style::NO),
    };
    let figures = row.figures.as_ref();
    let score = |score: Option<Score>| score.map_or_else(|| "-".into(), colored);
    [
        row.context.as_str().into(),
        Cell::styled(result, result_style),
        or_dash(row.version.as_ref()),
        or_dash(figures.map(|figures| figures.policies)),
        or_dash(figures.map(|figures| figures.pods)),
        score(figures.and_then(|figures| figures.score)),
        score(figures.and_then(|figures| figures.lowest)),
        or_dash(figures.map(|figures| figures.violations)),
        row.reason.as_deref().unwrap_or_default().into(),
    ]
}

fn policy(row: &ClusterPolicy) -> [Cell<'_>; 8] {
    let figures = &row.figures;
    let score = figures.score.map(Score::from_value);
    [
        row.cluster.as_str().into(),
        or_dash(Some(&figures.namespace).filter(|namespace| !namespace.is_empty())),
        figures.name.as_str().into(),
        or_dash(figures.mode.as_ref()),
        score.map_or_else(|| "-".into(), colored),
        or_dash(score.map(Score::classification)),
        or_dash(figures.violations),
        or_dash(figures.pods),
    ]
}

fn colored(score: Score) -> Cell<'static> {
    Cell::styled(score.to_string(), style::classification(score.classification()))
}

fn or_dash(value: Option<impl ToString>) -> Cell<'static> {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string()).into()
}
