//! The fix of `missing-resources`: the default requests and limits that a container lacks, unless they contradict its
//! own.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ResourceRequirements;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Written;

use crate::rules::fix::{FixInput, FixOutcome, PartialContainer, ResourceDefaults};
use crate::workload::Quantity;

pub(super) fn compute(input: &FixInput<'_>) -> FixOutcome {
    let Some(defaults) = &input.defaults.resources else {
        return FixOutcome::nothing("there are no defaultResources to set");
    };
    if input.pod_has_resources {
        return FixOutcome::nothing(
            "the pod has requests or limits as a whole, so its containers are left to their owner",
        );
    }
    let own = input.container.resources.clone().unwrap_or_default();
    let (own_requests, own_limits) = (own.requests.unwrap_or_default(), own.limits.unwrap_or_default());
    let mut requests = BTreeMap::new();
    let mut limits = BTreeMap::new();
    let mut reasons = Vec::new();
    for (resource, label) in [("cpu", "CPU"), ("memory", "memory")] {
        let choice =
            Choice { resource, label, request: own_requests.get(resource), limit: own_limits.get(resource) };
        // The limit comes first, because the request must not exceed it.
        let limit = keep(choice.limit(defaults), &mut reasons);
        let request = keep(choice.request(defaults, limit), &mut reasons);
        limits.extend(limit.map(|limit| (resource.to_owned(), Written(limit.clone()))));
        requests.extend(request.map(|request| (resource.to_owned(), Written(request.clone()))));
    }
    let some = |amounts: BTreeMap<_, _>| (!amounts.is_empty()).then_some(amounts);
    let resources = ResourceRequirements { claims: None, requests: some(requests), limits: some(limits) };
    let resources = (resources != ResourceRequirements::default()).then_some(resources);
    FixOutcome { sets: PartialContainer { resources, ..PartialContainer::default() }, reasons }
}

/// The request and the limit of one resource.
#[derive(Clone, Copy)]
struct Choice<'a> {
    /// The name in the API.
    resource: &'static str,
    /// The name in sentences.
    label: &'static str,
    request: Option<&'a Written>,
    limit: Option<&'a Written>,
}

/// The default to set, `None` if nothing is missing, or the reason for leaving a missing value out.
type Chosen<'d> = Result<Option<&'d String>, String>;

impl Choice<'_> {
    fn limit<'d>(&self, defaults: &'d ResourceDefaults) -> Chosen<'d> {
        let Self { resource, label, .. } = *self;
        let default = defaults.limits.get(resource);
        // A CPU limit is only asked for if the defaults name one.
        if default.is_none() && resource == "cpu" {
            return Ok(None);
        }
        if let Some(limit) = self.limit {
            return zero(limit, label, "limit");
        }
        let default = default.ok_or_else(|| format!("there is no default {label} limit"))?;
        match self.request {
            Some(request) if !at_most(&request.0, default) => {
                Err(format!("the default {label} limit {default} is below the request {}", request.0))
            }
            _ => Ok(Some(default)),
        }
    }

    /// A limit alone is a request too, because the API server makes it one.
    fn request<'d>(&self, defaults: &'d ResourceDefaults, new_limit: Option<&String>) -> Chosen<'d> {
        let Self { resource, label, .. } = *self;
        let limited = self.limit.is_some_and(is_positive);
        match self.request {
            Some(request) => return zero(request, label, "request"),
            None if limited => return Ok(None),
            None => {}
        }
        let Some(default) = defaults.requests.get(resource) else {
            let asked = new_limit.is_none();
            return if asked { Err(format!("there is no default {label} request")) } else { Ok(None) };
        };
        match self.limit.map(|limit| &limit.0).or(new_limit) {
            Some(limit) if !at_most(default, limit) => {
                Err(format!("the default {label} request {default} is above the limit {limit}"))
            }
            _ => Ok(Some(default)),
        }
    }
}

fn zero<'d>(amount: &Written, label: &str, what: &str) -> Chosen<'d> {
    if is_positive(amount) {
        return Ok(None);
    }
    Err(format!("the {label} {what} is {} on purpose: change it in the manifest", amount.0))
}

fn is_positive(amount: &Written) -> bool {
    Quantity::parse(&amount.0).is_some_and(Quantity::is_positive)
}

/// Returns true if both are amounts and the first does not exceed the second.
fn at_most(least: &str, most: &str) -> bool {
    match (Quantity::parse(least), Quantity::parse(most)) {
        (Some(least), Some(most)) => least <= most,
        _ => false,
    }
}

fn keep<'d>(chosen: Chosen<'d>, reasons: &mut Vec<String>) -> Option<&'d String> {
    chosen.unwrap_or_else(|reason| {
        reasons.push(reason);
        None
    })
}
