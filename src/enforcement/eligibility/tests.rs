//! One test per reason, each with a workload that is eligible except for that reason.

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use super::*;
use crate::enforcement::KINDS;
use crate::workload::WorkloadKind;

fn now() -> Timestamp {
    "2026-01-01T12:00:00Z".parse().unwrap()
}

/// A workload with three pods that is not rolling out.
fn at_rest(kind: WorkloadKind) -> Value {
    json!({
        "metadata": { "name": "web", "namespace": "n", "generation": 2 },
        "spec": { "replicas": 3, "serviceName": "web", "selector": {}, "template": { "spec": { "containers": [] } } },
        "status": match kind {
            WorkloadKind::DaemonSet => json!({ "observedGeneration": 2, "desiredNumberScheduled": 3,
                "currentNumberScheduled": 3, "updatedNumberScheduled": 3, "numberReady": 3, "numberAvailable": 3,
                "numberMisscheduled": 0 }),
            _ => json!({ "observedGeneration": 2, "replicas": 3, "updatedReplicas": 3, "readyReplicas": 3,
                "availableReplicas": 3 }),
        },
    })
}

fn evaluate(kind: WorkloadKind, change: &[(&str, Value)], pods: &[Pod]) -> Option<Ineligible> {
    evaluate_with(kind, change, pods, GitOpsMode::Report)
}

fn evaluate_with(
    kind: WorkloadKind,
    change: &[(&str, Value)],
    pods: &[Pod],
    gitops: GitOpsMode,
) -> Option<Ineligible> {
    let remediation = RemediationSpec { gitops, allow_downtime: true, ..RemediationSpec::default() };
    evaluate_under(kind, change, pods, &remediation)
}

fn evaluate_under(
    kind: WorkloadKind,
    change: &[(&str, Value)],
    pods: &[Pod],
    remediation: &RemediationSpec,
) -> Option<Ineligible> {
    let mut object = at_rest(kind);
    for (path, value) in change {
        let mut place = &mut object;
        for name in path.split('.') {
            place = &mut place[name];
        }
        *place = value.clone();
    }
    ineligible(&Subject::read(kind, object).unwrap(), pods, remediation, &Claims::new(), now())
}

/// A pod whose container `main` has this status.
fn pod(status: &Value) -> Pod {
    let mut container =
        json!({ "name": "main", "image": "", "imageID": "", "ready": true, "restartCount": 0 });
    for (name, value) in status.as_object().unwrap() {
        container[name] = value.clone();
    }
    serde_json::from_value(json!({
        "metadata": { "name": "web-a" },
        "status": { "containerStatuses": [container] },
    }))
    .unwrap()
}

fn ended(at: &str) -> Value {
    json!({ "terminated": { "exitCode": 1, "finishedAt": at } })
}

#[test]
fn a_workload_that_is_not_rolling_out_is_eligible() {
    let well = pod(&json!({ "restartCount": 7, "lastState": ended("2026-01-01T11:54:59Z") }));
    for kind in [WorkloadKind::Deployment, WorkloadKind::StatefulSet, WorkloadKind::DaemonSet] {
        assert_eq!(evaluate(kind, &[], std::slice::from_ref(&well)), None, "{kind:?}");
    }
}

#[test]
fn ownership_reasons_come_first() {
    let deployment = WorkloadKind::Deployment;
    let deleted = [("metadata.deletionTimestamp", json!("2026-01-01T11:00:00Z"))];
    assert_eq!(evaluate(deployment, &deleted, &[]), Some(Ineligible::BeingDeleted));
    let ignored = [("metadata.annotations", json!({ IGNORE: "true" })), ("spec.paused", json!(true))];
    assert_eq!(evaluate(deployment, &ignored, &[]), Some(Ineligible::Ignored));
    assert_eq!(evaluate(deployment, &[("metadata.annotations", json!({ IGNORE: "false" }))], &[]), None);
    let replicas = json!({ "f:spec": { "f:replicas": {} } });
    let squatted = json!([{ "manager": FIELD_MANAGER, "operation": "Apply", "fieldsV1": replicas }]);
    let squatted = evaluate(deployment, &[("metadata.managedFields", squatted)], &[]);
    assert_eq!(squatted, Some(Ineligible::ManagerTaken("spec.replicas".to_owned())));
    let owner = |controller: bool| json!([{ "apiVersion": "x/v1", "kind": "Shop", "name": "s", "uid": "u", "controller": controller }]);
    let parent = evaluate(deployment, &[("metadata.ownerReferences", owner(true))], &[]);
    assert_eq!(parent, Some(Ineligible::Controlled { kind: "Shop".into(), name: "s".into() }));
    assert_eq!(evaluate(deployment, &[("metadata.ownerReferences", owner(false))], &[]), None);
}

