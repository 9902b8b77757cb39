//! The objects of a namespace that constrain patches: disruption budgets, autoscalers, limit ranges, quotas. Pure.

use std::collections::BTreeMap;

use k8s_openapi::api::autoscaling::v2::{MetricSpec, MetricTarget};
use k8s_openapi::api::core::v1::LimitRangeItem;
use k8s_openapi::apimachinery::pkg::api::resource;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::core::{Selector, SelectorExt};
use serde_json::Value;

use super::constraints::{Bound, Constraints};
use super::downtime::Claims;
use super::field::{Compute, Field};
use super::objects::{HorizontalPodAutoscaler, LimitRange, PodDisruptionBudget, ResourceQuota};
use super::ports::served;
use super::services::Service;
use super::subject::Subject;
use crate::governance::AnnotatedExemptions;
use crate::workload::{Quantity, WorkloadKind};

/// The objects of a workload's namespace that enforcement respects.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// The limits on disruptions.
    pub budgets: Vec<PodDisruptionBudget>,
    /// The autoscalers that change the number of pods.
    pub autoscalers: Vec<HorizontalPodAutoscaler>,
    /// `VerticalPodAutoscaler`s, which set requests and limits; empty if the cluster lacks the kind.
    pub vertical: Vec<Value>,
    /// The reason why the cluster's `VerticalPodAutoscaler`s may not be read.
    pub vertical_unread: Option<String>,
    /// The defaults and bounds for each container.
    pub limit_ranges: Vec<LimitRange>,
    /// The limits of the namespace as a whole. The API server refuses pods above them.
    pub quotas: Vec<ResourceQuota>,
    /// The access modes of claims; empty if they may not be read.
    pub claims: Claims,
    /// The Services.
    pub services: Vec<Service>,
    /// The exemptions of the Namespace.
    pub exemptions: AnnotatedExemptions,
}

impl Surroundings {
    /// Returns the constraints of these objects on a workload.
    ///
    /// A constraint on one container counts for all containers of the workload.
    pub fn constraints(&self, subject: &Subject) -> Constraints {
        let mut constraints = Constraints::default();
        let untouched = &mut constraints.untouched;
        let others = self.steered(subject).into_iter().chain(self.supplied()).chain(self.summed_up());
        for (field, reason) in others {
            untouched.entry(field).or_insert(reason);
        }
        constraints.bounds = self.bounds();
        constraints.served = served(subject, &self.services);
        constraints
    }

    /// Returns true if the workload's pods find each other by themselves: it is a `StatefulSet`, or behind a headless Service
    /// or one that publishes the addresses of pods that are not ready.
    pub fn has_peers(&self, subject: &Subject) -> bool {
        let mut services = self.services.iter();
        subject.kind() == WorkloadKind::StatefulSet
            || services.any(|service| service.is_for_peers && service.selects(subject))
    }

    /// Returns the name of a `PodDisruptionBudget` for the workload's pods that allows no disruption now.
    pub fn blocked_by(&self, subject: &Subject) -> Option<String> {
        let metadata = subject.template().and_then(|template| template.metadata.as_ref());
        let labels = metadata.and_then(|metadata| metadata.labels.clone()).unwrap_or_default();
        let mut at_limit = self.budgets.iter().filter(|budget| {
            // Without a status, its controller has not observed it yet.
            budget.status.as_ref().is_none_or(|status| status.disruptions_allowed <= 0)
        });
        let selector =
            |budget: &PodDisruptionBudget| budget.spec.as_ref().and_then(|spec| spec.selector.clone());
        let budget = at_limit.find(|budget| selector(budget).is_some_and(|it| selects(it, &labels)))?;
        Some(budget.metadata.name.clone().unwrap_or_default())
    }

