//! Properties of planning over random workloads, policies and constraints. A small model of server-side apply applies
//! each plan, and the result is evaluated again.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use kube_devops::enforcement::{
    Bound, Compute, Constraints, ContainerField, EnforcingPolicy, FIELD_MANAGER, Field, Fields, KINDS,
    PATCHED_BY, PATCHED_FIELDS, Plan, Subject, plan,
};
use kube_devops::governance::evaluate;
use kube_devops::policy::{CompiledPolicy, DevOpsPolicy};
use kube_devops::workload::{Quantity, WorkloadKind};
use proptest::collection::{btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Map, Value, json};

// --- Inputs ---

const NAMES: [&str; 4] = ["app", "log", "mesh", "tail"];
const CPU: [&str; 6] = ["0", "50m", "100m", "0.25", "500m", "2"];
const MEMORY: [&str; 6] = ["0", "32Mi", "64Mi", "67108864", "128Mi", "1Gi"];

fn amounts(compute: Compute) -> [&'static str; 6] {
    match compute {
        Compute::Cpu => CPU,
        Compute::Memory => MEMORY,
    }
}

/// Generates a request and a limit that the API server accepts: the request doesn't exceed the limit.
fn request_and_limit(least: usize) -> impl Strategy<Value = (Option<usize>, Option<usize>)> {
    let place = || option::of(least..6usize);
    (place(), place()).prop_map(|(request, limit)| (request.map(|r| limit.map_or(r, |l| r.min(l))), limit))
}

fn resources() -> impl Strategy<Value = Option<Value>> {
    let lists = (request_and_limit(0), request_and_limit(0)).prop_map(|(cpu, memory)| {
        let mut resources = json!({});
        for (compute, (request, limit)) in [(Compute::Cpu, cpu), (Compute::Memory, memory)] {
            for (list, place) in [("requests", request), ("limits", limit)] {
                if let Some(place) = place {
                    resources[list][compute.as_str()] = json!(amounts(compute)[place]);
                }
            }
        }
        resources
    });
    option::weighted(0.6, lists)
}

fn probe() -> impl Strategy<Value = Option<Value>> {
    let probes = [
        json!({}),
        json!({ "tcpSocket": { "port": "http" }, "periodSeconds": 3 }),
        json!({ "httpGet": { "path": "/", "port": 8080 } }),
    ];
    option::weighted(0.3, select(probes.to_vec()))
}

fn port() -> impl Strategy<Value = Value> {
    (1..=65535_u16, option::of(select(vec!["TCP", "UDP", "SCTP"]))).prop_map(
        |(port, protocol)| match protocol {
            Some(protocol) => json!({ "containerPort": port, "protocol": protocol }),
            None => json!({ "containerPort": port }),
        },
    )
}

fn container(name: &'static str) -> impl Strategy<Value = Value> {
    let image = select(vec!["x:1", "x"]);
    (image, vec(port(), 0..3), probe(), probe(), probe(), resources()).prop_map(
        move |(image, ports, liveness, readiness, startup, resources)| {
            let mut container = json!({ "name": name, "image": image });
            let fields = [
                ("ports", (!ports.is_empty()).then(|| json!(ports))),
                ("livenessProbe", liveness),
                ("readinessProbe", readiness),
                ("startupProbe", startup),
                ("resources", resources),
            ];
            for (field, value) in fields {
                if let Some(value) = value {
                    container[field] = value;
                }
            }
            container
        },
    )
}

fn workload() -> impl Strategy<Value = Subject> {
    let containers = (1..=4usize)
        .prop_flat_map(|count| NAMES[..count].iter().map(|name| container(name)).collect::<Vec<_>>());
    let init = vec(container("init"), 0..2);
    (select(KINDS.to_vec()), containers, init, option::weighted(0.1, resources())).prop_map(
        |(kind, containers, init, resources)| {
            let mut pod = json!({ "containers": containers });
            if !init.is_empty() {
                pod["initContainers"] = json!(init);
            }
            if let Some(Some(resources)) = resources {
                pod["resources"] = resources;
            }
            let mut spec = json!({ "selector": {}, "template": { "metadata": {}, "spec": pod } });
            if kind == WorkloadKind::StatefulSet {
                spec["serviceName"] = json!("db");
            }
            let object = json!({
                "apiVersion": kind.api_version(), "kind": kind.name(),
                "metadata": { "name": "web", "namespace": "shop", "uid": "u", "resourceVersion": "1" },
                "spec": spec,
            });
            Subject::read(kind, object).unwrap()
        },
    )
}

