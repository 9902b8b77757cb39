//! What around a workload keeps enforcement from setting some of its fields. Pure.

use std::collections::BTreeMap;

use super::field::{Compute, Field};
use crate::workload::Quantity;

/// What is to be respected when fields are chosen.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Constraints {
    /// The fields that must be left alone, each with the reason in words: steered by an autoscaler, or supplied already.
    pub untouched: BTreeMap<Field, String>,
    /// The amounts that the namespace allows a container.
    pub bounds: Vec<Bound>,
}

/// What a `LimitRange` allows a container of a resource.
#[derive(Debug, Clone, PartialEq)]
pub struct Bound {
    /// The resource.
    pub compute: Compute,
    /// The least request.
    pub min: Option<Quantity>,
    /// The highest limit.
    pub max: Option<Quantity>,
    /// How many times the request the limit may be.
    pub max_limit_request_ratio: Option<Quantity>,
    /// The name of the `LimitRange`.
    pub limit_range: String,
}
