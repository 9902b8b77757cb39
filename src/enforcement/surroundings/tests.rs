//! Constraints from each kind of object, alone and combined, and disruption budgets.

use serde_json::json;

use super::*;
use crate::workload::WorkloadKind;

const CPU_REQUEST: Field = Field::Request(Compute::Cpu);
const CPU_LIMIT: Field = Field::Limit(Compute::Cpu);
const MEMORY_REQUEST: Field = Field::Request(Compute::Memory);
const MEMORY_LIMIT: Field = Field::Limit(Compute::Memory);

/// The Deployment `web`, with these resources.
fn web(resources: &Value) -> Subject {
    let object = json!({
        "metadata": { "name": "web", "namespace": "n" },
        "spec": { "selector": {}, "template": {
            "metadata": { "labels": { "app": "web", "tier": "front" } },
            "spec": { "containers": [{ "name": "main", "resources": resources }] },
        } },
    });
    Subject::read(WorkloadKind::Deployment, object).unwrap()
}

fn requesting() -> Subject {
    web(&json!({ "requests": { "cpu": "1", "memory": "1Gi" } }))
}

fn read<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn untouched(surroundings: &Surroundings, subject: &Subject) -> Vec<Field> {
    surroundings.constraints(subject).untouched.into_keys().collect()
}

fn scaled_by(kind: &str, metric: &Value) -> Surroundings {
    let autoscaler = read(json!({
        "metadata": { "name": "scaler" },
        "spec": {
            "scaleTargetRef": { "apiVersion": "apps/v1", "kind": kind, "name": "web" }, "maxReplicas": 9,
            "metrics": [metric],
        },
    }));
    Surroundings { autoscalers: vec![autoscaler], ..Surroundings::default() }
}

fn metric(resource: &str, target: &str) -> Value {
    let target = json!({ "type": target, "averageUtilization": 80 });
    json!({ "type": "Resource", "resource": { "name": resource, "target": target } })
}

#[test]
fn an_empty_namespace_adds_no_constraints() {
    let none = Surroundings::default();
    assert_eq!(none.constraints(&requesting()), Constraints::default());
    assert_eq!(none.blocked_by(&requesting()), None);
}

#[test]
fn a_request_that_an_autoscaler_scales_on_is_not_set() {
    let cpu = scaled_by("Deployment", &metric("cpu", "Utilization"));
    assert_eq!(untouched(&cpu, &requesting()), [CPU_REQUEST]);
    let reason = &cpu.constraints(&requesting()).untouched[&CPU_REQUEST];
    assert_eq!(reason, "HorizontalPodAutoscaler scaler scales on its utilization");
    let target = json!({ "type": "Utilization", "averageUtilization": 80 });
    let container = json!({
        "type": "ContainerResource",
        "containerResource": { "name": "memory", "container": "main", "target": target },
    });
    assert_eq!(untouched(&scaled_by("Deployment", &container), &requesting()), [MEMORY_REQUEST]);
}

#[test]
fn a_limit_that_implies_such_a_request_is_not_set() {
    let cpu = scaled_by("Deployment", &metric("cpu", "Utilization"));
    assert_eq!(untouched(&cpu, &web(&json!({}))), [CPU_REQUEST, CPU_LIMIT]);
}

#[test]
fn other_autoscalers_and_metrics_do_not_constrain_requests() {
    for free in [
        scaled_by("StatefulSet", &metric("cpu", "Utilization")),
        scaled_by("Deployment", &metric("cpu", "AverageValue")),
        scaled_by("Deployment", &metric("storage", "Utilization")),
        scaled_by(
            "Deployment",
            &json!({ "type": "Pods", "pods": { "metric": { "name": "rate" },
            "target": { "type": "AverageValue", "averageValue": "5" } } }),
        ),
    ] {
        assert_eq!(untouched(&free, &web(&json!({}))), [], "{free:?}");
    }
    let mut other = scaled_by("Deployment", &metric("cpu", "Utilization"));
    other.autoscalers[0].spec.as_mut().unwrap().scale_target_ref.name = "db".to_owned();
    assert_eq!(untouched(&other, &web(&json!({}))), []);
}

