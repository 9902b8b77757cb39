//! What an analysis has to say, in the shape that JSON and YAML output keep stable.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{Classification, Score, Tally, ViolationList};
use crate::policy::EffectivePolicy;
use crate::rules::{Rule, RuleId, Severity};

/// The outcome of an analysis.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename = "Report")]
pub struct Report {
    /// Always `kube-devops/v1`.
    #[serde(rename = "apiVersion")]
    pub api_version: &'static str,
    /// All that was judged.
    pub summary: ReportSummary,
    /// The same by namespace, sorted by name.
    pub namespaces: Vec<NamespaceReport>,
    /// Everything that is wrong, worst first; empty where only figures were asked for.
    pub violations: ViolationList,
    /// What was read and is not judged.
    pub skipped: Vec<Skipped>,
    /// What could not be read.
    pub errors: Vec<ReportError>,
    /// The workloads with violations, the largest penalty first.
    #[serde(skip)]
    pub offenders: Vec<Offender>,
    /// What each rule costs, the cheapest fix first.
    #[serde(skip)]
    pub costs: Vec<RuleCost>,
    /// The pods and templates with the namespace and the labels that were asked for, judged or not.
    #[serde(skip)]
    pub selected: u64,
    /// The pods, a template counting as one, that would be judged if system namespaces were.
    #[serde(skip)]
    pub left_out: u64,
    /// The worst severity found.
    #[serde(skip)]
    pub worst: Option<Severity>,
}

impl Report {
    /// How many objects were read and not judged, and of how many kinds they are.
    pub fn other_kinds(&self) -> (u64, usize) {
        // A document without a kind is no object.
        let objects = || self.skipped.iter().filter(|skipped| !skipped.kind.is_empty());
        let kinds: BTreeSet<_> = objects().map(|skipped| (&skipped.api_version, &skipped.kind)).collect();
        (objects().map(|skipped| skipped.count).sum(), kinds.len())
    }
}

/// The figures of all that was judged.
#[derive(Debug, Serialize)]
pub struct ReportSummary {
    /// Pods judged, a template counting as one.
    pub pods: u64,
    /// The score; none when nothing was judged and something could not be read.
    pub score: Option<Score>,
    /// The class of the score; none where there is none.
    pub status: Option<Classification>,
    /// Whether something could not be read.
    pub partial: bool,
    /// The count of every rule that is on, by its id.
    pub counts: BTreeMap<RuleId, u64>,
}

/// The figures of one namespace.
#[derive(Debug, Serialize)]
pub struct NamespaceReport {
    /// The namespace.
    pub namespace: String,
    /// Pods judged.
    pub pods: u64,
    /// The score of these pods.
    pub score: Score,
    /// The class of the score.
    pub status: Classification,
    /// The count of every rule that is on, by its id.
    pub counts: BTreeMap<RuleId, u64>,
}

impl NamespaceReport {
    /// The figures of a namespace's tally.
    pub fn new(namespace: &str, tally: &Tally, policy: &EffectivePolicy) -> Self {
        let score = Score::of(tally, policy);
        Self {
            namespace: namespace.to_owned(),
            pods: tally.pods,
            score,
            status: score.classification(),
            counts: tally.by_rule(policy),
        }
    }
}

/// One thing wrong with one object, to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportedViolation {
    /// The object's namespace.
    pub namespace: String,
    /// The object's kind.
    pub kind: &'static str,
    /// The object's name.
    pub name: String,
    /// What manages the object, as `Kind/name`; none when it manages itself.
    pub owner: Option<String>,
    /// The container; none when it is the pod.
    pub container: Option<String>,
    /// The rule.
    pub rule: RuleId,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong and what would mend it.
    pub message: String,
    /// The path of the field in the object.
    pub path: String,
    /// The file and the object's first line in it, as `file:line`; none for a live object.
    pub source: Option<String>,
}

/// Objects of a kind that isn't judged.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Skipped {
    /// The file.
    pub source: String,
    /// The objects' `apiVersion`.
    pub api_version: String,
    /// The objects' kind.
    pub kind: String,
    /// How many there are.
    pub count: u64,
}

/// Something that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ReportError {
    /// The file, or the part of the cluster.
    pub source: String,
    /// The document in the file, from 1.
    pub document: Option<usize>,
    /// The line in the file, from 1.
    pub line: Option<usize>,
    /// What went wrong and what to do.
    pub message: String,
}

impl std::fmt::Display for ReportError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.source)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if let Some(document) = self.document {
            write!(f, " (document {document})")?;
        }
        write!(f, ": {}", self.message)
    }
}

/// A workload with violations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offender {
    /// The namespace.
    pub namespace: String,
    /// The workload as `Kind/name`.
    pub workload: String,
    /// Its pods that were judged.
    pub pods: u64,
    /// What is wrong: each rule and its count.
    pub counts: Vec<(RuleId, u64)>,
    /// The penalty, in half points.
    pub half_points: u64,
}

impl Offender {
    /// The figures of a workload's tally, `workload` being its `Kind/name`.
    pub fn new(namespace: &str, workload: &str, tally: &Tally, policy: &EffectivePolicy) -> Self {
        Self {
            namespace: namespace.to_owned(),
            workload: workload.to_owned(),
            pods: tally.pods,
            counts: tally.by_rule(policy).into_iter().filter(|(_, count)| *count > 0).collect(),
            half_points: tally.half_points(policy),
        }
    }

    /// Orders offenders, the largest penalty first.
    pub fn worst_first(&self, other: &Self) -> Ordering {
        let place = (&self.namespace, &self.workload);
        other.half_points.cmp(&self.half_points).then_with(|| place.cmp(&(&other.namespace, &other.workload)))
    }
}

/// What one rule costs.
#[derive(Debug, Clone)]
pub struct RuleCost {
    /// The rule.
    pub rule: &'static Rule,
    /// The rule's count.
    pub count: u64,
    /// The workloads to edit.
    pub workloads: u64,
    /// Points of score that are won where nothing breaks the rule any more: its penalty over the pods judged, or less
    /// where all penalties together are more than the 100 that count.
    pub points: f64,
}
