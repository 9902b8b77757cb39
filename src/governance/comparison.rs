//! The comparison of two reports: the findings and figures that got better and worse.

use std::collections::BTreeMap;

use serde::de::{Error as _, IgnoredAny};
use serde::{Deserialize, Serialize};

use super::{Identity, Percent};
use crate::rules::Severity;
use crate::workload::Owner;

/// The flag after which a report lists only a part of the findings.
const CHANGED_SINCE: &str = "--changed-since";

/// The parts of a report that are compared, as JSON output has them.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ComparedReport {
    /// The figures.
    pub summary: ComparedFigures,
    violations: Vec<ComparedViolation>,
    /// Present if the list has only the findings that a baseline does not know.
    baseline: Option<IgnoredAny>,
    /// The flags that left something out.
    #[serde(default)]
    filters: Vec<String>,
}

/// The reason why two reports can't be compared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ComparisonError {
    /// A report does not list all findings.
    #[error("{report} does not list all findings, because it was made with {flag}: make it without")]
    Incomplete {
        /// The report.
        report: &'static str,
        /// The flag that leaves findings out.
        flag: String,
    },
    /// The reports are about different objects.
    #[error("the reports are about different objects: OLD was made with {old}, and NEW with {new}")]
    OtherObjects {
        /// The flags of the old report.
        old: String,
        /// The flags of the new report.
        new: String,
    },
    /// One report has rules that the other has not.
    #[error("the reports have different rules: {rule} is on only in {only}")]
    OtherRules {
        /// The first rule.
        rule: String,
        /// The report.
        only: &'static str,
    },
}

/// The figures of a report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComparedFigures {
    /// The score.
    pub score: Option<u8>,
    /// The compliance.
    pub compliance: Option<Percent>,
    /// The pods, a template counting as one.
    pub pods: u64,
    /// The workloads.
    pub workloads: u64,
    /// True if something could not be read.
    pub partial: bool,
    /// The count of every rule that is on.
    #[serde(skip_serializing)]
    pub counts: BTreeMap<String, u64>,
}

/// A violation of a report.
#[derive(Debug, Clone, PartialEq, Deserialize)]
struct ComparedViolation {
    namespace: String,
    kind: String,
    name: String,
    owner: Option<String>,
    container: Option<String>,
    rule: String,
    severity: Severity,
    message: String,
    source: Option<String>,
}

/// A finding that one report has more often than the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChangedFinding {
    /// The severity.
    pub severity: Severity,
    /// The namespace.
    pub namespace: String,
    /// The workload as `Kind/name`.
    pub workload: String,
    /// The container; `None` for the pod as a whole.
    pub container: Option<String>,
    /// The rule.
    pub rule: String,
    /// The number of additional findings.
    pub count: u64,
    /// The problem and the fix.
    pub message: String,
    /// The file and the line; `None` for a live object.
    pub source: Option<String>,
}

/// The difference between two reports.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename = "Comparison")]
pub struct Comparison {
    /// The figures of the old report.
    pub old: ComparedFigures,
    /// The figures of the new report.
    pub new: ComparedFigures,
    /// The findings of the new report alone, worst first.
    pub worse: Vec<ChangedFinding>,
    /// The findings of the old report alone, worst first.
    pub better: Vec<ChangedFinding>,
    /// The number of findings that both reports have.
    pub unchanged: u64,
}

impl ComparedReport {
    /// Reads a report from JSON; `None` if the text is no JSON of this program.
    ///
    /// Fails if it has another kind, such as a baseline.
    pub fn from_json(text: &str) -> Option<serde_json::Result<Self>> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Head {
            api_version: String,
            kind: String,
        }
        let Head { api_version, kind } = serde_json::from_str(text).ok()?;
        (api_version == "kube-devops/v1").then(|| match &*kind {
            "Report" => serde_json::from_str(text),
            _ => Err(serde_json::Error::custom(format_args!("expected kind \"Report\", found {kind:?}"))),
        })
    }

    /// Returns the flag because of which some findings are not listed.
    fn incomplete_by(&self) -> Option<String> {
        let is_partial = |filter: &&String| filter.starts_with(CHANGED_SINCE);
        let filter = self.filters.iter().find(is_partial).cloned();
        filter.or_else(|| self.baseline.is_some().then(|| "--baseline".to_owned()))
    }

    fn by_identity(&self) -> BTreeMap<Identity<'_>, (u64, &ComparedViolation)> {
        let mut found = BTreeMap::new();
        for violation in &self.violations {
            let (count, _) = found.entry(violation.identity()).or_insert((0, violation));
            *count += 1;
        }
        found
    }
}

impl ComparedViolation {
    fn identity(&self) -> Identity<'_> {
        let owner = self.owner.as_deref().and_then(|owner| Owner::parse(owner).ok());
        let Owner { kind, name } = owner.unwrap_or(Owner { kind: &self.kind, name: &self.name });
        let (namespace, container, rule) = (&*self.namespace, self.container.as_deref(), &*self.rule);
        Identity { namespace, kind, name, container, rule }
    }
}

impl Comparison {
    /// Compares two reports. Findings are the same if namespace, kind, name, container and rule are.
    ///
    /// Fails if a difference would say more about the flags than about the objects.
    pub fn new(old: &ComparedReport, new: &ComparedReport) -> Result<Self, ComparisonError> {
        for (compared, report) in [(old, "OLD"), (new, "NEW")] {
            if let Some(flag) = compared.incomplete_by() {
                return Err(ComparisonError::Incomplete { report, flag });
            }
        }
        if old.filters != new.filters {
            let [old, new] = [old, new].map(|report| match &*report.filters {
                [] => "no filter".to_owned(),
                filters => filters.join(" "),
            });
            return Err(ComparisonError::OtherObjects { old, new });
        }
        for (one, other, only) in [(old, new, "OLD"), (new, old, "NEW")] {
            let surplus = one.summary.counts.keys().find(|rule| !other.summary.counts.contains_key(*rule));
            if let Some(rule) = surplus.cloned() {
                return Err(ComparisonError::OtherRules { rule, only });
            }
        }
        let (before, after) = (old.by_identity(), new.by_identity());
        let unchanged = before
            .iter()
            .map(|(identity, (count, _))| after.get(identity).map_or(0, |(other, _)| *count.min(other)));
        Ok(Self {
            unchanged: unchanged.sum(),
            worse: more(&after, &before),
            better: more(&before, &after),
            old: old.summary.clone(),
            new: new.summary.clone(),
        })
    }

    /// Returns the worst severity of the findings of the new report alone.
    pub fn worst(&self) -> Option<Severity> {
        self.worse.first().map(|finding| finding.severity)
    }
}

/// Findings by their identity, with their number and the first of them.
type Findings<'r> = BTreeMap<Identity<'r>, (u64, &'r ComparedViolation)>;

/// Returns the findings that are more than in another report.
fn more(findings: &Findings<'_>, than: &Findings<'_>) -> Vec<ChangedFinding> {
    let more = findings.iter().filter_map(|(identity, (count, violation))| {
        let other = than.get(identity).map_or(0, |(count, _)| *count);
        let count = count.checked_sub(other).filter(|more| *more > 0)?;
        Some(ChangedFinding {
            severity: violation.severity,
            namespace: identity.namespace.to_owned(),
            workload: format!("{}/{}", identity.kind, identity.name),
            container: identity.container.map(str::to_owned),
            rule: identity.rule.to_owned(),
            count,
            message: violation.message.clone(),
            source: violation.source.clone(),
        })
    });
    let mut more: Vec<_> = more.collect();
    more.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    more
}
