//! Workloads with different strategies and shared resources.

use serde_json::{Value, json};

use super::*;
use crate::workload::WorkloadKind::{self, DaemonSet, Deployment, StatefulSet};

fn subject(kind: WorkloadKind, pods: i32, strategy: &Value, pod: &Value) -> Subject {
    let mut spec = json!({ "selector": {}, "template": { "spec": { "containers": [] } } });
    let place = if kind == Deployment { "strategy" } else { "updateStrategy" };
    spec[place] = strategy.clone();
    spec["replicas"] = json!(pods);
    for (name, value) in pod.as_object().into_iter().flatten() {
        spec["template"]["spec"][name] = value.clone();
    }
    let status = json!({ "replicas": pods, "availableReplicas": pods, "desiredNumberScheduled": pods,
        "numberAvailable": pods, "currentNumberScheduled": pods, "numberMisscheduled": 0, "numberReady": pods });
    let metadata = json!({ "name": "web", "namespace": "n" });
    Subject::read(kind, json!({ "metadata": metadata, "spec": spec, "status": status })).unwrap()
}

fn rolling(surge: impl Into<Value>, unavailable: impl Into<Value>) -> Value {
    json!({ "rollingUpdate": { "maxSurge": surge.into(), "maxUnavailable": unavailable.into() } })
}

#[test]
fn a_deployment_keeps_pods_only_with_surge_and_an_available_pod() {
    use DowntimeRisk::{NoSurge, NoneKept, Recreate};
    for (pods, strategy, expected) in [
        (1, json!({}), None),
        (3, Value::Null, None),
        (1, rolling("25%", "25%"), None),
        (4, rolling(1, 3), None),
        (3, rolling(1, 3), Some(NoneKept { wanted: 3 })),
        (2, rolling(1, 5), Some(NoneKept { wanted: 2 })),
        (1, rolling(1, 1), Some(NoneKept { wanted: 1 })),
        (1, rolling("1%", "99%"), None),
        (2, rolling("1%", "50%"), None),
        (2, rolling(1, "100%"), Some(NoneKept { wanted: 2 })),
        (5, rolling(0, 1), Some(NoSurge)),
        (5, rolling("0%", "0%"), Some(NoSurge)),
        (2, json!({ "type": "Recreate" }), Some(Recreate)),
    ] {
        let found = downtime_risk(&subject(Deployment, pods, &strategy, &Value::Null), &Claims::new());
        assert_eq!(found, expected, "{pods} pods, {strategy}");
    }
}

#[test]
fn a_daemon_set_keeps_pods_only_with_surge_and_none_unavailable() {
    for (strategy, expected) in [
        (Value::Null, Some(DowntimeRisk::NoSurge)),
        (rolling(0, 1), Some(DowntimeRisk::NoSurge)),
        (rolling(1, 1), Some(DowntimeRisk::NoSurge)),
        (rolling(1, 0), None),
        (rolling("1%", "0%"), None),
    ] {
        let found = downtime_risk(&subject(DaemonSet, 3, &strategy, &Value::Null), &Claims::new());
        assert_eq!(found, expected, "{strategy}");
    }
    let set = subject(StatefulSet, 3, &Value::Null, &Value::Null);
    assert_eq!(downtime_risk(&set, &Claims::new()), Some(DowntimeRisk::StatefulSet));
}

#[test]
fn a_resource_that_only_one_pod_can_use_rules_out_surge() {
    let claim = |name: &str| {
        json!({ "volumes": [
        { "name": "tmp", "emptyDir": {} },
        { "name": "data", "persistentVolumeClaim": { "claimName": name } },
    ] })
    };
    let port =
        |port: Value| json!([{ "name": "main", "ports": [{ "containerPort": 80, "hostPort": port }] }]);
    let by_port = |container: &str| DowntimeRisk::HostPort { container: container.to_owned(), port: 80 };
    let modes = |modes: &[&str]| modes.iter().map(ToString::to_string).collect::<Vec<_>>();
    let claims = Claims::from([
        ("one".to_owned(), modes(&["ReadWriteOnce"])),
        ("pod".to_owned(), modes(&["ReadWriteOncePod"])),
        ("mixed".to_owned(), modes(&["ReadOnlyMany", "ReadWriteOnce"])),
        ("none".to_owned(), modes(&[])),
        ("many".to_owned(), modes(&["ReadWriteOnce", "ReadWriteMany"])),
        ("read".to_owned(), modes(&["ReadOnlyMany"])),
    ]);
    let by_claim = |name: &str| Some(DowntimeRisk::Claim(name.to_owned()));
    for (pod, expected) in [
        (json!({ "hostNetwork": true }), Some(DowntimeRisk::HostNetwork)),
        (json!({ "hostNetwork": false }), None),
        (json!({ "containers": port(json!(80)) }), Some(by_port("main"))),
        (json!({ "initContainers": port(json!(80)) }), Some(by_port("main"))),
        (json!({ "containers": port(json!(0)) }), None),
        (claim("one"), by_claim("one")),
        (claim("pod"), by_claim("pod")),
        (claim("mixed"), by_claim("mixed")),
        (claim("none"), by_claim("none")),
        (claim("unknown"), by_claim("unknown")),
        (claim("many"), None),
        (claim("read"), None),
    ] {
        for (kind, strategy) in [(Deployment, Value::Null), (DaemonSet, rolling(1, 0))] {
            let found = downtime_risk(&subject(kind, 3, &strategy, &pod), &claims);
            assert_eq!(found, expected, "{kind:?}, {pod}");
        }
    }
}

