//! The gates of a report: thresholds that it must keep, and the objects that it must not lack.

use std::fmt;

use super::{Percent, Report};
use crate::rules::Severity;

/// The thresholds of a report. Without any, every report passes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Thresholds {
    /// The least score.
    pub score: Option<u8>,
    /// The least compliance.
    pub compliance: Option<Percent>,
    /// The least severity that is too bad.
    pub severity: Option<Severity>,
    /// Lets no new finding pass in a report that was compared with a baseline, unless a severity decides.
    pub new_findings: bool,
    /// Lets a report pass in which nothing was evaluated.
    pub allow_empty: bool,
}

/// A threshold that a report does not keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are a figure and its threshold")]
pub enum Breach {
    /// The score is too low.
    Score { score: u8, least: u8, only: Only },
    /// The compliance is too low.
    Compliance { compliance: Percent, least: Percent, only: Only },
    /// A violation is too bad.
    Severity { worst: Severity, limit: Severity, only: Only },
    /// There are violations that the baseline does not have.
    New { count: usize },
}

/// The findings from which a figure was computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Only {
    /// All findings.
    All,
    /// The findings that a baseline does not have.
    New,
}

/// A reason why thresholds say nothing about the report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gap {
    /// Nothing was evaluated.
    Everything,
    /// Nothing was evaluated in a namespace that was requested.
    Namespace(String),
}

/// The result of comparing a report with thresholds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GateResult {
    /// The thresholds that the report does not keep.
    pub breaches: Vec<Breach>,
    /// The reasons why it can't be compared, unless an empty report may pass.
    pub gaps: Vec<Gap>,
}

impl Thresholds {
    /// Compares a report with the thresholds; `namespaces` are those that were requested by name.
    pub fn check(self, report: &Report, namespaces: &[String]) -> GateResult {
        if self.is_empty() {
            return GateResult::default();
        }
        GateResult { breaches: self.breaches(report), gaps: self.gaps(report, namespaces) }
    }

    fn is_empty(self) -> bool {
        self.score.is_none() && self.compliance.is_none() && self.severity.is_none() && !self.new_findings
    }

    fn breaches(self, report: &Report) -> Vec<Breach> {
        let summary = &report.summary;
        let (score, compliance, worst, only) = match &report.baseline {
            Some(new) => (new.score, new.compliance, new.worst, Only::New),
            None => (summary.score, summary.compliance, report.worst, Only::All),
        };
        let score = self.score.zip(score).map(|(least, score)| (least, score.value()));
        let score = score.filter(|(least, score)| score < least);
        let compliance = self.compliance.zip(compliance);
        let compliance = compliance.filter(|(least, compliance)| compliance < least);
        let severity = self.severity.zip(worst).filter(|(limit, worst)| worst >= limit);
        let new = report.baseline.as_ref().filter(|_| self.new_findings && self.severity.is_none());
        let new = new.map(|findings| findings.new).filter(|count| *count > 0);
        [
            score.map(|(least, score)| Breach::Score { score, least, only }),
            compliance.map(|(least, compliance)| Breach::Compliance { compliance, least, only }),
            severity.map(|(limit, worst)| Breach::Severity { worst, limit, only }),
            new.map(|count| Breach::New { count }),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    fn gaps(self, report: &Report, namespaces: &[String]) -> Vec<Gap> {
        if self.allow_empty {
            return Vec::new();
        }
        if report.summary.pods == 0 && report.objects == 0 {
            // An error about unread input, or a note about a chart, already gives the reason.
            return if report.summary.partial { Vec::new() } else { vec![Gap::Everything] };
        }
        if report.summary.pods == 0 {
            // Only objects without a score were asked for, such as roles.
            return Vec::new();
        }
        let is_evaluated =
            |name: &String| report.namespaces.iter().any(|evaluated| evaluated.namespace == *name);
        namespaces.iter().filter(|name| !is_evaluated(name)).cloned().map(Gap::Namespace).collect()
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Score { score, least, only } => {
                write!(f, "the score of {score}{only} is below --fail-under {least}")
            }
            Self::Compliance { compliance, least, only } => {
                write!(f, "the compliance of {compliance}{only} is below --fail-under-compliance {least}")
            }
            Self::Severity { worst, limit, only } => {
                let new = if *only == Only::New { "new " } else { "" };
                write!(f, "the worst {new}violation is {worst}, and --fail-on is {limit}")
            }
            Self::New { count: 1 } => f.write_str("1 violation is not in the baseline"),
            Self::New { count } => write!(f, "{count} violations are not in the baseline"),
        }
    }
}

impl fmt::Display for Only {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::All => "",
            Self::New => ", without the findings of the baseline,",
        })
    }
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everything => f.write_str("nothing was evaluated"),
            Self::Namespace(name) => write!(f, "nothing was evaluated in namespace {name}"),
        }?;
        f.write_str(", so the thresholds prove nothing; --allow-empty accepts that")
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::governance::{Analysis, Scope};
    use crate::policy::EffectivePolicy;

    /// The report of a pod in namespace `a` with the score 90, and without any violation above high.
    fn report(pods: &[&str]) -> Report {
        let (policy, scope) = (EffectivePolicy::default(), Scope::default());
        let mut analysis = Analysis::new(&policy, &scope, Timestamp::UNIX_EPOCH, false);
        for pod in pods {
            analysis.add(&serde_json::from_str(pod).unwrap(), None);
        }
        analysis.finish()
    }

    const BAD: &str = r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p","namespace":"a"},
        "spec":{"containers":[{"name":"c","image":"nginx"}]}}"#;

    fn texts(thresholds: Thresholds, report: &Report, namespaces: &[&str]) -> Vec<String> {
        let namespaces: Vec<String> = namespaces.iter().map(|name| (*name).to_owned()).collect();
        let result = thresholds.check(report, &namespaces);
        let gaps = result.gaps.iter().map(ToString::to_string);
        gaps.chain(result.breaches.iter().map(ToString::to_string)).collect()
    }

    #[test]
    fn a_report_at_its_thresholds_passes_and_one_past_them_does_not() {
        let report = report(&[BAD]);
        let kept = Thresholds {
            score: Some(90),
            compliance: "0".parse().ok(),
            severity: Some(Severity::Critical),
            ..Thresholds::default()
        };
        assert!(texts(kept, &report, &[]).is_empty());
        let broken = Thresholds {
            score: Some(91),
            compliance: "0.1".parse().ok(),
            severity: Some(Severity::High),
            ..Thresholds::default()
        };
        let expected = [
            "the score of 90 is below --fail-under 91",
            "the compliance of 0.0% is below --fail-under-compliance 0.1%",
            "the worst violation is high, and --fail-on is high",
        ];
        assert_eq!(texts(broken, &report, &[]), expected);
    }

    #[test]
    fn a_threshold_needs_something_to_evaluate() {
        let end = "so the thresholds prove nothing; --allow-empty accepts that";
        let score = Thresholds { score: Some(0), ..Thresholds::default() };
        assert_eq!(texts(score, &report(&[]), &["a"]), [format!("nothing was evaluated, {end}")]);
        let one = report(&[BAD]);
        assert_eq!(texts(score, &one, &["a", "b"]), [format!("nothing was evaluated in namespace b, {end}")]);
        assert!(texts(score, &one, &["a"]).is_empty());
        let lenient = Thresholds { allow_empty: true, ..score };
        assert!(texts(lenient, &report(&[]), &["a"]).is_empty() && texts(lenient, &one, &["b"]).is_empty());
        assert!(texts(Thresholds::default(), &report(&[]), &["b"]).is_empty(), "no threshold, no gate");
    }
}
