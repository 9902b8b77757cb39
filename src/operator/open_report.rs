//! The `Report` or `ClusterReport` of OpenReports that shows the findings of a policy as they are now. Pure.
//!
//! The types have the fields of the published API that the operator sets. Field names and meanings are those of
//! <https://github.com/openreports/reports-api>, version `v1alpha1`.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::audit::{CONTENT, POLICY_UID, workload};
use super::{EvaluationOutcome, NamespaceEvaluation};
use crate::governance::{ExemptFindings, ReportedViolation};
use crate::policy::{CompiledPolicy, DevOpsPolicy, EffectivePolicy};
use crate::rules::{RuleId, Severity};
use crate::workload::{Kind, Owner, RESOURCES, Resource, cluster_name, short_digest};

/// The API group and version of a Report.
pub(super) const API_VERSION: &str = "openreports.io/v1alpha1";
/// The kind of a report on a namespace.
pub(super) const REPORT: &str = "Report";
/// The kind of a report on objects without a namespace.
pub(super) const CLUSTER_REPORT: &str = "ClusterReport";
/// The name by which reports say where they come from.
const SOURCE: &str = "kube-devops";
/// The most results of a report.
const RESULTS: usize = 500;
/// The largest size of a report's results, in bytes of JSON.
const BYTES: usize = 128 * 1024;
/// The longest message, in characters.
const MESSAGE: usize = 1024;
/// The longest value of a property, in characters.
const PROPERTY: usize = 256;
/// The longest name that is not cut.
const NAME: usize = 253;

/// A `Report`, or a `ClusterReport`, which has the same fields.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OpenReport {
    api_version: &'static str,
    kind: &'static str,
    pub(super) metadata: ObjectMeta,
    source: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<ObjectReference>,
    configuration: Configuration,
    pub(super) summary: Summary,
    pub(super) results: Vec<ReportResult>,
}

/// The contract with readers: the kinds of results that a report has, and their number.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Configuration {
    limits: Limits,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Limits {
    max_results: usize,
    status_filter: [ResultKind; 3],
}

/// The numbers of results, those included that are not listed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(super) struct Summary {
    pub(super) fail: usize,
    pub(super) skip: usize,
    pub(super) error: usize,
}

/// The kinds of results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum ResultKind {
    /// A violation.
    Fail,
    /// An exempt finding, or a rule that can't tell.
    Skip,
    /// A policy that cannot be evaluated.
    Error,
}

/// One result: a rule, and the workload that it is about.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct ReportResult {
    source: &'static str,
    policy: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<RuleId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    category: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    severity: Option<Severity>,
    result: ResultKind,
    scored: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    resources: Vec<ObjectReference>,
    message: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    properties: BTreeMap<&'static str, String>,
    timestamp: ProtoTime,
}

/// A time as OpenReports writes it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct ProtoTime {
    seconds: i64,
    nanos: i32,
}

/// The identity of a result from one report to the next.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct ResultKey {
    result: ResultKind,
    rule: String,
    resource: [String; 3],
    container: String,
}

/// The times at which the results of a report were found first.
#[derive(Debug, Default)]
pub(super) struct FirstFound(BTreeMap<ResultKey, ProtoTime>);

/// A report without times, and a digest of all results.
#[derive(Debug)]
pub(super) struct Draft {
    report: OpenReport,
    results: Vec<ReportResult>,
    pub(super) content: String,
}

impl Draft {
    /// Makes the report of a policy; `None` if the policy has no effect.
    pub(super) fn new(compiled: &CompiledPolicy, outcome: &EvaluationOutcome) -> Option<Self> {
        let policy = &*compiled.policy;
        let mut results = match (outcome, &compiled.effective) {
            (EvaluationOutcome::NoEffect, _) | (EvaluationOutcome::Evaluated(_), Err(_)) => return None,
            (EvaluationOutcome::Invalid(error), _) => vec![ReportResult {
                message: cut(&format!("the policy is invalid: {error}"), MESSAGE),
                ..ReportResult::new(policy, ResultKind::Error)
            }],
            (EvaluationOutcome::Evaluated(evaluation), Ok(rules)) => results(policy, rules, evaluation),
        };
        results.sort_by(|a, b| (a.result, b.severity, &a.rule).cmp(&(b.result, a.severity, &b.rule)));
        let content = content(&results);
        let count = |kind| results.iter().filter(|one| one.result == kind).count();
        let report = OpenReport {
            api_version: API_VERSION,
            kind: kind(policy),
            metadata: metadata(policy, &content),
            source: SOURCE,
            scope: policy.namespace().map(|namespace| ObjectReference {
                api_version: Some("v1".to_owned()),
                kind: Some("Namespace".to_owned()),
                name: Some(namespace),
                ..ObjectReference::default()
            }),
            configuration: Configuration {
                limits: Limits {
                    max_results: RESULTS,
                    status_filter: [ResultKind::Fail, ResultKind::Skip, ResultKind::Error],
                },
            },
            summary: Summary {
                fail: count(ResultKind::Fail),
                skip: count(ResultKind::Skip),
                error: count(ResultKind::Error),
            },
            results: Vec::new(),
        };
        Some(Self { report, results, content })
    }

