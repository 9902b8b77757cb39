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
    let mut planned = Planned { wanted, container, constraints, barred, dropped: BTreeMap::new() };
    planned.drop_closed();
    planned.drop_ratios();
    planned.drop_probes();
    planned.drop_amounts();
    let dropped = planned.dropped;
    wanted.retain(|of, _| !dropped.contains_key(&of.field));
    dropped.into_iter().map(|(field, reason)| format!("{field} is not set: {reason}")).collect()
}

/// The fields planned for a container, and the reasons for those that are dropped.
struct Planned<'a> {
    wanted: &'a Fields,
    container: &'a PartialContainer,
    constraints: &'a Constraints,
    barred: &'a BTreeSet<ContainerField>,
    dropped: BTreeMap<Field, String>,
}

impl Planned<'_> {
    fn value(&self, field: Field) -> Option<&Value> {
        self.wanted.get(&ContainerField::new(&self.container.name, field))
    }

    /// Drops a planned field, unless there is another reason already.
    fn drop_field(&mut self, field: Field, reason: impl Into<String>) {
        if self.value(field).is_some() {
            self.dropped.entry(field).or_insert_with(|| reason.into());
        }
    }

    /// Returns the reason why a field may not be set.
    fn closed(&self, field: Field) -> Option<String> {
        if self.barred.contains(&ContainerField::new(&self.container.name, field)) {
            let reason = "another client removed it, and it stays removed until the policy changes";
            return Some(reason.to_owned());
        }
        self.constraints.untouched.get(&field).cloned()
    }

    /// Drops fields that may not be set, and values outside of their bounds.
    fn drop_closed(&mut self) {
        for (of, value) in self.wanted {
            let reason = self.closed(of.field).or_else(|| out_of_bounds(of.field, value, self.constraints));
            self.dropped.extend(reason.map(|reason| (of.field, reason)));
        }
    }

    /// Drops a request and a limit with a ratio that a `LimitRange` forbids.
    fn drop_ratios(&mut self) {
        let constraints = self.constraints;
        for bound in &constraints.bounds {
            let will_be = |field: Field| {
                let given = self.value(field).filter(|_| !self.dropped.contains_key(&field));
                Quantity::parse(given.map_or_else(|| own(self.container, field), Value::as_str)?)
            };
            let both = [Field::Request(bound.compute), Field::Limit(bound.compute)];
            let [Some(request), Some(limit)] = both.map(will_be) else { continue };
            if bound.max_limit_request_ratio.is_some_and(|ratio| limit.is_more_than(ratio, request)) {
                let reason = format!(
                    "the limit would be more times the request than LimitRange {} allows",
                    bound.limit_range
                );
                for field in both {
                    self.drop_field(field, reason.clone());
                }
            }
        }
    }

    /// Drops a liveness or startup probe that would be harmful without the other one.
    fn drop_probes(&mut self) {
        let is_dropped = |planned: &Self, field| planned.dropped.contains_key(&field);
        let (startup, liveness) =
            (is_dropped(self, Field::StartupProbe), is_dropped(self, Field::LivenessProbe));
        // Without a startup probe, a liveness probe restarts a container that starts slowly.
        if startup {
            let reason = "it would restart a slow start, and no startupProbe may be set";
            self.drop_field(Field::LivenessProbe, reason);
        }
        if liveness {
            self.drop_field(Field::StartupProbe, "it is set only with a livenessProbe");
        }
    }

    /// Drops a request or a limit that would be harmful without the other one.
    fn drop_amounts(&mut self) {
        for compute in Compute::ALL {
            let (request, limit) = (Field::Request(compute), Field::Limit(compute));
            // A limit that others set could be below the request.
            let has_foreign_limit =
                !has(self.container, limit) && self.constraints.untouched.contains_key(&limit);
            // A limit without a request becomes the pod's request, and a request that others set could exceed the
            // limit.
            let no_request = self.dropped.contains_key(&request)
                || !has(self.container, request) && self.closed(request).is_some();
            if no_request {
                let reason = format!("it would stand for the {compute} request, which may not be set");
                self.drop_field(limit, reason);
            }
            if has_foreign_limit {
                self.drop_field(
                    request,
                    format!("it could be above the {compute} limit, which others supply"),
                );
            }
        }
    }
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
