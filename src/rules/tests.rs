//! Laws that hold for every rule, and what each one says about its own good and bad sample.

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::Deserialize;

use super::*;
use crate::inventory::{Facts, Inventory, NewObject, Related};
use crate::workload::{Fields, Metadata, Object, ObjectKind, Parsed, TypeMeta};

/// The first line of a sample can set the rule's parameters.
const PARAMETERS: &str = "# parameters: ";

fn findings(rule: &Rule, yaml: &str, parameter: Option<&Value>) -> (u64, Vec<Violation>) {
    let found = evaluated(rule, yaml, parameter, true);
    (found.count, found.violations)
}

/// The findings of a rule in a sample.
struct Evaluated {
    count: u64,
    violations: Vec<Violation>,
    unknown: u64,
}

/// Evaluates a sample. It has every object there is if it is closed.
fn evaluated(rule: &Rule, yaml: &str, parameter: Option<&Value>, is_closed: bool) -> Evaluated {
    let written = yaml.lines().next().and_then(|line| line.strip_prefix(PARAMETERS)).unwrap_or("{}");
    let written: BTreeMap<String, Value> = yaml_serde::from_str(written).unwrap();
    let given = |name: &str| parameter.cloned().or_else(|| written.get(name).cloned());
    let parameters = Parameters::new(rule.parameters, given);
    let fields = match (rule.reads(), rule.details) {
        (reads, _) if !reads.is_empty() => Fields::With(reads),
        (_, true) if rule.all_annotations => Fields::All,
        (_, true) => Fields::Details,
        (_, false) => Fields::Default,
    };
    let mut found = Violations::new(true);
    found.begin(rule.id, rule.severity);
    let mut facts = Facts::new(rule.reads());
    let mut total = 0;
    for (line, document) in yaml_serde::Deserializer::from_str(yaml).enumerate() {
        let value = serde_json::Value::deserialize(document).unwrap();
        let object = fields.within(|| Object::deserialize(value)).unwrap();
        let source = Some(("sample", line));
        match &object.parsed {
            Parsed::Workload(workload) => {
                check_type(rule, &object.types, &workload.metadata, &parameters, &mut found);
                for check in rule.checks() {
                    if let Check::Pod(check) | Check::Live(check) | Check::Workload(check) = check {
                        let now = Timestamp::UNIX_EPOCH;
                        check(&Context { workload, parameters: &parameters, now }, &mut found);
                    }
                }
                let namespace = workload.metadata.namespace.as_deref();
                let kind = ObjectKind::Workload(workload.kind);
                let (namespace, name) = (namespace.unwrap_or("default"), workload.name());
                let object = NewObject { namespace, name, kind, source, is_asked: true };
                facts.add_workload(workload, &object);
            }
            Parsed::Related(other) => {
                let related = Related::read(other).unwrap();
                for check in rule.checks() {
                    if let Check::Object { check, reads } = check
                        && reads.contains(&related.kind)
                    {
                        let now = Timestamp::UNIX_EPOCH;
                        check(&ObjectContext { object: &related, parameters: &parameters, now }, &mut found);
                    }
                }
                let namespace = related.metadata.namespace.as_deref();
                let namespace = if related.kind.is_namespaced() { namespace } else { Some("") };
                let (kind, name) = (ObjectKind::Other(related.kind), related.name());
                let namespace = namespace.unwrap_or("default");
                let identity = facts.identity(&NewObject { namespace, name, kind, source, is_asked: true });
                facts.add_related(related.into(), identity);
            }
            Parsed::Other { holds_containers, metadata } => {
                check_type(rule, &object.types, metadata, &parameters, &mut found);
                facts.add_unread(&object.types, *holds_containers);
            }
            Parsed::List(_) | Parsed::Foreign => panic!("not evaluated: {:?}", object.types),
        }
        total = found.count();
    }
    if is_closed {
        facts.closed().close(rule.reads());
    }
    let inventory = Inventory::new(facts);
    let mut related = Findings::new(rule.id, rule.severity, true);
    for check in rule.checks() {
        if let Check::Relation { check, .. } = check {
            let now = Timestamp::UNIX_EPOCH;
            check(&Relations { inventory: &inventory, parameters: &parameters, now }, &mut related);
        }
    }
    let mut violations = found.into_kept();
    violations.extend(related.found().iter().filter_map(|(_, violation)| violation.as_deref().cloned()));
    let count = total + related.found().len() as u64;
    Evaluated { count, violations, unknown: related.unknown_count() }
}

