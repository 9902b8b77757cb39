//! What a rule is, what it sees and what it says. It knows nothing of policies.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Fix;
use crate::workload::Workload;

/// A check of one workload, with all that is known about it.
#[derive(Debug)]
pub struct Rule {
    /// The name used everywhere: reports, policies, metrics.
    pub id: RuleId,
    /// One line for tables, without a full stop.
    pub summary: &'static str,
    /// The label of the rule's count in the summary.
    pub label: &'static str,
    /// The documentation in Markdown, with the sections that a test demands.
    pub docs: &'static str,
    /// What goes wrong when the rule is broken.
    pub category: Category,
    /// How bad a violation is, unless a policy says otherwise.
    pub severity: Severity,
    /// Penalty points of each count.
    pub weight: u64,
    /// Whether the rule is part of the score without a policy.
    pub in_default_score: bool,
    /// The version that brought the rule.
    pub since: &'static str,
    /// What a policy can set, in the order of [`Context::parameters`].
    pub parameters: &'static [Parameter],
    /// Whether the rule has anything to say about a workload.
    pub applies_to: fn(&Workload<'_>) -> bool,
    /// Looks at a workload that the rule applies to.
    pub check: fn(&Context<'_>, &mut Violations),
    /// What mends a violation, where defaults can.
    pub fix: Option<Fix>,
}

/// The id of a rule, in kebab-case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct RuleId(&'static str);

impl RuleId {
    pub(super) const fn new(id: &'static str) -> Self {
        Self(id)
    }

    /// The id as text.
    pub fn as_str(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0)
    }
}

/// What goes wrong when a rule is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Category {
    /// The workload fails, or nobody notices that it does.
    Reliability,
    /// The workload takes from others, or others from it.
    Efficiency,
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Reliability => "reliability",
            Self::Efficiency => "efficiency",
        })
    }
}

/// How bad a violation is, from low to critical.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
// A description of the type would take the place of what a field that is a severity says of itself.
#[schemars(description = "")]
pub enum Severity {
    /// Worth knowing.
    Low,
    /// Worth mending soon.
    Medium,
    /// Worth mending now.
    High,
    /// Something is failing.
    Critical,
}

impl Severity {
    /// Every severity, from low to critical.
    pub const ALL: [Self; 4] = [Self::Low, Self::Medium, Self::High, Self::Critical];

    /// The severity's name, as it is written in policies and reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Severity {
    type Err = UnknownSeverity;

    fn from_str(text: &str) -> Result<Self, UnknownSeverity> {
        let named = |severity: &Self| severity.as_str().eq_ignore_ascii_case(text);
        Self::ALL.into_iter().find(named).ok_or(UnknownSeverity)
    }
}

/// The text is not the name of a severity.
#[derive(Debug, thiserror::Error)]
#[error("a severity is one of critical, high, medium and low")]
pub struct UnknownSeverity;

/// Something about a rule that a policy can set.
#[derive(Debug)]
pub struct Parameter {
    /// The name, in camelCase.
    pub name: &'static str,
    /// One line, with the unit.
    pub summary: &'static str,
    /// The value without a policy; its type is the parameter's type.
    pub default: Value,
}

/// The value of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// A whole number, at least zero.
    Integer(u64),
    /// On or off.
    Boolean(bool),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(number) => number.fmt(f),
            Self::Boolean(flag) => flag.fmt(f),
        }
    }
}

/// What a rule sees.
#[derive(Debug)]
pub struct Context<'a> {
    /// The workload to look at.
    pub workload: &'a Workload<'a>,
    /// The rule's parameters, in the rule's order.
    pub parameters: &'a [Value],
    /// The time of the judgement.
    pub now: Timestamp,
}

impl Context<'_> {
    /// The rule's parameter at `index`, when it is a number; 0 otherwise.
    pub fn integer(&self, index: usize) -> u64 {
        match self.parameters.get(index) {
            Some(Value::Integer(number)) => *number,
            _ => 0,
        }
    }

    /// The rule's parameter at `index`, when it is a switch; off otherwise.
    pub fn boolean(&self, index: usize) -> bool {
        matches!(self.parameters.get(index), Some(Value::Boolean(true)))
    }
}

/// What a rule found, in pieces that are put together only when somebody reads them.
#[derive(Debug)]
pub struct Finding<'a> {
    /// The container that is concerned; none when it is the pod.
    pub container: Option<&'a str>,
    /// How many of the rule's counts it is worth.
    pub count: u64,
    /// The path of the field in the object.
    pub path: fmt::Arguments<'a>,
    /// What is wrong and what would mend it.
    pub message: fmt::Arguments<'a>,
}

/// One thing wrong with one workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The rule that is broken.
    pub rule: RuleId,
    /// How bad that is under the policy.
    pub severity: Severity,
    /// The container that is concerned; none when it is the pod.
    pub container: Option<String>,
    /// The path of the field in the object.
    pub path: String,
    /// What is wrong and what would mend it.
    pub message: String,
}

/// Collects what the rules find in one workload.
///
/// Counts are always kept; the violations themselves only when asked for, because their texts are most of the
/// cost of a judgement.
#[derive(Debug, Default)]
pub struct Violations {
    keep: bool,
    kept: Vec<Violation>,
    current: Option<(RuleId, Severity)>,
    count: u64,
}

impl Violations {
    /// Starts a collection that keeps the violations, or only counts them.
    pub fn new(keep: bool) -> Self {
        Self { keep, ..Self::default() }
    }

    /// Turns to the findings of a rule and sets its count to zero.
    pub fn begin(&mut self, rule: RuleId, severity: Severity) {
        self.current = Some((rule, severity));
        self.count = 0;
    }

    /// Adds a finding of the rule at hand.
    pub fn add(&mut self, finding: &Finding<'_>) {
        self.count += finding.count;
        if let (true, Some((rule, severity))) = (self.keep, self.current) {
            self.kept.push(Violation {
                rule,
                severity,
                container: finding.container.map(str::to_owned),
                path: finding.path.to_string(),
                message: finding.message.to_string(),
            });
        }
    }

    /// The count of the rule at hand.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// What was kept.
    pub fn into_kept(self) -> Vec<Violation> {
        self.kept
    }
}
