//! A container of a pod spec, as far as rules read it.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, Visitor};

use super::object_only::object_only;
use super::{Quantity, Text};

object_only!(Container<'a>, Resources, ResourceList);

/// A container or init container.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase", expecting = "a container")]
pub struct Container<'a> {
    /// The container's name, unique in its pod.
    #[serde(borrow)]
    pub name: Text<'a>,
    /// The image reference; a template may leave it to an admission webhook.
    #[serde(borrow)]
    pub image: Option<Text<'a>>,
    /// Whether there is a liveness probe.
    pub liveness_probe: Option<Present>,
    /// Whether there is a readiness probe.
    pub readiness_probe: Option<Present>,
    /// What the container requests and is limited to.
    pub resources: Option<Resources>,
}

/// An object that is there, whatever is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Present;

impl<'de> Deserialize<'de> for Present {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PresentVisitor;

        impl<'de> Visitor<'de> for PresentVisitor {
            type Value = Present;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Present, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Present)
            }
        }

        deserializer.deserialize_map(PresentVisitor)
    }
}

/// What a container, or a pod as a whole, requests and is limited to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(remote = "Self", expecting = "requests and limits")]
pub struct Resources {
    requests: Option<ResourceList>,
    limits: Option<ResourceList>,
}

impl Resources {
    /// The CPU request; a limit alone counts as one, because the API server makes it the pod's request. It does not where a
    /// request of zero stands beside it.
    pub fn cpu_request(&self) -> Option<Quantity> {
        some(self.requests().cpu.or(self.limits().cpu))
    }

    /// The memory request; a limit counts as one as for [`Resources::cpu_request`].
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

/// The amounts of the resources that rules read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(remote = "Self", expecting = "amounts by resource")]
pub struct ResourceList {
    #[serde(default, deserialize_with = "amount")]
    cpu: Option<Quantity>,
    #[serde(default, deserialize_with = "amount")]
    memory: Option<Quantity>,
}

/// Reads an amount, which the API server refuses below zero.
fn amount<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Quantity>, D::Error> {
    let amount = Option::<Quantity>::deserialize(deserializer)?;
    if amount.is_some_and(Quantity::is_negative) {
        return Err(D::Error::custom("an amount can't be negative"));
    }
    Ok(amount)
}

/// Zero counts as none.
fn some(amount: Option<Quantity>) -> Option<Quantity> {
    amount.filter(|amount| amount.is_positive())
}
