//! The audit trail of a policy: the time, the name and the content of its next result. Pure.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference, Time};
use kube::{Resource as _, ResourceExt as _};

use super::Verdict;
use crate::governance::ReportedViolation;
use crate::policy::{AuditedViolation, DevOpsPolicy, PolicyAuditResult, PolicyAuditResultSpec, SuggestedFix};
use crate::workload::{Owner, short_digest};

/// The label of a result that names its policy's uid: a policy of the same name that came later is another one.
pub(super) const POLICY_UID: &str = "devops.stochastic.io/policy-uid";
/// The annotation that holds a digest of the violations, and of the patches.
pub(super) const CONTENT: &str = "devops.stochastic.io/content";
/// The annotation that counts the results of a policy.
pub(super) const SEQUENCE: &str = "devops.stochastic.io/sequence";

/// The number of results that are kept for a policy.
pub(super) const KEPT: usize = 10;
/// The largest size of a result, in bytes of JSON.
const LIMIT: usize = 32 * 1024;
/// Bytes reserved for metadata that the API server adds: managed fields, uid and times.
const RESERVE: usize = 2 * 1024;
/// The longest message, in characters.
const MESSAGE: usize = 1024;

/// A result that exists, as far as its metadata tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Past {
    /// The result's name.
    pub name: String,
    /// The result's uid; empty for one whose creation was not seen yet.
    pub uid: String,
    /// Its place among the results of its policy.
    pub sequence: u64,
    /// The digest of its violations and patches.
    pub content: String,
    /// The creation time.
    pub created: Timestamp,
}

/// The next step for the audit trail of a policy.
#[derive(Debug)]
pub enum Step {
    /// Nothing: the newest result says it all.
    Nothing,
    /// A result is due, and not before this time.
    Wait(Timestamp),
    /// This result is to be created.
    Create(Box<PolicyAuditResult>),
}

impl Past {
    /// Reads what the metadata of a result tell; `None` for one that the operator did not make.
    pub fn of(metadata: &ObjectMeta) -> Option<Self> {
        let annotation = |key: &str| metadata.annotations.as_ref()?.get(key).cloned();
        Some(Self {
            name: metadata.name.clone()?,
            uid: metadata.uid.clone()?,
            sequence: annotation(SEQUENCE)?.parse().ok()?,
            content: annotation(CONTENT)?,
            created: metadata.creation_timestamp.as_ref()?.0,
        })
    }

    /// Takes what was to be created for what exists by that name already, as if it were made now.
    pub fn unseen(metadata: &ObjectMeta, now: Timestamp) -> Option<Self> {
        let (uid, creation_timestamp) = (Some(String::new()), Some(Time(now)));
        Self::of(&ObjectMeta { uid, creation_timestamp, ..metadata.clone() })
    }
}

/// Decides on the next result, `latest` being the newest one of the policy and `interval` the least time between two.
///
/// Patches for whoever manages workloads come with it; other ones make a new result, their absence alone doesn't.
pub fn next_step(
    policy: &DevOpsPolicy,
    verdict: &Verdict,
    fixes: &[SuggestedFix],
    latest: Option<&Past>,
    interval: SignedDuration,
    now: Timestamp,
) -> Step {
    let content = content(&verdict.violations, fixes);
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
    Step::Create(Box::new(result(policy, verdict, fixes, &content, latest, now)))
}

/// Returns a digest of the violations, without regard to the names of pods and to the order. If there are patches, a
/// hyphen and a digest of them follow.
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
    verdict: &Verdict,
    fixes: &[SuggestedFix],
    content: &str,
    latest: Option<&Past>,
    now: Timestamp,
) -> PolicyAuditResult {
    let uid = policy.uid().unwrap_or_default();
    let previous = latest.map_or("", |latest| latest.name.as_str());
    // An operator that is killed right after creating a result creates the same one again, and learns that it exists.
    let suffix = short_digest(&format!("{uid}/{previous}/{content}"));
    let prefix: String = policy.name_any().chars().take(200).collect();
    let sequence = latest.map_or(1, |latest| latest.sequence + 1);
    let owner = policy.controller_owner_ref(&());
    let pairs = |pairs: &[(&str, &str)]| {
        Some(pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
    };
    let mut result = PolicyAuditResult {
        metadata: ObjectMeta {
            name: Some(format!("{}-{suffix}", prefix.trim_end_matches(['.', '-']))),
            namespace: policy.namespace(),
            labels: pairs(&[(POLICY_UID, &uid)]),
            annotations: pairs(&[(CONTENT, content), (SEQUENCE, &sequence.to_string())]),
            owner_references: owner.map(|owner| {
                vec![OwnerReference { controller: None, block_owner_deletion: Some(false), ..owner }]
            }),
            ..ObjectMeta::default()
        },
        spec: PolicyAuditResultSpec {
            policy_name: policy.name_any(),
            cluster_name: None,
            timestamp: Time(Timestamp::from_second(now.as_second()).unwrap_or(now)),
            health_score: verdict.score.value(),
            classification: verdict.score.classification().to_string(),
            total_pods: verdict.pods,
            total_violations: verdict.violations.len() as u64,
            violations: Vec::new(),
            total_fixes: (!fixes.is_empty()).then_some(fixes.len() as u64),
            fixes: Vec::new(),
        },
    };
    let mut left = LIMIT.saturating_sub(RESERVE).saturating_sub(size(&result));
    // Patches get at most half of the room, so that there is some for what they mend.
    let half = left / 2;
    for fix in fixes.iter().take(100) {
        let Some(rest) = left.checked_sub(size(fix) + 1).filter(|rest| *rest >= half) else { continue };
        left = rest;
        result.spec.fixes.push(fix.clone());
    }
    // The schema allows 500, and the worst come first.
    for entry in entries(&verdict.violations).into_iter().take(500) {
        let Some(rest) = left.checked_sub(size(&entry) + 1) else { break };
        left = rest;
        result.spec.violations.push(entry);
    }
    result
}

/// Merges the violations of a workload's pods into one entry per workload, container and rule: the worst first, among
/// equals the one with the most pods.
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

/// The workload that a violation belongs to: the owner of the pod, or the object itself.
fn workload(violation: &ReportedViolation) -> Owner<'_> {
    let itself = Owner { kind: violation.kind, name: &violation.name };
    violation.owner.as_deref().and_then(|owner| Owner::parse(owner).ok()).unwrap_or(itself)
}

/// The length of something as JSON, in bytes.
fn size(value: &impl serde::Serialize) -> usize {
    serde_json::to_vec(value).map_or(usize::MAX, |json| json.len())
}

#[cfg(test)]
mod tests;
