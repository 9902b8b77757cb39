//! The store of watched objects, and the law that the operator finds in it what `analyze` finds in files.

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::Timestamp;
use proptest::prelude::*;
use serde::Deserialize as _;

use super::*;
use crate::governance::{ReportedViolation, Scope};
use crate::operator::{Inventory, evaluate_inventory};
use crate::policy::EffectivePolicy;
use crate::rules::{Check, RULES};
use crate::workload::{Object, Parsed, TypeMeta};

fn list(plural: &str, namespace: Option<&str>) -> RelatedList {
    let resource = RESOURCES.iter().find(|one| one.plural == plural && !one.is_custom);
    RelatedList { resource: resource.unwrap(), namespace: namespace.map(str::to_owned) }
}

fn service(port: i32) -> WatchedObject {
    let json = format!(r#"{{"metadata": {{"name": "web"}}, "spec": {{"ports": [{{"port": {port}}}]}}}}"#);
    WatchedObject::read(list("services", None).resource, &json)
}

#[test]
fn every_kind_is_followed_once_except_what_the_operator_follows_anyway() {
    let all = RelatedList::all(&[None]);
    for kind in Kind::ALL {
        let count = all.iter().filter(|list| list.resource.kind == kind).count();
        assert_eq!(count > 0, kind != Kind::Pod, "{kind}");
    }
    let names: Vec<_> = all.iter().map(|list| (list.resource.group, list.resource.plural)).collect();
    assert!(!names.contains(&("apps", "deployments")) && names.contains(&("argoproj.io", "rollouts")));
    assert!(!names.contains(&("extensions", "ingresses")));
    let scopes = ["a", "b"].map(|name| Some(name.to_owned()));
    let of = |plural: &str| {
        RelatedList::all(&scopes).into_iter().filter(|list| list.resource.plural == plural).count()
    };
    assert_eq!((of("services"), of("nodes")), (4, 1), "Knative has services, too");
}

#[test]
fn only_a_change_that_rules_can_read_counts() {
    let mut objects = RelatedObjects::default();
    let resource = list("services", None).resource;
    assert!(objects.apply(resource, "a", "web", service(80)));
    assert!(!objects.apply(resource, "a", "web", service(80)));
    assert!(objects.apply(resource, "a", "web", service(81)));
    assert!(objects.delete(resource, "a", "web") && !objects.delete(resource, "a", "web"));
}

#[test]
fn a_list_replaces_the_objects_of_its_resource_in_its_namespace() {
    let mut objects = RelatedObjects::default();
    let (services, secrets) = (list("services", Some("a")), list("secrets", Some("a")));
    for namespace in ["a", "b"] {
        objects.apply(services.resource, namespace, "web", service(80));
        let secret = WatchedObject::read(secrets.resource, r#"{"data": {"key": "eA=="}}"#);
        objects.apply(secrets.resource, namespace, "web", secret);
    }
    let begun = objects.begin_list();
    assert_eq!(objects.end_list(&services, begun), ["a".into()]);
    assert_eq!((objects.objects.group("a").count(), objects.objects.group("b").count()), (1, 2));
    objects.forget(&secrets);
    assert_eq!((objects.objects.group("a").count(), objects.objects.group("b").count()), (0, 2));
}

#[test]
fn a_kind_is_awaited_until_every_list_of_it_was_tried() {
    let kinds = Kinds::of(&[Kind::Pod, Kind::Template, Kind::Service]);
    let mut objects = RelatedObjects::default();
    let lists = RelatedList::all(&[None]);
    let mut needed = lists.iter().filter(|list| kinds.contains(list.resource.kind)).peekable();
    while let Some(list) = needed.next() {
        assert!(objects.is_awaited(kinds, "a"), "{list:?}");
        let state = if needed.peek().is_some() { ListState::NotServed } else { ListState::Complete };
        assert!(objects.set_state(list, state));
    }
    assert!(!objects.is_awaited(kinds, "a"));
    assert_eq!(objects.problem(Kind::Service, Some("a")), None);
}

#[test]
fn the_first_problem_with_a_kind_is_named() {
    let mut objects = RelatedObjects::default();
    let services = list("services", None);
    let problem = |objects: &RelatedObjects| objects.problem(Kind::Service, Some("a"));
    assert_eq!(problem(&objects), Some((false, "services: not listed yet".to_owned())));
    objects.apply(services.resource, "a", "web", service(80));
    assert!(objects.set_state(&services, ListState::Refused));
    assert_eq!(problem(&objects), Some((true, "no permission to list and watch services".to_owned())));
    assert_eq!(objects.objects.group("a").count(), 0, "what may not be read is dropped");
    assert!(!objects.set_state(&services, ListState::Refused));
    objects.set_state(&services, ListState::Failed("it is down".to_owned()));
    assert_eq!(problem(&objects), Some((false, "services: it is down".to_owned())));
    objects.set_state(&services, ListState::Complete);
    let bad = WatchedObject::read(services.resource, r#"{"spec": {"ports": 1}}"#);
    objects.apply(services.resource, "b", "web", bad);
    assert_eq!(problem(&objects), None);
    assert!(objects.problem(Kind::Service, Some("b")).unwrap().1.starts_with("Service web: spec: "));
}

/// Returns every object of the samples of rules that read more than pods, each in the namespace `n` if it has one. Of
/// several with one name, the last counts. Objects of unknown kinds are left out.
fn samples() -> Vec<Value> {
    let mut objects = BTreeMap::new();
    for rule in RULES.iter().filter(|rule| !rule.reads_for_templates().is_empty()) {
        for file in ["bad.yaml", "good.yaml"] {
            let path = [env!("CARGO_MANIFEST_DIR"), "tests/fixtures/rules", rule.id.as_str(), file];
            let yaml = std::fs::read_to_string(path.iter().collect::<PathBuf>()).unwrap();
            for document in yaml_serde::Deserializer::from_str(&yaml) {
                let mut object = Value::deserialize(document).unwrap();
                let types = TypeMeta::deserialize(object.clone()).unwrap();
                if !types.is_cluster_scoped() {
                    object["metadata"]["namespace"] = "n".into();
                }
                let is_read = resource_of(&object).is_some() || workload_of(&object).is_some();
                let name = object["metadata"]["name"].as_str().map(str::to_owned);
                if let (true, Some(name)) = (is_read, name) {
                    objects.insert((types, name), object);
                }
            }
        }
    }
    objects.into_values().collect()
}

fn resource_of(object: &Value) -> Option<&'static Resource> {
    let (api_version, kind) = (object["apiVersion"].as_str()?, object["kind"].as_str()?);
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    RESOURCES.iter().find(|one| one.name == kind && one.group == group && is_followed(one))
}

/// Returns the kind of a workload that the operator follows anyway.
fn workload_of(object: &Value) -> Option<WorkloadKind> {
    let kind = WorkloadKind::find(object["apiVersion"].as_str()?, object["kind"].as_str()?)?;
    resource_of(object).is_none().then_some(kind)
}

/// Follows objects by watches: all of `samples` are listed, and those that are not `kept` are deleted again.
fn followed(samples: &[Value], kept: &[Value]) -> Inventory {
    let mut inventory = Inventory::default();
    let text =
        |object: &Value, field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
    let begun = inventory.related.begin_list();
    for object in samples {
        let (namespace, name) = (text(object, "namespace"), text(object, "name"));
        if let Some(resource) = resource_of(object) {
            let watched = WatchedObject::read(resource, &object.to_string());
            assert!(!matches!(watched, WatchedObject::Unreadable(_)), "{watched:?}");
            inventory.related.apply(resource, &namespace, &name, watched);
        } else if let Some(kind) = workload_of(object) {
            inventory.apply(Workload::from_json_owned(kind, &object.to_string()).unwrap());
        }
    }
    for list in RelatedList::all(&[None]) {
        assert_eq!(inventory.related.end_list(&list, begun), [], "everything was listed");
        inventory.related.set_state(&list, ListState::Complete);
    }
    for object in samples.iter().filter(|object| !kept.contains(object)) {
        let (namespace, name) = (text(object, "namespace"), text(object, "name"));
        if let Some(resource) = resource_of(object) {
            assert!(inventory.related.delete(resource, &namespace, &name));
        } else if let Some(kind) = workload_of(object) {
            inventory.delete(kind, &namespace, &name);
        }
    }
    inventory
}

/// The findings, and the number of unknown answers in words.
type Found = (Vec<ReportedViolation>, Vec<String>);

fn by_files(policy: &EffectivePolicy, objects: &[Value]) -> Found {
    let scope = Scope { namespaces: vec!["n".to_owned()], ..Scope::default() };
    let mut analysis = Analysis::new(policy, &scope, Timestamp::UNIX_EPOCH, true);
    for kind in Kind::ALL {
        if kind.is_namespaced() {
            analysis.close_within(kind, "n");
        } else {
            analysis.close(Kinds::of(&[kind]));
        }
    }
    for object in objects {
        let is_custom = resource_of(object).is_some();
        let object = policy.fields_of_manifests().within(|| Object::deserialize(object.clone()).unwrap());
        match &object.parsed {
            Parsed::Workload(workload) if is_custom => analysis.add_workload_facts(workload),
            _ => analysis.add(&object, None),
        }
    }
    let report = analysis.finish();
    let unknown = report.summary.unknown.iter().map(|(rule, count)| {
        format!("rule {rule} can't tell for {}", crate::workload::count(*count, "object", "objects"))
    });
    (report.violations.iter().map(ReportedViolation::from).collect(), unknown.collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn watches_lead_to_the_findings_that_files_have(
        samples in Just(samples()).prop_shuffle(),
        kept in prop::sample::subsequence(samples(), 0..samples().len()),
    ) {
        let rules = RULES.iter().filter(|rule| !matches!(rule.check, Check::Type(_)));
        let rules: Vec<Value> = rules.map(|rule| serde_json::json!({ "id": rule.id.as_str() })).collect();
        let spec = serde_json::from_value(serde_json::json!({ "rules": rules })).unwrap();
        let policy = EffectivePolicy::from_spec(&spec).unwrap();
        let inventory = followed(&samples, &kept);
        let found = evaluate_inventory(&policy, ("n", None), &inventory, Timestamp::UNIX_EPOCH);
        prop_assert_eq!(found.unread.as_deref(), Some(&[][..]));
        prop_assert_eq!((found.violations, found.unknown), by_files(&policy, &kept));
    }
}

#[test]
fn what_a_limit_range_supplies_is_not_missing_in_a_workload_without_pods() {
    let policy =
        EffectivePolicy::from_spec(&yaml_serde::from_str("{requireResources: true}").unwrap()).unwrap();
    let deployment = r#"{"metadata": {"name": "idle", "namespace": "n"}, "spec": {"replicas": 0, "template": {"spec":
        {"containers": [{"name": "c", "image": "c:1"}]}}}}"#;
    let mut inventory = Inventory::default();
    inventory.apply(Workload::from_json_owned(WorkloadKind::Deployment, deployment).unwrap());
    let ranges = list("limitranges", None);
    let evaluate = |inventory: &Inventory| {
        let found = evaluate_inventory(&policy, ("n", None), inventory, Timestamp::UNIX_EPOCH);
        let unread = found.unread.map(|unread| unread.iter().map(ToString::to_string).collect::<Vec<_>>());
        (found.violations.len(), unread)
    };

    inventory.related.set_state(&ranges, ListState::Refused);
    let unread = "no permission to list and watch limitranges (for missing-resources)".to_owned();
    assert_eq!(evaluate(&inventory), (1, Some(vec![unread])));
    inventory.related.set_state(&ranges, ListState::Complete);
    assert_eq!(evaluate(&inventory), (1, None));
    let range = r#"{"spec": {"limits": [{"type": "Container", "default": {"cpu": 1, "memory": "1Gi"}}]}}"#;
    inventory.related.apply(ranges.resource, "n", "defaults", WatchedObject::read(ranges.resource, range));
    assert_eq!(evaluate(&inventory), (0, None));
    assert!(inventory.related.delete(ranges.resource, "n", "defaults"));
    assert_eq!(evaluate(&inventory), (1, None));
}
