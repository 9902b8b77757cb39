//! The outcome of a dry run: what a policy would do to each workload of its namespace.

use std::collections::BTreeSet;

use serde_json::Value;

use super::Plan;
use crate::policy::SuggestedFix;

/// What would become of one workload.
#[derive(Debug)]
pub struct Rehearsed {
    /// The workload's kind and name.
    pub workload: String,
    /// How many pods would roll out.
    pub pods: i32,
    /// Who owns fields of the workload, each with the operation that made them the owner.
    pub managers: BTreeSet<String>,
    /// What around the workload bears on its rollout, in sentences.
    pub around: Vec<String>,
    /// What would be done.
    pub outcome: Outcome,
}

/// What would be done to a workload.
#[derive(Debug)]
pub enum Outcome {
    /// It would be patched.
    Patch {
        /// What would be set, and what would not be, and why.
        plan: Plan,
        /// The pod template as it is.
        before: Value,
        /// The pod template as it would be.
        after: Value,
    },
    /// The API server would refuse the patch.
    Refused {
        /// What would be set.
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
