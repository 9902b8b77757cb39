//! Checks a patch against the quotas of its namespace. Pure.
//!
//! The API server refuses new pods that exceed a quota. By then, some rollouts have already deleted old pods.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::ScopedResourceSelectorRequirement;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::Value;

use super::field::{Compute, Field, Fields, read};
use super::objects::ResourceQuota;
use super::rollout_progress::RolloutProgress;
use super::subject::{Subject, Typed};
use super::surroundings::{Surroundings, amount};
use crate::workload::Quantity;

impl Surroundings {
    /// Returns the fields that exceed a quota, each with the reason.
    ///
    /// The plan needs its additions for all pods and for the surge pods of a rollout.
    pub fn short(&self, subject: &Subject, adds: &Fields) -> Vec<(Field, String)> {
        let pods = i64::from(RolloutProgress::of(subject).wanted.max(0));
        let surge = surge(subject, pods);
        let patched = subject.with(adds);
        let mut short = Vec::new();
        for compute in Compute::ALL {
            for field in [Field::Request(compute), Field::Limit(compute)] {
                let (before, after) = (a_pod(subject, field), a_pod(&patched, field));
                let added = after.minus(before);
                let needed = added.times(pods).plus(after.times(surge));
                let quotas =
                    self.quotas.iter().filter(|quota| added.is_positive() && counts(quota, &patched));
                for (name, left) in quotas.filter_map(|quota| left(quota, field)) {
                    if needed > left {
                        let reason =
                            format!("ResourceQuota {name} has no room for it on {pods} pods and a rollout");
                        short.push((field, reason));
                    }
                }
            }
        }
        short
    }

    /// Returns the quota that blocks the rollout: a container lacks an amount that it requires, or it has no room for
    /// the first new pods.
    pub fn blocks_rollout(&self, patched: &Subject) -> Option<String> {
        let pods = i64::from(RolloutProgress::of(patched).wanted.max(0));
        let extra = if goes_first(patched, pods) { surge(patched, pods) } else { 0 };
        let supplied: BTreeSet<Field> = self.supplied().into_iter().map(|(field, _)| field).collect();
        for quota in self.quotas.iter().filter(|quota| counts(quota, patched)) {
            let name = quota.metadata.name.as_deref().unwrap_or_default();
            for field in Compute::ALL.into_iter().flat_map(|of| [Field::Request(of), Field::Limit(of)]) {
                let Some((_, left)) = left(quota, field) else { continue };
                if let Some(container) = without(patched, field).filter(|_| !supplied.contains(&field)) {
                    return Some(format!(
                        "ResourceQuota {name} requires {field}, and container {container} has no {field}"
                    ));
                }
                if a_pod(patched, field).times(extra) > left {
                    return Some(format!("ResourceQuota {name} has no room for the {field} of one more pod"));
                }
            }
            let status = quota.status.as_ref();
            let of = |name| {
                let hard = amount(status?.hard.as_ref(), name)?;
                Some(hard.minus(amount(status?.used.as_ref(), name).unwrap_or(Quantity::ZERO)))
            };
            let room = ["pods", "count/pods"].into_iter().filter_map(of).min();
            if room.is_some_and(|room| Quantity::ONE.times(extra) > room) {
                return Some(format!("ResourceQuota {name} has no room for one more pod"));
            }
        }
        None
    }
}

/// Returns a container, init containers included, that has neither the amount nor, for a request, a limit that replaces
/// it.
fn without(subject: &Subject, field: Field) -> Option<String> {
    let spec = subject.object.pointer("/spec/template/spec")?;
    if spec.get("resources").is_some_and(|resources| read(resources, &field.path()[1..]).is_some()) {
        return None;
    }
    let lists = ["containers", "initContainers"].into_iter().filter_map(|list| spec.get(list)?.as_array());
    let mut lacking = lists.flatten().filter(|container| {
        let has = |field: Field| read(container, &field.path()).is_some();
        !match field {
            Field::Request(compute) => has(field) || has(Field::Limit(compute)),
            _ => has(field),
        }
    });
    Some(lacking.next()?["name"].as_str().unwrap_or_default().to_owned())
}

