//! The flags for the thresholds of a report, which decide between exit status 0 and 1.

use std::io;

use clap::builder::{PossibleValuesParser, TypedValueParser as _};

use super::flags::{Flag, given};
use crate::commands::ExitStatus;
use crate::config::{Config, ConfigFile};
use crate::governance::{GateResult, Percent, Thresholds};
use crate::output::Text;
use crate::rules::Severity;

/// Thresholds of a report.
#[derive(Clone, Debug, clap::Args)]
pub(in crate::commands) struct GateArgs {
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
    /// Takes the thresholds without a flag from a configuration file.
    pub(super) fn fill(&mut self, file: &ConfigFile) {
        let Config { fail_on, fail_under, fail_under_compliance, allow_empty, .. } = &file.config;
        self.fail_on = self.fail_on.or(*fail_on);
        self.fail_under = self.fail_under.or(*fail_under);
        self.fail_under_compliance = self.fail_under_compliance.or(*fail_under_compliance);
        self.allow_empty |= allow_empty.unwrap_or_default();
    }

    /// Returns the flags that are given, each with the setting that it beats.
    pub(super) fn flags(&self) -> Vec<Flag> {
        given([
            ("failOn", "--fail-on", self.fail_on.map(|severity| severity.to_string())),
            ("failUnder", "--fail-under", self.fail_under.map(|score| score.to_string())),
            (
                "failUnderCompliance",
                "--fail-under-compliance",
                self.fail_under_compliance.map(|percent| percent.to_string()),
            ),
            ("allowEmpty", "--allow-empty", self.allow_empty.then(|| "true".to_owned())),
        ])
    }

    /// Returns the severity of a violation that is too bad.
    pub(super) fn fail_on(&self) -> Option<Severity> {
        self.fail_on
    }

    /// Returns the thresholds that the flags ask for; `new_findings` is true if a baseline is compared.
    pub(super) fn thresholds(&self, new_findings: bool) -> Thresholds {
        Thresholds {
            score: self.fail_under,
            compliance: self.fail_under_compliance,
            severity: self.fail_on,
            new_findings,
            allow_empty: self.allow_empty,
        }
    }
}

/// Writes the reasons for the exit status.
pub(super) fn write(gates: &GateResult, err: &mut Text<'_>) -> io::Result<()> {
    gates.gaps.iter().try_for_each(|gap| err.error(gap))?;
    gates.breaches.iter().try_for_each(|breach| err.failed(breach))
}

/// Returns the exit status of a report.
pub(super) fn exit_status(has_failed: bool, gates: &GateResult) -> ExitStatus {
    if has_failed || !gates.gaps.is_empty() {
        ExitStatus::Failed
    } else if gates.breaches.is_empty() {
        ExitStatus::Clean
    } else {
        ExitStatus::Findings
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