#[test]
fn workloads_that_keep_pods_come_first_and_single_pods_last() {
    let all = [
        subject(Deployment, 2, &Value::Null, &Value::Null),
        subject(Deployment, 7, &Value::Null, &Value::Null),
        subject(StatefulSet, 2, &Value::Null, &Value::Null),
        subject(Deployment, 3, &rolling(0, 1), &Value::Null),
        subject(Deployment, 1, &Value::Null, &Value::Null),
    ];
    let orders: Vec<_> = all.iter().map(|subject| RolloutOrder::of(subject, &Claims::new())).collect();
    assert!(orders.is_sorted(), "{orders:?}");
    let single = RolloutOrder::of(&subject(StatefulSet, 1, &Value::Null, &Value::Null), &Claims::new());
    assert_eq!(single, orders[4], "strategies make no difference to a single pod");
}

#[test]
fn a_rollout_needs_no_pod_one_pod_or_all() {
    use Allowance::{AllPods, Nothing, OnePod};
    let recreate = json!({ "type": "Recreate" });
    let partly = |unavailable: Value| json!({ "rollingUpdate": { "maxUnavailable": unavailable } });
    let host_port =
        json!({ "containers": [{ "name": "a", "ports": [{ "containerPort": 80, "hostPort": 80 }] }] });
    let none = Value::Null;
    for (kind, pods, strategy, pod, expected) in [
        (Deployment, 3, rolling(1, 0), &none, Nothing),
        (Deployment, 3, rolling(0, 1), &none, OnePod),
        (Deployment, 8, rolling(0, "25%"), &none, AllPods),
        (Deployment, 1, rolling(0, 1), &none, AllPods),
        (Deployment, 3, rolling(1, 3), &none, AllPods),
        (Deployment, 3, recreate, &none, AllPods),
        (Deployment, 3, rolling(1, 0), &host_port, AllPods),
        (StatefulSet, 3, Value::Null, &none, OnePod),
        (StatefulSet, 3, Value::Null, &host_port, OnePod),
        (StatefulSet, 1, Value::Null, &none, AllPods),
        (StatefulSet, 3, partly(json!(1)), &none, OnePod),
        (StatefulSet, 3, partly(json!(2)), &none, AllPods),
        (DaemonSet, 3, Value::Null, &none, OnePod),
        (DaemonSet, 1, Value::Null, &none, AllPods),
        (DaemonSet, 3, rolling(1, 0), &none, Nothing),
        (DaemonSet, 3, rolling(0, 2), &none, AllPods),
        (DaemonSet, 3, rolling(0, 1), &host_port, OnePod),
    ] {
        let needed = Allowance::needed(&subject(kind, pods, &strategy, pod), &Claims::new());
        assert_eq!(needed, expected, "{kind:?} {pods} pods, {strategy}, {pod}");
    }
}

#[test]
fn a_policy_allows_no_pod_one_pod_or_all() {
    for (allow_unavailable, allow_downtime, expected) in [
        (false, false, Allowance::Nothing),
        (true, false, Allowance::OnePod),
        (false, true, Allowance::AllPods),
        (true, true, Allowance::AllPods),
    ] {
        let remediation = RemediationSpec { allow_unavailable, allow_downtime, ..RemediationSpec::default() };
        assert_eq!(Allowance::of(&remediation), expected);
    }
}
