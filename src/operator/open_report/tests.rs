//! Tests of the content, the size and the times of reports.

use super::*;
use crate::governance::AnnotatedExemptions;
use crate::operator::evaluate_namespace;
use crate::policy::DevOpsPolicySpec;
use crate::workload::{EXEMPT, EXEMPT_REASON, EXEMPT_UNTIL, Workload, WorkloadKind};

/// A policy in the namespace n.
pub(in crate::operator) fn compiled(name: &str) -> CompiledPolicy {
    compiled_with(name, "{forbidLatestTag: true, requireLivenessProbe: true}")
}

fn compiled_with(name: &str, spec: &str) -> CompiledPolicy {
    let spec: DevOpsPolicySpec = yaml_serde::from_str(spec).unwrap();
    let mut policy = DevOpsPolicy::new(name, spec);
    policy.metadata.namespace = Some("n".to_owned());
    policy.metadata.uid = Some("u".to_owned());
    CompiledPolicy::new(policy)
}

/// The evaluation of a pod of the Deployment web for each image.
pub(in crate::operator) fn evaluated(policy: &CompiledPolicy, images: &[&str]) -> EvaluationOutcome {
    let owner = json!([{ "kind": "ReplicaSet", "name": "web-7f9", "controller": true }]);
    let pod = |(index, image): (usize, &&str)| {
        let metadata = json!({
            "name": format!("web-7f9-{index}"), "namespace": "n", "ownerReferences": owner,
            "labels": { "pod-template-hash": "7f9" },
        });
        json!({ "apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": { "containers": [{ "name": "main", "image": image }] } })
    };
    evaluated_objects(policy, &images.iter().enumerate().map(pod).collect::<Vec<_>>())
}

fn evaluated_objects(policy: &CompiledPolicy, objects: &[Value]) -> EvaluationOutcome {
    let read = |object: &Value| {
        let kind = object["kind"].as_str().unwrap();
        let kind = if kind == "Pod" { WorkloadKind::Pod } else { WorkloadKind::Deployment };
        Workload::from_json_with(policy.effective.as_ref().unwrap().fields(), kind, &object.to_string())
            .unwrap()
    };
    let objects: Vec<_> = objects.iter().map(read).collect();
    let (rules, none) = (policy.effective.as_ref().unwrap(), AnnotatedExemptions::default());
    let now = Timestamp::UNIX_EPOCH;
    EvaluationOutcome::Evaluated(evaluate_namespace(rules, "n", objects.iter(), none, now))
}

fn report(policy: &CompiledPolicy, outcome: &EvaluationOutcome, second: i64) -> Value {
    let now = Timestamp::from_second(second).unwrap();
    json!(Draft::new(policy, outcome).unwrap().finish(&FirstFound::default(), now))
}

#[test]
fn a_violation_is_a_failed_result_about_its_workload() {
    let policy = compiled("base");
    let report = report(&policy, &evaluated(&policy, &["nginx", "nginx"]), 7);
    assert_eq!(report["metadata"]["name"], "kube-devops-base");
    assert_eq!(report["metadata"]["ownerReferences"][0]["uid"], "u");
    assert_eq!(report["scope"], json!({ "apiVersion": "v1", "kind": "Namespace", "name": "n" }));
    assert_eq!(report["summary"], json!({ "fail": 2, "skip": 0, "error": 0 }), "once for both pods");
    let latest =
        &report["results"].as_array().unwrap().iter().find(|one| one["rule"] == "latest-tag").unwrap();
    let message = latest["message"].as_str().unwrap();
    assert!(message.contains("nginx"), "{message}");
    let expected = json!({
        "source": "kube-devops", "policy": "base", "rule": "latest-tag", "category": "images",
        "severity": latest["severity"], "result": "fail", "scored": true, "message": message,
        "resources": [{ "apiVersion": "apps/v1", "kind": "Deployment", "namespace": "n", "name": "web" }],
        "properties": { "container": "main" }, "timestamp": { "seconds": 7, "nanos": 0 },
    });
    assert_eq!(**latest, expected);
}

#[test]
fn exempt_findings_and_rules_that_cannot_tell_are_skipped_results() {
    let own = "customRules: [{id: own-names, match: {kinds: [Deployment]}, message: m, \
               expression: 'object.metadata.name == namespaceObject.metadata.name'}]";
    let policy =
        compiled_with("base", &format!("{{forbidLatestTag: true, requireLivenessProbe: true, {own}}}"));
    let web = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": { "name": "web", "namespace": "n", "annotations": {
            EXEMPT: "latest-tag", EXEMPT_REASON: "moves in spring", EXEMPT_UNTIL: "1970-01-01",
        } },
        "spec": { "template": { "spec": { "containers": [{ "name": "main", "image": "nginx" }] } } },
    });
    let report = report(&policy, &evaluated_objects(&policy, &[web]), 0);
    assert_eq!(report["summary"], json!({ "fail": 1, "skip": 2, "error": 0 }));
    let skipped = |rule: &str| {
        let all = report["results"].as_array().unwrap();
        let found = all.iter().find(|one| one["rule"] == rule).unwrap();
        assert_eq!((&found["result"], &found["scored"]), (&json!("skip"), &json!(false)));
        found.clone()
    };
    let exempt = skipped("latest-tag");
    assert_eq!(exempt["message"], "exempt until 1970-01-01: moves in spring");
    assert_eq!(exempt["properties"], json!({ "exemption": "moves in spring", "until": "1970-01-01" }));
    assert_eq!(exempt["resources"][0]["name"], "web");
    let unknown = skipped("own-names");
    assert!(unknown["message"].as_str().unwrap().contains("can't tell for 1 object"), "{unknown}");
    assert_eq!((&unknown["category"], &unknown["resources"]), (&json!("custom"), &Value::Null));
}

