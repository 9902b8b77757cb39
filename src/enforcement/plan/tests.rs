//! Single cases of planning; `tests/enforcement_integration.rs` tests its properties.

use serde_json::Map;

use super::*;
use crate::enforcement::{Bound, Compute, FIELD_MANAGER};
use crate::policy::{CompiledPolicy, DevOpsPolicy};
use crate::workload::{Quantity, WorkloadKind};

fn subject(containers: &str) -> Subject {
    let containers: Value = yaml_serde::from_str(containers).unwrap();
    let object = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": { "name": "web", "namespace": "shop", "uid": "u", "resourceVersion": "7" },
        "spec": { "selector": {}, "template": { "spec": { "containers": containers } } },
    });
    Subject::read(WorkloadKind::Deployment, object).unwrap()
}

fn policy(name: &str, spec: &str) -> EnforcingPolicy {
    let policy =
        format!("{{metadata: {{name: {name}, creationTimestamp: '2026-01-01T00:00:00Z'}}, spec: {spec}}}");
    let policy: DevOpsPolicy = yaml_serde::from_str(&policy).unwrap();
    EnforcingPolicy::new(&CompiledPolicy::new(policy)).unwrap()
}

fn planned(
    subject: &Subject,
    policies: &[EnforcingPolicy],
    constraints: &Constraints,
    barred: &[&str],
) -> Plan {
    let barred = barred.iter().map(|of| of.parse().unwrap()).collect();
    plan(subject, policies, constraints, &barred, Timestamp::UNIX_EPOCH).unwrap()
}

/// Returns the added fields, each as `container/field`.
fn added(plan: &Plan) -> Vec<String> {
    plan.adds.keys().map(ToString::to_string).collect()
}

fn reasons(plan: &Plan) -> Vec<&str> {
    plan.unfixed.iter().map(|unfixed| unfixed.reason.as_str()).collect()
}

const PROBES: &str = "{requireLivenessProbe: true, requireReadinessProbe: true, defaultProbe: {tcpPort: 80}}";
const AMOUNTS: &str =
    "{defaultResources: {cpuRequest: 100m, cpuLimit: 1, memoryRequest: 64Mi, memoryLimit: 128Mi}}";

#[test]
fn missing_fields_are_added_and_suggested_alike() {
    let subject = subject("[{name: b, image: 'x:1'}, {name: a, image: 'x:1', readinessProbe: {}}]");
    let plan = planned(&subject, &[policy("p", PROBES)], &Constraints::default(), &[]);
    assert_eq!(
        added(&plan),
        ["a/livenessProbe", "a/startupProbe", "b/livenessProbe", "b/readinessProbe", "b/startupProbe"]
    );
    assert_eq!((plan.policy.as_str(), &plan.unfixed[..], plan.keeps.len()), ("p", &[][..], 0));
    let patch = plan.patch(&subject);
    assert_eq!(patch["metadata"], json!({ "name": "web", "namespace": "shop" }));
    assert_eq!(patch["spec"], plan.document["spec"]);
    let names: Vec<&str> =
        patch.as_object().map(Map::keys).into_iter().flatten().map(String::as_str).collect();
    assert_eq!(names, ["apiVersion", "kind", "metadata", "spec"]);
}

#[test]
fn the_first_policy_decides_a_field_and_later_ones_are_noted() {
    let subject = subject("[{name: a, image: 'x:1'}]");
    let first = policy("first", "{requireLivenessProbe: true, defaultProbe: {tcpPort: 1}}");
    let second = policy("second", PROBES);
    let plan = planned(&subject, &[second, first], &Constraints::default(), &[]);
    let port = |name| plan.adds[&ContainerField::new("a", name)]["tcpSocket"]["port"].clone();
    assert_eq!((port(Field::LivenessProbe), port(Field::ReadinessProbe)), (json!(1), json!(80)));
    assert_eq!(plan.policy, "first");
    let noted: Vec<String> = plan.noted.iter().map(|(policy, of)| format!("{policy} {of}")).collect();
    assert_eq!(noted, ["second a/livenessProbe", "second a/startupProbe"]);
}

#[test]
fn a_later_policy_decides_fields_that_the_first_cannot() {
    let subject = subject("[{name: a, image: 'x:1'}]");
    let first = policy("first", "{requireLivenessProbe: true}");
    let alone = planned(&subject, std::slice::from_ref(&first), &Constraints::default(), &[]);
    assert!(alone.is_empty() && alone.policy.is_empty());
    assert!(reasons(&alone)[0].contains("declares no TCP port"), "{alone:?}");
    let both = planned(&subject, &[first, policy("second", PROBES)], &Constraints::default(), &[]);
    assert_eq!((both.policy.as_str(), reasons(&both)), ("second", vec![]));
}

#[test]
fn amounts_of_a_later_policy_fit_those_of_the_first() {
    let subject = subject("[{name: a, image: 'x:1'}]");
    let first = policy("first", "{defaultResources: {cpuRequest: 2, memoryLimit: 32Mi}}");
    let plan = planned(&subject, &[first, policy("second", AMOUNTS)], &Constraints::default(), &[]);
    assert_eq!(added(&plan), ["a/resources.requests.cpu", "a/resources.limits.memory"]);
    assert_eq!(reasons(&plan), ["the default CPU limit 1 is below the request 2"]);
}

