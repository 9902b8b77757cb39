//! Refusals of pods that name an amount set by enforcement. Pure.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::enforcement::field::{Compute, ContainerField, Field, Fields};
use crate::workload::Quantity;

/// Returns our fields that the API server's message blames for refused pods.
///
/// A [`LimitRange`](https://github.com/kubernetes/kubernetes/blob/v1.36.3/plugin/pkg/admission/limitranger/admission.go)
/// names the resource and the amount, such as `maximum memory usage per Container is 16Mi, but limit is 32Mi`.
///
/// An exceeded quota blames none: a quota of CPU or memory [refuses every
/// pod](https://github.com/kubernetes/kubernetes/blob/v1.36.3/pkg/quota/v1/evaluator/core/pods.go) with a container that
/// lacks the amount.
pub fn refused_fields(words: &str, owned: &Fields) -> BTreeSet<ContainerField> {
    let refused = owned.iter().filter(|(of, value)| {
        let (compute, is_limit) = match of.field {
            Field::Request(compute) => (compute, false),
            Field::Limit(compute) => (compute, true),
            _ => return false,
        };
        let parts = words.split(['[', ']', ';']).flat_map(|part| part.split(", m").chain([part]));
        parts.into_iter().any(|part| by_limit_range(part, compute, is_limit, value))
    });
    refused.map(|(of, _)| of.clone()).collect()
}

fn by_limit_range(words: &str, compute: Compute, is_limit: bool, value: &Value) -> bool {
    let name = compute.as_str();
    if words.contains(&format!("{name} max limit to request ratio per ")) {
        return true;
    }
    // The first letter may be missing if several violations are listed.
    let of_compute =
        ["aximum", "inimum"].iter().any(|bound| words.contains(&format!("{bound} {name} usage per ")));
    let which = if is_limit { "but limit is " } else { "but request is " };
    let Some((_, amount)) = words.split_once(which).filter(|_| of_compute) else { return false };
    let amount: String = amount.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '.').collect();
    let amount = Quantity::parse(amount.trim_end_matches('.'));
    amount.is_some()
        && value.as_str().map_or_else(|| Quantity::parse(&value.to_string()), Quantity::parse) == amount
}
