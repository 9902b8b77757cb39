//! Decides if a policy asks for patches now. A policy that has stopped itself does not.

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::{Resource as _, ResourceExt as _};

use super::{ClusterDevOpsPolicy, DevOpsPolicy, EnforcementMode};
use crate::workload::{PolicyRef, cluster_name};

/// The number of withdrawals in a row that stops a policy.
const WITHDRAWALS_THAT_STOP: u32 = 3;

/// The annotation of a Namespace that keeps cluster policies from patches there. A cluster policy has it in such a
/// namespace.
pub const ENFORCEMENT_ANNOTATION: &str = "devops.stochastic.io/enforcement";
/// The value of the annotation.
const AUDIT: &str = "audit";

/// Returns true if a Namespace keeps cluster policies from patches.
pub fn keeps_to_audit(namespace: &ObjectMeta) -> bool {
    let annotations = namespace.annotations.as_ref();
    annotations
        .and_then(|annotations| annotations.get(ENFORCEMENT_ANNOTATION))
        .is_some_and(|mode| mode == AUDIT)
}

/// Marks the effect of a cluster policy in a namespace that keeps it from patches.
pub fn keep_to_audit(policy: &mut DevOpsPolicy) {
    policy.metadata.annotations = Some([(ENFORCEMENT_ANNOTATION.to_owned(), AUDIT.to_owned())].into());
}

impl DevOpsPolicy {
    /// Returns the identity of the policy.
    pub fn reference(&self) -> PolicyRef {
        PolicyRef::new(self.namespace().unwrap_or_default(), self.name_any())
    }

    /// Returns true if this is the effect of a cluster policy in a namespace whose annotation keeps it from patches.
    pub fn is_kept_to_audit(&self) -> bool {
        cluster_name(&self.name_any()).is_some() && keeps_to_audit(&self.metadata)
    }

    /// Returns the object of the API that the policy is, for events.
    pub fn object_reference(&self) -> ObjectReference {
        let itself = self.object_ref(&());
        match cluster_name(&self.name_any()) {
            None => itself,
            Some(name) => ObjectReference {
                kind: Some(ClusterDevOpsPolicy::kind(&()).into_owned()),
                name: Some(name.to_owned()),
                namespace: None,
                ..itself
            },
        }
    }

    /// Returns the object of the API that the policy is, as the owner of other objects; `None` before it is stored.
    pub fn owner_reference(&self) -> Option<OwnerReference> {
        let itself = self.controller_owner_ref(&())?;
        let itself = OwnerReference { controller: None, block_owner_deletion: Some(false), ..itself };
        Some(match cluster_name(&self.name_any()) {
            None => itself,
            Some(name) => OwnerReference {
                kind: ClusterDevOpsPolicy::kind(&()).into_owned(),
                name: name.to_owned(),
                ..itself
            },
        })
    }

    /// Returns true if the policy asks for patches, and has neither stopped itself nor been deleted. The annotation of a
    /// Namespace keeps a cluster policy from them.
    pub fn is_in_force(&self) -> bool {
        self.spec.enforcement_mode == EnforcementMode::Enforce
            && !self.is_kept_to_audit()
            && self.metadata.deletion_timestamp.is_none()
            && !self.is_stopped()
    }

    /// Returns true if the policy asks for defaults in workloads when they are created. The annotation of a Namespace
    /// keeps a cluster policy from them.
    pub fn mutates(&self) -> bool {
        self.spec.enforcement_mode == EnforcementMode::Enforce
            && !self.is_kept_to_audit()
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