#[test]
fn an_invalid_policy_is_an_error_and_a_system_namespace_has_no_report() {
    let policy = compiled_with("base", "{rules: [{id: nonsense}]}");
    let error = policy.effective.clone().unwrap_err();
    let report = report(&policy, &EvaluationOutcome::Invalid(error), 0);
    assert_eq!(report["summary"], json!({ "fail": 0, "skip": 0, "error": 1 }));
    let message = report["results"][0]["message"].as_str().unwrap();
    assert!(message.starts_with("the policy is invalid: spec.rules[0].id: "), "{message}");
    assert!(Draft::new(&policy, &EvaluationOutcome::NoEffect).is_none());
}

#[test]
fn results_that_are_too_many_or_too_large_are_cut_and_the_summary_is_exact() {
    let policy = compiled("base");
    let pod = |index: usize| {
        let containers = json!([{ "name": "main", "image": "nginx" }]);
        let name = format!("{}-{index:05}", "n".repeat(200));
        json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": name, "namespace": "n" }, "spec": { "containers": containers } })
    };
    let pods: Vec<_> = (0..1000).map(pod).collect();
    let report = report(&policy, &evaluated_objects(&policy, &pods), 0);
    assert_eq!(report["summary"]["fail"], 2000);
    let listed = report["results"].as_array().unwrap().len();
    let bytes = report.to_string().len();
    assert!(listed > 100 && listed <= RESULTS && bytes < BYTES + 4096, "{listed} results, {bytes} bytes");
    let all = report["results"].as_array().unwrap();
    assert!(all.iter().all(|one| one["severity"] == all[0]["severity"]), "the worst come first");
}

#[test]
fn a_result_keeps_the_time_at_which_it_was_found_first() {
    let policy = compiled("base");
    let first = report(&policy, &evaluated(&policy, &["nginx:1"]), 10);
    let later = Draft::new(&policy, &evaluated(&policy, &["nginx"])).unwrap();
    let later = json!(later.finish(&FirstFound::of(&first), Timestamp::from_second(20).unwrap()));
    let mut times: Vec<_> = later["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["rule"].as_str().unwrap(), one["timestamp"]["seconds"].as_i64().unwrap()))
        .collect();
    times.sort_unstable();
    assert_eq!(times, [("latest-tag", 20), ("missing-liveness", 10)]);
}

#[test]
fn the_number_of_pods_does_not_change_the_content() {
    let policy = compiled("base");
    let content = |images: &[&str]| Draft::new(&policy, &evaluated(&policy, images)).unwrap().content;
    assert_eq!(content(&["nginx"]), content(&["nginx", "nginx"]));
    assert_ne!(content(&["nginx"]), content(&["nginx:1"]));
}

#[test]
fn a_long_name_is_cut_and_stays_unique() {
    let name = |name: &str| super::name(&compiled(name).policy);
    let [one, other] = ["a", "b"].map(|end| name(&format!("{}{end}", "p".repeat(252))));
    assert!(one != other && one.len() <= NAME, "{one}");
    assert_eq!([name("base"), name("cluster/base")], ["kube-devops-base", "cluster-kube-devops-base"]);
}

#[test]
fn a_cluster_policy_as_a_whole_has_a_cluster_report() {
    let whole = CompiledPolicy::new(DevOpsPolicy::new("cluster/base", DevOpsPolicySpec::default()));
    let mut evaluation = match evaluated(&compiled("base"), &["nginx"]) {
        EvaluationOutcome::Evaluated(evaluation) => evaluation,
        other => panic!("{other:?}"),
    };
    for violation in &mut evaluation.violations {
        (violation.kind, violation.name) = ("Node".to_owned(), "n1".to_owned());
        (violation.namespace, violation.owner) = (String::new(), None);
    }
    let report = report(&whole, &EvaluationOutcome::Evaluated(evaluation), 0);
    assert_eq!((&report["kind"], report.get("scope")), (&json!("ClusterReport"), None));
    assert_eq!(report["metadata"].get("namespace"), None);
    assert_eq!(report["metadata"]["name"], "cluster-kube-devops-base");
    let node = json!({ "apiVersion": "v1", "kind": "Node", "name": "n1" });
    assert_eq!(report["results"][0]["resources"], json!([node]));
    assert_eq!(report["results"][0]["scored"], false);
    assert_eq!(identity(&whole.policy)["kind"], "ClusterReport");
}
