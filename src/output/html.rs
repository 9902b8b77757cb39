//! The report as one HTML page, with nothing loaded from elsewhere. `templates/report.html` is the page.

use std::cmp::Reverse;
use std::io::{self, Write};

use askama::Template;

use crate::governance::{Offender, Report};
use crate::rules::RuleId;

/// The maximum number of rows of a table.
const MOST: usize = 10_000;
/// The number of violations that are shown at once.
const SHOWN: usize = 500;
/// The maximum number of workloads among the worst.
const OFFENDERS: usize = 20;

/// The page.
#[derive(Template)]
#[template(path = "report.html")]
struct Page<'r> {
    report: &'r Report,
    score: String,
    status: String,
    compliance: String,
    /// The rules with violations, each with their number, the most frequent first.
    broken: Vec<(RuleId, u64)>,
    /// The rules without a violation.
    kept: Vec<RuleId>,
    offenders: Vec<Offender>,
    total: usize,
    most: usize,
    shown: usize,
    version: &'static str,
}

pub(super) fn write(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let summary = &report.summary;
    let counts = summary.counts.iter().map(|(rule, count)| (*rule, *count));
    let (kept, mut broken): (Vec<_>, Vec<_>) = counts.partition(|(_, count)| *count == 0);
    broken.sort_by_key(|(_, count)| Reverse(*count));
    let page = Page {
        report,
        broken,
        kept: kept.into_iter().map(|(rule, _)| rule).collect(),
        score: summary.score.map_or_else(|| "unknown".to_owned(), |score| score.to_string()),
        status: summary.status.map_or_else(|| "Unknown".to_owned(), |status| status.to_string()),
        compliance: summary.compliance.map_or_else(|| "unknown".to_owned(), |percent| percent.to_string()),
        offenders: report.workloads.worst(OFFENDERS),
        total: report.violations.len(),
        most: MOST,
        shown: SHOWN,
        version: env!("CARGO_PKG_VERSION"),
    };
    page.write_into(&mut &mut *out)?;
    writeln!(out)
}
