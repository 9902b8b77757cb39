//! The outcome of a dry run: what a policy would do to each workload of its namespace.

use std::collections::BTreeSet;

use serde_json::Value;

use super::Plan;
use crate::policy::{RemediationReason, SkipReason, SuggestedFix};
use crate::workload::WorkloadRef;

/// The expected result for one workload.
#[derive(Debug)]
pub struct Rehearsed {
    /// The workload.
    pub workload: WorkloadRef,
    /// The number of pods that would roll out.
    pub pods: i32,
    /// The managers of the workload's fields, each with its operation.
    pub managers: BTreeSet<String>,
    /// Objects that affect the workload's rollout, each in a sentence.
    pub around: Vec<String>,
    /// The expected action.
    pub outcome: RehearsalOutcome,
}

/// The expected action for a workload.
#[derive(Debug)]
pub enum RehearsalOutcome {
    /// It would be patched.
    Patch {
        /// The fields that would be set, and the reasons for the dropped ones.
        plan: Plan,
        /// The current pod template.
        before: Value,
        /// The patched pod template.
        after: Value,
        /// The seconds for which the new pods are watched once they are available.
        settling_seconds: u64,
    },
    /// The API server would refuse the patch.
    Refused {
        /// The fields that would be set.
        plan: Plan,
        /// The reason, as the record of a failed patch would have it.
        reason: RemediationReason,
        /// The API server's message.
        message: String,
    },
    /// The workload would be skipped.
    Skipped {
        /// The reason.
        reason: SkipReason,
        /// The reason in a sentence.
        message: String,
        /// The patch for the manager of the workload.
        fix: Option<SuggestedFix>,
    },
}
