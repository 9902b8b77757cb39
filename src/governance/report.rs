//! The report of an analysis, in the shape that JSON and YAML output keep stable.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use super::{
    Classification, Compliance, ExemptFindings, NewFindings, Percent, Score, Tally, ViolationList, Workloads,
};
use crate::paths::ProjectRoot;
use crate::policy::EffectivePolicy;
use crate::rules::{Rule, RuleId, Severity};
use crate::workload::TypeMeta;

/// The outcome of an analysis.
#[derive(Debug)]
pub struct Report {
    /// Always `kube-devops/v1`.
    pub api_version: &'static str,
    /// The figures of everything that was evaluated.
    pub summary: ReportSummary,
    /// The figures of each namespace, sorted by name.
    pub namespaces: Vec<NamespaceReport>,
    /// Every violation, worst first; empty where only figures were asked for.
    pub violations: ViolationList,
    /// The difference to a baseline, if there is one. The list of violations then has only new ones.
    pub baseline: Option<NewFindings>,
    /// The exemptions of the project and of annotations, each with the number of its findings, which are not listed.
    pub exempt: Vec<ExemptFindings>,
    /// The annotations that exempt nothing, each with its object and the reason.
    pub refused_exemptions: Vec<String>,
    /// The objects that were read and are of no kind that is evaluated.
    pub skipped: Vec<Skipped>,
    /// The parts of the input that could not be read.
    pub errors: Vec<ReportError>,
    /// The charts and kustomizations that were not evaluated, because no program that renders them is installed.
    pub unrendered: Vec<ReportError>,
    /// The workloads, from which the worst ones are computed.
    pub workloads: Workloads,
    /// The cost of each rule, the cheapest fix first.
    pub costs: Vec<RuleCost>,
    /// The findings of rules without a part in the score, the worst severity first.
    pub unscored: Vec<RuleFindings>,
    /// The kinds that hold containers and are not evaluated.
    pub unevaluated: Vec<UnevaluatedKind>,
    /// The pods and templates with the namespace and the labels that were requested, evaluated or not.
    pub selected: u64,
    /// The kustomize patches that were passed over.
    pub patches: u64,
    /// The pods and templates in system namespaces that were left out.
    pub left_out: u64,
    /// The evaluated objects that are no workloads.
    pub objects: u64,
    /// The earliest time at which the report may change although the objects stay the same.
    pub recheck_at: Option<Timestamp>,
    /// The first reason why a rule of the policy's own can't tell, with the object.
    pub unknown_reasons: BTreeMap<RuleId, String>,
    /// The worst severity found.
    pub worst: Option<Severity>,
    /// The flags that left something out, such as `--namespace=shop`; none for a report on the whole input.
    pub filters: Vec<String>,
    /// The root of the project, from which the formats for CI name files.
    pub project_root: ProjectRoot,
}

/// The fields of a report that JSON and YAML have.
#[derive(Serialize)]
#[serde(tag = "kind", rename = "Report", rename_all = "camelCase")]
struct WrittenReport<'r, V> {
    api_version: &'static str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    filters: &'r [String],
    summary: &'r ReportSummary,
    namespaces: &'r [NamespaceReport],
    violations: V,
    #[serde(skip_serializing_if = "Option::is_none")]
    baseline: Option<&'r NewFindings>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    exempt: &'r [ExemptFindings],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    refused_exemptions: &'r [String],
    skipped: &'r [Skipped],
    errors: &'r [ReportError],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    unrendered: &'r [ReportError],
}

impl Serialize for Report {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.serialize_with(&self.violations, serializer)
    }
}

impl Report {
    /// Serializes the report with another form of its violations.
    pub fn serialize_with<S: Serializer>(
        &self,
        violations: impl Serialize,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let written = WrittenReport {
            api_version: self.api_version,
            filters: &self.filters,
            summary: &self.summary,
            namespaces: &self.namespaces,
            violations,
            baseline: self.baseline.as_ref(),
            exempt: &self.exempt,
            refused_exemptions: &self.refused_exemptions,
            skipped: &self.skipped,
            errors: &self.errors,
            unrendered: &self.unrendered,
        };
        written.serialize(serializer)
    }

    /// Returns true if figures and tables count findings that the baseline knows, and the list of violations does not.
    pub fn counts_known_findings(&self) -> bool {
        self.baseline.as_ref().is_some_and(|baseline| baseline.known > 0)
    }

    /// Returns the severity of a rule's violations, as the policy of the report sets it.
    pub fn severity_of(&self, rule: &Rule) -> Severity {
        self.workloads.policy().get(rule.id).map_or(rule.severity, |enabled| enabled.severity)
    }

    /// Returns true if something that was asked for was not evaluated, so that the exit status can't be a success.
    ///
    /// A chart or kustomization that could not be rendered leaves a report on the rest, unless there is no rest.
    pub fn has_failed(&self) -> bool {
        !self.errors.is_empty() || !self.unrendered.is_empty() && self.summary.pods == 0 && self.objects == 0
    }

    /// Returns true if not a single object could be read, so that the report has nothing but errors.
    pub fn has_only_errors(&self) -> bool {
        self.summary.score.is_none()
            && self.skipped.is_empty()
            && (self.selected, self.patches, self.left_out, self.objects) == (0, 0, 0, 0)
    }

    /// The namespaces with a penalty, the largest mean penalty of a pod first; at most `limit`.
    pub fn worst_namespaces(&self, limit: usize) -> Vec<&NamespaceReport> {
        let mut worst: Vec<_> =
            self.namespaces.iter().filter(|namespace| namespace.half_points > 0).collect();
        worst.sort_by(|a, b| a.worst_first(b));
        worst.truncate(limit);
        worst
    }

