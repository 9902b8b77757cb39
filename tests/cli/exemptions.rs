//! Annotations of workloads and Namespaces that exempt from rules, in manifests.

use serde_json::{Value, json};

use super::{directory, run_in};

const DEPLOYMENT: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\n  namespace: shop\n  \
    annotations: {ANNOTATIONS}\nspec: {template: {spec: {containers: [{name: c, image: nginx}]}}}\n";

const POD: &str = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: web-7f9-x\n  namespace: shop\n  labels: \
    {pod-template-hash: 7f9}\n  annotations: {devops.stochastic.io/exempt: missing-readiness, \
    devops.stochastic.io/exempt-reason: not asked}\n  ownerReferences: [{kind: ReplicaSet, name: web-7f9, \
    controller: true}]\nspec: {containers: [{name: c, image: nginx}]}\n";

const NAMESPACE: &str =
    "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: shop\n  annotations: {ANNOTATIONS}\n";

fn annotated(object: &str, rules: &str, reason: &str, until: Option<&str>) -> String {
    let mut annotations = json!({
        "devops.stochastic.io/exempt": rules, "devops.stochastic.io/exempt-reason": reason,
    });
    if let Some(until) = until {
        annotations["devops.stochastic.io/exempt-until"] = until.into();
    }
    object.replace("{ANNOTATIONS}", &annotations.to_string())
}

/// Evaluates documents in one file, and returns the report and standard error.
fn report(documents: &[&str], flags: &[&str]) -> (Value, String) {
    let policy = b"apiVersion: devops.stochastic.io/v1\nkind: DevOpsPolicy\nmetadata: {name: p}\n\
        spec: {enforcementMode: enforce, forbidLatestTag: true, requireLivenessProbe: true}\n";
    let manifests = documents.join("---\n");
    let tree = directory(&[("f.yaml", manifests.as_bytes()), ("policy.yaml", policy)]);
    let run = run_in(tree.path(), &[&["analyze", "-f", "f.yaml", "-o", "json"], flags].concat(), "");
    (serde_json::from_str(&run.stdout).map_err(|_| run.to_string()).unwrap(), run.stderr)
}

fn rules(report: &Value) -> Vec<&str> {
    let violations = report["violations"].as_array().unwrap().iter();
    violations.map(|violation| violation["rule"].as_str().unwrap()).collect()
}

#[test]
fn annotations_of_a_workload_and_a_namespace_exempt_wherever_they_stand() {
    let deployment = annotated(DEPLOYMENT, "latest-tag", "moves in spring", Some("2999-12-31"));
    let namespace = annotated(NAMESPACE, "missing-liveness", "batch only", None);
    let all = [deployment.as_str(), POD, &namespace];
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0], [0, 2, 1]] {
        let (report, notes) = report(&order.map(|index| all[index]), &[]);
        // The annotations of the pod itself have no say.
        assert_eq!(rules(&report), ["missing-readiness"], "{order:?}");
        let summary = &report["summary"];
        assert_eq!(
            (&summary["pods"], &summary["score"], &summary["compliance"]),
            (&json!(1), &json!(98), &json!(100.0))
        );
        assert_eq!(summary["exempted"], json!({ "latest-tag": 1, "missing-liveness": 1 }));
        let with = json!({ "score": 90, "status": "Healthy", "compliance": 0.0 });
        assert_eq!(summary["withExempted"], with);
        assert_eq!(report["namespaces"][0]["score"], 98);
        assert_eq!(
            report["exempt"],
            json!([
                {
                    "object": "Namespace/shop", "rules": ["missing-liveness"], "reason": "batch only",
                    "expires": null, "expired": false, "count": 1,
                },
                {
                    "object": "shop/Deployment/web", "rules": ["latest-tag"], "reason": "moves in spring",
                    "expires": "2999-12-31", "expired": false, "count": 1,
                },
            ])
        );
        let note = "note: 1 finding is exempt, of latest-tag in shop/Deployment/web until 2999-12-31 (moves in spring)";
        assert!(notes.lines().any(|line| line == note), "{notes}");
    }
}

#[test]
fn a_former_exemption_is_a_violation_that_says_so() {
    let deployment = annotated(DEPLOYMENT, "latest-tag", "moves in spring", Some("2020-01-31"));
    let (report, notes) = report(&[&deployment], &[]);
    assert_eq!(rules(&report), ["latest-tag", "missing-liveness", "missing-readiness"]);
    let message = report["violations"][0]["message"].as_str().unwrap();
    assert!(message.ends_with(" (the exemption from this rule ended with 2020-01-31)"), "{message}");
    assert!(report["summary"].get("withExempted").is_none(), "{report}");
    assert!(notes.contains("ended with 2020-01-31, so its findings count"), "{notes}");
}

#[test]
fn an_unknown_rule_and_a_missing_reason_exempt_nothing_and_are_noted() {
    let deployment = annotated(DEPLOYMENT, "latest-tga", "moves in spring", None);
    let namespace = annotated(NAMESPACE, "latest-tag", " ", None);
    let (report, notes) = report(&[&deployment, &namespace], &[]);
    assert_eq!(rules(&report).len(), 3);
    let refused = report["refusedExemptions"].as_array().unwrap();
    assert_eq!(
        refused,
        &[
            json!(
                "Namespace/shop: annotation devops.stochastic.io/exempt-reason: a reason is missing, so nothing is exempt"
            ),
            json!(
                "shop/Deployment/web: annotation devops.stochastic.io/exempt: there is no built-in rule latest-tga, so this \
                 exempts nothing"
            ),
        ]
    );
    assert!(refused.iter().all(|text| notes.contains(text.as_str().unwrap())), "{notes}");
}

#[test]
fn a_policy_that_enforces_leaves_exemptions_to_namespaces() {
    let deployment = annotated(DEPLOYMENT, "latest-tag", "moves in spring", None);
    let policy = ["--policy", "policy.yaml"];
    let (refused, notes) = report(&[&deployment], &policy);
    assert_eq!(rules(&refused), ["latest-tag", "missing-liveness"]);
    assert!(
        notes.contains("shop/Deployment/web: only a Namespace may exempt from latest-tag by the policy"),
        "{notes}"
    );
    let namespace = annotated(NAMESPACE, "latest-tag", "moves in spring", None);
    let (allowed, _) = report(&[&deployment, &namespace], &policy);
    assert_eq!(rules(&allowed), ["missing-liveness"]);
}
