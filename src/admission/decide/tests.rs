//! Decisions on requests of every kind, operation and user, and laws over generated ones.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::admission::parse_review;
use crate::workload::{EXEMPT, EXEMPT_REASON, EXEMPT_UNTIL};
use updates::Update;

#[path = "../../../tests/common/updates.rs"]
mod updates;

fn none() -> AnnotatedExemptions {
    AnnotatedExemptions::default()
}

const KCM: &str = "system:kube-controller-manager";

/// A policy in enforce mode that denies an image without a version and warns about missing liveness probes.
fn policy(name: &str, spec: &Value) -> CompiledPolicy {
    let policy = json!({ "metadata": { "name": name, "namespace": "shop" }, "spec": spec });
    CompiledPolicy::new(serde_json::from_value::<crate::policy::DevOpsPolicy>(policy).unwrap())
}

fn denying() -> CompiledPolicy {
    policy(
        "baseline",
        &json!({
            "enforcementMode": "enforce", "forbidLatestTag": true, "requireLivenessProbe": true,
            "admission": { "denyAt": "high" },
        }),
    )
}

/// An object of a kind with these containers, as name, image and presence of a liveness probe.
fn object(kind: WorkloadKind, containers: &[(&str, &str, bool)]) -> Value {
    let containers: Vec<_> = containers
        .iter()
        .map(|(name, image, probed)| {
            let mut container = json!({ "name": name, "image": image });
            if *probed {
                container["livenessProbe"] = json!({ "tcpSocket": { "port": 80 } });
            }
            container
        })
        .collect();
    let pod = json!({ "containers": containers });
    let spec = match kind {
        WorkloadKind::Pod => pod,
        WorkloadKind::CronJob => json!({ "jobTemplate": { "spec": { "template": { "spec": pod } } } }),
        _ => json!({ "template": { "spec": pod } }),
    };
    let types = (kind.api_version(), kind.name());
    json!({ "apiVersion": types.0, "kind": types.1, "metadata": { "name": "web" }, "spec": spec })
}

fn request(operation: &str, kind: WorkloadKind, user: &str, object: &Value, old: &Value) -> Value {
    let (group, version) = kind.api_version().split_once('/').unwrap_or(("", kind.api_version()));
    json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "u", "kind": { "group": group, "version": version, "kind": kind.name() },
            "namespace": "shop", "operation": operation, "userInfo": { "username": user },
            "object": object, "oldObject": old,
        },
    })
}

fn decided(review: &Value, policies: &[CompiledPolicy]) -> AdmissionDecision {
    let body = review.to_string();
    decide(&parse_review(body.as_bytes()).unwrap(), policies, None, &none(), Timestamp::UNIX_EPOCH).unwrap()
}

/// The rules that deny and those that warn, each with the container.
fn verdict(review: &Value, policies: &[CompiledPolicy]) -> (Vec<String>, Vec<String>) {
    let texts = |findings: Vec<NewViolation>| {
        let text =
            |finding: NewViolation| format!("{} {}", finding.rule, finding.container.unwrap_or_default());
        findings.into_iter().map(text).collect::<Vec<_>>()
    };
    let decision = decided(review, policies);
    (texts(decision.denied), texts(decision.warned))
}

#[test]
fn every_kind_is_denied_and_warned_at_the_path_of_its_pod_spec() {
    for kind in WorkloadKind::ADMITTED {
        let bad = object(kind, &[("web", "nginx:latest", false)]);
        let decision = decided(&request("CREATE", kind, "jane", &bad, &Value::Null), &[denying()]);
        let [denied] = &*decision.denied else { panic!("{kind:?}: {decision:?}") };
        assert_eq!(denied.path, format!("{}.containers[0].image", kind.pod_path()));
        assert_eq!(denied.policies, ["baseline"]);
        let runs_to_completion = matches!(kind, WorkloadKind::Job | WorkloadKind::CronJob);
        assert_eq!(decision.warned.is_empty(), runs_to_completion, "{kind:?}");
        let good = object(kind, &[("web", "nginx:1.25", true)]);
        let good = request("CREATE", kind, "jane", &good, &Value::Null);
        assert_eq!(decided(&good, &[denying()]), AdmissionDecision::default());
    }
}