#[test]
fn gitops_workloads_are_patched_only_if_the_policy_allows_it() {
    let helm = [("metadata.annotations", json!({ "meta.helm.sh/release-name": "web" }))];
    let found = evaluate(WorkloadKind::Deployment, &helm, &[]).unwrap();
    assert_eq!((found.reason(), found.passing()), (SkipReason::ManagedByGitOps, false));
    assert_eq!(evaluate_with(WorkloadKind::Deployment, &helm, &[], GitOpsMode::Patch), None);
}

#[test]
fn a_held_rollout_is_not_started() {
    use WorkloadKind::{DaemonSet, Deployment, StatefulSet};
    let on_delete = json!({ "type": "OnDelete" });
    let partition = |number: i32| json!({ "rollingUpdate": { "partition": number } });
    let one =
        [("spec.replicas", json!(1)), ("status.updatedReplicas", json!(1)), ("status.replicas", json!(1))];
    for (kind, change, expected) in [
        (Deployment, vec![("spec.paused", json!(true))], Some(Ineligible::Paused)),
        (StatefulSet, vec![("spec.updateStrategy", on_delete.clone())], Some(Ineligible::OnDelete)),
        (DaemonSet, vec![("spec.updateStrategy", on_delete)], Some(Ineligible::OnDelete)),
        (StatefulSet, vec![("spec.updateStrategy", partition(2))], Some(Ineligible::Partitioned(2))),
        (StatefulSet, vec![("spec.updateStrategy", partition(0))], None),
        (Deployment, one.to_vec(), None),
        (Deployment, vec![("spec.replicas", json!(0))], Some(Ineligible::NoPods)),
        (DaemonSet, vec![("status.desiredNumberScheduled", json!(0))], Some(Ineligible::NoPods)),
    ] {
        assert_eq!(evaluate(kind, &change, &[]), expected, "{change:?}");
        assert!(expected.is_none_or(|ineligible| !ineligible.passing()));
    }
}

#[test]
fn the_reason_names_the_field_that_allows_downtime() {
    use WorkloadKind::{DaemonSet, Deployment, StatefulSet};
    let by_default = RemediationSpec::default();
    let recreate = ("spec.strategy", json!({ "type": "Recreate" }));
    let one_pod = RemediationSpec { allow_unavailable: true, ..RemediationSpec::default() };
    for (kind, change, expected) in [
        (Deployment, vec![], None),
        (Deployment, vec![recreate.clone()], Some(Ineligible::Downtime(DowntimeRisk::Recreate))),
        (StatefulSet, vec![], Some(Ineligible::OnePod(DowntimeRisk::StatefulSet))),
        (DaemonSet, vec![], Some(Ineligible::OnePod(DowntimeRisk::NoSurge))),
    ] {
        let found = evaluate_under(kind, &change, &[], &by_default);
        assert_eq!(found, expected, "{kind:?} {change:?}");
        assert!(
            found.iter().all(|found| !found.passing() && found.to_string().contains("set remediation.allow"))
        );
        let with_one_pod = expected.filter(|expected| matches!(expected, Ineligible::Downtime(_)));
        assert_eq!(evaluate_under(kind, &change, &[], &one_pod), with_one_pod, "{kind:?} {change:?}");
        assert_eq!(evaluate(kind, &change, &[]), None, "{kind:?} {change:?}");
    }
    let ignored = ("metadata.annotations", json!({ IGNORE: "true" }));
    assert_eq!(evaluate_under(Deployment, &[recreate, ignored], &[], &by_default), Some(Ineligible::Ignored));
}

#[test]
fn a_workload_that_is_rolling_out_is_skipped_for_now() {
    use WorkloadKind::{DaemonSet, Deployment};
    let rolling = |updated| Ineligible::RollingOut { updated, wanted: 3 };
    for (kind, change, expected) in [
        (Deployment, ("status.updatedReplicas", json!(2)), rolling(2)),
        (Deployment, ("status.replicas", json!(4)), rolling(3)),
        (Deployment, ("metadata.generation", json!(3)), rolling(3)),
        (
            Deployment,
            ("status.availableReplicas", json!(2)),
            Ineligible::PodsUnavailable { available: 2, wanted: 3 },
        ),
        (
            DaemonSet,
            ("status.numberAvailable", json!(0)),
            Ineligible::PodsUnavailable { available: 0, wanted: 3 },
        ),
        (DaemonSet, ("status", Value::Null), Ineligible::RollingOut { updated: 0, wanted: 0 }),
    ] {
        let found = evaluate(kind, std::slice::from_ref(&change), &[]);
        assert_eq!(found.as_ref(), Some(&expected), "{change:?}");
        assert!(expected.passing());
    }
}

