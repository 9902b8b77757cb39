//! Answers to good and bad bodies, without HTTP.

use serde_json::json;

use super::*;
use crate::policy::{DevOpsPolicy, SystemNamespaces};
use crate::telemetry::Metrics;

struct Fixture {
    policies: Arc<Policies>,
    metrics: Metrics,
    reviewer: Reviewer,
}

/// A reviewer for one policy, in namespaces shop and kube-system, that denies images without a version.
fn fixture(listed: bool) -> Fixture {
    let (metrics, policies) = (Metrics::new(), Arc::new(Policies::new(SystemNamespaces::default())));
    let begun = policies.begin_list();
    for namespace in ["shop", "kube-system"] {
        let policy = json!({
            "metadata": { "name": "baseline", "namespace": namespace },
            "spec": { "enforcementMode": "enforce", "forbidLatestTag": true, "requireLivenessProbe": true,
                      "admission": { "denyAt": "high" } },
        });
        policies.apply(serde_json::from_value::<DevOpsPolicy>(policy).unwrap());
    }
    if listed {
        policies.end_list(begun);
    }
    let admission = AdmissionMetrics::register(&metrics).unwrap();
    let (native, surroundings) = (NativeNamespaces::default(), NamespaceSurroundings::empty());
    let reviewer =
        Reviewer::new(Arc::clone(&policies), native, surroundings, admission, || Timestamp::UNIX_EPOCH);
    Fixture { policies, metrics, reviewer }
}

fn review(namespace: &str, image: &str) -> Value {
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "web" },
        "spec": { "containers": [{ "name": "web", "image": image }] },
    });
    json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "705ab4f5", "kind": { "group": "", "version": "v1", "kind": "Pod" }, "name": "web",
            "namespace": namespace, "operation": "CREATE", "userInfo": { "username": "jane" }, "object": pod,
            "oldObject": null, "dryRun": false,
        },
    })
}

impl Fixture {
    fn reply(&self, review: &Value) -> Reply {
        self.reviewer.reply(review.to_string().as_bytes())
    }

    fn counts(&self, series: &str) -> bool {
        self.metrics.render().unwrap().lines().any(|line| line == series)
    }
}

#[test]
fn a_cluster_policy_denies_in_the_namespaces_that_it_selects() {
    let fixture = fixture(true);
    let policy = json!({
        "metadata": { "name": "wide" },
        "spec": { "namespaceSelector": { "matchLabels": { "team": "a" } }, "enforcementMode": "enforce",
                  "forbidLatestTag": true, "admission": { "denyAt": "high", "mutate": true } },
    });
    fixture.policies.apply_cluster(serde_json::from_value(policy).unwrap());
    let is_allowed =
        |namespace: &str| fixture.reply(&review(namespace, "nginx")).review["response"]["allowed"].clone();
    for namespace in ["bank", "monitoring"] {
        let labels = serde_json::from_value(json!({ "labels": { "team": "a" } })).unwrap();
        fixture.policies.apply_namespace(namespace, Some(&labels));
    }
    assert_eq!(["bank", "blog", "monitoring"].map(is_allowed), [false, true, true]);
    let message = fixture.reply(&review("bank", "nginx")).review["response"]["status"]["message"].clone();
    assert!(message.as_str().unwrap().contains("policy cluster/wide, rule latest-tag"), "{message}");
}

