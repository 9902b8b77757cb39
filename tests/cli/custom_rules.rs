//! Rules of your own in CEL, from a file and in a policy.

use super::*;

const DEPLOYMENT: &[u8] = b"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, namespace: shop}\n\
    spec:\n  replicas: 9\n  template: {spec: {containers: [{name: c, image: 'docker.io/nginx:1.27'}]}}\n";
const RULES: &[u8] = b"customRules:\n\
    - id: few-replicas\n  match: {kinds: [Deployment]}\n  expression: object.spec.replicas <= params.max\n  \
    params: {max: 5}\n  severity: high\n  message: there are more than five replicas\n\
    - id: own-pods\n  match: {kinds: [Deployment]}\n  expression: object.spec.paused\n  message: it is not paused\n";

#[test]
fn the_rules_of_a_file_join_the_chosen_ones() {
    let tree = directory(&[("web.yaml", DEPLOYMENT), ("rules.yaml", RULES)]);
    let analyze =
        ["analyze", "-f", "web.yaml", "--rules-file", "rules.yaml", "--fail-on", "high", "-o", "json"];
    let run = run_in(tree.path(), &analyze, "");
    assert_eq!(run.status, 1, "{run}");
    let report: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    let own = report["violations"].as_array().unwrap().iter().find(|found| found["rule"] == "few-replicas");
    let own = own.unwrap();
    assert_eq!(own["message"], "there are more than five replicas");
    assert_eq!((&own["severity"], &own["source"]), (&"high".into(), &"web.yaml:4".into()));
    assert_eq!(report["summary"]["counts"]["few-replicas"], 1);
    assert_eq!(report["summary"]["unknown"]["own-pods"], 1);
    let note = "rule own-pods can't tell for 1 object; the first is shop/Deployment/web: no such key: paused";
    assert!(run.stderr.contains(note), "{run}");
    let without = run_in(tree.path(), &["analyze", "-f", "web.yaml", "-o", "json"], "");
    let without: serde_json::Value = serde_json::from_str(&without.stdout).unwrap();
    assert_eq!(report["summary"]["score"], without["summary"]["score"], "it leaves the score alone");
}

#[test]
fn the_formats_for_ci_know_the_rules_of_a_file() {
    let tree = directory(&[("web.yaml", DEPLOYMENT), ("rules.yaml", RULES)]);
    let sarif =
        run_in(tree.path(), &["analyze", "-f", "web.yaml", "--rules-file", "rules.yaml", "-o", "sarif"], "");
    let sarif: serde_json::Value = serde_json::from_str(&sarif.stdout).unwrap();
    let run = &sarif["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    let results = run["results"].as_array().unwrap();
    assert!(results.iter().any(|result| result["ruleId"] == "few-replicas"));
    for result in results {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(rules[index]["id"], result["ruleId"]);
    }
}

#[test]
fn a_rule_that_cannot_be_read_is_named_with_its_place() {
    let bad = String::from_utf8(RULES.to_vec()).unwrap().replace("<= params.max", "<= parms.max");
    let tree = directory(&[("web.yaml", DEPLOYMENT), ("rules.yaml", bad.as_bytes())]);
    let run = run_in(tree.path(), &["analyze", "-f", "web.yaml", "--rules-file", "rules.yaml"], "");
    assert_eq!(run.status, 2, "{run}");
    let error = "--rules-file rules.yaml: customRules[0].expression: line 1, column 25: there is no variable parms; the \
                 variables are object, namespaceObject, params";
    assert!(run.stderr.contains(error), "{run}");
    let missing = run_in(tree.path(), &["analyze", "-f", "web.yaml", "--rules-file", "no.yaml"], "");
    assert!(missing.stderr.contains("--rules-file no.yaml: there is no such file"), "{missing}");
}
