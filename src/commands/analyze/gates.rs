//! The thresholds of `analyze`, which decide between exit status 0 and 1.

use clap::builder::{PossibleValuesParser, TypedValueParser as _};

use crate::governance::Report;
use crate::rules::Severity;

/// Thresholds of a report.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct GateArgs {
    /// Exit with 1 when the score is below this
    #[arg(long, value_name = "SCORE", allow_negative_numbers = true, value_parser = score)]
    fail_under: Option<u8>,

    /// Exit with 1 when there is a violation of this severity or a worse one
    #[arg(long, value_name = "SEVERITY", ignore_case = true,
        value_parser = severities().try_map(|name| name.parse::<Severity>()))]
    fail_on: Option<Severity>,
}

impl GateArgs {
    /// Returns a sentence for each threshold that the report is past.
    pub(super) fn failed(&self, report: &Report) -> Vec<String> {
        let mut failed = Vec::new();
        if let (Some(bound), Some(score)) = (self.fail_under, report.summary.score)
            && score.value() < bound
        {
            failed.push(format!("the score of {} is below --fail-under {bound}", score.value()));
        }
        if let (Some(bound), Some(worst)) = (self.fail_on, report.worst)
            && worst >= bound
        {
            failed.push(format!("the worst violation is {worst}, and --fail-on is {bound}"));
        }
        failed
    }
}

/// Parses a score.
fn score(text: &str) -> Result<u8, &'static str> {
    text.parse().ok().filter(|score| *score <= 100).ok_or("give a whole number from 0 to 100")
}

/// Lists the severities, so that errors, help and completions name them.
fn severities() -> PossibleValuesParser {
    PossibleValuesParser::new(Severity::ALL.map(Severity::as_str))
}