#[test]
fn a_denial_is_forbidden_and_names_the_finding() {
    let fixture = fixture(true);
    let Reply { status, review } = fixture.reply(&review("shop", "nginx"));
    assert_eq!((status, &review["kind"]), (200, &json!("AdmissionReview")));
    let response = &review["response"];
    assert_eq!((&response["uid"], &response["allowed"]), (&json!("705ab4f5"), &json!(false)));
    assert_eq!(
        (&response["status"]["code"], &response["status"]["reason"]),
        (&json!(403), &json!("Forbidden"))
    );
    let message = response["status"]["message"].as_str().unwrap();
    assert!(
        message.contains("policy baseline, rule latest-tag: container web, spec.containers[0].image: "),
        "{message}"
    );
    assert!(response["warnings"][0].as_str().unwrap().contains("missing-liveness"), "{response}");
    assert!(fixture.counts(r#"webhook_requests_total{operation="create",result="denied"} 1"#));
    assert!(fixture.counts(r#"webhook_denials_total{rule="latest-tag"} 1"#));
}

#[test]
fn other_objects_are_allowed_with_or_without_warnings() {
    let fixture = fixture(true);
    let warned = fixture.reply(&review("shop", "nginx:1.25")).review["response"].clone();
    assert_eq!((&warned["allowed"], warned["warnings"].as_array().unwrap().len()), (&json!(true), 1));
    for namespace in ["bank", "kube-system"] {
        let response = fixture.reply(&review(namespace, "nginx")).review["response"].clone();
        assert_eq!(response, json!({ "uid": "705ab4f5", "allowed": true }), "{namespace}");
    }
    assert!(fixture.counts(r#"webhook_requests_total{operation="create",result="warned"} 1"#));
    assert!(fixture.counts(r#"webhook_requests_total{operation="create",result="allowed"} 2"#));
}

#[test]
fn until_the_policies_were_read_everything_is_allowed_with_a_warning() {
    let fixture = fixture(false);
    let response = fixture.reply(&review("shop", "nginx")).review["response"].clone();
    assert_eq!((&response["allowed"], &response["warnings"]), (&json!(true), &json!([UNSYNCED])));
    assert!(fixture.counts(r#"webhook_requests_total{operation="create",result="unsynced"} 1"#));
    let begun = fixture.policies.begin_list();
    fixture.policies.end_list(begun);
    let response = fixture.reply(&review("shop", "nginx")).review["response"].clone();
    assert_eq!(response["allowed"], json!(true), "a complete list without the policy removes it");
}

#[test]
fn an_object_that_can_not_be_read_is_allowed_with_a_warning_and_counted() {
    let fixture = fixture(true);
    let mut odd = review("shop", "nginx");
    odd["request"]["object"]["spec"]["containers"] = json!("none");
    let response = fixture.reply(&odd).review["response"].clone();
    assert_eq!((&response["allowed"], &response["warnings"]), (&json!(true), &json!([INTERNAL])));
    assert!(fixture.counts(r#"webhook_requests_total{operation="create",result="error"} 1"#));
}

#[test]
fn an_invalid_review_is_refused_with_its_uid_if_there_is_one() {
    let fixture = fixture(true);
    let with = |field: &str, value: Value| {
        let mut review = review("shop", "nginx");
        review[field] = value;
        review.to_string()
    };
    let mut no_operation = review("shop", "nginx");
    no_operation["request"].as_object_mut().unwrap().remove("operation");
    for (body, uid, problem) in [
        (String::new(), "", "not an AdmissionReview in JSON"),
        ("[]".to_owned(), "", "not an AdmissionReview in JSON"),
        ("\u{0}\u{1}".to_owned(), "", "not an AdmissionReview in JSON"),
        ("{}".to_owned(), "", "kind must be AdmissionReview"),
        (with("kind", json!("Pod")), "705ab4f5", "kind must be AdmissionReview"),
        (with("apiVersion", json!("admission.k8s.io/v1beta1")), "705ab4f5", "apiVersion must be"),
        (with("apiVersion", json!(7)), "705ab4f5", "apiVersion must be"),
        (with("request", Value::Null), "", "request is missing"),
        (no_operation.to_string(), "705ab4f5", "missing field `operation`"),
    ] {
        let Reply { status, review } = fixture.reviewer.reply(body.as_bytes());
        let response = &review["response"];
        assert_eq!((status, &response["uid"]), (400, &json!(uid)), "{body}");
        let message = response["status"]["message"].as_str().unwrap();
        assert!(message.contains(problem), "{body}: {message}");
    }
    assert!(fixture.counts(r#"webhook_requests_total{operation="unknown",result="invalid"} 9"#));
}

/// The review of a new Deployment with a declared port.
fn creation(namespace: &str) -> Value {
    let mut review = review(namespace, "nginx:1.25");
    let container = json!({ "name": "web", "image": "nginx:1.25", "ports": [{ "containerPort": 80 }] });
    review["request"]["kind"] = json!({ "group": "apps", "version": "v1", "kind": "Deployment" });
    review["request"]["object"] = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "web", "namespace": namespace },
        "spec": { "replicas": 2, "selector": {}, "template": { "spec": { "containers": [container] } } },
    });
    review
}

#[test]
fn a_new_workload_gets_defaults_only_where_a_policy_asks_for_them() {
    let fixture = fixture(true);
    let reply = |review: &Value| {
        fixture.reviewer.reply_with_defaults(review.to_string().as_bytes()).review["response"].clone()
    };
    let unchanged = json!({ "uid": "705ab4f5", "allowed": true });
    assert_eq!(reply(&creation("shop")), unchanged, "the policy has no admission.mutate");
    for namespace in ["shop", "kube-system"] {
        let policy = json!({
            "metadata": { "name": "baseline", "namespace": namespace },
            "spec": { "enforcementMode": "enforce", "requireLivenessProbe": true, "admission": { "mutate": true } },
        });
        fixture.policies.apply(serde_json::from_value::<DevOpsPolicy>(policy).unwrap());
    }
    assert_eq!(reply(&creation("kube-system")), unchanged);
    assert_eq!(reply(&review("shop", "nginx:1.25")), unchanged, "a pod");
    let mut update = creation("shop");
    update["request"]["operation"] = json!("UPDATE");
    assert_eq!(reply(&update), unchanged);
    let response = reply(&creation("shop"));
    assert_eq!((&response["allowed"], &response["patchType"]), (&json!(true), &json!("JSONPatch")));
    let mut odd = creation("shop");
    odd["request"]["object"]["spec"]["template"] = json!(7);
    assert_eq!(reply(&odd), unchanged);
    for (result, count) in [("unchanged", 4), ("mutated", 1), ("error", 1)] {
        let operation = if result == "unchanged" { 3 } else { count };
        let series = format!(r#"webhook_requests_total{{operation="create",result="{result}"}} {operation}"#);
        assert!(fixture.counts(&series), "{series}");
    }
}

#[test]
fn before_the_namespaces_are_listed_a_warning_says_that_no_cluster_policy_evaluated() {
    let fixture = fixture(true);
    let warnings = |fixture: &Fixture, image: &str| {
        fixture.reply(&review("shop", image)).review["response"]["warnings"].to_string()
    };
    assert!(!warnings(&fixture, "nginx:1").contains("no ClusterDevOpsPolicy evaluated"), "there is none");
    let policy = json!({
        "metadata": { "name": "wide" }, "spec": { "namespaceSelector": {}, "forbidLatestTag": true },
    });
    fixture.policies.apply_cluster(serde_json::from_value(policy).unwrap());
    assert!(warnings(&fixture, "nginx:1").contains("no ClusterDevOpsPolicy evaluated"));
    assert!(fixture.counts("webhook_requests_total{operation=\"create\",result=\"unsynced\"} 1"));
    let denied = fixture.reply(&review("shop", "nginx")).review["response"]["allowed"].clone();
    assert_eq!(denied, false, "the policies of the namespace still evaluate");
}
