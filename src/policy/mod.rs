//! Which rules count, how much, and where: policies and the namespaces that none of them touches.

mod devops_policy;
mod effective;
mod manifest;
mod namespaces;

pub use devops_policy::{
    AdmissionSpec, DefaultProbe, DefaultResources, DevOpsPolicy, DevOpsPolicySpec, EnforcementMode,
    GitOpsMode, OnDelete, RemediationSpec, RuleSelection, SeverityOverrides,
};
pub use effective::{EffectivePolicy, EnabledRule, PolicyError};
pub use manifest::PolicyManifestError;
pub use namespaces::SystemNamespaces;