    /// Returns the report with as many results as fit, the worst first. A result that the previous report had keeps its
    /// time.
    pub(super) fn finish(self, before: &FirstFound, now: Timestamp) -> OpenReport {
        let now = ProtoTime { seconds: now.as_second(), nanos: 0 };
        let (mut left, mut listed) = (BYTES, Vec::new());
        for mut result in self.results.into_iter().take(RESULTS) {
            result.timestamp = before.0.get(&result.key()).copied().unwrap_or(now);
            let size = serde_json::to_vec(&result).map_or(usize::MAX, |json| json.len() + 1);
            let Some(rest) = left.checked_sub(size) else { break };
            left = rest;
            listed.push(result);
        }
        OpenReport { results: listed, ..self.report }
    }
}

impl FirstFound {
    /// Reads the times of an existing report. Results that cannot be read have none.
    pub(super) fn of(report: &Value) -> Self {
        let results = report["results"].as_array().into_iter().flatten();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Self(
            results
                .filter_map(|result| {
                    let resource = &result["resources"][0];
                    let key = ResultKey {
                        result: ResultKind::deserialize(&result["result"]).ok()?,
                        rule: text(&result["rule"]),
                        resource: ["kind", "namespace", "name"].map(|field| text(&resource[field])),
                        container: text(&result["properties"]["container"]),
                    };
                    Some((key, ProtoTime::deserialize(&result["timestamp"]).ok()?))
                })
                .collect(),
        )
    }
}

impl ReportResult {
    fn new(policy: &DevOpsPolicy, result: ResultKind) -> Self {
        Self {
            source: SOURCE,
            policy: policy.name_any(),
            rule: None,
            category: None,
            severity: None,
            result,
            scored: false,
            resources: Vec::new(),
            message: String::new(),
            properties: BTreeMap::new(),
            timestamp: ProtoTime::default(),
        }
    }

    /// Adds the rule, with its category and its severity under the policy.
    fn about(self, rule: RuleId, rules: &EffectivePolicy) -> Self {
        let enabled = rules.get(rule);
        let category = enabled.map(|enabled| enabled.rule.category.as_str());
        Self { rule: Some(rule), category, severity: enabled.map(|enabled| enabled.severity), ..self }
    }

    fn key(&self) -> ResultKey {
        let resource = self.resources.first().cloned().unwrap_or_default();
        ResultKey {
            result: self.result,
            rule: self.rule.map_or(String::new(), |rule| rule.to_string()),
            resource: [resource.kind, resource.namespace, resource.name].map(Option::unwrap_or_default),
            container: self.properties.get("container").cloned().unwrap_or_default(),
        }
    }
}

/// Returns the results of an evaluation: one for each workload, container and rule, for each rule that an object is
/// exempt from, and for each rule that can't tell.
fn results(
    policy: &DevOpsPolicy,
    rules: &EffectivePolicy,
    evaluation: &NamespaceEvaluation,
) -> Vec<ReportResult> {
    let mut failed: BTreeMap<_, &ReportedViolation> = BTreeMap::new();
    for violation in &evaluation.violations {
        let key = (workload(violation), violation.container.as_deref(), violation.rule, violation.severity);
        failed.entry(key).or_insert(violation);
    }
    let failed = failed.into_iter().map(|((workload, container, rule, severity), violation)| {
        let has_weight = rules.get(rule).is_some_and(|enabled| enabled.half_points > 0);
        let kind = resource(&violation.kind, false).map(|known| known.kind);
        ReportResult {
            severity: Some(severity),
            scored: has_weight && matches!(kind, Some(Kind::Pod | Kind::Template)),
            resources: vec![reference(&violation.namespace, workload, violation.owner.is_some())],
            message: cut(&violation.message, MESSAGE),
            properties: container.map(|name| ("container", cut(name, PROPERTY))).into_iter().collect(),
            ..ReportResult::new(policy, ResultKind::Fail).about(rule, rules)
        }
    });
    let exempt = evaluation.exempt.iter().flat_map(|exemption| {
        let rules_of = exemption.by_rule.iter().filter(|(_, count)| **count > 0);
        rules_of.map(|(rule, _)| exempt(policy, rules, exemption, *rule))
    });
    let unknown = evaluation.unknown_rules.iter().zip(&evaluation.unknown);
    let unknown = unknown.map(|(rule, message)| ReportResult {
        message: cut(message, MESSAGE),
        ..ReportResult::new(policy, ResultKind::Skip).about(*rule, rules)
    });
    failed.chain(exempt).chain(unknown).collect()
}

