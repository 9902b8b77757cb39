//! The outcome of a dry run: what a policy would do to each workload of its namespace.

use std::collections::BTreeSet;

use serde_json::Value;

use super::Plan;
use crate::policy::SuggestedFix;
use crate::workload::WorkloadRef;

/// The expected result for one workload.
#[derive(Debug)]
pub struct Rehearsed {
    /// The workload.
    pub workload: WorkloadRef,
    /// The number of pods that would roll out.
    pub pods: i32,
    /// The owners of the workload's fields, each with its operation.
    pub managers: BTreeSet<String>,
    /// Objects around the workload that affect its rollout, in sentences.
    pub around: Vec<String>,
    /// The action that would be taken.
    pub outcome: Outcome,
}

/// The action that would be taken on a workload.
#[derive(Debug)]
pub enum Outcome {
    /// It would be patched.
    Patch {
        /// The fields that would be set, and the reasons for those that would not.
        plan: Plan,
        /// The pod template as it is.
        before: Value,
        /// The pod template as it would be.
        after: Value,
    },
    /// The API server would refuse the patch.
    Refused {
        /// The fields that would be set.
        plan: Plan,
        /// The reason in one word.
        reason: &'static str,
        /// The API server's own words.
        message: String,
    },
    /// It would be left as it is.
    Left {
        /// Why, in one word.
        reason: &'static str,
        /// Why, in a sentence.
        message: String,
        /// The patch for whoever manages it.
        fix: Option<SuggestedFix>,
    },
}
