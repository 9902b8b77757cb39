//! New workloads under single policies, records and notes.

use serde_json::Value;

use super::*;
use crate::enforcement::{Service, ServiceSpec, objects};
use crate::policy::{DevOpsPolicy, RemediationReason};
use crate::workload::WorkloadKind;

fn subject(kind: WorkloadKind, change: impl FnOnce(&mut Value)) -> Subject {
    let mut object = json!({
        "apiVersion": "apps/v1", "kind": kind.name(), "metadata": { "name": "web", "namespace": "shop" },
        "spec": { "replicas": 2, "selector": {}, "template": {
            "metadata": { "labels": { "app": "web" } },
            "spec": { "containers": [{ "name": "main", "image": "x:1", "ports": [
                { "name": "metrics", "containerPort": 9090 }, { "containerPort": 8080 }] }] },
        } },
    });
    change(&mut object);
    Subject::read(kind, object).unwrap()
}

fn deployment() -> Subject {
    subject(WorkloadKind::Deployment, |_| {})
}

fn policy(name: &str, spec: &str, status: Value) -> CompiledPolicy {
    let mut policy = json!({ "metadata": { "name": name, "namespace": "shop", "generation": 1 } });
    policy["spec"] = yaml_serde::from_str(spec).unwrap();
    policy["status"] = status;
    CompiledPolicy::new(serde_json::from_value::<DevOpsPolicy>(policy).unwrap())
}

const PROBES: &str = "{enforcementMode: enforce, requireLivenessProbe: true, admission: {mutate: true}}";

fn plan_with(
    subject: &Subject,
    policies: &[CompiledPolicy],
    around: &Surroundings,
    notes: &[Note],
) -> Option<Plan> {
    plan_at_creation(subject, policies, around, notes, Timestamp::UNIX_EPOCH).unwrap()
}

fn fields(subject: &Subject, spec: &str) -> Option<Vec<String>> {
    let policy = policy("base", spec, Value::Null);
    let plan = plan_with(subject, &[policy], &Surroundings::default(), &[])?;
    Some(plan.adds.keys().map(ToString::to_string).collect())
}

#[test]
fn a_new_workload_gets_what_enforcement_would_set_by_the_same_choice_of_port() {
    assert_eq!(fields(&deployment(), PROBES).unwrap(), ["main/livenessProbe", "main/startupProbe"]);
    let port = |around: &Surroundings| {
        let plan = plan_with(&deployment(), &[policy("base", PROBES, Value::Null)], around, &[]).unwrap();
        plan.ports.into_values().next().unwrap().port
    };
    assert_eq!(port(&Surroundings::default()), 8080, "a port that is not for metrics");
    let service: objects::Object<ServiceSpec> = serde_json::from_value(json!({
        "metadata": { "name": "web" },
        "spec": { "selector": { "app": "web" }, "ports": [{ "port": 80, "targetPort": 7070 }] },
    }))
    .unwrap();
    assert_eq!(
        port(&Surroundings { services: vec![Service::from(service)], ..Surroundings::default() }),
        7070
    );
}

