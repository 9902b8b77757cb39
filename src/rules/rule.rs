//! The parts of a rule, its input and its output. Rules know nothing of policies.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Fix;
use crate::workload::Workload;

/// A check of one workload, with its documentation.
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
    /// The kind of harm that a violation does.
    pub category: Category,
    /// The severity of a violation, unless a policy overrides it.
    pub severity: Severity,
    /// Penalty points of each count.
    pub weight: u64,
    /// True for a rule of the score without a policy.
    pub in_default_score: bool,
    /// The version that introduced the rule.
    pub since: &'static str,
    /// The parameters that a policy can set, in the order of [`Context::parameters`].
    pub parameters: &'static [Parameter],
    /// Tells whether the rule applies to a workload.
    pub applies_to: fn(&Workload<'_>) -> bool,
    /// Checks a workload that the rule applies to.
    pub check: fn(&Context<'_>, &mut Violations),
    /// The check in CEL for native admission, if that can say the same: a list of `[container, path, message]`.
    ///
    /// `s` is the pod or template: `spec`, `metadata`, `init` and `main` (containers with their path), `ends` (a Job runs
    /// it), `knative` and `injected` (Istio adds a proxy). `e` has the parameters, as `name=value`.
    pub expression: Option<&'static str>,
    /// The fix of a violation, if defaults can fix it.
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

/// The kind of harm that a violation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Category {
    /// The workload fails, or its failure goes unnoticed.
    Reliability,
    /// The workload takes resources from others, or others take them from it.
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

/// The severity of a violation, from low to critical.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
// A description of the type would replace the description of each field of this type.
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

/// The input of a rule.
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
    /// The rule's parameter at `index` if it is a number, else 0.
    pub fn integer(&self, index: usize) -> u64 {
        match self.parameters.get(index) {
            Some(Value::Integer(number)) => *number,
            _ => 0,
        }
    }

    /// The rule's parameter at `index` if it is a boolean, else false.
    pub fn boolean(&self, index: usize) -> bool {
        matches!(self.parameters.get(index), Some(Value::Boolean(true)))
    }
}

/// One finding of a rule. Its texts are put together only if they are kept.
#[derive(Debug)]
pub struct Finding<'a> {
    /// The container; none for a finding about the whole pod.
    pub container: Option<&'a str>,
    /// The amount that it adds to the rule's count.
    pub count: u64,
    /// The path of the field in the object.
    pub path: fmt::Arguments<'a>,
    /// The problem and its remedy.
    pub message: fmt::Arguments<'a>,
}

/// One violation of one workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The broken rule.
    pub rule: RuleId,
    /// The severity under the policy.
    pub severity: Severity,
    /// The container; none for a finding about the whole pod.
    pub container: Option<String>,
    /// The path of the field in the object.
    pub path: String,
    /// The problem and its remedy.
    pub message: String,
}

/// Collects the findings of all rules in one workload.
///
/// Counts are always kept. The violations themselves are kept on request, because their texts are most of the cost of a
/// judgement.
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

    /// Starts the findings of a rule with a count of zero.
    pub fn begin(&mut self, rule: RuleId, severity: Severity) {
        self.current = Some((rule, severity));
        self.count = 0;
    }

    /// Adds a finding of the current rule.
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

    /// The count of the current rule.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The violations that were kept.
    pub fn into_kept(self) -> Vec<Violation> {
        self.kept
    }
}
