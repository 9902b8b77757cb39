//! Plans the patch of a workload within the constraints of its namespace, by the policies that have a part in it. Pure.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::downtime::Allowance;
use super::enforcing_policy::EnforcingPolicy;
use super::field::ContainerField;
use super::gitops::managed_by;
use super::plan::{Plan, plan};
use super::subject::{Subject, SubjectError};
use super::surroundings::Surroundings;
use crate::policy::{GitOpsMode, RemediationSpec};

/// The inputs of a plan besides the workload.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    /// The enforcing policies of the namespace, in order of precedence.
    pub enforcing: &'a [EnforcingPolicy],
    /// The settings for patches of the policy that asks for the plan.
    pub remediation: &'a RemediationSpec,
    /// The objects of the namespace that constrain patches.
    pub surroundings: &'a Surroundings,
    /// The fields that others removed.
    pub barred: &'a BTreeSet<ContainerField>,
}

/// Plans the patch of a workload under the policies that have a part in it, within the constraints of its namespace.
pub fn plan_within(subject: &Subject, terms: &Terms<'_>, now: Timestamp) -> Result<Plan, SubjectError> {
    let &Terms { enforcing, remediation, surroundings, barred } = terms;
    // A policy that does not patch GitOps workloads has no part in another policy's patch of one.
    let is_managed = managed_by(subject).is_some();
    // A suggested patch rolls out when the owner of the source decides so.
    let is_suggested = is_managed && remediation.gitops == GitOpsMode::Report;
    let needed = Allowance::needed(subject, &surroundings.claims);
    let concerned = enforcing
        .iter()
        .filter(|policy| policy.gitops == remediation.gitops || !is_managed)
        .filter(|policy| is_suggested || policy.allows >= needed);
    let concerned: Vec<EnforcingPolicy> = concerned.cloned().collect();
    let mut constraints = surroundings.constraints(subject);
    if surroundings.has_peers(subject) && Allowance::of(remediation) < Allowance::OnePod {
        constraints.leave_readiness_to_peers();
    }
    let first = plan(subject, &concerned, &constraints, barred, now)?;
    let short = surroundings.short(subject, &first.adds);
    if short.is_empty() {
        return Ok(first);
    }
    constraints.untouched.extend(short);
    plan(subject, &concerned, &constraints, barred, now)
}
