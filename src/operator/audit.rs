//! Decides when a policy's next audit result is due, its name and its content. Pure.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::ResourceExt as _;

use super::NamespaceEvaluation;
use crate::governance::ReportedViolation;
use crate::policy::{AuditedViolation, DevOpsPolicy, PolicyAuditResult, PolicyAuditResultSpec, SuggestedFix};
use crate::workload::{Owner, short_digest};

/// The label with the uid of a result's policy. A later policy with the same name has another uid.
pub(super) const POLICY_UID: &str = "devops.stochastic.io/policy-uid";
/// The annotation with a digest of the violations and of the patches.
pub(super) const CONTENT: &str = "devops.stochastic.io/content";
/// The annotation with a result's sequence number within its policy.
pub(super) const SEQUENCE: &str = "devops.stochastic.io/sequence";

/// The number of results to keep per policy.
pub(super) const KEPT: usize = 10;
/// The largest size of a result, in bytes of JSON.
const LIMIT: usize = 32 * 1024;
/// Bytes reserved for metadata that the API server adds: managed fields, uid and times.
const RESERVE: usize = 2 * 1024;
/// The most exemptions that a result lists. They take at most half of it.
const EXEMPTIONS: usize = 20;
/// The longest message, in characters.
const MESSAGE: usize = 1024;

/// An existing result, as its metadata describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Past {
    /// The result's namespace.
    pub namespace: String,
    /// The result's name.
    pub name: String,
    /// The result's uid; empty until its creation was observed.
    pub uid: String,
    /// The sequence number within its policy.
    pub sequence: u64,
    /// The digest of its violations and patches.
    pub content: String,
    /// The creation time.
    pub created: Timestamp,
}

/// The next step for a policy's audit trail.
#[derive(Debug)]
pub enum Step {
    /// Nothing: the newest result is up to date.
    Nothing,
    /// A result is due at this time.
    Wait(Timestamp),
    /// Create this result.
    Create(Box<PolicyAuditResult>),
}

impl Past {
    /// Reads a result's metadata; `None` if the operator did not create it.
    pub fn of(metadata: &ObjectMeta) -> Option<Self> {
        let annotation = |key: &str| metadata.annotations.as_ref()?.get(key).cloned();
        Some(Self {
            namespace: metadata.namespace.clone().unwrap_or_default(),
            name: metadata.name.clone()?,
            uid: metadata.uid.clone()?,
            sequence: annotation(SEQUENCE)?.parse().ok()?,
            content: annotation(CONTENT)?,
            created: metadata.creation_timestamp.as_ref()?.0,
        })
    }

    /// Records a result that already exists under the planned name as created now.
    pub fn unseen(metadata: &ObjectMeta, now: Timestamp) -> Option<Self> {
        let (uid, creation_timestamp) = (Some(String::new()), Some(Time(now)));
        Self::of(&ObjectMeta { uid, creation_timestamp, ..metadata.clone() })
    }
}

/// Decides on the next result; `latest` is the policy's newest one and `interval` the minimum time between two.
/// `cluster_name` becomes a part of the result.
///
/// Suggested patches are part of a result. Changed patches cause a new result; missing patches alone do not.
pub fn next_step(
    policy: &DevOpsPolicy,
    evaluation: &NamespaceEvaluation,
    fixes: &[SuggestedFix],
    latest: Option<&Past>,
    interval: SignedDuration,
    cluster_name: Option<&str>,
    now: Timestamp,
) -> Step {
    let content = content(&evaluation.violations, fixes);
    if let Some(latest) = latest {
        let says_all = content == latest.content || latest.content.split('-').next() == Some(&content);
        if says_all {
            return Step::Nothing;
        }
        let due = latest.created.checked_add(interval).unwrap_or(Timestamp::MAX);
        if now < due {
            return Step::Wait(due);
        }
    }
    Step::Create(Box::new(result(policy, evaluation, fixes, &content, latest, cluster_name, now)))
}

/// Returns a digest of the violations, independent of pod names and order. If there are patches, a hyphen and a digest
/// of them follow.
fn content(violations: &[ReportedViolation], fixes: &[SuggestedFix]) -> String {
    let set: BTreeSet<_> = violations
        .iter()
        .map(|violation| {
            let workload = workload(violation).to_string();
            (workload, violation.container.as_deref(), violation.rule, violation.severity.as_str())
        })
        .collect();
    let violations = short_digest(&format!("{set:?}"));
    if fixes.is_empty() {
        return violations;
    }
    let fixes: BTreeSet<_> = fixes.iter().map(|fix| (&fix.kind, &fix.name, &fix.patch)).collect();
    format!("{violations}-{}", short_digest(&format!("{fixes:?}")))
}