    /// Describes the objects that affect a rollout of the workload, each in a sentence.
    pub fn describe(&self, subject: &Subject) -> Vec<String> {
        let metadata = subject.template().and_then(|template| template.metadata.as_ref());
        let labels = metadata.and_then(|metadata| metadata.labels.clone()).unwrap_or_default();
        let mut lines = Vec::new();
        for budget in &self.budgets {
            let selector = budget.spec.as_ref().and_then(|spec| spec.selector.clone());
            if selector.is_some_and(|selector| selects(selector, &labels)) {
                let allowed = budget.status.as_ref().map_or(0, |status| status.disruptions_allowed);
                let name = budget.metadata.name.as_deref().unwrap_or_default();
                lines.push(format!("PodDisruptionBudget {name} allows {allowed} disruptions now"));
            }
        }
        for autoscaler in &self.autoscalers {
            let target = autoscaler.spec.as_ref().map(|spec| &spec.scale_target_ref);
            if target.is_some_and(|target| is_target(subject, Some(&target.kind), Some(&target.name))) {
                let name = autoscaler.metadata.name.as_deref().unwrap_or_default();
                lines.push(format!("HorizontalPodAutoscaler {name} scales it"));
            }
        }
        for vertical in self.vertical.iter().filter(|vertical| steers(vertical, subject)) {
            let name = vertical.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
            lines.push(format!("VerticalPodAutoscaler {name} sets its resources"));
        }
        for quota in &self.quotas {
            let name = quota.metadata.name.as_deref().unwrap_or_default();
            let status = quota.status.clone().unwrap_or_default();
            let used = status.used.unwrap_or_default();
            for (resource, hard) in status.hard.iter().flatten() {
                let used = used.get(resource).map_or("0", |used| used.0.as_str());
                lines.push(format!("ResourceQuota {name}: {used} of {} {resource} used", hard.0));
            }
        }
        lines
    }

    /// Returns the fields that an autoscaler of the workload sets or depends on.
    fn steered(&self, subject: &Subject) -> Vec<(Field, String)> {
        let mut fields = Vec::new();
        let steering = self.vertical.iter().filter(|vertical| steers(vertical, subject)).map(|vertical| {
            let name = vertical.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
            format!("VerticalPodAutoscaler {name} sets it")
        });
        let unread = self.vertical_unread.iter();
        let unread = unread.map(|error| format!("a VerticalPodAutoscaler might set it: {error}"));
        for reason in steering.chain(unread) {
            for compute in Compute::ALL {
                fields
                    .extend([Field::Request(compute), Field::Limit(compute)].map(|it| (it, reason.clone())));
            }
        }
        for autoscaler in &self.autoscalers {
            let Some(spec) = autoscaler.spec.as_ref() else { continue };
            if !is_target(subject, Some(&spec.scale_target_ref.kind), Some(&spec.scale_target_ref.name)) {
                continue;
            }
            let name = autoscaler.metadata.name.as_deref().unwrap_or_default();
            for compute in spec.metrics.iter().flatten().filter_map(by_utilization) {
                let reason = format!("HorizontalPodAutoscaler {name} scales on its utilization");
                fields.push((Field::Request(compute), reason));
                if !all_request(subject, compute) {
                    let reason = format!(
                        "it would be the request too, and HorizontalPodAutoscaler {name} scales on its utilization"
                    );
                    fields.push((Field::Limit(compute), reason));
                }
            }
        }
        fields
    }

    /// Returns the fields that a `LimitRange` sets on every container without them.
    pub(super) fn supplied(&self) -> Vec<(Field, String)> {
        let mut fields = Vec::new();
        for (name, item) in self.limits("Container") {
            for compute in Compute::ALL {
                let has = |of: &Option<Amounts>| amount(of.as_ref(), compute.as_str()).is_some();
                // Mirrors the API server's defaulting: a default limit defaults to the maximum; a default request
                // defaults to the limit, else to the minimum.
                let limit = has(&item.default) || has(&item.max);
                let request = has(&item.default_request) || limit || has(&item.min);
                let reason = || format!("LimitRange {name} supplies it");
                fields.extend(request.then(|| (Field::Request(compute), reason())));
                fields.extend(limit.then(|| (Field::Limit(compute), reason())));
            }
        }
        fields
    }

