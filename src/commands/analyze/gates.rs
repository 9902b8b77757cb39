//! The flags for the thresholds of a report, which decide between exit status 0 and 1.

use clap::builder::{PossibleValuesParser, TypedValueParser as _};

use crate::governance::{Percent, Thresholds};
use crate::rules::Severity;

/// Thresholds of a report.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct GateArgs {
    /// Exit with 1 when the score is below this
    #[arg(long, value_name = "SCORE", allow_negative_numbers = true, value_parser = score)]
    fail_under: Option<u8>,

    /// Exit with 1 when fewer workloads than this percentage are free of violations of medium severity or worse
    #[arg(long, value_name = "PERCENT", allow_negative_numbers = true)]
    fail_under_compliance: Option<Percent>,

    /// Exit with 1 when there is a violation of this severity or a worse one
    #[arg(long, value_name = "SEVERITY", ignore_case = true,
        value_parser = severities().try_map(|name| name.parse::<Severity>()))]
    fail_on: Option<Severity>,

    /// With a threshold, exit 0 even if the input, or a namespace given by -n, has nothing to evaluate
    #[arg(long)]
    allow_empty: bool,
}

impl GateArgs {
    /// Returns the thresholds that the flags ask for.
    pub(super) fn thresholds(&self) -> Thresholds {
        Thresholds {
            score: self.fail_under,
            compliance: self.fail_under_compliance,
            severity: self.fail_on,
            allow_empty: self.allow_empty,
        }
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
