//! The decision on an admission request.

use crate::rules::{RuleId, Severity};

/// The decision on an admission request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AdmissionDecision {
    /// The findings for which the request is denied; empty if it is allowed. Worst first.
    pub denied: Vec<NewViolation>,
    /// The findings that are only reported. Worst first.
    pub warned: Vec<NewViolation>,
    /// Problems of the policies themselves, as sentences.
    pub problems: Vec<String>,
}

impl AdmissionDecision {
    /// Returns true if the request is allowed.
    pub fn is_allowed(&self) -> bool {
        self.denied.is_empty()
    }
}

/// One violation that the request adds, under every policy that asks for the rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewViolation {
    /// The names of the policies, sorted.
    pub policies: Vec<String>,
    /// The rule.
    pub rule: RuleId,
    /// The highest severity under these policies.
    pub severity: Severity,
    /// The container; `None` for a violation of the whole pod.
    pub container: Option<String>,
    /// The path of the field in the object.
    pub path: String,
    /// The problem and its fix.
    pub message: String,
}