#[test]
fn a_workload_with_unhealthy_pods_is_skipped() {
    let at = "2026-01-01T11:55:01Z";
    let restarted =
        Ineligible::Restarted { pod: "web-a".into(), container: "main".into(), at: at.parse().unwrap() };
    for status in [json!({ "lastState": ended(at) }), json!({ "state": ended(at) })] {
        let found = evaluate(WorkloadKind::Deployment, &[], &[pod(&json!({})), pod(&status)]);
        assert_eq!(found.as_ref(), Some(&restarted));
        let mut leaving = pod(&status);
        leaving.metadata.deletion_timestamp = Some(now().into());
        assert_eq!(evaluate(WorkloadKind::Deployment, &[], &[leaving]), None);
    }
    assert!(restarted.passing());
}

#[test]
fn all_reasons_are_distinct() {
    let all = [
        Ineligible::BeingDeleted,
        Ineligible::Ignored,
        Ineligible::Controlled { kind: String::new(), name: String::new() },
        Ineligible::Managed(Manager { name: "Helm", evidence: String::new() }),
        Ineligible::ManagerTaken(String::new()),
        Ineligible::OnDelete,
        Ineligible::Partitioned(1),
        Ineligible::Paused,
        Ineligible::NoPods,
        Ineligible::Downtime(DowntimeRisk::Recreate),
        Ineligible::Downtime(DowntimeRisk::StatefulSet),
        Ineligible::Downtime(DowntimeRisk::NoSurge),
        Ineligible::Downtime(DowntimeRisk::NoneKept { wanted: 1 }),
        Ineligible::Downtime(DowntimeRisk::HostNetwork),
        Ineligible::Downtime(DowntimeRisk::HostPort { container: String::new(), port: 1 }),
        Ineligible::Downtime(DowntimeRisk::Claim(String::new())),
        Ineligible::RollingOut { updated: 1, wanted: 2 },
        Ineligible::PodsUnavailable { available: 1, wanted: 2 },
        Ineligible::Restarted { pod: String::new(), container: String::new(), at: now() },
    ];
    let reasons: std::collections::BTreeSet<_> = all.iter().map(Ineligible::reason).collect();
    assert_eq!(reasons.len(), all.len());
}

/// Properties of a workload: a name, the part of the object that sets it, and the kinds that support it.
fn traits() -> Vec<(&'static str, Value, Value, &'static [WorkloadKind])> {
    use WorkloadKind::{DaemonSet, Deployment, StatefulSet};
    let owner = |controller: bool| json!([{ "apiVersion": "x/v1", "kind": "Shop", "name": "s", "uid": "u", "controller": controller }]);
    let sized: &[WorkloadKind] = &[Deployment, StatefulSet];
    vec![
        ("metadata.deletionTimestamp", json!("2026-01-01T11:00:00Z"), Value::Null, &KINDS),
        ("metadata.annotations", json!({ IGNORE: "true" }), json!({ IGNORE: "yes" }), &KINDS),
        ("metadata.ownerReferences", owner(true), owner(false), &KINDS),
        ("metadata.labels", json!({ "argocd.argoproj.io/instance": "s" }), json!({ "app": "s" }), &KINDS),
        ("spec.paused", json!(true), json!(false), &[Deployment]),
        (
            "spec.updateStrategy",
            json!({ "type": "OnDelete" }),
            json!({ "type": "RollingUpdate" }),
            &[StatefulSet, DaemonSet],
        ),
        ("spec.replicas", json!(0), json!(2), sized),
        ("status.observedGeneration", json!(1), json!(2), &KINDS),
        ("status.replicas", json!(4), json!(3), sized),
        ("status.updatedReplicas", json!(0), json!(3), &[Deployment]),
        ("status.numberAvailable", json!(2), json!(3), &[DaemonSet]),
    ]
}

proptest! {
    #[test]
    fn one_reason_suffices_among_harmless_properties(
        kind in select(KINDS.to_vec()),
        chosen in prop::collection::vec(0..6_u8, traits().len()),
    ) {
        let mut change = Vec::new();
        let mut kept_off = false;
        for ((path, keeps_off, harmless, kinds), choice) in traits().into_iter().zip(chosen) {
            match choice {
                0 if kinds.contains(&kind) => {
                    kept_off = true;
                    change.push((path, keeps_off));
                }
                1 | 2 if kinds.contains(&kind) => change.push((path, harmless)),
                _ => {}
            }
        }
        prop_assert_eq!(evaluate(kind, &change, &[]).is_some(), kept_off, "{:?}", change);
    }
}
