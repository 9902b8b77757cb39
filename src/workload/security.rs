//! The security settings of a container or of a pod as a whole.

use serde::Deserialize;

use super::Text;
use super::fields::nullable;
use super::object_only::object_only;
use super::unread::{ListOf, Unread, Words};

object_only!(
    SecurityContext<'a>,
    Capabilities<'a>,
    SeLinuxOptions<'a>,
    Profile<'a>,
    WindowsOptions,
    Sysctl<'a>
);

/// A security context. Some fields exist only in containers, and some only in pods; rules read them where they exist.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase", expecting = "a security context")]
#[allow(missing_docs, reason = "the fields are the API's")]
pub struct SecurityContext<'a> {
    pub privileged: Option<bool>,
    pub allow_privilege_escalation: Option<bool>,
    #[serde(borrow)]
    pub capabilities: Option<Capabilities<'a>>,
    pub read_only_root_filesystem: Option<bool>,
    #[serde(borrow)]
    pub proc_mount: Option<Text<'a>>,
    pub run_as_non_root: Option<bool>,
    pub run_as_user: Option<i64>,
    #[serde(borrow)]
    pub se_linux_options: Option<SeLinuxOptions<'a>>,
    #[serde(borrow)]
    pub seccomp_profile: Option<Profile<'a>>,
    #[serde(borrow)]
    pub app_armor_profile: Option<Profile<'a>>,
    pub windows_options: Option<WindowsOptions>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    pub sysctls: Vec<Sysctl<'a>>,
    #[serde(default)]
    pub(super) run_as_group: Unread<i64>,
    #[serde(default)]
    pub(super) fs_group: Unread<i64>,
    #[serde(default)]
    pub(super) fs_group_change_policy: Unread<Words>,
    #[serde(default)]
    pub(super) supplemental_groups: Unread<ListOf<i64>>,
}

/// The Linux capabilities that a container adds and drops.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(remote = "Self", expecting = "capabilities")]
#[allow(missing_docs, reason = "the fields are the API's")]
pub struct Capabilities<'a> {
    #[serde(borrow, default, deserialize_with = "nullable")]
    pub add: Vec<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    pub drop: Vec<Text<'a>>,
}

/// The `SELinux` label of a process.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(remote = "Self", expecting = "SELinux options")]
#[allow(missing_docs, reason = "the fields are the API's")]
pub struct SeLinuxOptions<'a> {
    #[serde(borrow, default, deserialize_with = "nullable")]
    pub user: Text<'a>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    pub role: Text<'a>,
    #[serde(borrow, default, rename = "type", deserialize_with = "nullable")]
    pub type_: Text<'a>,
}

/// A seccomp or `AppArmor` profile, by its type.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(remote = "Self", expecting = "a profile")]
pub struct Profile<'a> {
    /// `RuntimeDefault`, `Localhost` or `Unconfined`; empty if absent.
    #[serde(borrow, default, rename = "type", deserialize_with = "nullable")]
    pub type_: Text<'a>,
}

/// The settings of a process on Windows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase", expecting = "Windows options")]
#[allow(missing_docs, reason = "the fields are the API's")]
pub struct WindowsOptions {
    pub host_process: Option<bool>,
}

/// A kernel parameter that a pod sets, by its name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(remote = "Self", expecting = "a sysctl")]
#[allow(missing_docs, reason = "the fields are the API's")]
pub struct Sysctl<'a> {
    #[serde(borrow, default, deserialize_with = "nullable")]
    pub name: Text<'a>,
    #[serde(default)]
    pub(super) value: Unread<Words>,
}