fn default_resources() -> impl Strategy<Value = Value> {
    (request_and_limit(1), request_and_limit(1)).prop_map(|(cpu, memory)| {
        let fields = [
            ("cpuRequest", cpu.0.map(|place| CPU[place])),
            ("cpuLimit", cpu.1.map(|place| CPU[place])),
            ("memoryRequest", memory.0.map(|place| MEMORY[place])),
            ("memoryLimit", memory.1.map(|place| MEMORY[place])),
        ];
        let given = fields.into_iter().filter_map(|(field, amount)| Some((field.to_owned(), json!(amount?))));
        Value::Object(given.collect())
    })
}

fn spec() -> impl Strategy<Value = Value> {
    let switch = || option::of(any::<bool>());
    let default_probe = (option::of(1..=65535_u16), option::of(0..60_u32), option::of(1..60_u32));
    let defaults = (option::of(default_probe), option::of(default_resources()));
    (switch(), switch(), switch(), switch(), defaults, any::<bool>()).prop_map(
        |(latest, liveness, readiness, require, (probe, resources), by_id)| {
            let mut spec = json!({
                "forbidLatestTag": latest, "requireLivenessProbe": liveness, "requireReadinessProbe": readiness,
                "requireResources": require, "defaultResources": resources,
            });
            if let Some((port, delay, period)) = probe {
                spec["defaultProbe"] =
                    json!({ "tcpPort": port, "initialDelaySeconds": delay, "periodSeconds": period });
            }
            if require == Some(false) && by_id {
                spec["rules"] = json!([{ "id": "missing-resources" }]);
            }
            spec
        },
    )
}

fn policies() -> impl Strategy<Value = Vec<EnforcingPolicy>> {
    vec((0..3_i64, spec()), 0..4).prop_map(|specs| {
        let names = ["delta", "alpha", "charlie", "bravo"];
        let policy = |(name, (created, spec)): (&str, (i64, Value))| {
            let created = Timestamp::from_second(created).unwrap();
            let metadata = json!({ "name": name, "creationTimestamp": created });
            let policy: DevOpsPolicy = serde_json::from_value(json!({
                "apiVersion": "devops.stochastic.io/v1", "kind": "DevOpsPolicy", "metadata": metadata, "spec": spec,
            }))
            .unwrap();
            EnforcingPolicy::new(&CompiledPolicy::new(policy)).unwrap()
        };
        names.into_iter().zip(specs).map(policy).collect()
    })
}

fn bound() -> impl Strategy<Value = Bound> {
    let ratio = option::weighted(0.3, select(vec!["1", "1.5", "4"]));
    (select(Compute::ALL.to_vec()), request_and_limit(1), ratio).prop_map(|(compute, (min, max), ratio)| {
        let amount = |place: Option<usize>| place.and_then(|place| Quantity::parse(amounts(compute)[place]));
        let max_limit_request_ratio = ratio.and_then(Quantity::parse);
        let limit_range = "range".to_owned();
        Bound { compute, min: amount(min), max: amount(max), max_limit_request_ratio, limit_range }
    })
}

/// Generates a few fields, often none.
fn some_fields() -> impl Strategy<Value = BTreeSet<Field>> {
    prop_oneof![2 => Just(BTreeSet::new()), 1 => btree_set(select(Field::ALL.to_vec()), 1..3)]
}

fn constraints() -> impl Strategy<Value = Constraints> {
    (some_fields(), vec(bound(), 0..2)).prop_map(|(untouched, bounds)| {
        let untouched = untouched.into_iter().map(|field| (field, format!("others steer {field}")));
        Constraints { untouched: untouched.collect(), bounds, ..Constraints::default() }
    })
}

fn barred() -> impl Strategy<Value = BTreeSet<ContainerField>> {
    vec((select(NAMES.to_vec()), some_fields()), 0..3).prop_map(|barred| {
        let each = barred.into_iter();
        each.flat_map(|(name, fields)| fields.into_iter().map(move |field| ContainerField::new(name, field)))
            .collect()
    })
}

/// Everything that a plan depends on.
#[derive(Debug, Clone)]
struct Case {
    subject: Subject,
    policies: Vec<EnforcingPolicy>,
    constraints: Constraints,
    barred: BTreeSet<ContainerField>,
}

impl Case {
    fn plan(&self) -> Plan {
        plan(&self.subject, &self.policies, &self.constraints, &self.barred, Timestamp::UNIX_EPOCH).unwrap()
    }

    /// Returns the case after a document was applied.
    fn after(&self, document: &Value) -> Self {
        let object = apply(&self.subject.object, document);
        Self { subject: Subject::read(self.subject.kind(), object).unwrap(), ..self.clone() }
    }
}