#[test]
fn a_vertical_autoscaler_sets_all_amounts_unless_it_only_recommends() {
    let vertical = |name: &str, policy: Value| Surroundings {
        vertical: vec![json!({
            "metadata": { "name": "sizer" },
            "spec": { "targetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": name },
                "updatePolicy": policy },
        })],
        ..Surroundings::default()
    };
    let all = [CPU_REQUEST, MEMORY_REQUEST, CPU_LIMIT, MEMORY_LIMIT];
    for policy in
        [Value::Null, json!({}), json!({ "updateMode": "Initial" }), json!({ "updateMode": "Recreate" })]
    {
        let steering = vertical("web", policy);
        assert_eq!(untouched(&steering, &requesting()), all);
        let reason = &steering.constraints(&requesting()).untouched[&CPU_LIMIT];
        assert_eq!(reason, "VerticalPodAutoscaler sizer sets it");
    }
    assert_eq!(untouched(&vertical("web", json!({ "updateMode": "Off" })), &requesting()), []);
    assert_eq!(untouched(&vertical("db", json!({})), &requesting()), []);
}

#[test]
fn amounts_are_not_set_if_autoscalers_cannot_be_read() {
    let unread = Surroundings { vertical_unread: Some("forbidden".to_owned()), ..Surroundings::default() };
    let constraints = unread.constraints(&requesting());
    assert_eq!(constraints.untouched.len(), 4);
    let reason = "a VerticalPodAutoscaler might set it: forbidden";
    assert!(constraints.untouched.values().all(|why| why == reason), "{:?}", constraints.untouched);
}

fn limit_range(item: &Value) -> Surroundings {
    let range = read(json!({ "metadata": { "name": "sizes" }, "spec": { "limits": [item] } }));
    Surroundings { limit_ranges: vec![range], ..Surroundings::default() }
}

#[test]
fn defaults_of_a_limit_range_are_not_set() {
    for (item, expected) in [
        (json!({ "defaultRequest": { "cpu": "1" } }), vec![CPU_REQUEST]),
        (json!({ "default": { "memory": "1Gi" } }), vec![MEMORY_REQUEST, MEMORY_LIMIT]),
        (json!({ "max": { "cpu": "2" } }), vec![CPU_REQUEST, CPU_LIMIT]),
        (json!({ "min": { "memory": "1Mi" } }), vec![MEMORY_REQUEST]),
        (json!({ "default": { "storage": "1Gi" } }), vec![]),
        (json!({ "maxLimitRequestRatio": { "cpu": "2" } }), vec![]),
    ] {
        let mut item = item;
        item["type"] = json!("Container");
        assert_eq!(untouched(&limit_range(&item), &requesting()), expected, "{item}");
        item["type"] = json!("PersistentVolumeClaim");
        assert_eq!(untouched(&limit_range(&item), &requesting()), [], "{item}");
    }
    for item in [json!({ "max": { "cpu": "2" } }), json!({ "maxLimitRequestRatio": { "cpu": "2" } })] {
        let mut item = item;
        item["type"] = json!("Pod");
        assert_eq!(untouched(&limit_range(&item), &requesting()), [CPU_REQUEST, CPU_LIMIT], "{item}");
    }
    let sizes = limit_range(&json!({ "type": "Container", "default": { "cpu": "1" } }));
    assert_eq!(sizes.constraints(&requesting()).untouched[&CPU_REQUEST], "LimitRange sizes supplies it");
}

#[test]
fn limit_ranges_give_bounds() {
    let item =
        json!({ "type": "Container", "min": { "cpu": "10m" }, "max": { "cpu": "2", "memory": "1Gi" } });
    let amount = |text| Quantity::parse(text);
    let bound = |compute, min, max| Bound {
        compute,
        min,
        max,
        max_limit_request_ratio: None,
        limit_range: "sizes".to_owned(),
    };
    let expected =
        [bound(Compute::Cpu, amount("10m"), amount("2")), bound(Compute::Memory, None, amount("1Gi"))];
    assert_eq!(limit_range(&item).constraints(&requesting()).bounds, expected);
    let default = limit_range(&json!({ "type": "Container", "default": { "cpu": "1" } }));
    assert_eq!(default.constraints(&requesting()).bounds, []);
}

