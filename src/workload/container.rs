//! A container of a pod spec, reduced to the fields that rules read.

use serde::Deserialize;
use serde::de::{Deserializer, Error};

use super::fields::detail;
use super::object_only::object_only;
use super::unread::{ListOf, Unread, VolumeDevice, Words};
use super::{ContainerPort, EnvFrom, EnvVar, Lifecycle, Probe, Quantity, SecurityContext, Text, VolumeMount};

object_only!(Container<'a>, Resources, ResourceList);

/// A container or init container.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase", expecting = "a container")]
pub struct Container<'a> {
    /// The container's name, unique in its pod; empty where it is missing.
    #[serde(borrow, default)]
    pub name: Text<'a>,
    /// The image reference.
    #[serde(borrow)]
    pub image: Option<Text<'a>>,
    /// True where a platform replaces the image before the container runs.
    #[serde(skip)]
    pub image_is_supplied: bool,
    /// The restart policy of an init container.
    #[serde(borrow)]
    pub restart_policy: Option<Text<'a>>,
    /// The liveness probe.
    #[serde(borrow)]
    pub liveness_probe: Option<Probe<'a>>,
    /// The readiness probe.
    #[serde(borrow)]
    pub readiness_probe: Option<Probe<'a>>,
    /// Requests and limits.
    pub resources: Option<Resources>,
    /// The startup probe (a detail).
    #[serde(borrow, default, deserialize_with = "detail")]
    pub startup_probe: Option<Box<Probe<'a>>>,
    /// The hooks after the start and before the end (a detail).
    #[serde(borrow, default, deserialize_with = "detail")]
    pub lifecycle: Option<Box<Lifecycle<'a>>>,
    /// The pull policy (a detail).
    #[serde(borrow, default, deserialize_with = "detail")]
    pub image_pull_policy: Option<Text<'a>>,
    /// The security context (a detail).
    #[serde(borrow, default, deserialize_with = "detail")]
    pub security_context: Option<Box<SecurityContext<'a>>>,
    /// The environment variables (a detail).
    #[serde(borrow, default, deserialize_with = "detail")]
    pub env: Vec<EnvVar<'a>>,
    /// The sources of more variables (a detail).
    #[serde(borrow, default, deserialize_with = "detail")]
    pub env_from: Vec<EnvFrom<'a>>,
    /// The declared ports (a detail).
    #[serde(borrow, default, deserialize_with = "detail")]
    pub ports: Vec<ContainerPort<'a>>,
    /// The mounts of volumes (a detail).
    #[serde(borrow, default, deserialize_with = "detail")]
    pub volume_mounts: Vec<VolumeMount<'a>>,
    #[serde(default)]
    pub(super) command: Unread<ListOf<Words>>,
    #[serde(default)]
    pub(super) args: Unread<ListOf<Words>>,
    #[serde(default)]
    pub(super) working_dir: Unread<Words>,
    #[serde(default)]
    pub(super) stdin: Unread<bool>,
    #[serde(default)]
    pub(super) stdin_once: Unread<bool>,
    #[serde(default)]
    pub(super) tty: Unread<bool>,
    #[serde(default)]
    pub(super) termination_message_path: Unread<Words>,
    #[serde(default)]
    pub(super) termination_message_policy: Unread<Words>,
    #[serde(default)]
    pub(super) volume_devices: Unread<ListOf<VolumeDevice>>,
}

impl Container<'_> {
    /// Returns true if an init container is a native sidecar, which runs as long as the pod does.
    pub fn is_sidecar(&self) -> bool {
        self.restart_policy.as_deref() == Some("Always")
    }

    /// Returns true if the container names no image and no platform supplies one.
    pub fn lacks_image(&self) -> bool {
        self.image_is_blank() && !self.image_is_supplied
    }

    pub(super) fn image_is_blank(&self) -> bool {
        self.image.as_deref().is_none_or(|image| image.trim().is_empty())
    }
}

/// The requests and limits of a container, or of a pod as a whole.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(remote = "Self", expecting = "requests and limits")]
pub struct Resources {
    requests: Option<ResourceList>,
    limits: Option<ResourceList>,
}

impl Resources {
    /// The CPU request. A limit alone counts as one, because the API server copies it; beside a request of zero it
    /// does not.
    pub fn cpu_request(&self) -> Option<Quantity> {
        some(self.requests().cpu.or(self.limits().cpu))
    }

    /// The memory request. A limit alone counts as one, as in [`Resources::cpu_request`].
    pub fn memory_request(&self) -> Option<Quantity> {
        some(self.requests().memory.or(self.limits().memory))
    }

    /// The CPU limit.
    pub fn cpu_limit(&self) -> Option<Quantity> {
        some(self.limits().cpu)
    }

    /// The memory limit.
    pub fn memory_limit(&self) -> Option<Quantity> {
        some(self.limits().memory)
    }

    fn requests(&self) -> ResourceList {
        self.requests.unwrap_or_default()
    }

    fn limits(&self) -> ResourceList {
        self.limits.unwrap_or_default()
    }
}

/// Amounts of the resources that rules read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(remote = "Self", expecting = "amounts by resource")]
pub struct ResourceList {
    #[serde(default, deserialize_with = "amount")]
    cpu: Option<Quantity>,
    #[serde(default, deserialize_with = "amount")]
    memory: Option<Quantity>,
}

/// Reads an amount. The API server refuses one below zero.
fn amount<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Quantity>, D::Error> {
    let amount = Option::<Quantity>::deserialize(deserializer)?;
    if amount.is_some_and(Quantity::is_negative) {
        return Err(D::Error::custom("an amount can't be negative"));
    }
    Ok(amount)
}

/// Returns an amount above zero; zero counts as none.
fn some(amount: Option<Quantity>) -> Option<Quantity> {
    amount.filter(|amount| amount.is_positive())
}