fn result(
    policy: &DevOpsPolicy,
    evaluation: &NamespaceEvaluation,
    fixes: &[SuggestedFix],
    content: &str,
    latest: Option<&Past>,
    cluster_name: Option<&str>,
    now: Timestamp,
) -> PolicyAuditResult {
    let mut result = PolicyAuditResult {
        metadata: metadata(policy, content, latest),
        spec: PolicyAuditResultSpec {
            policy_name: policy.name_any(),
            cluster_name: cluster_name.map(str::to_owned),
            timestamp: Time(Timestamp::from_second(now.as_second()).unwrap_or(now)),
            health_score: evaluation.score.value(),
            classification: evaluation.score.classification().to_string(),
            total_pods: evaluation.pods,
            total_violations: evaluation.violations.len() as u64,
            total_exempted: Some(evaluation.exempted).filter(|exempted| *exempted > 0),
            exempted: evaluation.exempt.iter().take(EXEMPTIONS).map(ToString::to_string).collect(),
            violations: Vec::new(),
            total_fixes: (!fixes.is_empty()).then_some(fixes.len() as u64),
            fixes: Vec::new(),
        },
    };
    fill(&mut result, fixes, &evaluation.violations);
    result
}

/// Returns the metadata of a result. Its name depends on the previous result and on the content.
fn metadata(policy: &DevOpsPolicy, content: &str, latest: Option<&Past>) -> ObjectMeta {
    let uid = policy.uid().unwrap_or_default();
    let previous = latest.map_or("", |latest| latest.name.as_str());
    // An operator that crashes after the creation computes the same name again, so the API server reports that the
    // result exists.
    let suffix = short_digest(&format!("{uid}/{previous}/{content}"));
    let prefix: String = policy.name_any().replace('/', "-").chars().take(200).collect();
    let sequence = latest.map_or(1, |latest| latest.sequence + 1);
    let pairs = |pairs: &[(&str, &str)]| {
        Some(pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
    };
    ObjectMeta {
        name: Some(format!("{}-{suffix}", prefix.trim_end_matches(['.', '-']))),
        namespace: policy.namespace(),
        labels: pairs(&[(POLICY_UID, &uid)]),
        annotations: pairs(&[(CONTENT, content), (SEQUENCE, &sequence.to_string())]),
        owner_references: policy.owner_reference().map(|owner| vec![owner]),
        ..ObjectMeta::default()
    }
}

/// Adds as many patches and violations as fit into a result.
fn fill(result: &mut PolicyAuditResult, fixes: &[SuggestedFix], violations: &[ReportedViolation]) {
    let mut left = LIMIT.saturating_sub(RESERVE).saturating_sub(size(result));
    // Patches get at most half of the space, to leave room for violations.
    let half = left / 2;
    for fix in fixes.iter().take(100) {
        let Some(rest) = left.checked_sub(size(fix) + 1).filter(|rest| *rest >= half) else { continue };
        left = rest;
        result.spec.fixes.push(fix.clone());
    }
    // The schema allows 500 entries; the worst come first.
    for entry in entries(violations).into_iter().take(500) {
        let Some(rest) = left.checked_sub(size(&entry) + 1) else { break };
        left = rest;
        result.spec.violations.push(entry);
    }
}

/// Merges the violations of a workload's pods into one entry per workload, container and rule. The worst come first;
/// among equals, the one with the most pods.
fn entries(violations: &[ReportedViolation]) -> Vec<AuditedViolation> {
    let mut entries: BTreeMap<_, (u64, &ReportedViolation)> = BTreeMap::new();
    for violation in violations {
        let key = (workload(violation), violation.container.as_deref(), violation.rule, violation.severity);
        entries.entry(key).or_insert((0, violation)).0 += 1;
    }
    let mut entries: Vec<_> = entries
        .into_iter()
        .map(|((workload, ..), (pods, violation))| AuditedViolation {
            kind: workload.kind.to_owned(),
            name: workload.name.to_owned(),
            pods,
            container_name: violation.container.clone(),
            violation_type: violation.rule.to_string(),
            severity: violation.severity,
            message: violation.message.chars().take(MESSAGE).collect(),
        })
        .collect();
    entries.sort_by_key(|entry| Reverse((entry.severity, entry.pods)));
    entries
}

/// Returns the workload of a violation: the pod's owner, or the object itself.
pub(super) fn workload(violation: &ReportedViolation) -> Owner<'_> {
    let itself = Owner { kind: &violation.kind, name: &violation.name };
    violation.owner.as_deref().and_then(|owner| Owner::parse(owner).ok()).unwrap_or(itself)
}

/// Returns the length of a value's JSON, in bytes.
fn size(value: &impl serde::Serialize) -> usize {
    serde_json::to_vec(value).map_or(usize::MAX, |json| json.len())
}

#[cfg(test)]
mod tests;