/// Returns true if a rollout can only create a new pod before it deletes an old one.
fn goes_first(subject: &Subject, pods: i64) -> bool {
    let Typed::Deployment(deployment) = &*subject.typed else { return false };
    let strategy = deployment.spec.as_ref().and_then(|spec| spec.strategy.clone()).unwrap_or_default();
    let unavailable = strategy.rolling_update.and_then(|rolling| rolling.max_unavailable);
    let unavailable = unavailable.unwrap_or_else(|| IntOrString::String("25%".to_owned()));
    strategy.type_.as_deref() != Some("Recreate") && part(&unavailable, pods, 0) == 0
}

/// Returns true if a quota counts the pods of a workload, because each of its
/// [scopes](https://kubernetes.io/docs/concepts/policy/resource-quotas/#quota-scopes) matches them.
fn counts(quota: &ResourceQuota, subject: &Subject) -> bool {
    let Some(spec) = quota.spec.as_ref() else { return true };
    let scopes = spec.scopes.iter().flatten().map(|scope| ScopedResourceSelectorRequirement {
        operator: "Exists".to_owned(),
        scope_name: scope.clone(),
        values: None,
    });
    let selector = spec.scope_selector.as_ref().and_then(|selector| selector.match_expressions.clone());
    scopes.chain(selector.into_iter().flatten()).all(|scope| holds(&scope, subject))
}

fn holds(scope: &ScopedResourceSelectorRequirement, subject: &Subject) -> bool {
    let Some(spec) = subject.object.pointer("/spec/template/spec") else { return false };
    match scope.scope_name.as_str() {
        // Templates of these kinds cannot have an `activeDeadlineSeconds`.
        "NotTerminating" => true,
        "BestEffort" => is_best_effort(spec),
        "NotBestEffort" => !is_best_effort(spec),
        "PriorityClass" => {
            let class =
                spec.get("priorityClassName").and_then(Value::as_str).filter(|class| !class.is_empty());
            let is_named =
                class.is_some_and(|class| scope.values.iter().flatten().any(|value| value == class));
            match scope.operator.as_str() {
                "In" => is_named,
                "NotIn" => !is_named,
                "Exists" => class.is_some(),
                _ => class.is_none(),
            }
        }
        "CrossNamespacePodAffinity" => ["podAffinity", "podAntiAffinity"].iter().any(|kind| {
            let affinity = read(spec, &["affinity", kind]);
            affinity.is_some_and(names_namespaces)
        }),
        // `Terminating`, and scopes that do not apply to pods.
        _ => false,
    }
}

/// Returns true if any term of an affinity names other namespaces.
fn names_namespaces(affinity: &Value) -> bool {
    match affinity {
        Value::Object(fields) => fields.iter().any(|(name, value)| match name.as_str() {
            "namespaces" => value.as_array().is_some_and(|names| !names.is_empty()),
            "namespaceSelector" => !value.is_null(),
            "labelSelector" => false,
            _ => names_namespaces(value),
        }),
        Value::Array(terms) => terms.iter().any(names_namespaces),
        _ => false,
    }
}

/// Returns true if no container of a pod requests or limits CPU or memory.
fn is_best_effort(spec: &Value) -> bool {
    let containers = ["containers", "initContainers"].into_iter().flat_map(|list| containers(spec, list));
    containers.chain([spec]).all(|holder| {
        let fields = Compute::ALL.into_iter().flat_map(|of| [Field::Request(of), Field::Limit(of)]);
        fields.filter_map(|field| of(holder, field)).all(|amount| !amount.is_positive())
    })
}

/// Returns the quota's name and the amount of a resource that is left in it.
fn left(quota: &ResourceQuota, field: Field) -> Option<(&str, Quantity)> {
    let names: &[&str] = match field {
        Field::Request(Compute::Cpu) => &["requests.cpu", "cpu"],
        Field::Request(Compute::Memory) => &["requests.memory", "memory"],
        Field::Limit(Compute::Cpu) => &["limits.cpu"],
        Field::Limit(Compute::Memory) => &["limits.memory"],
        _ => return None,
    };
    let status = quota.status.as_ref()?;
    let each = names.iter().filter_map(|name| {
        let hard = amount(status.hard.as_ref(), name)?;
        Some(hard.minus(amount(status.used.as_ref(), name).unwrap_or(Quantity::ZERO)))
    });
    Some((quota.metadata.name.as_deref().unwrap_or_default(), each.min()?))
}

