//! Tests of the rules that a policy or a file can have.

use serde_json::json;

use super::*;
use crate::policy::EffectivePolicy;

fn policy(rules: &Json) -> Result<EffectivePolicy, String> {
    let spec = serde_json::from_value(json!({ "customRules": rules })).unwrap();
    EffectivePolicy::from_spec(&spec).map_err(|error| error.to_string())
}

fn rule(id: &str, expression: &str) -> Json {
    json!({ "id": id, "match": { "kinds": ["Pod"] }, "expression": expression, "message": "mend it" })
}

#[test]
fn a_rule_of_a_policy_has_a_place_a_severity_and_a_weight() {
    let mut critical = rule("own-critical", "true");
    critical["severity"] = json!("critical");
    let policy = policy(&json!([rule("own-medium", "true"), critical])).unwrap();
    let enabled: Vec<_> =
        policy.rules().iter().map(|one| (one.rule.id.as_str(), one.severity, one.half_points)).collect();
    assert_eq!(enabled, [("own-critical", Severity::Critical, 12), ("own-medium", Severity::Medium, 6)]);
    for one in policy.rules() {
        assert_eq!(rules::place(one.rule.id), one.index);
        assert_eq!(rules::at(one.index).unwrap().id, one.rule.id);
    }
}

#[test]
fn a_rule_that_cannot_be_used_is_refused_with_the_place() {
    for (rules, reason) in [
        (json!([rule("latest-tag", "true")]), "spec.customRules[0].id: latest-tag is the name of a rule"),
        (
            json!([rule("security", "true")]),
            "spec.customRules[0].id: security is the name of a rule or a set",
        ),
        (json!([rule("Own", "true")]), "spec.customRules[0].id: must be lowercase words"),
        (json!([rule("own-", "true")]), "spec.customRules[0].id: must be lowercase words"),
        (json!([rule("own", "true"), rule("own", "true")]), "spec.customRules[1].id: own is there already"),
        (
            json!([rule("own", "object.spec.containers.all(c, c.image.")]),
            "spec.customRules[0].expression: line 1, column 39: ",
        ),
        (
            json!([rule("own", "request.name == 'x'")]),
            "spec.customRules[0].expression: line 1, column 1: there is no variable request",
        ),
        (
            json!([{ "id": "own", "match": { "kinds": ["Service"] }, "expression": "true", "message": "m" }]),
            "spec.customRules[0].match.kinds: \"Service\" is none of Pod, Deployment",
        ),
        (
            json!([{ "id": "own", "match": { "kinds": ["Pod"] }, "expression": "true", "message": "" }]),
            "spec.customRules[0].message: must have between 1 and 250 characters",
        ),
    ] {
        let error = policy(&rules).unwrap_err();
        assert!(error.starts_with(reason), "{error}");
    }
}

#[test]
fn only_what_a_rule_reads_is_listed() {
    let reads = |kinds: &[&str], expression: &str| {
        let rules =
            json!([{ "id": "own", "match": { "kinds": kinds }, "expression": expression, "message": "m" }]);
        policy(&rules).unwrap().reads().iter().collect::<Vec<_>>()
    };
    assert_eq!(reads(&["Pod"], "true"), []);
    assert_eq!(reads(&["Pod", "Job"], "true"), [Kind::Template]);
    assert_eq!(reads(&["Pod"], "has(namespaceObject.metadata.labels)"), [Kind::Namespace]);
}
