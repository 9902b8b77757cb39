//! Everything that native admission and enforcement install in the API server's admission, in the order to apply it.

use serde_json::Value;

use super::native::{BoundPolicy, native_policies};
use super::{conflict_policy, conflict_policy_binding, manifest, namespace_fence};

/// The choices of the admission policies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdmissionSettings {
    /// The namespace of the installation.
    pub namespace: String,
    /// The ServiceAccount of the operator.
    pub account: String,
    /// Further system namespaces.
    pub system_namespaces: Vec<String>,
}

/// Returns the policies of native admission, the fence on Namespaces, and the conflict policy, each before its binding.
pub fn admission_policies(settings: &AdmissionSettings) -> serde_json::Result<Vec<Value>> {
    let AdmissionSettings { namespace, account, system_namespaces } = settings;
    let [deny, warn] = native_policies(namespace, system_namespaces);
    let mut objects = Vec::new();
    // The fence stands before anything that it guards.
    for BoundPolicy { policy, binding } in [namespace_fence(namespace, account), deny, warn] {
        objects.extend([manifest(&policy)?, manifest(&binding)?]);
    }
    objects.extend([conflict_policy(), conflict_policy_binding()]);
    Ok(objects)
}
