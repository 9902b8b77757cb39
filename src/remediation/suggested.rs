//! Suggested patches for managers of workloads: read from the newest audit results, or planned again.

use std::collections::BTreeMap;

use jiff::Timestamp;
use kube::ResourceExt as _;
use kube::api::{Api, ListParams};

use super::rehearse::fixes;
use crate::cluster::{CallError, Cluster};
use crate::policies;
use crate::policy::{
    CompiledPolicy, DevOpsPolicy, EnforcementMode, GitOpsMode, PolicyAuditResult, SuggestedFix,
};
use crate::workload::PolicyRef;

/// The patches of one policy.
#[derive(Debug)]
pub struct PolicyFixes {
    /// The policy.
    pub policy: PolicyRef,
    /// The patches.
    pub fixes: Vec<SuggestedFix>,
    /// The number of missing patches, and the reason why they could not be planned again.
    pub missing: Option<(u64, String)>,
}

/// The patches of the requested policies.
#[derive(Debug)]
pub struct Suggestions {
    /// The policies with an audit result, by namespace and name.
    pub found: Vec<PolicyFixes>,
    /// The names of all policies in the namespaces that were read.
    pub policies: Vec<String>,
}

/// Reads the patches of one policy or of all policies, in one namespace or in all.
///
/// An audit result has limited room for patches. If some are missing, all are planned again as the operator does it.
pub async fn suggestions(
    cluster: &Cluster,
    namespace: Option<&str>,
    name: Option<&str>,
    now: Timestamp,
) -> Result<Suggestions, CallError> {
    let results: Api<PolicyAuditResult> = match namespace {
        Some(namespace) => Api::namespaced(cluster.client.clone(), namespace),
        None => Api::all(cluster.client.clone()),
    };
    let results = cluster.call(async |_| results.list(&ListParams::default()).await).await?.items;
    let policies = policies::list(cluster, namespace).await?;
    let mut found = Vec::new();
    for (policy_ref, result) in newest(results, name) {
        let beside = policies.get(&policy_ref.namespace).map_or(&[][..], Vec::as_slice);
        // A result is as old as its violations, and the policy may have changed since.
        let is_asked = |one: &&CompiledPolicy| one.policy.reference() == policy_ref && reports(&one.policy);
        let Some(policy) = beside.iter().find(is_asked) else {
            continue;
        };
        let kept = result.spec.fixes.len() as u64;
        let total = result.spec.total_fixes.unwrap_or(kept);
        let (fixes, missing) = if kept < total {
            match fixes(cluster, policy, beside, now).await {
                Ok(all) => (all, None),
                Err(error) => {
                    let why = error.to_string();
                    (result.spec.fixes, Some((total - kept, why)))
                }
            }
        } else {
            (result.spec.fixes, None)
        };
        found.push(PolicyFixes { policy: policy_ref, fixes, missing });
    }
    let policies = policies.values().flatten().map(|known| known.policy.name_any()).collect();
    Ok(Suggestions { found, policies })
}

/// Returns the newest result of each policy.
fn newest(results: Vec<PolicyAuditResult>, name: Option<&str>) -> BTreeMap<PolicyRef, PolicyAuditResult> {
    let mut newest: BTreeMap<PolicyRef, PolicyAuditResult> = BTreeMap::new();
    for result in results.into_iter().filter(|result| name.is_none_or(|name| name == result.spec.policy_name))
    {
        let key = PolicyRef::new(result.namespace().unwrap_or_default(), result.spec.policy_name.as_str());
        if newest.get(&key).is_none_or(|known| known.spec.timestamp < result.spec.timestamp) {
            newest.insert(key, result);
        }
    }
    newest
}

/// Returns true if a policy reports patches for workloads that a GitOps tool manages.
fn reports(policy: &DevOpsPolicy) -> bool {
    let gitops = policy.spec.remediation.as_ref().map(|remediation| remediation.gitops);
    policy.spec.enforcement_mode == EnforcementMode::Enforce
        && gitops.unwrap_or_default() == GitOpsMode::Report
}
