//! Rules about accounts: nobody may do more than needed.

use super::Rule;

mod cluster_admin_binding;
mod dangling_role_binding;
mod default_account_binding;
mod granted;
mod pod_exec_access;
mod secret_access;
mod wildcard_rule;
mod workload_creation_access;

pub(super) static RULES: &[&Rule] = &[
    &cluster_admin_binding::RULE,
    &dangling_role_binding::RULE,
    &default_account_binding::RULE,
    &pod_exec_access::RULE,
    &secret_access::RULE,
    &wildcard_rule::RULE,
    &workload_creation_access::RULE,
];