    /// Counts the objects that were read and not evaluated, and their kinds, without the objects of
    /// [`Self::unevaluated`].
    pub fn other_kinds(&self) -> (u64, usize) {
        let mut kinds: BTreeMap<(&str, &str), u64> = BTreeMap::new();
        // A document without a kind is no object.
        for skipped in self.skipped.iter().filter(|skipped| !skipped.kind.is_empty()) {
            *kinds.entry((&skipped.api_version, &skipped.kind)).or_default() += skipped.count;
        }
        for UnevaluatedKind { types, count } in &self.unevaluated {
            if let Some(objects) = kinds.get_mut(&(&*types.api_version, &*types.kind)) {
                *objects = objects.saturating_sub(*count);
            }
        }
        kinds.retain(|_, objects| *objects > 0);
        (kinds.values().sum(), kinds.len())
    }
}

/// The figures of everything that was evaluated.
#[derive(Debug, Serialize)]
pub struct ReportSummary {
    /// Pods evaluated, a template counting as one.
    pub pods: u64,
    /// Workloads evaluated: the owners of these pods, a pod without an owner being its own.
    pub workloads: u64,
    /// The score; none when nothing was evaluated and something could not be read or rendered.
    pub score: Option<Score>,
    /// The class of the score; none without a score.
    pub status: Option<Classification>,
    /// The percentage of compliant workloads, truncated to one decimal; none without a score.
    pub compliance: Option<Percent>,
    /// The compliant workloads.
    #[serde(skip)]
    pub compliant: u64,
    /// True if something could not be read or rendered.
    pub partial: bool,
    /// The count of every rule that is on, by its id.
    pub counts: BTreeMap<RuleId, u64>,
    /// The number of objects of which a rule can't tell if they break it, because other objects may exist that were
    /// not read. A list that failed counts as one.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub unknown: BTreeMap<RuleId, u64>,
    /// The number of exempt findings of each rule that has some. No other figure has them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub exempted: BTreeMap<RuleId, u64>,
    /// The figures as they would be without exemptions; `None` if nothing is exempt.
    #[serde(rename = "withExempted", skip_serializing_if = "Option::is_none")]
    pub with_exempted: Option<RawFigures>,
}

/// The figures of a report as they would be if nothing was exempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RawFigures {
    /// The score.
    pub score: Score,
    /// The class of the score.
    pub status: Classification,
    /// The percentage of compliant workloads, truncated to one decimal.
    pub compliance: Percent,
}

/// The figures of one namespace.
#[derive(Debug, Clone, Serialize)]
pub struct NamespaceReport {
    /// The namespace.
    pub namespace: String,
    /// Pods evaluated.
    pub pods: u64,
    /// The score of these pods.
    pub score: Score,
    /// The class of the score.
    pub status: Classification,
    /// The count of every rule that is on, by its id.
    pub counts: BTreeMap<RuleId, u64>,
    /// The compliance of the namespace's workloads.
    #[serde(skip)]
    pub compliance: Compliance,
    /// The penalty, in half points.
    #[serde(skip)]
    pub half_points: u64,
}

impl NamespaceReport {
    /// Makes the figures of a namespace from its sums.
    pub fn new(namespace: &str, tally: &Tally, compliance: Compliance, policy: &EffectivePolicy) -> Self {
        let score = Score::of(tally, policy);
        Self {
            namespace: namespace.to_owned(),
            pods: tally.pods,
            score,
            status: score.classification(),
            counts: tally.by_rule(policy),
            compliance,
            half_points: tally.half_points(policy),
        }
    }

    /// Orders namespaces by the mean penalty of a pod, the largest first.
    pub(super) fn worst_first(&self, other: &Self) -> Ordering {
        let product = |penalty: u64, pods: u64| u128::from(penalty) * u128::from(pods);
        let (this, that) = (product(self.half_points, other.pods), product(other.half_points, self.pods));
        that.cmp(&this).then_with(|| self.namespace.cmp(&other.namespace))
    }
}

/// Objects of a kind that is not evaluated.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Skipped {
    /// The file.
    pub source: String,
    /// The objects' `apiVersion`.
    pub api_version: String,
    /// The objects' kind.
    pub kind: String,
    /// The number of objects.
    pub count: u64,
}

/// A kind that holds containers and is not evaluated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnevaluatedKind {
    /// The kind.
    pub types: TypeMeta,
    /// The number of objects that hold containers.
    pub count: u64,
}

/// A part of the input that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ReportError {
    /// The file, or the part of the cluster.
    pub source: String,
    /// The document in the file, from 1.
    pub document: Option<usize>,
    /// The line in the file, from 1.
    pub line: Option<usize>,
    /// The problem and its remedy.
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

/// The findings of a rule with one severity.
#[derive(Debug, Clone)]
pub struct RuleFindings {
    /// The rule.
    pub rule: &'static Rule,
    /// The severity under the policy.
    pub severity: Severity,
    /// The count.
    pub count: u64,
}

/// The cost of one rule.
#[derive(Debug, Clone)]
pub struct RuleCost {
    /// The rule.
    pub rule: &'static Rule,
    /// The rule's count.
    pub count: u64,
    /// The workloads to edit.
    pub workloads: u64,
    /// The penalty points of the rule for each of these workloads.
    pub penalty_per_workload: f64,
    /// The points of score to gain by fixing every violation of the rule: its penalty over the pods evaluated, or less
    /// where all penalties together exceed the 100 points that count.
    pub points: f64,
}
