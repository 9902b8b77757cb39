//! Rules about security: a workload can do no more than it needs.

use super::Rule;

mod automounted_token;
mod custom_selinux_options;
mod explicit_root_user;
mod host_namespace;
mod host_path_volume;
mod host_port;
mod missing_seccomp_profile;
mod non_default_capability;
mod plaintext_secret;
mod possible_root_user;
mod privilege_escalation;
mod privileged_container;
mod probe_host;
mod restricted_volume_type;
mod retained_capabilities;
mod sensitive_host_path;
mod unconfined_apparmor;
mod unconfined_seccomp;
mod unmasked_proc;
mod unsafe_sysctl;
mod windows_host_process;
mod writable_root_filesystem;

pub(super) static RULES: &[&Rule] = &[
    &automounted_token::RULE,
    &custom_selinux_options::RULE,
    &explicit_root_user::RULE,
    &host_namespace::RULE,
    &host_path_volume::RULE,
    &host_port::RULE,
    &missing_seccomp_profile::RULE,
    &non_default_capability::RULE,
    &plaintext_secret::RULE,
    &possible_root_user::RULE,
    &privilege_escalation::RULE,
    &privileged_container::RULE,
    &probe_host::RULE,
    &restricted_volume_type::RULE,
    &retained_capabilities::RULE,
    &sensitive_host_path::RULE,
    &unconfined_apparmor::RULE,
    &unconfined_seccomp::RULE,
    &unmasked_proc::RULE,
    &unsafe_sysctl::RULE,
    &windows_host_process::RULE,
    &writable_root_filesystem::RULE,
];
