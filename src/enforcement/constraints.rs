//! Constraints from a workload's namespace on the fields that enforcement may set. Pure.

use std::collections::BTreeMap;

use super::field::{Compute, Field};
use super::ports::Served;
use crate::workload::Quantity;

/// The constraints on fields.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Constraints {
    /// The fields that must not be set, each with the reason: an autoscaler controls it, or others supply it.
    pub untouched: BTreeMap<Field, String>,
    /// The bounds of the namespace for a container's amounts.
    pub bounds: Vec<Bound>,
    /// The ports that Services target.
    pub served: Served,
}

impl Constraints {
    /// Leaves readiness and startup probes alone: peers that wait for ready peers deadlock at a cold start.
    pub fn leave_readiness_to_peers(&mut self) {
        let reason = "its pods find each other before they are ready, as a StatefulSet or by a headless Service: set \
                      remediation.allowUnavailable to true";
        for field in [Field::ReadinessProbe, Field::StartupProbe] {
            self.untouched.entry(field).or_insert_with(|| reason.to_owned());
        }
    }
}

/// A `LimitRange`'s bounds for one resource of a container.
#[derive(Debug, Clone, PartialEq)]
pub struct Bound {
    /// The resource.
    pub compute: Compute,
    /// The minimum request.
    pub min: Option<Quantity>,
    /// The maximum limit.
    pub max: Option<Quantity>,
    /// The maximum ratio of the limit to the request.
    pub max_limit_request_ratio: Option<Quantity>,
    /// The name of the `LimitRange`.
    pub limit_range: String,
}