#[test]
fn the_reason_of_an_autoscaler_precedes_that_of_a_limit_range() {
    let mut both = limit_range(&json!({ "type": "Container", "default": { "cpu": "1" } }));
    both.autoscalers = scaled_by("Deployment", &metric("cpu", "Utilization")).autoscalers;
    let untouched = both.constraints(&requesting()).untouched;
    assert!(untouched[&CPU_REQUEST].starts_with("HorizontalPodAutoscaler"));
    assert!(untouched[&CPU_LIMIT].starts_with("LimitRange"));
}

fn budgets(of: &[(&str, Value, Option<i32>)]) -> Surroundings {
    let budget = |(name, selector, allowed): &(&str, Value, Option<i32>)| {
        let status = allowed.map(|allowed| {
            json!({ "disruptionsAllowed": allowed, "currentHealthy": 1, "desiredHealthy": 1, "expectedPods": 1 })
        });
        read(json!({ "metadata": { "name": name }, "spec": { "selector": selector }, "status": status }))
    };
    Surroundings { budgets: of.iter().map(budget).collect(), ..Surroundings::default() }
}

#[test]
fn a_budget_without_allowed_disruptions_blocks_its_pods() {
    let expression = |key: &str, operator: &str, values: Value| {
        json!({ "matchLabels": { "app": "web" },
            "matchExpressions": [{ "key": key, "operator": operator, "values": values }] })
    };
    for (selector, blocked) in [
        (json!({}), true),
        (json!({ "matchLabels": { "app": "web" } }), true),
        (json!({ "matchLabels": { "app": "web", "tier": "back" } }), false),
        (expression("tier", "In", json!(["front", "back"])), true),
        (expression("tier", "NotIn", json!(["front"])), false),
        (expression("zone", "NotIn", json!(["a"])), true),
        (expression("tier", "Exists", Value::Null), true),
        (expression("tier", "DoesNotExist", Value::Null), false),
        (expression("tier", "In", Value::Null), true),
        (Value::Null, false),
    ] {
        let found = budgets(&[("keep", selector.clone(), Some(0))]).blocked_by(&requesting());
        assert_eq!(found.as_deref(), blocked.then_some("keep"), "{selector}");
    }
}

#[test]
fn only_an_exhausted_or_unobserved_budget_blocks() {
    let all = json!({});
    assert_eq!(budgets(&[("keep", all.clone(), Some(1))]).blocked_by(&requesting()), None);
    let two = budgets(&[("room", all.clone(), Some(1)), ("full", all.clone(), Some(0))]);
    assert_eq!(two.blocked_by(&requesting()).as_deref(), Some("full"));
    assert_eq!(budgets(&[("new", all, None)]).blocked_by(&requesting()).as_deref(), Some("new"));
}

#[test]
fn peers_are_the_pods_of_a_stateful_set_or_of_a_headless_service() {
    let subject = |kind| {
        let template = json!({ "metadata": { "labels": { "app": "web" } } });
        let spec = json!({ "selector": {}, "template": template });
        Subject::read(kind, json!({ "metadata": { "name": "web" }, "spec": spec })).unwrap()
    };
    let behind = |spec: Value| {
        let service = json!({ "metadata": { "name": "web" }, "spec": spec }).to_string();
        Surroundings { services: vec![Service::read(&service).unwrap()], ..Surroundings::default() }
    };
    let headless = behind(json!({ "clusterIP": "None", "selector": { "app": "web" } }));
    let others = behind(json!({ "clusterIP": "None", "selector": { "app": "db" } }));
    let plain = behind(json!({ "clusterIP": "10.0.0.1", "selector": { "app": "web" } }));
    for (kind, around, expected) in [
        (WorkloadKind::StatefulSet, &plain, true),
        (WorkloadKind::Deployment, &headless, true),
        (WorkloadKind::Deployment, &others, false),
        (WorkloadKind::Deployment, &plain, false),
    ] {
        assert_eq!(around.has_peers(&subject(kind)), expected, "{kind:?} {around:?}");
    }
}