#[test]
fn a_rule_outside_the_score_is_evaluated() {
    let policy = policy("strict", &json!({ "rules": [{ "id": "privileged-container" }] }));
    let mut pod = object(WorkloadKind::Pod, &[("web", "nginx:1", true)]);
    pod["spec"]["containers"][0]["securityContext"] = json!({ "privileged": true });
    let review = request("CREATE", WorkloadKind::Pod, "jane", &pod, &Value::Null);
    assert_eq!(verdict(&review, &[policy]), (vec![], vec!["privileged-container web".to_owned()]));
}

#[test]
fn a_rule_of_a_policys_own_denies_what_is_new_and_warns_if_it_cannot_tell() {
    let rule = json!({
        "id": "own-replicas", "match": { "kinds": ["Deployment"] }, "expression": "object.spec.replicas < 5",
        "message": "there are too many", "severity": "critical",
    });
    let policies = [policy("own", &json!({ "enforcementMode": "enforce", "customRules": [rule] }))];
    let kind = WorkloadKind::Deployment;
    let with = |replicas: Value| {
        let mut object = object(kind, &[("web", "nginx:1", true)]);
        object["spec"]["replicas"] = replicas;
        object
    };
    let review = |old: &Value, new: &Value| request("UPDATE", kind, "jane", new, old);
    let (few, many) = (with(json!(2)), with(json!(9)));
    assert_eq!(verdict(&review(&few, &many), &policies), (vec!["own-replicas ".to_owned()], vec![]));
    assert_eq!(verdict(&review(&many, &many), &policies), (vec![], vec![]));
    let unknown = decided(&review(&few, &with(Value::Null)), &policies);
    let problem = "rule own-replicas of DevOpsPolicy own can't tell: can't compare null with an integer";
    assert_eq!((unknown.denied.len(), unknown.problems), (0, vec![problem.to_owned()]));
    let pod = object(WorkloadKind::Pod, &[("web", "nginx:1", true)]);
    let other = request("CREATE", WorkloadKind::Pod, "jane", &pod, &Value::Null);
    assert_eq!(decided(&other, &policies), AdmissionDecision::default());
}

#[test]
fn only_new_violations_of_an_update_count() {
    let update = |old: &[(&str, &str, bool)], new: &[(&str, &str, bool)]| {
        let kind = WorkloadKind::Deployment;
        let review = request("UPDATE", kind, "jane", &object(kind, new), &object(kind, old));
        verdict(&review, &[denying()])
    };
    let none = (Vec::<String>::new(), Vec::<String>::new());
    let old_fault = [("web", "nginx:latest", false)];
    assert_eq!(update(&old_fault, &old_fault), none, "scaling or a label");
    assert_eq!(update(&old_fault, &[("web", "nginx", false)]), none, "as bad as before");
    let worse = (vec!["latest-tag web".to_owned()], vec![]);
    assert_eq!(update(&[("web", "nginx:1", false)], &old_fault), worse);
    let another = update(&old_fault, &[("web", "nginx:latest", false), ("log", "fluent", true)]);
    assert_eq!(another, (vec!["latest-tag log".to_owned()], vec![]));
    let dropped = update(&[("web", "nginx:1", true)], &[("web", "nginx:1", false)]);
    assert_eq!(dropped, (vec![], vec!["missing-liveness web".to_owned()]));
}

#[test]
fn an_update_may_not_replace_what_is_wrong_by_something_else() {
    for Update { rule, params, before, after, worse } in Update::all() {
        let mut enabled = json!({ "id": rule });
        if !params.is_null() {
            enabled["params"] = params;
        }
        let spec =
            json!({ "enforcementMode": "enforce", "rules": [enabled], "admission": { "denyAt": "low" } });
        let (before, after) = (before.deployment("web"), after.deployment("web"));
        let review = request("UPDATE", WorkloadKind::Deployment, "jane", &after, &before);
        let denied = decided(&review, &[policy("a", &spec)]).denied;
        let is_denied = denied.iter().any(|finding| finding.rule.as_str() == rule);
        assert_eq!(is_denied, worse, "{rule}: {before} to {after}");
    }
}