#[test]
fn a_workload_that_enforcement_would_not_patch_gets_nothing() {
    let deployment = |change: fn(&mut Value)| subject(WorkloadKind::Deployment, change);
    for (what, subject) in [
        (
            "ignored",
            deployment(|o| o["metadata"]["annotations"] = json!({ "devops.stochastic.io/ignore": "true" })),
        ),
        (
            "controlled",
            deployment(|o| {
                let owner =
                    json!({ "apiVersion": "v1", "kind": "App", "name": "a", "uid": "u", "controller": true });
                o["metadata"]["ownerReferences"] = json!([owner]);
            }),
        ),
        (
            "GitOps",
            deployment(|o| o["metadata"]["labels"] = json!({ "app.kubernetes.io/managed-by": "Helm" })),
        ),
        ("paused", deployment(|o| o["spec"]["paused"] = json!(true))),
        ("no pods", deployment(|o| o["spec"]["replicas"] = json!(0))),
        ("recreated whole", deployment(|o| o["spec"]["strategy"] = json!({ "type": "Recreate" }))),
        ("a StatefulSet", subject(WorkloadKind::StatefulSet, |_| {})),
        ("a DaemonSet without surge", subject(WorkloadKind::DaemonSet, |_| {})),
    ] {
        assert_eq!(fields(&subject, PROBES), None, "{what}");
    }
    let surging = json!({ "rollingUpdate": { "maxSurge": 1, "maxUnavailable": 0 } });
    let surging = subject(WorkloadKind::DaemonSet, |object| object["spec"]["updateStrategy"] = surging);
    assert!(fields(&surging, PROBES).is_some(), "the number of its nodes is not known yet");
    let allowed = "{enforcementMode: enforce, requireLivenessProbe: true, requireReadinessProbe: true, \
                   admission: {mutate: true}, remediation: {gitops: patch, allowDowntime: true}}";
    assert_eq!(fields(&subject(WorkloadKind::StatefulSet, |_| {}), allowed).unwrap().len(), 3);
    let helm = deployment(|o| o["metadata"]["labels"] = json!({ "app.kubernetes.io/managed-by": "Helm" }));
    assert!(fields(&helm, allowed).is_some());
    let complete = subject(WorkloadKind::Deployment, |object| {
        object["spec"]["template"]["spec"]["containers"][0]["livenessProbe"] = json!({});
    });
    assert_eq!(fields(&complete, PROBES), None, "nothing is missing");
}

#[test]
fn a_policy_without_mutate_has_no_part_in_it() {
    let other = policy("a", "{enforcementMode: enforce, requireReadinessProbe: true}", Value::Null);
    let both = [other, policy("b", PROBES, Value::Null)];
    let plan = plan_with(&deployment(), &both, &Surroundings::default(), &[]).unwrap();
    assert_eq!((plan.policy.as_str(), plan.adds.len()), ("b", 2));
    let stopped = json!({ "observedGeneration": 1, "withdrawalsInARow": 3 });
    let stopped = policy("b", PROBES, stopped);
    assert_eq!(plan_with(&deployment(), &[stopped], &Surroundings::default(), &[]), None);
}

#[test]
fn a_name_whose_patch_was_withdrawn_gets_nothing_whatever_its_uid() {
    let recorded = |phase: &str, kind: &str, name: &str| {
        let record = json!({ "kind": kind, "name": name, "uid": "former", "phase": phase });
        let keeper = policy("records", "{}", json!({ "remediations": [record] }));
        let policies = [keeper, policy("base", PROBES, Value::Null)];
        plan_with(&deployment(), &policies, &Surroundings::default(), &[]).is_some()
    };
    for phase in ["Withdrawing", "Withdrawn", "Failed"] {
        assert!(!recorded(phase, "Deployment", "web"), "{phase}");
        assert!(recorded(phase, "Deployment", "api") && recorded(phase, "DaemonSet", "web"), "{phase}");
    }
    for phase in ["Planned", "Applied", "Verified"] {
        assert!(recorded(phase, "Deployment", "web"), "{phase}");
    }
    let noted = |change: fn(&mut Note)| {
        let former = subject(WorkloadKind::Deployment, |object| object["metadata"]["uid"] = json!("former"));
        let (reason, now) = (RemediationReason::NotReady, Timestamp::UNIX_EPOCH);
        let mut note = Note::new(&former, "causes".to_owned(), reason, "not ready", now);
        change(&mut note);
        let policies = [policy("base", PROBES, Value::Null)];
        plan_with(&deployment(), &policies, &Surroundings::default(), &[note]).is_some()
    };
    assert!(!noted(|_| {}));
    assert!(noted(|note| note.namespace = "bank".to_owned()) && noted(|note| note.name = "api".to_owned()));
}

#[test]
fn a_quota_without_room_for_the_pods_keeps_the_fields_away() {
    let quota = serde_json::from_value(json!({
        "metadata": { "name": "small" }, "spec": { "hard": { "pods": "1" } },
        "status": { "hard": { "pods": "1" }, "used": { "pods": "1" } },
    }))
    .unwrap();
    let around = Surroundings { quotas: vec![quota], ..Surroundings::default() };
    assert_eq!(plan_with(&deployment(), &[policy("base", PROBES, Value::Null)], &around, &[]), None);
}
