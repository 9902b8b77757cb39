//! Tests of bundles: built-in ones, and what files make of them.

use super::*;
use crate::rules::{RULES, Severity};

fn bundle(fields: &str) -> String {
    format!("---\napiVersion: kube-devops/v1\nkind: PolicyBundle\n{fields}\n")
}

fn spec(texts: &[&str], name: &str) -> Value {
    let text: String = texts.iter().map(|text| bundle(text)).collect();
    let sources = BundleSource::read_all(&text).unwrap();
    Bundles::with(&sources).unwrap().find(name).unwrap().spec.clone()
}

fn refusal(texts: &[&str]) -> String {
    let text: String = texts.iter().map(|text| bundle(text)).collect();
    BundleSource::read_all(&text).and_then(|sources| Bundles::with(&sources)).unwrap_err().to_string()
}

#[test]
fn the_built_in_bundles_are_policies_with_a_description() {
    let bundles = Bundles::built_in().unwrap();
    let names: Vec<_> = bundles.all().iter().map(|bundle| bundle.name.as_str()).collect();
    assert_eq!(names, ["baseline", "permissive", "pss-baseline", "pss-restricted", "restricted"]);
    for bundle in bundles.all() {
        assert!(!bundle.description.is_empty() && !bundle.policy().rules().is_empty(), "{}", bundle.name);
        let manifest = bundle.manifest(&bundle.name, Some("shop"), None).to_string();
        assert_eq!(&DevOpsPolicySpec::from_manifest(&manifest).unwrap(), bundle.spec());
    }
    assert_eq!(bundles.find("restricted").unwrap().mode(), EnforcementMode::Enforce);
}

#[test]
fn permissive_lowers_each_severity_by_one_step() {
    let bundles = Bundles::built_in().unwrap();
    let permissive = bundles.find("permissive").unwrap().policy();
    let lower = |severity: Severity| match severity {
        Severity::Critical => Severity::High,
        Severity::High => Severity::Medium,
        Severity::Medium | Severity::Low => Severity::Low,
    };
    let default = RULES.iter().filter(|rule| rule.in_default_score);
    let expected: Vec<_> = default.map(|rule| (rule.id, lower(rule.severity))).collect();
    let found: Vec<_> =
        permissive.rules().iter().map(|enabled| (enabled.rule.id, enabled.severity)).collect();
    assert_eq!(found, expected);
}

#[test]
fn the_rules_of_a_standard_have_no_weight_and_those_of_a_policy_have_one() {
    let bundles = Bundles::built_in().unwrap();
    let weighs = |name: &str| {
        bundles.find(name).unwrap().policy().rules().iter().any(|enabled| enabled.half_points > 0)
    };
    assert_eq!([weighs("pss-baseline"), weighs("restricted")], [false, true]);
}

#[test]
fn a_bundle_takes_over_the_settings_that_it_neither_replaces_nor_removes() {
    let found = spec(
        &[
            "metadata: {name: team}\nextends: company\nspec: {maxRestartCount: null, defaultResources: {cpuRequest: 1}}",
            "metadata: {name: company}\nextends: restricted\nspec: {maxRestartCount: 5, enforcementMode: audit}",
        ],
        "team",
    );
    assert_eq!(found["maxRestartCount"], Value::Null);
    assert_eq!(found["enforcementMode"], "audit");
    assert_eq!(
        found["defaultResources"],
        json!({ "cpuRequest": 1, "memoryRequest": "64Mi", "memoryLimit": "1Gi" })
    );
}

#[test]
fn rules_are_merged_by_id_and_an_excluded_rule_is_off() {
    let found = spec(
        &["metadata: {name: team}\nextends: pss-restricted\nexclude: [explicit-root-user]\n\
           spec: {rules: [{id: privileged-container, severity: low}, {id: colocated-replicas}]}"],
        "team",
    );
    let rules = found["rules"].as_array().unwrap();
    assert_eq!(rules.len(), 18);
    assert!(rules.contains(&json!({ "id": "privileged-container", "severity": "low" })), "{found}");
    assert!(rules.contains(&json!({ "id": "colocated-replicas" })), "{found}");
    let found = spec(&["metadata: {name: t}\nextends: permissive\nexclude: [latest-tag]"], "t");
    assert_eq!(
        (&found["forbidLatestTag"], &found["severityOverrides"]["latest-tag"]),
        (&Value::Null, &Value::Null)
    );
    let low = "metadata: {name: low}\nextends: baseline\nspec: {severityOverrides: {latestTag: low}}";
    let found = spec(&[low, "metadata: {name: t}\nextends: low\nexclude: [latest-tag]"], "t");
    assert_eq!(found.get("severityOverrides"), None);
}

#[test]
fn a_bundle_that_cannot_be_used_is_refused_with_the_place() {
    for (texts, expected) in [
        (
            &["metadata: {name: a}\nextends: b"][..],
            "bundle \"a\": extends: there is no bundle \"b\"; the bundles are a, ",
        ),
        (
            &["metadata: {name: a}\nextends: b", "metadata: {name: b}\nextends: a"],
            "extend each other in a circle: a, b",
        ),
        (&["metadata: {name: restricted}"], "two bundles are called \"restricted\""),
        (
            &["metadata: {name: a}\nspec: {forbidLatest: true}"],
            "bundle \"a\": spec.forbidLatest: there is no such field",
        ),
        (&["metadata: {name: a}\nspec: {rules: [{id: nope}]}"], "bundle \"a\": spec.rules[0].id"),
        (
            &["metadata: {name: a}\nextends: baseline\nexclude: [pending]"],
            "exclude: rule pending is off already",
        ),
        (&["metadata: {name: a}\nextends: baseline\nexclude: [nope]"], "exclude: there is no rule \"nope\""),
        (&["metadata: {name: a}\nextends: [baseline]"], "extends: must be text, and is [\"baseline\"]"),
        (&["metadata: {name: a}\nrules: []"], "rules: there is no such field; the fields are apiVersion"),
        (&["metadata: {}"], "the bundle from line 1: metadata.name: must be there"),
    ] {
        let error = refusal(texts);
        assert!(error.contains(expected), "{expected}\n{error}");
    }
}
