//! The types and reasons of a policy's conditions. Status, events and docs take their spelling from here.

use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use strum::{IntoStaticStr, VariantArray};

/// The type of a condition of a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr, VariantArray)]
pub enum ConditionType {
    /// The namespace is evaluated.
    Ready,
    /// Violations are repaired.
    Enforcing,
    /// The policy does not work as it should.
    Degraded,
    /// The API server evaluates objects by the policy. Without native admission there is no such condition.
    Admission,
    /// Annotations exempt from rules of the policy as they say. Without such annotations there is no such condition.
    Exemptions,
    /// Every object that rules of the policy read could be read. A policy whose rules look at pods and workloads alone
    /// has no such condition.
    Complete,
}

impl ConditionType {
    /// Every type.
    pub const ALL: &[Self] = Self::VARIANTS;

    /// Returns the spelling in the status.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Finds the condition of this type.
    pub fn of(self, conditions: &[Condition]) -> Option<&Condition> {
        conditions.iter().find(|condition| condition.type_ == self.as_str())
    }
}

/// The reason for the status of a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, IntoStaticStr, VariantArray)]
pub enum ConditionReason {
    /// The namespace was evaluated.
    Evaluated,
    /// Policies have no effect in system namespaces.
    SystemNamespace,
    /// The policy is invalid.
    InvalidSpec,
    /// The policy enforces.
    Enforcing,
    /// The policy asks for no changes.
    AuditMode,
    /// The policy stopped itself after too many withdrawals.
    Stopped,
    /// The policy was deleted and finishes the work under way.
    Deleting,
    /// The last three patches were withdrawn.
    Withdrawals,
    /// Many workloads are in trouble at once.
    Incident,
    /// Nothing is wrong.
    AsExpected,
    /// The API server evaluates objects by the policy.
    Native,
    /// The API server lacks the admission policies.
    NotInstalled,
    /// The verdict is not written on the Namespace yet.
    Pending,
    /// The verdict could not be written on the Namespace.
    NotWritten,
    /// Denials are suspended for a time.
    BreakGlass,
    /// Annotations exempt findings, or did so until their last day.
    Exempt,
    /// An annotation exempts nothing: it is invalid, or the policy does not allow it.
    Refused,
    /// A permission is missing to read objects that rules read. These rules can't tell.
    NoPermission,
    /// Objects that rules read could not be read. These rules can't tell.
    Unread,
}

impl ConditionReason {
    /// Every reason.
    pub const ALL: &[Self] = Self::VARIANTS;

    /// Returns the spelling in the status.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Returns true if a condition has this reason.
    pub fn is_of(self, condition: &Condition) -> bool {
        condition.reason == self.as_str()
    }
}

impl fmt::Display for ConditionReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documentation_names_every_condition_and_reason() {
        let pages = concat!(include_str!("../../docs/operator.md"), include_str!("../../docs/admission.md"));
        let types = ConditionType::ALL.iter().map(|type_| type_.as_str());
        let reasons = ConditionReason::ALL.iter().map(|reason| reason.as_str());
        for name in types.chain(reasons) {
            assert!(
                pages.contains(&format!("`{name}`")),
                "docs/operator.md and docs/admission.md lack {name}"
            );
        }
    }
}