fn case() -> impl Strategy<Value = Case> {
    (workload(), policies(), constraints(), barred())
        .prop_map(|(subject, policies, constraints, barred)| Case { subject, policies, constraints, barred })
}

// --- A model of server-side apply for enforcement's documents ---

/// The path of a leaf value below a container: the container's name, then the field names.
type Leaf = Vec<String>;

fn leaves(value: &Value, path: &[String], found: &mut BTreeMap<Leaf, Value>) {
    match value.as_object() {
        Some(object) => {
            for (name, value) in object {
                leaves(value, &[path, std::slice::from_ref(name)].concat(), found);
            }
        }
        None => drop(found.insert(path.to_vec(), value.clone())),
    }
}

fn leaves_of(document: &Value) -> BTreeMap<Leaf, Value> {
    let mut found = BTreeMap::new();
    let containers = document.pointer("/spec/template/spec/containers").and_then(Value::as_array);
    for container in containers.into_iter().flatten() {
        let name = container["name"].as_str().unwrap().to_owned();
        leaves(container, &[name], &mut found);
    }
    found.retain(|leaf, _| leaf[1..] != ["name"]);
    found
}

/// Returns the leaves that the manager owned after its last apply.
fn owned_leaves(object: &Value) -> BTreeSet<Leaf> {
    fn walk(set: &Value, path: &[String], found: &mut BTreeSet<Leaf>) {
        let below: Vec<(&String, &Value)> =
            set.as_object().unwrap().iter().filter(|(key, _)| key.starts_with("f:")).collect();
        if below.is_empty() {
            found.insert(path.to_vec());
        }
        for (key, set) in below {
            walk(set, &[path, &[key["f:".len()..].to_owned()]].concat(), found);
        }
    }
    let mut found = BTreeSet::new();
    let pointer = "/metadata/managedFields/0/fieldsV1/f:spec/f:template/f:spec/f:containers";
    for (key, set) in object.pointer(pointer).and_then(Value::as_object).into_iter().flatten() {
        let name: Value = serde_json::from_str(key.strip_prefix("k:").unwrap()).unwrap();
        walk(set, &[name["name"].as_str().unwrap().to_owned()], &mut found);
    }
    found.retain(|leaf| leaf[1..] != ["name"]);
    found
}

fn put(value: &mut Value, path: &[String], leaf: &Value) {
    match path.split_first() {
        None => *value = leaf.clone(),
        Some((name, rest)) => put(&mut value[name], rest, leaf),
    }
}

/// Removes a value and the objects that become empty.
fn take(object: &mut Map<String, Value>, path: &[String]) {
    let Some((name, rest)) = path.split_first() else { return };
    match object.get_mut(name).and_then(Value::as_object_mut) {
        Some(below) if !rest.is_empty() => {
            take(below, rest);
            if below.is_empty() {
                object.remove(name);
            }
        }
        _ => drop(object.remove(name)),
    }
}

/// Returns the object after an unforced apply of the document by enforcement's field manager.
fn apply(object: &Value, document: &Value) -> Value {
    for name in ["name", "namespace", "uid", "resourceVersion"] {
        assert_eq!(
            document["metadata"][name], object["metadata"][name],
            "applied to what it was planned from"
        );
    }
    let mut new = object.clone();
    let (before, now) = (owned_leaves(object), leaves_of(document));
    let containers = new.pointer_mut("/spec/template/spec/containers").unwrap().as_array_mut().unwrap();
    let mut by_name: BTreeMap<String, &mut Value> = containers
        .iter_mut()
        .map(|container| (container["name"].as_str().unwrap().to_owned(), container))
        .collect();
    for leaf in before.iter().filter(|leaf| !now.contains_key(*leaf)) {
        take(by_name.get_mut(&leaf[0]).unwrap().as_object_mut().unwrap(), &leaf[1..]);
    }
    for (leaf, value) in &now {
        let container = by_name.get_mut(&leaf[0]).unwrap();
        put(container, &leaf[1..], value);
    }
    let mut entry =
        json!({ "manager": FIELD_MANAGER, "operation": "Apply", "fieldsType": "FieldsV1", "fieldsV1": {} });
    for leaf in now.keys() {
        let mut path = vec!["f:spec".to_owned(), "f:template".into(), "f:spec".into(), "f:containers".into()];
        path.push(format!("k:{}", json!({ "name": leaf[0] })));
        let container = path.clone();
        path.extend(leaf[1..].iter().map(|name| format!("f:{name}")));
        put(&mut entry["fieldsV1"], &path, &json!({}));
        for own in [".", "f:name"] {
            put(&mut entry["fieldsV1"], &[&container[..], &[own.to_owned()]].concat(), &json!({}));
        }
    }
    let metadata = new["metadata"].as_object_mut().unwrap();
    metadata.remove("annotations");
    if let Some(annotations) = document["metadata"].get("annotations") {
        metadata.insert("annotations".to_owned(), annotations.clone());
    }
    metadata.remove("managedFields");
    if !now.is_empty() {
        metadata.insert("managedFields".to_owned(), json!([entry]));
    }
    metadata.insert("resourceVersion".to_owned(), json!("2"));
    new
}