#[test]
fn removed_fields_stay_removed_and_liveness_probes_need_their_startup_probe() {
    let none = Constraints::default();
    let policies = [policy("p", "{requireLivenessProbe: true, defaultProbe: {tcpPort: 80}}")];
    let bare = subject("[{name: a, image: 'x:1'}]");
    for barred in ["a/livenessProbe", "a/startupProbe"] {
        let plan = planned(&bare, &policies, &none, &[barred]);
        assert!(plan.is_empty(), "{barred}: {:?}", plan.adds);
        assert!(reasons(&plan)[0].contains("another client removed it"), "{plan:?}");
    }
    let started = subject("[{name: a, image: 'x:1', startupProbe: {tcpSocket: {port: 1}}}]");
    assert_eq!(added(&planned(&started, &policies, &none, &["a/startupProbe"])), ["a/livenessProbe"]);
}

#[test]
fn amounts_stay_within_the_bounds_of_a_limit_range() {
    let bound = |compute, min, max| Bound {
        compute,
        min: Quantity::parse(min),
        max: Quantity::parse(max),
        max_limit_request_ratio: None,
        limit_range: "small".to_owned(),
    };
    let bounds = vec![bound(Compute::Cpu, "200m", ""), bound(Compute::Memory, "", "100Mi")];
    let constraints = Constraints { bounds, ..Constraints::default() };
    let subject = subject("[{name: a, image: 'x:1'}]");
    let plan = planned(&subject, &[policy("p", AMOUNTS)], &constraints, &[]);
    assert_eq!(added(&plan), ["a/resources.requests.memory"]);
    assert_eq!(
        reasons(&plan),
        ["resources.requests.cpu is not set: 100m is below the least that LimitRange small allows; \
          resources.limits.cpu is not set: it would stand for the CPU request, which may not be set; \
          resources.limits.memory is not set: 128Mi is above the most that LimitRange small allows"]
    );
}

#[test]
fn limits_keep_the_ratio_of_a_limit_range() {
    let bound = |ratio| Bound {
        compute: Compute::Memory,
        min: None,
        max: None,
        max_limit_request_ratio: Quantity::parse(ratio),
        limit_range: "even".to_owned(),
    };
    let added = |ratio, containers| {
        let constraints = Constraints { bounds: vec![bound(ratio)], ..Constraints::default() };
        let plan = planned(&subject(containers), &[policy("p", AMOUNTS)], &constraints, &[]);
        let memory = plan.adds.into_keys().filter(|of| of.to_string().ends_with("memory"));
        memory.map(|of| of.to_string()).collect::<Vec<_>>()
    };
    let bare = "[{name: a, image: 'x:1'}]";
    assert_eq!(added("2", bare), ["a/resources.requests.memory", "a/resources.limits.memory"]);
    assert!(added("1.9", bare).is_empty(), "neither alone is what was asked for");
    let requests = "[{name: a, image: 'x:1', resources: {requests: {memory: 32Mi}}}]";
    assert!(added("3.9", requests).is_empty());
    assert_eq!(added("4", requests), ["a/resources.limits.memory"]);
}

#[test]
fn amounts_under_an_autoscaler_and_limits_that_imply_them_are_not_set() {
    let untouched = BTreeMap::from([(Field::Request(Compute::Cpu), "an autoscaler steers it".to_owned())]);
    let constraints = Constraints { untouched, ..Constraints::default() };
    let memory = ["a/resources.requests.memory", "a/resources.limits.memory"];
    let bare = subject("[{name: a, image: 'x:1'}]");
    let policies = [policy("p", AMOUNTS)];
    assert_eq!(added(&planned(&bare, &policies, &constraints, &[])), memory);
    let own = subject("[{name: a, image: 'x:1', resources: {requests: {cpu: 10m}}}]");
    let with_limit = [memory[0], "a/resources.limits.cpu", memory[1]];
    assert_eq!(added(&planned(&own, &policies, &constraints, &[])), with_limit);
}

#[test]
fn a_request_is_not_set_if_others_set_its_limit() {
    let untouched = BTreeMap::from([(Field::Limit(Compute::Memory), "LimitRange supplies it".to_owned())]);
    let constraints = Constraints { untouched, ..Constraints::default() };
    let subject = subject("[{name: a, image: 'x:1'}]");
    let plan = planned(&subject, &[policy("p", AMOUNTS)], &constraints, &[]);
    assert_eq!(added(&plan), ["a/resources.requests.cpu", "a/resources.limits.cpu"]);
}

#[test]
fn a_violation_without_a_fix_keeps_its_message() {
    let subject = subject("[{name: a, image: x}]");
    let plan = planned(&subject, &[policy("p", "{forbidLatestTag: true}")], &Constraints::default(), &[]);
    assert_eq!(
        plan.unfixed,
        [Unfixed {
            container: Some("a".to_owned()),
            rule: rules::LATEST_TAG.id,
            reason: "manual fix needed: image x has no tag, which means latest: name a version or a digest"
                .to_owned(),
        }]
    );
}

#[test]
fn owned_fields_are_kept_for_the_policy_of_the_annotation() {
    let fixed = subject("[{name: a, image: 'x:1', livenessProbe: {tcpSocket: {port: 80}}}]");
    let mut object = fixed.object;
    object["metadata"]["annotations"] = json!({ PATCHED_BY: "before" });
    object["metadata"]["managedFields"] = json!([{
        "manager": FIELD_MANAGER, "operation": "Apply", "fieldsV1": { "f:spec": { "f:template": { "f:spec": {
            "f:containers": { "k:{\"name\":\"a\"}": { "f:livenessProbe": { "f:tcpSocket": { "f:port": {} } } } },
        } } } },
    }]);
    let subject = Subject::read(WorkloadKind::Deployment, object).unwrap();
    let plan = planned(&subject, &[], &Constraints::default(), &[]);
    assert!(plan.is_empty());
    assert_eq!((plan.keeps.len(), plan.policy.as_str()), (1, "before"));
    assert_eq!(plan.document, subject.document(&subject.owned(), Some("before")));
}
