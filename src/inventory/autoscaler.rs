//! The fields of a `HorizontalPodAutoscaler` or a KEDA `ScaledObject` that rules read.

use serde::Deserialize;

use crate::workload::{Kind, nullable};

/// An autoscaler, of either kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Autoscaler {
    /// The group and version of the target, such as `apps/v1`.
    pub api_version: String,
    /// The kind of the target.
    pub kind: String,
    /// The name of the target.
    pub name: String,
    /// The least number of replicas.
    pub minimum: i64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AutoscalerSpec {
    #[serde(default, deserialize_with = "nullable")]
    scale_target_ref: Target,
    min_replicas: Option<i64>,
    /// KEDA's name of the same.
    min_replica_count: Option<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Target {
    #[serde(default, deserialize_with = "nullable")]
    api_version: String,
    #[serde(default, deserialize_with = "nullable")]
    kind: String,
    #[serde(default, deserialize_with = "nullable")]
    name: String,
}

impl AutoscalerSpec {
    /// Applies the defaults of the kind.
    pub(super) fn of(self, kind: Kind) -> Autoscaler {
        let or = |text: String, default: &str| if text.is_empty() { default.to_owned() } else { text };
        let Target { api_version, kind: target, name } = self.scale_target_ref;
        if kind == Kind::ScaledObject {
            Autoscaler {
                api_version: or(api_version, "apps/v1"),
                kind: or(target, "Deployment"),
                name,
                minimum: self.min_replica_count.unwrap_or(0),
            }
        } else {
            Autoscaler { api_version, kind: target, name, minimum: self.min_replicas.unwrap_or(1) }
        }
    }
}

impl Autoscaler {
    /// Returns the group of the target.
    pub fn group(&self) -> &str {
        self.api_version.split_once('/').map_or("", |(group, _)| group)
    }
}
