//! A pod's spec and status, as far as rules read them.

use std::fmt;

use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};

use super::object_only::object_only;
use super::{Container, Resources, Text};

object_only!(PodSpec<'a>, PodStatus<'a>, ContainerStatus<'a>);

/// The part of a pod spec that rules read; pods and pod templates share it.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase", expecting = "a pod spec")]
pub struct PodSpec<'a> {
    /// The containers, in the order of the object.
    #[serde(borrow, default, deserialize_with = "null_is_empty")]
    pub containers: Vec<Container<'a>>,
    /// The init containers, sidecars among them, in the order of the object.
    #[serde(borrow, default, deserialize_with = "null_is_empty")]
    pub init_containers: Vec<Container<'a>>,
    /// Requests and limits of the pod as a whole.
    pub resources: Option<Resources>,
}

/// The part of a pod's status that rules read.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase", expecting = "a pod status")]
pub struct PodStatus<'a> {
    /// The phase: `Pending`, `Running`, `Succeeded`, `Failed` or `Unknown`.
    #[serde(borrow)]
    pub phase: Option<Text<'a>>,
    /// One entry a started container; init containers have a list of their own, which no rule reads.
    #[serde(borrow, default, deserialize_with = "null_is_empty")]
    pub container_statuses: Vec<ContainerStatus<'a>>,
}

impl PodStatus<'_> {
    /// Tells whether the pod has ended for good (phase `Succeeded` or `Failed`).
    pub fn is_terminal(&self) -> bool {
        matches!(self.phase.as_deref(), Some("Succeeded" | "Failed"))
    }
}

/// How often one container has been restarted.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase", expecting = "the status of a container")]
pub struct ContainerStatus<'a> {
    /// The container's name.
    #[serde(borrow)]
    pub name: Text<'a>,
    /// How often the container has been restarted since the pod began.
    #[serde(default, deserialize_with = "count")]
    pub restart_count: u32,
}

/// Reads an absent or null list as an empty one, as the API server does.
fn null_is_empty<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    Ok(Option::<Vec<T>>::deserialize(deserializer)?.unwrap_or_default())
}

/// Reads a count; null is none, as the API server takes it.
fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    struct CountVisitor;

    impl Visitor<'_> for CountVisitor {
        type Value = u32;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a whole number")
        }

        fn visit_u64<E: Error>(self, number: u64) -> Result<u32, E> {
            u32::try_from(number).map_err(|_| E::invalid_value(Unexpected::Unsigned(number), &self))
        }

        fn visit_i64<E: Error>(self, number: i64) -> Result<u32, E> {
            u32::try_from(number).map_err(|_| E::invalid_value(Unexpected::Signed(number), &self))
        }

        fn visit_unit<E: Error>(self) -> Result<u32, E> {
            Ok(0)
        }
    }

    deserializer.deserialize_any(CountVisitor)
}
