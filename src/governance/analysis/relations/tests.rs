//! Laws of relations: order, parts and other namespaces don't matter.

use std::path::PathBuf;

use jiff::Timestamp;
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::Value;

use super::*;
use crate::governance::{Report, ReportedViolation, Scope};
use crate::policy::EffectivePolicy;
use crate::rules::RULES;

/// Returns every object of the samples of rules that read more than pods.
fn samples() -> Vec<Value> {
    let mut objects = Vec::new();
    for rule in RULES.iter().filter(|rule| !rule.reads().is_empty()) {
        for file in ["bad.yaml", "good.yaml"] {
            let path = [env!("CARGO_MANIFEST_DIR"), "tests/fixtures/rules", rule.id.as_str(), file];
            let yaml = std::fs::read_to_string(path.iter().collect::<PathBuf>()).unwrap();
            for document in yaml_serde::Deserializer::from_str(&yaml) {
                objects.push(Value::deserialize(document).unwrap());
            }
        }
    }
    objects
}

/// Evaluates objects, each with a line of its own. A new part begins before each place of `cuts`.
fn report(objects: &[(usize, Value)], cuts: &[usize]) -> Report {
    let policy = EffectivePolicy::select("all").unwrap();
    let scope = Scope { include_system: true, ..Scope::default() };
    let mut whole = Analysis::new(&policy, &scope, Timestamp::UNIX_EPOCH, true);
    let mut part = whole.part();
    for (place, (line, object)) in objects.iter().enumerate() {
        if cuts.contains(&place) {
            whole.merge(std::mem::replace(&mut part, whole.part()));
        }
        let object = policy.fields().within(|| Object::deserialize(object.clone()).unwrap());
        part.add(&object, Some(Origin { source: "f", line: *line, line_of: &|_| None }));
    }
    whole.merge(part);
    whole.close(Kinds::of(&Kind::ALL));
    whole.finish()
}

fn numbered(objects: impl IntoIterator<Item = Value>) -> Vec<(usize, Value)> {
    objects.into_iter().enumerate().collect()
}

/// Moves the objects that have a namespace into one. Those that look into other namespaces are left out.
fn moved(objects: &[Value], namespace: &str) -> Vec<Value> {
    let mut moved: Vec<Value> = objects.to_vec();
    moved.retain(|object| {
        let kind = object["kind"].as_str().unwrap();
        !kind.starts_with("Cluster")
            && kind != "Namespace"
            && !object.to_string().contains("namespaceSelector")
    });
    for object in &mut moved {
        object["metadata"]["namespace"] = namespace.into();
    }
    moved
}

fn violations_in(report: &Report, namespace: &str) -> Vec<ReportedViolation> {
    let rows = report.violations.iter().filter(|row| row.namespace == namespace);
    rows.map(ReportedViolation::from).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_order_and_the_parts_of_the_input_do_not_matter(
        order in Just((0..samples().len()).collect::<Vec<_>>()).prop_shuffle(),
        cuts in prop::collection::vec(0..200_usize, 0..9),
    ) {
        let objects = numbered(samples());
        let expected = serde_json::to_value(report(&objects, &[])).unwrap();
        let shuffled: Vec<_> = order.iter().map(|place| objects[*place].clone()).collect();
        prop_assert_eq!(serde_json::to_value(report(&shuffled, &cuts)).unwrap(), expected);
    }

    #[test]
    fn a_rule_never_fires_on_what_another_namespace_holds(
        others in prop::sample::subsequence(samples(), 0..samples().len()),
    ) {
        let own = moved(&samples(), "own");
        let alone = report(&numbered(own.clone()), &[]);
        let together = report(&numbered(own.into_iter().chain(moved(&others, "elsewhere"))), &[]);
        prop_assert_eq!(violations_in(&together, "own"), violations_in(&alone, "own"));
    }
}
