//! The manifests of everything that kube-devops installs in a cluster.

mod admission;
mod assessment;
pub mod chart;
mod conflict_policy;
mod controller_users;
mod crds;
pub mod installation;
mod leftovers;
mod namespace_fence;
mod native;
pub mod observability;
mod permissions;
mod registration;
mod registration_rules;
mod rule_permissions;
mod self_fence;
mod uninstall_permissions;
mod webhook;

pub use admission::{
    AdmissionSettings, admission_policies, evaluates_natively, is_fence_of, is_installed_as,
};
pub use assessment::{AccessAnswer, AccessGrant, Assessment, CrdState, Need, Places, needs};
pub use conflict_policy::{
    CONFLICT_POLICY, MUTATING_POLICIES, MUTATING_POLICY_BINDINGS, conflict_policy, conflict_policy_binding,
};
pub use controller_users::CONTROLLER_USERS;
pub use crds::{OBJECT_MANAGER, crds, is_current, manifest, sets_all_of};
pub use leftovers::{Leftover, crd_leftovers, leftovers};
pub use namespace_fence::{NAMESPACE_FENCE, namespace_fence};
pub use native::{BoundPolicy, DENY_POLICY, WARN_POLICY, native_policies};
pub use permissions::{
    GROUP, LEDGER_KEY, LEDGER_NAME, Mode, OPEN_REPORTS, Permission, PermissionScope, RECONCILE_LEASE,
    REPORT_CRD, RESOURCES, WATCH_LEASE, WEBHOOK_LEASE,
};
pub use registration::{Registration, WebhookCall, resume, suspend, suspended_until};
pub use registration_rules::{own_registration_rules, registration_rules};
pub use rule_permissions::RulePermissions;
pub use self_fence::{SELF_FENCE, self_fence};
pub use uninstall_permissions::uninstall_permissions;
pub use webhook::{
    MUTATING_WEBHOOK_NAME, MUTATING_WEBHOOK_PATH, WEBHOOK_CONFIGURATION, WEBHOOK_NAME, WEBHOOK_PATH,
    WEBHOOK_SECRET, WEBHOOK_SERVICE, WEBHOOK_SERVICE_PORT, WebhookAddress, WebhookChoices, dangers,
    mutating_webhook_configuration, webhook_configuration,
};