fn check_type(
    rule: &Rule,
    types: &TypeMeta,
    metadata: &Metadata<'_>,
    parameters: &Parameters,
    found: &mut Violations,
) {
    if let (Check::Type(check), Some(context)) =
        (rule.check, TypeContext::of(Some(types), metadata, parameters))
    {
        check(&context, found);
    }
}

fn fixture(rule: &Rule, file: &str) -> String {
    let path: PathBuf =
        [env!("CARGO_MANIFEST_DIR"), "tests/fixtures/rules", rule.id.as_str(), file].iter().collect();
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn the_registry_is_sorted_and_its_ids_are_unique_kebab_case() {
    assert!(RULES.windows(2).all(|pair| pair[0].id < pair[1].id));
    for rule in RULES.iter() {
        assert!(rule.id.as_str().bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{}", rule.id);
        assert!(std::ptr::eq(find(rule.id.as_str()).unwrap(), *rule) && RULES[place(rule.id)].id == rule.id);
    }
}

#[test]
fn every_rule_documents_itself_in_the_same_sections() {
    for rule in RULES.iter() {
        let sections: Vec<&str> = rule.docs.lines().filter(|line| line.starts_with("## ")).collect();
        assert_eq!(
            sections,
            ["## What it does", "## Why is this bad", "## Example", "## Exceptions"],
            "{}",
            rule.id
        );
        assert!(
            !rule.summary.ends_with('.') && rule.label.is_none_or(|label| label.len() <= 26),
            "{}",
            rule.id
        );
    }
}

#[test]
fn every_bad_sample_fires_and_every_good_one_is_silent() {
    for rule in RULES.iter() {
        let (count, violations) = findings(rule, &fixture(rule, "bad.yaml"), None);
        assert!(count > 0 && !violations.is_empty(), "{}: bad.yaml is silent", rule.id);
        assert!(
            violations.iter().all(|violation| !violation.message.is_empty() && !violation.path.is_empty())
        );
        let (count, violations) = findings(rule, &fixture(rule, "good.yaml"), None);
        assert_eq!((count, violations), (0, Vec::new()), "{}: good.yaml fires", rule.id);
    }
}

/// A sample `open.yaml` lacks objects that the rule needs.
#[test]
fn a_rule_about_absence_cannot_tell_in_a_part_of_the_objects() {
    let mut seen = 0;
    for rule in RULES.iter() {
        let path: PathBuf =
            [env!("CARGO_MANIFEST_DIR"), "tests/fixtures/rules", rule.id.as_str(), "open.yaml"]
                .iter()
                .collect();
        let Ok(sample) = std::fs::read_to_string(path) else { continue };
        let open = evaluated(rule, &sample, None, false);
        assert_eq!((open.count, open.violations), (0, Vec::new()), "{}: open.yaml fires", rule.id);
        assert!(open.unknown > 0, "{}: open.yaml is known", rule.id);
        seen += 1;
    }
    assert!(seen > 3, "only {seen} samples");
}

const RESTARTED: &str = "
apiVersion: v1
kind: Pod
status:
  containerStatuses: [{name: a, restartCount: 4}, {name: b, restartCount: 3}, {name: c, restartCount: 900}]
  initContainerStatuses: [{name: i, restartCount: 50}, {name: j, restartCount: 50}]";

#[test]
fn restarts_of_native_sidecars_count_and_those_of_other_init_containers_do_not() {
    let pod = format!(
        "{RESTARTED}\nspec: {{initContainers: [{{name: i, restartPolicy: Always}}, {{name: j}}], \
         containers: [{{name: a}}]}}"
    );
    let (count, violations) = findings(&HIGH_RESTARTS, &pod, None);
    assert_eq!(count, 4 + 5 + 5);
    let sidecar = violations.last().unwrap();
    assert_eq!(
        (sidecar.container.as_deref(), &*sidecar.path),
        (Some("i"), "status.initContainerStatuses[0].restartCount")
    );
}

#[test]
fn an_image_that_istio_replaces_is_no_tag() {
    let deployment = |labels: &str, annotations: &str| {
        let yaml = format!(
            "{{apiVersion: apps/v1, kind: Deployment, spec: {{selector: {{}}, template: {{metadata: \
             {{labels: {labels}, annotations: {annotations}}}, spec: {{containers: [{{name: istio-proxy, image: auto}}]}}}}}}}}"
        );
        findings(&LATEST_TAG, &yaml, None).0
    };
    for (labels, annotations) in [
        ("{sidecar.istio.io/inject: 'true'}", "{}"),
        ("{sidecar.istio.io/inject: 'true'}", "{inject.istio.io/templates: gateway}"),
        ("{}", "{inject.istio.io/templates: gateway}"),
        ("{}", "{sidecar.istio.io/inject: 'true'}"),
        ("{istio.io/rev: canary}", "{}"),
    ] {
        assert_eq!(deployment(labels, annotations), 0, "{labels} {annotations}");
    }
    for (labels, annotations) in [
        ("{}", "{}"),
        ("{sidecar.istio.io/inject: 'false'}", "{inject.istio.io/templates: gateway}"),
        ("{app: web}", "{sidecar.istio.io/inject: 'false'}"),
    ] {
        assert_eq!(deployment(labels, annotations), 1, "{labels} {annotations}");
    }
    let pod = "{apiVersion: v1, kind: Pod, metadata: {labels: {sidecar.istio.io/inject: 'true'}}, \
               spec: {containers: [{name: a, image: auto}, {name: b, image: 'auto:latest'}]}}";
    assert_eq!(findings(&LATEST_TAG, pod, None).0, 1, "only the very text is replaced");
}

#[test]
fn restarts_count_past_the_threshold_and_at_most_five_each() {
    assert_eq!(findings(&HIGH_RESTARTS, RESTARTED, None).0, 4 + 5);
    assert_eq!(findings(&HIGH_RESTARTS, RESTARTED, Some(&Value::Integer(0))).0, 4 + 3 + 5);
    assert_eq!(findings(&HIGH_RESTARTS, RESTARTED, Some(&Value::Integer(900))).0, 0);
}

#[test]
fn a_pod_may_be_pending_for_the_time_that_the_policy_sets() {
    let pending = "
apiVersion: v1
kind: Pod
metadata: {creationTimestamp: '1969-12-31T23:59:00Z'}
status: {phase: Pending}";
    assert_eq!(findings(&PENDING, pending, None).0, 1);
    assert_eq!(findings(&PENDING, pending, Some(&Value::Integer(60))).0, 1);
    assert_eq!(findings(&PENDING, pending, Some(&Value::Integer(61))).0, 0);
}

#[test]
fn a_cpu_limit_is_required_only_if_the_policy_sets_one() {
    let limited = "
apiVersion: v1
kind: Pod
spec: {containers: [{name: a, resources: {requests: {cpu: 1}, limits: {memory: 1Gi}}}]}";
    assert_eq!(findings(&MISSING_RESOURCES, limited, None).0, 0);
    let (count, violations) = findings(&MISSING_RESOURCES, limited, Some(&Value::Boolean(true)));
    assert_eq!(count, 1);
    assert_eq!(violations[0].message, "no CPU limit: set what the container needs");
    assert_eq!(violations[0].path, "spec.containers[0].resources");
}

#[test]
fn texts_are_built_only_if_they_are_read() {
    let mut found = Violations::new(false);
    found.begin(PENDING.id, PENDING.severity);
    found.add(&Finding { container: None, count: 3, path: format_args!("p"), message: format_args!("m") });
    assert_eq!(found.count(), 3);
    assert!(found.into_kept().is_empty());
}

#[test]
fn a_finding_can_have_a_lower_severity_than_its_rule_but_no_higher_one() {
    let finding = Finding { container: None, count: 1, path: format_args!("p"), message: format_args!("m") };
    let mut found = Violations::new(true);
    let mut worst = Vec::new();
    for (severity, lowered) in
        [(Severity::High, Some(Severity::Low)), (Severity::Low, Some(Severity::High)), (Severity::High, None)]
    {
        found.begin(PENDING.id, severity);
        assert_eq!(found.worst(), None);
        if let Some(lowered) = lowered {
            found.lower_to(lowered);
        }
        found.add(&finding);
        worst.push(found.worst().unwrap());
    }
    assert_eq!(worst, [Severity::Low, Severity::Low, Severity::High]);
    let kept: Vec<Severity> = found.into_kept().into_iter().map(|violation| violation.severity).collect();
    assert_eq!(kept, worst);
}

fn defaults() -> Defaults {
    let amounts = |cpu: &str, memory: &str| [("cpu", cpu.to_owned()), ("memory", memory.to_owned())].into();
    Defaults {
        probe: ProbeDefaults { tcp_port: Some(8080), ..ProbeDefaults::default() },
        resources: Some(ResourceDefaults {
            requests: amounts("100m", "64Mi"),
            limits: amounts("1", "128Mi"),
        }),
    }
}

fn fixed(id: &str, container: &str, defaults: &Defaults) -> (serde_json::Value, Vec<String>) {
    let container: PartialContainer = yaml_serde::from_str(container).unwrap();
    let fix = find(id).unwrap().fix.as_ref().unwrap();
    let outcome =
        (fix.compute)(&FixInput { container: &container, pod_has_resources: false, defaults, port: Ok(80) });
    let mut sets = serde_json::to_value(outcome.sets).unwrap();
    assert_eq!(sets.as_object_mut().unwrap().remove("name"), Some("".into()));
    (sets, outcome.reasons)
}

/// Merges objects field by field, as the API server does with those of a probe and of resources.
fn merge(into: &mut serde_json::Value, from: &serde_json::Value) {
    match (into, from) {
        (serde_json::Value::Object(into), serde_json::Value::Object(from)) => {
            from.iter().for_each(|(name, from)| {
                merge(into.entry(name.as_str()).or_insert(serde_json::Value::Null), from);
            });
        }
        (into, from) => *into = from.clone(),
    }
}

/// Writes amounts as the API server does: as text.
fn amounts_as_text(container: &mut serde_json::Value) {
    for list in ["requests", "limits"] {
        let amounts = container.pointer_mut(&format!("/resources/{list}"));
        for amount in
            amounts.and_then(serde_json::Value::as_object_mut).into_iter().flat_map(|map| map.values_mut())
        {
            if amount.is_number() {
                *amount = amount.to_string().into();
            }
        }
    }
}

#[test]
fn a_fix_resolves_its_rule_on_the_bad_sample_unless_it_gives_a_reason() {
    for rule in RULES.iter() {
        let Some(fix) = &rule.fix else { continue };
        let mut object: serde_json::Value = yaml_serde::from_str(&fixture(rule, "bad.yaml")).unwrap();
        let mut expected = Vec::new();
        let containers =
            object.pointer_mut("/spec/template/spec/containers").unwrap().as_array_mut().unwrap();
        let all = containers.len();
        for value in containers {
            amounts_as_text(value);
            let container: PartialContainer = serde_json::from_value(value.clone()).unwrap();
            let defaults = defaults();
            let input = FixInput {
                container: &container,
                pod_has_resources: false,
                defaults: &defaults,
                port: Ok(80),
            };
            let outcome = (fix.compute)(&input);
            if !outcome.reasons.is_empty() {
                expected.push(container.name.clone());
            }
            merge(
                value,
                &serde_json::to_value(PartialContainer { name: container.name, ..outcome.sets }).unwrap(),
            );
        }
        let (_, left) = findings(rule, &yaml_serde::to_string(&object).unwrap(), None);
        let left: Vec<String> = left.into_iter().filter_map(|violation| violation.container).collect();
        assert_eq!(left, expected, "{}", rule.id);
        assert!(left.len() < all, "{}: nothing is fixed", rule.id);
    }
}

#[test]
fn without_a_port_there_is_no_probe_and_the_reason_is_given() {
    let container = PartialContainer { name: "a".to_owned(), ..PartialContainer::default() };
    for rule in [&MISSING_LIVENESS, &MISSING_READINESS] {
        let defaults = Defaults::default();
        let input = FixInput {
            container: &container,
            pod_has_resources: false,
            defaults: &defaults,
            port: Err("none"),
        };
        let outcome = (rule.fix.as_ref().unwrap().compute)(&input);
        assert_eq!((outcome.sets, outcome.reasons), (PartialContainer::default(), vec!["none".to_owned()]));
    }
}

#[test]
fn a_liveness_probe_comes_with_a_startup_probe_and_both_are_complete() {
    let probe = ProbeDefaults { tcp_port: Some(80), initial_delay_seconds: Some(7), period_seconds: Some(5) };
    let defaults = Defaults { probe, ..Defaults::default() };
    let whole = |period: i32, failures: i32| {
        serde_json::json!({
            "tcpSocket": { "port": 80 }, "periodSeconds": period, "timeoutSeconds": 1,
            "successThreshold": 1, "failureThreshold": failures,
        })
    };
    let mut liveness = whole(5, 3);
    liveness["initialDelaySeconds"] = 7.into();
    let (sets, _) = fixed("missing-liveness", "{name: a}", &defaults);
    assert_eq!(sets, serde_json::json!({ "livenessProbe": liveness, "startupProbe": whole(1, 300) }));
    let (sets, _) = fixed("missing-liveness", "{name: a, startupProbe: {tcpSocket: {port: 1}}}", &defaults);
    assert_eq!(sets, serde_json::json!({ "livenessProbe": liveness }));
}

#[test]
fn requests_and_limits_never_contradict_existing_ones() {
    let resources = |container: &str| {
        let (sets, reasons) = fixed("missing-resources", container, &defaults());
        (sets.get("resources").cloned().unwrap_or_default(), reasons.join("; "))
    };
    let none = serde_json::json!(null);
    for (own, sets, reason) in [
        (
            "{}",
            serde_json::json!({
                "requests": { "cpu": "100m", "memory": "64Mi" }, "limits": { "cpu": "1", "memory": "128Mi" },
            }),
            "",
        ),
        // A limit alone is a request too.
        ("{limits: {cpu: '2', memory: 1Gi}}", none.clone(), ""),
        (
            "{requests: {cpu: '2', memory: 1Gi}}",
            none.clone(),
            "the default CPU limit 1 is below the request 2; the default memory limit 128Mi is below the request 1Gi",
        ),
        (
            "{requests: {cpu: 10m}, limits: {cpu: '1', memory: '0'}}",
            none.clone(),
            "the memory limit is 0 on purpose: change it in the manifest; \
             the default memory request 64Mi is above the limit 0",
        ),
        (
            "{requests: {cpu: '0', memory: 1Mi}, limits: {memory: 1Mi}}",
            serde_json::json!({ "limits": { "cpu": "1" } }),
            "the CPU request is 0 on purpose: change it in the manifest",
        ),
        (
            "{requests: {cpu: '0', memory: '0'}, limits: {cpu: '1', memory: 1Mi}}",
            none.clone(),
            "the CPU request is 0 on purpose: change it in the manifest; \
             the memory request is 0 on purpose: change it in the manifest",
        ),
    ] {
        assert_eq!(resources(&format!("{{name: a, resources: {own}}}")), (sets, reason.to_owned()), "{own}");
    }
}

#[test]
fn requests_and_limits_come_from_defaults_and_not_with_pod_level_resources() {
    let container = PartialContainer::default();
    let outcome = |pod_has_resources, defaults: &Defaults| {
        let fix = MISSING_RESOURCES.fix.as_ref().unwrap();
        (fix.compute)(&FixInput { container: &container, pod_has_resources, defaults, port: Ok(80) })
    };
    assert!(outcome(false, &defaults()).sets.resources.is_some());
    for (pod_has_resources, defaults) in [(true, defaults()), (false, Defaults::default())] {
        let outcome = outcome(pod_has_resources, &defaults);
        assert_eq!((outcome.sets, outcome.reasons.len()), (PartialContainer::default(), 1));
    }
}