#[test]
fn an_update_that_drops_defaults_only_warns_where_a_policy_sets_them() {
    let kind = WorkloadKind::Deployment;
    let mut old = object(kind, &[("web", "nginx:1", true), ("log", "fluent:1", true)]);
    old["metadata"]["annotations"] = json!({ PATCHED_FIELDS: "web/livenessProbe,web/startupProbe" });
    let new = object(kind, &[("web", "nginx:1", false), ("log", "fluent:1", false)]);
    let update = |mutate: bool, old: &Value| {
        let admission = json!({ "denyAt": "low", "mutate": mutate });
        let spec =
            json!({ "enforcementMode": "enforce", "requireLivenessProbe": true, "admission": admission });
        verdict(&request("UPDATE", kind, "jane", &new, old), &[policy("p", &spec)])
    };
    let own =
        |names: &[&str]| names.iter().map(|name| format!("missing-liveness {name}")).collect::<Vec<_>>();
    assert_eq!(update(true, &old), (own(&["log"]), own(&["web"])));
    assert_eq!(update(false, &old), (own(&["web", "log"]), own(&[])));
    old["metadata"]["annotations"] = json!({});
    assert_eq!(update(true, &old).0.len(), 2);
}

#[test]
fn rules_about_details_see_them() {
    let kind = WorkloadKind::Deployment;
    let spec = json!({ "enforcementMode": "enforce", "rules": [{ "id": "privileged-container" }, { "id":
        "missing-seccomp-profile" }], "admission": { "denyAt": "low" } });
    let mut deployment = object(kind, &[("web", "nginx:1", true)]);
    let mut denied = |context: Value| {
        deployment["spec"]["template"]["spec"]["containers"][0]["securityContext"] = context;
        verdict(&request("CREATE", kind, "jane", &deployment, &Value::Null), &[policy("p", &spec)]).0
    };
    let profile = json!({ "type": "RuntimeDefault" });
    assert_eq!(denied(json!({ "seccompProfile": profile })), Vec::<String>::new());
    let both = denied(json!({ "privileged": true }));
    assert_eq!(both.len(), 2, "{both:?}");
}

