//! Policies: the enabled rules, their weights, and the system namespaces that no policy touches.

mod admission_verdict;
mod amount;
mod bundle;
mod bundle_error;
mod bundle_source;
mod cluster_devops_policy;
mod compiled;
mod condition;
mod custom_rule;
mod custom_rules_file;
mod devops_policy;
mod devops_policy_status;
mod difference;
mod document;
mod drift;
mod effective;
mod fix_defaults;
mod in_force;
mod manifest;
mod named_fields;
mod named_values;
mod namespaces;
mod policy_audit_result;
mod policy_summary;
mod remediation_reason;
mod schema;
mod schema_check;
mod selection;
mod severity_overrides;
mod skip_reason;
mod standard_bundle;
mod suggestion;

pub use admission_verdict::{
    ADMISSION_DENY, ADMISSION_DENY_AND_WARN, ADMISSION_LABEL, ADMISSION_NONE, ADMISSION_WARN,
    AdmissionVerdict, BREAK_GLASS_ANNOTATION, DENY_ANNOTATION, LeftOut, LeftOutReason, VERDICT_ANNOTATION,
    VerdictPart, VerdictRule, WARN_ANNOTATION,
};
pub use amount::Amount;
pub use bundle::{BUNDLE_LABEL, Bundle, Bundles};
pub use bundle_error::BundleError;
pub use bundle_source::BundleSource;
pub use cluster_devops_policy::{
    ClusterDevOpsPolicy, ClusterDevOpsPolicySpec, ClusterDevOpsPolicyStatus, NamespaceFigures,
};
pub use compiled::CompiledPolicy;
pub use condition::{ConditionReason, ConditionType};
pub use custom_rule::{CustomRule, CustomRuleError, CustomRuleMatch, CustomRuleSpec, MOST_CUSTOM_RULES};
pub use custom_rules_file::custom_rules;
pub use devops_policy::{
    AdmissionSpec, DefaultProbe, DefaultResources, DevOpsPolicy, DevOpsPolicySpec, EnforcementMode,
    ExemptionLevel, GitOpsMode, OnDelete, RemediationSpec, RuleSelection,
};
pub use devops_policy_status::{DevOpsPolicyStatus, MOST_FIELDS, Remediation, RemediationPhase};
pub use difference::{FieldDifference, PolicyChangeKind, PolicyDifference, PolicySide, differences};
pub use document::{FINALIZER, PolicyDocument, PolicyDocumentError, PolicyDocuments, SET_LABEL};
pub use drift::{ClusterDifference, PolicyDrift, drift};
pub use effective::{EffectivePolicy, EnabledRule, PolicyError};
pub use in_force::{ENFORCEMENT_ANNOTATION, keep_to_audit, keeps_to_audit};
pub use manifest::{PolicyManifestError, repeated_keys};
pub use named_fields::fields_of;
pub use namespaces::{NAMED_SYSTEM_NAMESPACES, SystemNamespaces};
pub use policy_audit_result::{AuditedViolation, PolicyAuditResult, PolicyAuditResultSpec, SuggestedFix};
pub use policy_summary::PolicySummary;
pub use remediation_reason::RemediationReason;
pub use selection::{SelectionError, rule_names};
pub use severity_overrides::SeverityOverrides;
pub use skip_reason::SkipReason;
pub use suggestion::similar;
