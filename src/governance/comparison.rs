//! The comparison of two reports: the findings and figures that got better and worse.

use std::collections::BTreeMap;

use serde::de::Error as _;
use serde::{Deserialize, Serialize};

use super::{Identity, Percent};
use crate::rules::Severity;
use crate::workload::Owner;

/// The parts of a report that are compared, as JSON output has them.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ComparedReport {
    /// The figures.
    pub summary: ComparedFigures,
    violations: Vec<ComparedViolation>,
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
    pub fn new(old: &ComparedReport, new: &ComparedReport) -> Self {
        let (before, after) = (old.by_identity(), new.by_identity());
        let unchanged = before
            .iter()
            .map(|(identity, (count, _))| after.get(identity).map_or(0, |(other, _)| *count.min(other)));
        Self {
            unchanged: unchanged.sum(),
            worse: more(&after, &before),
            better: more(&before, &after),
            old: old.summary.clone(),
            new: new.summary.clone(),
        }
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
