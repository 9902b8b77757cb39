//! Decides if a policy asks for patches now. A policy that has stopped itself does not.

use kube::ResourceExt as _;

use super::{DevOpsPolicy, EnforcementMode};
use crate::workload::PolicyRef;

/// The number of withdrawals in a row that stops a policy.
const WITHDRAWALS_THAT_STOP: u32 = 3;

impl DevOpsPolicy {
    /// Returns the identity of the policy.
    pub fn reference(&self) -> PolicyRef {
        PolicyRef::new(self.namespace().unwrap_or_default(), self.name_any())
    }

    /// Returns true if the policy asks for patches, and has neither stopped itself nor been deleted.
    pub fn is_in_force(&self) -> bool {
        self.spec.enforcement_mode == EnforcementMode::Enforce
            && self.metadata.deletion_timestamp.is_none()
            && !self.is_stopped()
    }

    /// Returns true if the policy asks for defaults in workloads when they are created.
    pub fn mutates(&self) -> bool {
        self.spec.enforcement_mode == EnforcementMode::Enforce
            && self.spec.admission.as_ref().is_some_and(|admission| admission.mutate)
    }

    /// Returns true if the policy has stopped itself: its newest patches were all withdrawn for cause, and its spec has
    /// not changed since.
    pub fn is_stopped(&self) -> bool {
        self.status.as_ref().is_some_and(|status| {
            status.observed_generation == self.metadata.generation
                && status.withdrawals_in_a_row.unwrap_or_default() >= WITHDRAWALS_THAT_STOP
        })
    }
}