    /// Returns the fields for which a `LimitRange` limits the sum over a pod's containers.
    fn summed_up(&self) -> Vec<(Field, String)> {
        let mut fields = Vec::new();
        for (name, item) in self.limits("Pod") {
            for compute in Compute::ALL {
                let bounds = [&item.max, &item.max_limit_request_ratio];
                if bounds.iter().any(|of| amount(of.as_ref(), compute.as_str()).is_some()) {
                    let reason = format!("LimitRange {name} limits the sum over a pod's containers");
                    fields.extend(
                        [Field::Request(compute), Field::Limit(compute)].map(|it| (it, reason.clone())),
                    );
                }
            }
        }
        fields
    }

    fn bounds(&self) -> Vec<Bound> {
        let mut bounds = Vec::new();
        for (name, item) in self.limits("Container") {
            for compute in Compute::ALL {
                let of = |amounts: &Option<Amounts>| amount(amounts.as_ref(), compute.as_str());
                let bound = Bound {
                    compute,
                    min: of(&item.min),
                    max: of(&item.max),
                    max_limit_request_ratio: of(&item.max_limit_request_ratio),
                    limit_range: name.to_owned(),
                };
                if [bound.min, bound.max, bound.max_limit_request_ratio].iter().any(Option::is_some) {
                    bounds.push(bound);
                }
            }
        }
        bounds
    }

    /// Returns the bounds for a type of object, each with the name of its `LimitRange`.
    fn limits(&self, type_: &'static str) -> impl Iterator<Item = (&str, &LimitRangeItem)> {
        self.limit_ranges.iter().flat_map(move |range| {
            let name = range.metadata.name.as_deref().unwrap_or_default();
            let items = range.spec.iter().flat_map(|spec| &spec.limits);
            items.filter(move |item| item.type_ == type_).map(move |item| (name, item))
        })
    }
}

type Amounts = BTreeMap<String, resource::Quantity>;

/// Returns the amount of a resource.
pub(super) fn amount(of: Option<&Amounts>, resource: &str) -> Option<Quantity> {
    Quantity::parse(&of?.get(resource)?.0)
}

/// Returns true if a selector matches labels. A selector that cannot be read counts as a match, because waiting is
/// safe.
fn selects(selector: LabelSelector, labels: &BTreeMap<String, String>) -> bool {
    Selector::try_from(selector).map_or(true, |selector| selector.matches(labels))
}

fn is_target(subject: &Subject, kind: Option<&str>, name: Option<&str>) -> bool {
    kind == Some(subject.kind().name()) && name == Some(subject.name())
}

/// Returns true if a `VerticalPodAutoscaler` changes the workload's pods, as it does without an update mode.
fn steers(vertical: &Value, subject: &Subject) -> bool {
    let text = |pointer: &str| vertical.pointer(pointer).and_then(Value::as_str);
    is_target(subject, text("/spec/targetRef/kind"), text("/spec/targetRef/name"))
        && text("/spec/updatePolicy/updateMode") != Some("Off")
}

/// Returns the resource of a metric that scales on utilization, a percentage of the request.
fn by_utilization(metric: &MetricSpec) -> Option<Compute> {
    let of_pod = metric.resource.as_ref().map(|it| (&it.name, &it.target));
    let of_container = metric.container_resource.as_ref().map(|it| (&it.name, &it.target));
    let (name, target): (&String, &MetricTarget) = of_pod.or(of_container)?;
    let compute = Compute::ALL.into_iter().find(|compute| compute.as_str() == name)?;
    (target.type_ == "Utilization").then_some(compute)
}

/// Returns true if every container requests a resource. A limit without a request is also the request.
fn all_request(subject: &Subject, compute: Compute) -> bool {
    subject.containers().iter().all(|container| {
        let requests = container.resources.as_ref().and_then(|resources| resources.requests.as_ref());
        requests.is_some_and(|requests| requests.contains_key(compute.as_str()))
    })
}

#[cfg(test)]
mod tests;