/// Returns a pod's amount as [Kubernetes counts
/// it](https://github.com/kubernetes/kubernetes/blob/v1.36.3/staging/src/k8s.io/component-helpers/resource/helpers.go):
/// the pod-level amount if there is one. Otherwise the larger of two: the sum of its containers and sidecars, and the
/// largest sum of an init container and the sidecars that start before it.
fn a_pod(subject: &Subject, field: Field) -> Quantity {
    let Some(spec) = subject.object.pointer("/spec/template/spec") else { return Quantity::ZERO };
    if let Some(whole) = of(spec, field) {
        return whole;
    }
    let (mut sidecars, mut most) = (Quantity::ZERO, Quantity::ZERO);
    for container in containers(spec, "initContainers") {
        let amount = of(container, field).unwrap_or(Quantity::ZERO);
        if container.get("restartPolicy").and_then(Value::as_str) == Some("Always") {
            sidecars = sidecars.plus(amount);
        } else {
            most = most.max(sidecars.plus(amount));
        }
    }
    let amounts = containers(spec, "containers").filter_map(|container| of(container, field));
    amounts.fold(sidecars, Quantity::plus).max(most)
}

fn containers<'s>(spec: &'s Value, list: &str) -> impl Iterator<Item = &'s Value> + use<'s> {
    spec.get(list).and_then(Value::as_array).into_iter().flatten()
}

/// Returns the amount of a container or of a pod; a limit without a request is also the request.
fn of(holder: &Value, field: Field) -> Option<Quantity> {
    let amount = |field: Field| Quantity::parse(read(holder, &field.path())?.as_str()?);
    match field {
        Field::Request(compute) => amount(field).or_else(|| amount(Field::Limit(compute))),
        _ => amount(field),
    }
}

/// Returns the number of pods that a rollout creates beyond the desired ones.
fn surge(subject: &Subject, pods: i64) -> i64 {
    let (most, usual) = match &*subject.typed {
        Typed::Deployment(deployment) => {
            let strategy =
                deployment.spec.as_ref().and_then(|spec| spec.strategy.clone()).unwrap_or_default();
            if strategy.type_.as_deref() == Some("Recreate") {
                return 0;
            }
            (strategy.rolling_update.and_then(|rolling| rolling.max_surge), "25%")
        }
        Typed::DaemonSet(set) => {
            let strategy =
                set.spec.as_ref().and_then(|spec| spec.update_strategy.clone()).unwrap_or_default();
            (strategy.rolling_update.and_then(|rolling| rolling.max_surge), "0")
        }
        Typed::StatefulSet(_) => return 0,
    };
    part(&most.unwrap_or_else(|| IntOrString::String(usual.to_owned())), pods, 99)
}