/// Returns the result of a rule that an object is exempt from.
fn exempt(
    policy: &DevOpsPolicy,
    rules: &EffectivePolicy,
    exemption: &ExemptFindings,
    rule: RuleId,
) -> ReportResult {
    let reason = cut(&exemption.reason, PROPERTY);
    let until = exemption.expires.map(|last| last.to_string());
    let message = match &until {
        Some(last) => format!("exempt until {last}: {reason}"),
        None => format!("exempt: {reason}"),
    };
    let object = exemption.object.as_deref().unwrap_or_default();
    let parts: Vec<_> = object.splitn(3, '/').collect();
    let resources = match *parts {
        [namespace, kind, name] => vec![reference(namespace, Owner { kind, name }, false)],
        ["Namespace", name] => vec![reference("", Owner { kind: "Namespace", name }, false)],
        _ => Vec::new(),
    };
    let properties = [("exemption", reason)].into_iter().chain(until.map(|last| ("until", last)));
    ReportResult {
        resources,
        message,
        properties: properties.collect(),
        ..ReportResult::new(policy, ResultKind::Skip).about(rule, rules)
    }
}

/// Returns the resource of a kind; `None` for one that no rule knows. A Service that manages pods is one of Knative.
fn resource(kind: &str, is_manager: bool) -> Option<&'static Resource> {
    let is_meant = |group: &str| kind != "Service" || is_manager == (group == "serving.knative.dev");
    RESOURCES.iter().find(|known| known.name == kind && is_meant(known.group))
}

fn reference(namespace: &str, object: Owner<'_>, is_manager: bool) -> ObjectReference {
    let api_version = match resource(object.kind, is_manager) {
        Some(Resource { group: "", version, .. }) => Some((*version).to_owned()),
        Some(Resource { group, version, .. }) => Some(format!("{group}/{version}")),
        None => (object.kind == "Namespace").then(|| "v1".to_owned()),
    };
    ObjectReference {
        api_version,
        kind: Some(object.kind.to_owned()),
        namespace: (!namespace.is_empty()).then(|| namespace.to_owned()),
        name: Some(object.name.to_owned()),
        ..ObjectReference::default()
    }
}

/// Returns a digest of all results, listed or not. New pods of the same workload don't change it.
fn content(results: &[ReportResult]) -> String {
    let set: BTreeSet<_> = results
        .iter()
        .map(|result| {
            let message = (result.result == ResultKind::Error).then_some(&result.message);
            (result.key(), result.severity, result.scored, &result.properties, message)
        })
        .collect();
    short_digest(&format!("{set:?}"))
}

/// Returns the metadata of a policy's report, which the policy owns.
fn metadata(policy: &DevOpsPolicy, content: &str) -> ObjectMeta {
    let uid = policy.uid().unwrap_or_default();
    let pairs = |pairs: &[(&str, &str)]| {
        Some(pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
    };
    ObjectMeta {
        name: Some(name(policy)),
        namespace: policy.namespace(),
        labels: pairs(&[("app.kubernetes.io/managed-by", SOURCE), (POLICY_UID, &uid)]),
        annotations: pairs(&[(CONTENT, content)]),
        owner_references: policy.owner_reference().map(|owner| vec![owner]),
        ..ObjectMeta::default()
    }
}

/// Returns the name of a policy's report. A policy of the namespace and a cluster policy can have the same name.
fn name(policy: &DevOpsPolicy) -> String {
    let own = policy.name_any();
    let name = match cluster_name(&own) {
        Some(own) => format!("cluster-{SOURCE}-{own}"),
        None => format!("{SOURCE}-{own}"),
    };
    if name.len() <= NAME {
        return name;
    }
    let prefix: String = name.chars().take(200).collect();
    format!("{}-{}", prefix.trim_end_matches(['.', '-']), short_digest(&name))
}

/// Returns the kind of a policy's report. A cluster policy as a whole has one on objects without a namespace.
fn kind(policy: &DevOpsPolicy) -> &'static str {
    if policy.namespace().is_some() { REPORT } else { CLUSTER_REPORT }
}

/// Returns the fields by which the API finds the report of a policy.
pub(super) fn identity(policy: &DevOpsPolicy) -> Value {
    let metadata = json!({ "name": name(policy), "namespace": policy.namespace() });
    json!({ "apiVersion": API_VERSION, "kind": kind(policy), "metadata": metadata })
}

fn cut(text: &str, most: usize) -> String {
    text.chars().take(most).collect()
}

#[cfg(test)]
pub(super) mod tests;
