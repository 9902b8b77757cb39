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

/// The least and the most that a `LimitRange` allows a container.
#[derive(Debug, Clone, PartialEq)]
pub struct Bound {
    /// The resource.
    pub compute: Compute,
    /// The least request.
    pub min: Option<Quantity>,
    /// The highest limit.
    pub max: Option<Quantity>,
    /// The name of the `LimitRange`.
    pub limit_range: String,
}
