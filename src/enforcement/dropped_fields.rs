//! Drops planned fields and gives the reasons: another client removed the field, others set it, it is out of bounds, or
//! it is harmful without another field. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::constraints::Constraints;
use super::field::{Compute, ContainerField, Field, Fields};
use crate::rules::PartialContainer;
use crate::workload::Quantity;

/// Removes the fields that may not be set from those planned for a container, and returns the reasons.
pub(super) fn drop_fields(
    wanted: &mut Fields,
    container: &PartialContainer,
    constraints: &Constraints,
    barred: &BTreeSet<ContainerField>,
) -> Vec<String> {
    let of = |field| ContainerField::new(&container.name, field);
    // Returns the reason why a field may not be set.
    let closed = |field: Field| {
        let taken = barred.contains(&of(field));
        let taken = taken
            .then(|| "another client removed it, and it stays removed until the policy changes".to_owned());
        taken.or_else(|| constraints.untouched.get(&field).cloned())
    };
    let mut refused: BTreeMap<Field, String> = BTreeMap::new();
    for (of, value) in &*wanted {
        let reason = closed(of.field).or_else(|| out_of_bounds(of.field, value, constraints));
        refused.extend(reason.map(|reason| (of.field, reason)));
    }
    for bound in &constraints.bounds {
        let will_be = |field: Field| {
            let given = wanted.get(&of(field)).filter(|_| !refused.contains_key(&field));
            Quantity::parse(given.map_or_else(|| own(container, field), Value::as_str)?)
        };
        let both = [Field::Request(bound.compute), Field::Limit(bound.compute)];
        let [Some(request), Some(limit)] = both.map(will_be) else { continue };
        if bound.max_limit_request_ratio.is_some_and(|ratio| limit.is_more_than(ratio, request)) {
            let reason = format!(
                "the limit would be more times the request than LimitRange {} allows",
                bound.limit_range
            );
            let given = both.into_iter().filter(|field| wanted.contains_key(&of(*field)));
            refused.extend(given.map(|field| (field, reason.clone())));
        }
    }
    let wants = |field| wanted.contains_key(&of(field));
    let mut alone = Vec::new();
    // Without a startup probe, a liveness probe restarts a container that starts slowly.
    if refused.contains_key(&Field::StartupProbe) && wants(Field::LivenessProbe) {
        alone.push((
            Field::LivenessProbe,
            "it would restart a slow start, and no startupProbe may be set".to_owned(),
        ));
    }
    if refused.contains_key(&Field::LivenessProbe) {
        alone.push((Field::StartupProbe, "it is set only with a livenessProbe".to_owned()));
    }
    for compute in Compute::ALL {
        let (request, limit) = (Field::Request(compute), Field::Limit(compute));
        // A limit without a request becomes the pod's request, and a request that others set could exceed the limit.
        let no_request =
            refused.contains_key(&request) || !has(container, request) && closed(request).is_some();
        if no_request && wants(limit) {
            alone.push((limit, format!("it would stand for the {compute} request, which may not be set")));
        }
        // A limit that others set could be below the request.
        if wants(request) && !has(container, limit) && constraints.untouched.contains_key(&limit) {
            alone.push((request, format!("it could be above the {compute} limit, which others supply")));
        }
    }
    for (field, reason) in alone.into_iter().filter(|(field, _)| wants(*field)) {
        refused.entry(field).or_insert(reason);
    }
    wanted.retain(|of, _| !refused.contains_key(&of.field));
    refused.into_iter().map(|(field, reason)| format!("{field} is not set: {reason}")).collect()
}

fn has(container: &PartialContainer, field: Field) -> bool {
    match field {
        Field::LivenessProbe => container.liveness_probe.is_some(),
        Field::ReadinessProbe => container.readiness_probe.is_some(),
        Field::StartupProbe => container.startup_probe.is_some(),
        Field::Request(_) | Field::Limit(_) => own(container, field).is_some(),
    }
}

/// Returns the amount that the container itself sets.
fn own(container: &PartialContainer, field: Field) -> Option<&str> {
    let resources = container.resources.as_ref()?;
    let (amounts, compute) = match field {
        Field::Request(compute) => (&resources.requests, compute),
        Field::Limit(compute) => (&resources.limits, compute),
        Field::LivenessProbe | Field::ReadinessProbe | Field::StartupProbe => return None,
    };
    amounts.as_ref()?.get(compute.as_str()).map(|amount| amount.0.as_str())
}

fn out_of_bounds(field: Field, value: &Value, constraints: &Constraints) -> Option<String> {
    let (Field::Request(compute) | Field::Limit(compute)) = field else { return None };
    let written = value.as_str().unwrap_or_default();
    let amount = Quantity::parse(written)?;
    let bounds = constraints.bounds.iter().filter(|bound| bound.compute == compute);
    for bound in bounds {
        let side = if bound.min.is_some_and(|min| amount < min) {
            "below the least"
        } else if bound.max.is_some_and(|max| amount > max) {
            "above the most"
        } else {
            continue;
        };
        return Some(format!("{written} is {side} that LimitRange {} allows", bound.limit_range));
    }
    None
}