#[test]
fn nothing_else_is_evaluated() {
    let kind = WorkloadKind::Deployment;
    let bad = object(kind, &[("web", "nginx", false)]);
    let allowed = |review: &Value| decided(review, &[denying()]) == AdmissionDecision::default();
    assert!(!allowed(&request("CREATE", kind, "jane", &bad, &Value::Null)));
    for operation in ["DELETE", "CONNECT"] {
        assert!(allowed(&request(operation, kind, "jane", &bad, &bad)), "{operation}");
    }
    let mut scale = request("UPDATE", kind, "jane", &bad, &Value::Null);
    scale["request"]["subResource"] = json!("scale");
    assert!(allowed(&scale));
    let mut rollout = request("CREATE", kind, "jane", &bad, &Value::Null);
    rollout["request"]["kind"] = json!({ "group": "argoproj.io", "version": "v1alpha1", "kind": "Rollout" });
    assert!(allowed(&rollout));
    let mut going = bad.clone();
    going["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    assert!(allowed(&request("UPDATE", kind, "jane", &going, &Value::Null)));
    assert_eq!(
        decided(&request("CREATE", kind, "jane", &bad, &Value::Null), &[]),
        AdmissionDecision::default(),
        "a namespace without a policy"
    );
}

#[test]
fn only_controllers_of_kubernetes_are_exempt_and_only_for_evaluated_owners() {
    let of = |user: &str, owner: &str, controller: bool| {
        let kind = WorkloadKind::Pod;
        let mut pod = object(kind, &[("web", "nginx", true)]);
        let owner =
            json!({ "apiVersion": "v1", "kind": owner, "name": "o", "uid": "o", "controller": controller });
        pod["metadata"]["ownerReferences"] = json!([owner]);
        decided(&request("CREATE", kind, user, &pod, &Value::Null), &[denying()]).is_allowed()
    };
    let replica_set = "system:serviceaccount:kube-system:replicaset-controller";
    for (user, owner, controller, allowed) in [
        (KCM, "ReplicaSet", true, true),
        (replica_set, "ReplicaSet", true, true),
        (KCM, "ReplicaSet", false, false),
        (KCM, "Rollout", true, false),
        ("jane", "ReplicaSet", true, false),
        ("system:serviceaccount:shop:replicaset-controller", "ReplicaSet", true, false),
        ("system:serviceaccount:kube-system:argo", "ReplicaSet", true, false),
    ] {
        assert_eq!(of(user, owner, controller), allowed, "{user} {owner} {controller}");
    }
}

#[test]
fn mode_and_severity_of_each_policy_decide_between_denial_and_warning() {
    let verdicts = |policies: &[CompiledPolicy]| {
        let bad = object(WorkloadKind::Pod, &[("web", "nginx", true)]);
        let decision = decided(&request("CREATE", WorkloadKind::Pod, "jane", &bad, &Value::Null), policies);
        let names =
            |findings: Vec<NewViolation>| findings.into_iter().flat_map(|f| f.policies).collect::<Vec<_>>();
        (names(decision.denied), names(decision.warned))
    };
    let latest = |name, mode: &str, severity: &str, deny_at: &str| {
        let spec = json!({
            "enforcementMode": mode, "forbidLatestTag": true, "admission": { "denyAt": deny_at },
            "severityOverrides": { "latestTag": severity },
        });
        policy(name, &spec)
    };
    let own = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(verdicts(&[latest("a", "audit", "critical", "low")]), (own(&[]), own(&["a"])));
    assert_eq!(verdicts(&[latest("a", "enforce", "medium", "high")]), (own(&[]), own(&["a"])));
    assert_eq!(verdicts(&[latest("a", "enforce", "high", "high")]), (own(&["a"]), own(&[])));
    let both = [latest("b", "enforce", "low", "low"), latest("a", "audit", "low", "low")];
    assert_eq!(verdicts(&both), (own(&["b"]), own(&[])), "a denial is not repeated as a warning");
    let default = policy("c", &json!({ "enforcementMode": "enforce", "forbidLatestTag": true }));
    assert_eq!(verdicts(&[default]), (own(&[]), own(&["c"])), "denyAt is critical by default");
}

#[test]
fn a_policy_that_is_going_or_can_not_be_followed_denies_nothing() {
    let bad = object(WorkloadKind::Pod, &[("web", "nginx", true)]);
    let review = request("CREATE", WorkloadKind::Pod, "jane", &bad, &Value::Null);
    let mut going = (*denying().policy).clone();
    going.metadata.deletion_timestamp = serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap();
    assert_eq!(decided(&review, &[CompiledPolicy::new(going)]), AdmissionDecision::default());
    let invalid = policy("odd", &json!({ "rules": [{ "id": "nope" }] }));
    let decision = decided(&review, &[invalid]);
    assert!(decision.is_allowed() && decision.problems[0].starts_with("DevOpsPolicy odd is not followed: "));
}

#[test]
fn a_status_is_never_evaluated() {
    let mut pod = object(WorkloadKind::Pod, &[("web", "nginx:1", true)]);
    pod["status"] =
        json!({ "phase": "Pending", "containerStatuses": [{ "name": "web", "restartCount": 9 }] });
    let review = request("UPDATE", WorkloadKind::Pod, "jane", &pod, &Value::Null);
    let spec = json!({ "enforcementMode": "enforce", "maxRestartCount": 0, "forbidPendingDuration": 0,
        "admission": { "denyAt": "low" } });
    assert_eq!(decided(&review, &[policy("p", &spec)]), AdmissionDecision::default());
}

#[test]
fn native_admission_with_the_same_policies_takes_over_the_rules_that_it_holds() {
    let policies = [denying()];
    let digest = none().verdict("shop", &policies, Timestamp::UNIX_EPOCH).unwrap().digest();
    let bad = object(WorkloadKind::Pod, &[("web", "nginx", false)]);
    let body = request("CREATE", WorkloadKind::Pod, "jane", &bad, &Value::Null).to_string();
    let found = |native: Option<&str>| {
        let request = parse_review(body.as_bytes()).unwrap();
        let decision = decide(&request, &policies, native, &none(), Timestamp::UNIX_EPOCH).unwrap();
        decision.denied.len() + decision.warned.len()
    };
    assert_eq!((found(None), found(Some("stale")), found(Some(&digest))), (2, 2, 0));
}

#[test]
fn a_verdict_that_was_compiled_in_another_way_takes_over_nothing() {
    let spec = json!({
        "enforcementMode": "enforce", "forbidLatestTag": true, "exemptions": "namespace",
        "admission": { "denyAt": "low" },
    });
    let policies = [policy("p", &spec)];
    let bad = object(WorkloadKind::Pod, &[("web", "nginx", true)]);
    let body = request("CREATE", WorkloadKind::Pod, "jane", &bad, &Value::Null).to_string();
    let namespace = parse_review(body.as_bytes()).unwrap().namespace().to_owned();
    let exempt = |until: &str| {
        let mut exemptions = AnnotatedExemptions::default();
        let annotations = [(EXEMPT, "latest-tag"), (EXEMPT_REASON, "moves"), (EXEMPT_UNTIL, until)];
        let annotation =
            |key: &str| annotations.iter().find(|(name, _)| *name == key).map(|(_, value)| *value);
        exemptions.add_namespace(&namespace, annotation);
        exemptions
    };
    let denied = |written: &AnnotatedExemptions, known: &AnnotatedExemptions| {
        let digest = written.verdict(&namespace, &policies, Timestamp::UNIX_EPOCH).unwrap().digest();
        let request = parse_review(body.as_bytes()).unwrap();
        let decision = decide(&request, &policies, Some(&digest), known, Timestamp::UNIX_EPOCH).unwrap();
        decision.denied.len()
    };
    let (over, in_force) = (exempt("1969-01-01"), exempt("1970-01-01"));
    assert_eq!(denied(&over, &over), 0, "native admission denies it");
    assert_eq!(denied(&in_force, &in_force), 0, "it is exempt");
    // The policies are the same, but the rule is not in the verdict that the Namespace still has.
    assert_eq!(denied(&in_force, &over), 1);
}

fn containers() -> impl Strategy<Value = Vec<(&'static str, &'static str, bool)>> {
    let names = prop::sample::subsequence(vec!["a", "b", "c"], 1..=3);
    let images = prop::collection::vec(prop::sample::select(vec!["x", "x:latest", "x:1"]), 3);
    (names, images, any::<[bool; 3]>()).prop_map(|(names, images, probes)| {
        names.into_iter().enumerate().map(|(i, name)| (name, images[i], probes[i])).collect()
    })
}

proptest! {
    /// An update reports a part of what a creation reports, nothing without a change, and everything without an old
    /// object.
    #[test]
    fn an_update_reports_what_the_old_object_does_not_have(
        kind in prop::sample::select(WorkloadKind::ADMITTED.to_vec()), old in containers(), new in containers(),
    ) {
        let policies = [denying()];
        let (old, new) = (object(kind, &old), object(kind, &new));
        let of = |operation, new: &Value, old: &Value| {
            let (denied, warned) = verdict(&request(operation, kind, "jane", new, old), &policies);
            [denied, warned].concat().into_iter().collect::<BTreeSet<_>>()
        };
        let created = of("CREATE", &new, &Value::Null);
        let before = of("CREATE", &old, &Value::Null);
        prop_assert_eq!(of("UPDATE", &new, &old), created.difference(&before).cloned().collect());
        prop_assert_eq!(of("UPDATE", &new, &new), BTreeSet::new());
        prop_assert_eq!(of("UPDATE", &new, &Value::Null), created);
    }

    #[test]
    fn any_bytes_are_read_or_refused(body in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(parse_review(&body).is_err());
    }
}

#[test]
fn an_exempt_object_is_admitted_if_the_policy_lets_it_or_its_namespace_exempt() {
    let mut pod = object(WorkloadKind::Pod, &[("main", "nginx", true)]);
    let decide_on = |pod: &Value, exemptions: Option<&str>, namespace: &AnnotatedExemptions| {
        let mut spec = json!({
            "enforcementMode": "enforce", "forbidLatestTag": true, "admission": { "denyAt": "high" },
        });
        spec["exemptions"] = json!(exemptions);
        let body = request("CREATE", WorkloadKind::Pod, "jane", pod, &Value::Null).to_string();
        let request = parse_review(body.as_bytes()).unwrap();
        let policies = [policy("baseline", &spec)];
        decide(&request, &policies, None, namespace, Timestamp::UNIX_EPOCH).unwrap().is_allowed()
    };
    let mut exempt = none();
    exempt.add_namespace("shop", |key| match key {
        EXEMPT => Some("latest-tag"),
        EXEMPT_REASON => Some("moves in spring"),
        _ => None,
    });
    assert!(!decide_on(&pod, None, &none()));
    assert!(decide_on(&pod, None, &exempt), "the Namespace is exempt");
    assert!(!decide_on(&pod, Some("none"), &exempt), "the policy allows no exemption");
    pod["metadata"]["annotations"] = json!({ EXEMPT: "latest-tag", EXEMPT_REASON: "moves in spring" });
    assert!(!decide_on(&pod, None, &none()), "a policy that enforces leaves this to Namespaces");
    assert!(decide_on(&pod, Some("workload"), &none()));
    pod["metadata"]["annotations"][EXEMPT_UNTIL] = json!("1969-12-31");
    assert!(!decide_on(&pod, Some("workload"), &none()), "it ended the day before");
    pod["metadata"]["annotations"][EXEMPT_UNTIL] = json!("1970-01-01");
    assert!(decide_on(&pod, Some("workload"), &none()), "the last day counts");
    pod["metadata"]["ownerReferences"] = json!([{ "kind": "CloneSet", "name": "web", "controller": true }]);
    assert!(!decide_on(&pod, Some("workload"), &none()), "it has an owner");
}

#[test]
fn rules_about_a_workload_itself_look_at_the_new_object_and_its_former_state() {
    let hasty =
        policy("base", &json!({ "rules": [{ "id": "short-start-deadline" }, { "id": "unmanaged-pod" }] }));
    let cron_job = |deadline: u32| {
        let mut cron_job = object(WorkloadKind::CronJob, &[("main", "x:1", true)]);
        cron_job["spec"]["startingDeadlineSeconds"] = deadline.into();
        cron_job
    };
    let of = |operation, new: &Value, old: &Value| {
        verdict(&request(operation, WorkloadKind::CronJob, "ann", new, old), std::slice::from_ref(&hasty)).1
    };
    assert_eq!(of("CREATE", &cron_job(5), &Value::Null), ["short-start-deadline "]);
    assert_eq!(of("UPDATE", &cron_job(5), &cron_job(60)), ["short-start-deadline "]);
    assert_eq!(of("UPDATE", &cron_job(5), &cron_job(6)), [""; 0]);
    let mut pod = object(WorkloadKind::Pod, &[("main", "x:1", true)]);
    let of_pod = |pod: &Value| {
        verdict(&request("CREATE", WorkloadKind::Pod, "ann", pod, &Value::Null), std::slice::from_ref(&hasty))
            .1
    };
    assert_eq!(of_pod(&pod), ["unmanaged-pod "]);
    pod["metadata"]["ownerReferences"] = json!([{ "kind": "Game", "name": "g", "controller": true }]);
    assert_eq!(of_pod(&pod), [""; 0]);
}