// --- Properties ---

fn containers_of(object: &Value) -> &Vec<Value> {
    object.pointer("/spec/template/spec/containers").unwrap().as_array().unwrap()
}

fn amount(container: &Value, list: &str, compute: Compute) -> Option<Quantity> {
    Quantity::parse(container["resources"][list][compute.as_str()].as_str()?)
}

/// Returns the violations of any policy, one per container and rule.
fn broken(case: &Case) -> BTreeSet<(Option<String>, &'static str)> {
    let workload = case.subject.workload().unwrap();
    let evaluated = case
        .policies
        .iter()
        .map(|policy| evaluate(&policy.effective, &workload, Timestamp::UNIX_EPOCH, true));
    let violations = evaluated.flat_map(|evaluated| evaluated.violations);
    violations.map(|violation| (violation.container, violation.rule.as_str())).collect()
}

fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().map(|object| object.keys().map(String::as_str).collect()).unwrap_or_default()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn a_plan_that_was_applied_leaves_nothing_to_plan(case in case()) {
        let first = case.plan();
        let patched = case.after(&first.document);
        let second = patched.plan();
        prop_assert!(second.is_empty(), "{:?}", second.adds);
        let mut kept = first.keeps.clone();
        kept.extend(first.adds.clone());
        prop_assert_eq!(&second.keeps, &kept);
        prop_assert_eq!(&second.unfixed, &first.unfixed);
        let again = patched.after(&second.document);
        prop_assert_eq!(&again.subject.object["spec"], &patched.subject.object["spec"]);
        prop_assert_eq!(&again.subject.object["metadata"]["annotations"], &patched.subject.object["metadata"]["annotations"]);
    }

    #[test]
    fn the_plan_names_exactly_the_violations_that_remain(case in case()) {
        let plan = case.plan();
        let said: BTreeSet<_> = plan.unfixed.iter().map(|left| (left.container.clone(), left.rule.as_str())).collect();
        prop_assert_eq!(said.len(), plan.unfixed.len());
        prop_assert_eq!(said, broken(&case.after(&plan.document)));
        prop_assert!(plan.unfixed.iter().all(|left| !left.reason.is_empty()));
    }

    #[test]
    fn existing_fields_are_kept_and_a_withdrawal_restores_the_workload(case in case()) {
        let plan = case.plan();
        for of in plan.adds.keys() {
            prop_assert!(!case.subject.has(of), "{of} is there");
        }
        let patched = case.after(&plan.document);
        let mut withdrawn = patched.after(&patched.subject.document(&Fields::new(), None)).subject.object;
        withdrawn["metadata"]["resourceVersion"] = case.subject.object["metadata"]["resourceVersion"].clone();
        let mut before = case.subject.object.clone();
        // An empty object disappears together with the fields that were added to it.
        for object in [&mut withdrawn, &mut before] {
            for container in object.pointer_mut("/spec/template/spec/containers").unwrap().as_array_mut().unwrap() {
                if container["resources"] == json!({}) || container["resources"].is_null() {
                    container.as_object_mut().unwrap().remove("resources");
                }
            }
        }
        prop_assert_eq!(withdrawn, before);
    }

    #[test]
    fn requests_stay_within_limits_and_bounds(case in case()) {
        let plan = case.plan();
        let patched = case.after(&plan.document).subject.object;
        for container in containers_of(&patched) {
            for compute in Compute::ALL {
                let (request, limit) = (amount(container, "requests", compute), amount(container, "limits", compute));
                if let (Some(request), Some(limit)) = (request, limit) {
                    prop_assert!(request <= limit, "{container}");
                }
            }
        }
        for (of, value) in &plan.adds {
            let (Field::Request(compute) | Field::Limit(compute)) = of.field else { continue };
            let amount = Quantity::parse(value.as_str().unwrap()).unwrap();
            let container = containers_of(&patched).iter().find(|container| container["name"] == *of.container).unwrap();
            let both = ["requests", "limits"].map(|list| self::amount(container, list, compute));
            for bound in case.constraints.bounds.iter().filter(|bound| bound.compute == compute) {
                prop_assert!(bound.min.is_none_or(|min| amount >= min) && bound.max.is_none_or(|max| amount <= max));
                if let ([Some(request), Some(limit)], Some(ratio)) = (both, bound.max_limit_request_ratio) {
                    prop_assert!(!limit.is_more_than(ratio, request), "{container}");
                }
            }
        }
    }

    #[test]
    fn a_document_holds_only_the_fields_names_and_two_annotations(case in case()) {
        let plan = case.plan();
        let document = &plan.document;
        prop_assert!(keys(document).is_subset(&["apiVersion", "kind", "metadata", "spec"].into()));
        let metadata = ["name", "namespace", "uid", "resourceVersion", "annotations"].into();
        prop_assert!(keys(&document["metadata"]).is_subset(&metadata));
        prop_assert!(keys(&document["metadata"]["annotations"]).is_subset(&[PATCHED_BY, PATCHED_FIELDS].into()));
        prop_assert_eq!(document.get("spec").is_some(), !plan.adds.is_empty());
        if let Some(spec) = document.get("spec") {
            prop_assert_eq!(keys(spec), ["template"].into());
            prop_assert_eq!(keys(&spec["template"]), ["spec"].into());
            prop_assert_eq!(keys(&spec["template"]["spec"]), ["containers"].into());
            prop_assert_eq!(&plan.patch(&case.subject)["spec"], spec);
            let names: Vec<&str> = containers_of(document).iter().filter_map(|c| c["name"].as_str()).collect();
            let own: Vec<&str> = case.subject.containers().iter().map(|c| c.name.as_str()).collect();
            prop_assert!(names.iter().all(|name| own.contains(name)));
        }
        for leaf in leaves_of(document).keys() {
            let fields = Field::ALL.map(Field::path);
            prop_assert!(fields.iter().any(|field| leaf[1..].len() >= field.len() && leaf[1..=field.len()] == *field), "{leaf:?}");
        }
    }

    #[test]
    fn a_plan_does_not_depend_on_the_order_of_policies(case in case(), at in any::<Index>()) {
        let plan = case.plan();
        prop_assert_eq!(&plan, &case.plan());
        let mut other = case.clone();
        other.policies.reverse();
        prop_assert_eq!(&plan, &other.plan());
        if !other.policies.is_empty() {
            let by = at.index(other.policies.len());
            other.policies.rotate_left(by);
            prop_assert_eq!(&plan, &other.plan());
        }
    }

    #[test]
    fn barred_fields_are_never_set_nor_a_liveness_probe_without_a_startup_probe(case in case()) {
        let plan = case.plan();
        for of in plan.adds.keys() {
            prop_assert!(!case.barred.contains(of) && !case.constraints.untouched.contains_key(&of.field), "{of}");
        }
        let patched = case.after(&plan.document).subject;
        for of in plan.adds.keys() {
            let beside = |field| ContainerField::new(&of.container, field);
            match of.field {
                Field::LivenessProbe => prop_assert!(patched.has(&beside(Field::StartupProbe))),
                Field::StartupProbe => prop_assert!(plan.adds.contains_key(&beside(Field::LivenessProbe))),
                _ => {}
            }
        }
    }

    #[test]
    fn a_later_policy_removes_no_fields(case in case(), more in policies()) {
        let first = case.plan();
        let mut grown = case.after(&first.document);
        grown.policies = more;
        let second = grown.plan();
        for of in first.adds.keys() {
            prop_assert!(second.keeps.contains_key(of) && !second.adds.contains_key(of));
        }
        let patched = grown.after(&second.document).subject;
        let owned = patched.owned();
        for (of, value) in first.adds.iter().chain(&second.adds) {
            prop_assert_eq!(owned.get(of), Some(value));
        }
        prop_assert!(second.noted.iter().all(|(_, of)| second.adds.contains_key(of)));
    }
}

/// The properties above would hold for a planner that plans nothing.
#[test]
fn generated_cases_cover_all_outcomes() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut added = BTreeSet::new();
    let (mut noted, mut left, mut empty) = (0, 0, 0);
    for _ in 0..500 {
        let plan = proptest::strategy::ValueTree::current(&case().new_tree(&mut runner).unwrap()).plan();
        added.extend(plan.adds.keys().map(|of| of.field));
        noted += plan.noted.len();
        left += plan.unfixed.len();
        empty += usize::from(plan.is_empty());
    }
    assert_eq!(added, BTreeSet::from(Field::ALL));
    assert!(noted > 50 && left > 50 && (50..450).contains(&empty), "{noted} {left} {empty}");
}