/// Returns a number of pods, or a percentage of `pods` to which `hundredths` are added before it is rounded down.
fn part(of: &IntOrString, pods: i64, hundredths: i64) -> i64 {
    match of {
        IntOrString::Int(count) => i64::from(*count),
        IntOrString::String(text) => match text.strip_suffix('%') {
            Some(percent) => {
                percent.parse::<i64>().map_or(pods, |percent| (percent * pods + hundredths) / 100)
            }
            None => text.parse().unwrap_or(pods),
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::enforcement::ContainerField;
    use crate::workload::WorkloadKind;

    fn subject(kind: WorkloadKind, spec: &Value) -> Subject {
        let resources = json!({ "requests": { "cpu": "100m" } });
        let container = json!({ "name": "main", "image": "x:1", "resources": resources });
        let mut object = json!({
            "metadata": { "name": "web", "namespace": "n" },
            "spec": {
                "replicas": 4, "selector": {}, "serviceName": "web",
                "template": { "spec": { "containers": [container] } },
            },
        });
        for (name, value) in spec.as_object().unwrap() {
            object["spec"][name] = value.clone();
        }
        Subject::read(kind, object).unwrap()
    }

    fn quota(hard: &Value, scopes: &[&str]) -> Surroundings {
        let used = json!({ "requests.cpu": "400m", "limits.memory": "0" });
        let quota = json!({
            "metadata": { "name": "small" }, "spec": { "scopes": scopes },
            "status": { "hard": hard, "used": used },
        });
        Surroundings { quotas: vec![serde_json::from_value(quota).unwrap()], ..Surroundings::default() }
    }

    fn short(around: &Surroundings, subject: &Subject, field: Field, amount: &str) -> bool {
        let adds = Fields::from([(ContainerField::new("main", field), json!(amount))]);
        let found = around.short(subject, &adds);
        assert!(
            found.iter().all(|(of, reason)| *of == field && reason.contains("ResourceQuota small")),
            "{found:?}"
        );
        !found.is_empty()
    }

    #[test]
    fn the_additions_for_all_pods_and_the_surge_must_fit() {
        let limit = Field::Limit(Compute::Memory);
        let kinds = [
            // Four pods, and five during the rollout of a Deployment.
            (WorkloadKind::Deployment, json!({}), "500Mi", "499Mi"),
            (WorkloadKind::Deployment, json!({ "strategy": { "type": "Recreate" } }), "400Mi", "399Mi"),
            (
                WorkloadKind::Deployment,
                json!({ "strategy": { "rollingUpdate": { "maxSurge": 2 } } }),
                "600Mi",
                "599Mi",
            ),
            (WorkloadKind::StatefulSet, json!({}), "400Mi", "399Mi"),
        ];
        for (kind, spec, enough, too_little) in kinds {
            let subject = subject(kind, &spec);
            assert!(
                !short(&quota(&json!({ "limits.memory": enough }), &[]), &subject, limit, "100Mi"),
                "{spec}"
            );
            assert!(
                short(&quota(&json!({ "limits.memory": too_little }), &[]), &subject, limit, "100Mi"),
                "{spec}"
            );
        }
    }

    #[test]
    fn only_quotas_for_the_added_resources_and_these_pods_count() {
        let subject = subject(WorkloadKind::Deployment, &json!({}));
        let none = json!({ "requests.cpu": "0", "limits.memory": "0" });
        let limit = Field::Limit(Compute::Memory);
        assert!(short(&quota(&json!({ "limits.memory": "0" }), &["NotTerminating"]), &subject, limit, "1Mi"));
        assert!(!short(&quota(&json!({ "requests.cpu": "0" }), &[]), &subject, limit, "1Mi"));
        assert!(!short(&quota(&none, &["BestEffort"]), &subject, limit, "1Mi"));
        assert!(!short(&quota(&none, &["Terminating"]), &subject, limit, "1Mi"));
        assert!(!short(&Surroundings::default(), &subject, limit, "1Mi"));
    }

    #[test]
    fn a_rollout_that_creates_a_pod_first_needs_room_for_it() {
        let one = json!({ "replicas": 1 });
        let deployment = subject(WorkloadKind::Deployment, &one);
        let blocks = |hard: Value, subject: &Subject| quota(&hard, &[]).blocks_rollout(subject);
        let blocked = blocks(json!({ "requests.cpu": "499m" }), &deployment).unwrap();
        assert!(blocked.contains("no room for the resources.requests.cpu of one more pod"), "{blocked}");
        assert_eq!(blocks(json!({ "requests.cpu": "500m" }), &deployment), None);
        assert!(blocks(json!({ "pods": "0" }), &deployment).is_some());
        assert_eq!(blocks(json!({ "pods": "1" }), &deployment), None);
        let other = json!({ "replicas": 1, "strategy": { "rollingUpdate": { "maxUnavailable": 1 } } });
        assert_eq!(
            blocks(json!({ "requests.cpu": "400m" }), &subject(WorkloadKind::Deployment, &other)),
            None
        );
        assert_eq!(
            blocks(json!({ "requests.cpu": "400m" }), &subject(WorkloadKind::StatefulSet, &one)),
            None
        );
    }

    #[test]
    fn a_quota_counts_the_pods_in_its_scopes() {
        let with = |pod: Value| {
            let mut spec =
                json!({ "template": { "spec": { "containers": [{ "name": "main", "image": "x:1" }] } } });
            for (name, value) in pod.as_object().unwrap() {
                spec["template"]["spec"][name] = value.clone();
            }
            subject(WorkloadKind::Deployment, &spec)
        };
        let counts = |spec: Value, subject: &Subject| {
            let quota = json!({ "metadata": { "name": "small" }, "spec": spec });
            super::counts(&serde_json::from_value(quota).unwrap(), subject)
        };
        let (plain, sized) = (with(json!({})), subject(WorkloadKind::Deployment, &json!({})));
        for (scopes, of_plain, of_sized) in [
            (vec![], true, true),
            (vec!["BestEffort"], true, false),
            (vec!["NotBestEffort", "NotTerminating"], false, true),
            (vec!["Terminating"], false, false),
            (vec!["PriorityClass"], false, false),
            (vec!["CrossNamespacePodAffinity"], false, false),
        ] {
            let spec = json!({ "scopes": scopes });
            assert_eq!(
                (counts(spec.clone(), &plain), counts(spec, &sized)),
                (of_plain, of_sized),
                "{scopes:?}"
            );
            let each = scopes.iter().map(|scope| json!({ "scopeName": scope, "operator": "Exists" }));
            let spec = json!({ "scopeSelector": { "matchExpressions": each.collect::<Vec<_>>() } });
            assert_eq!(
                (counts(spec.clone(), &plain), counts(spec, &sized)),
                (of_plain, of_sized),
                "{scopes:?}"
            );
        }
        let high = with(json!({ "priorityClassName": "high" }));
        for (operator, values, of_plain, of_high) in [
            ("In", json!(["high"]), false, true),
            ("In", json!(["low"]), false, false),
            ("NotIn", json!(["high"]), true, false),
            ("Exists", json!(null), false, true),
            ("DoesNotExist", json!(null), true, false),
        ] {
            let one = json!({ "scopeName": "PriorityClass", "operator": operator, "values": values });
            let spec = json!({ "scopeSelector": { "matchExpressions": [one] } });
            assert_eq!(
                (counts(spec.clone(), &plain), counts(spec, &high)),
                (of_plain, of_high),
                "{operator}"
            );
        }
        let term = json!({ "topologyKey": "zone", "labelSelector": {}, "namespaces": ["other"] });
        let far = with(json!({ "affinity": { "podAntiAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": [term],
        } } }));
        assert!(counts(json!({ "scopes": ["CrossNamespacePodAffinity"] }), &far));
    }

    #[test]
    fn the_amount_of_a_pod_is_computed_as_kubernetes_does() {
        let cpu = |amount: &str| json!({ "requests": { "cpu": amount } });
        let init = |amount: &str| json!({ "name": "i", "resources": cpu(amount) });
        let sidecar =
            |amount: &str| json!({ "name": "s", "restartPolicy": "Always", "resources": cpu(amount) });
        let main = json!([{ "name": "main", "resources": cpu("100m") }]);
        for (inits, whole, expected) in [
            (json!([]), json!({}), "100m"),
            (json!([sidecar("400m")]), json!({}), "500m"),
            (json!([init("1")]), json!({}), "1"),
            (json!([init("50m")]), json!({}), "100m"),
            (json!([sidecar("400m"), init("300m")]), json!({}), "700m"),
            (json!([init("300m"), sidecar("400m")]), json!({}), "500m"),
            (json!([init("1")]), cpu("2"), "2"),
            (json!([]), json!({ "limits": { "cpu": "3" } }), "3"),
        ] {
            let spec = json!({ "containers": main, "initContainers": inits, "resources": whole });
            let subject = subject(WorkloadKind::Deployment, &json!({ "template": { "spec": spec } }));
            let found = a_pod(&subject, Field::Request(Compute::Cpu));
            assert_eq!(Some(found), Quantity::parse(expected), "{spec}");
        }
    }

    #[test]
    fn a_quota_refuses_pods_without_the_amounts_that_it_counts() {
        let deployment = subject(WorkloadKind::Deployment, &json!({}));
        let limits = quota(&json!({ "limits.memory": "10Gi" }), &[]);
        let blocked = limits.blocks_rollout(&deployment).unwrap();
        assert!(blocked.contains("container main has no resources.limits.memory"), "{blocked}");
        let given =
            Fields::from([(ContainerField::new("main", Field::Limit(Compute::Memory)), json!("1Gi"))]);
        assert_eq!(limits.blocks_rollout(&deployment.with(&given)), None);
        let supplied = json!({ "metadata": { "name": "sizes" }, "spec": { "limits": [
            { "type": "Container", "default": { "memory": "1Gi" } },
        ] } });
        let supplied =
            Surroundings { limit_ranges: vec![serde_json::from_value(supplied).unwrap()], ..limits };
        assert_eq!(supplied.blocks_rollout(&deployment), None);
    }
}
