//! Tables of observations for harm, and properties over generated ones.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::enforcement::Ledger;
use crate::enforcement::field::{ContainerField, Fields};
use crate::policy::RemediationReason;
use crate::workload::WorkloadRef;

const VERIFY: SignedDuration = SignedDuration::from_secs(60);

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn restarts(times: &[i64]) -> Vec<Restart> {
    times.iter().map(|second| Restart { container: "main".to_owned(), at: at(*second) }).collect()
}

/// The container of a pod, which is not ready.
fn container(started: bool) -> UnreadyContainer {
    UnreadyContainer { name: "main".to_owned(), running: at(0), started }
}

/// A pod of the patched revision that has been unready since a second.
fn pod(name: &str, since: i64) -> PodSeen {
    PodSeen {
        name: name.to_owned(),
        node: "node".to_owned(),
        revision: "new".to_owned(),
        started: Some(at(0)),
        ready: false,
        since: at(since),
        restarts: Vec::new(),
        unready: vec![container(true)],
        out_of_memory: Vec::new(),
        terminating: false,
        patched: true,
    }
}

fn workload(name: &str, pods: Vec<PodSeen>) -> WorkloadSeen {
    let workload = WorkloadRef::new("n", "Deployment", name);
    WorkloadSeen { workload, patched: true, verify: VERIFY, pods, refused: None }
}

fn suspicions(seen: &WorkloadSeen, now: i64) -> Vec<TroubleKind> {
    let found = troubles(seen, at(0), at(now)).into_iter();
    found.filter(|trouble| trouble.suspicious).map(|trouble| trouble.kind).collect()
}

fn owned(fields: &[(&str, serde_json::Value)]) -> Fields {
    fields.iter().map(|(of, value)| (of.parse::<ContainerField>().unwrap(), value.clone())).collect()
}

fn probes() -> Fields {
    let probe = json!({ "tcpSocket": { "port": 8080 } });
    owned(
        &["livenessProbe", "readinessProbe", "startupProbe"]
            .map(|probe_name| (["main/", probe_name].concat().leak() as &str, probe.clone())),
    )
}

fn event(pod: &str, reason: &str, note: &str, second: i64) -> EventSeen {
    EventSeen {
        name: pod.to_owned(),
        field_path: "spec.containers{main}".to_owned(),
        reason: reason.to_owned(),
        note: note.to_owned(),
        count: 1,
        first: Some(at(second)),
        last: Some(at(second)),
    }
}

/// An event that a kubelet counted several times.
fn repeated(count: u32, first: i64, event: EventSeen) -> EventSeen {
    EventSeen { count, first: Some(at(first)), ..event }
}

fn knowledge(events: Vec<EventSeen>) -> Knowledge {
    Knowledge {
        owned: probes(),
        events,
        steady: BTreeMap::from([("node".to_owned(), at(-1000))]),
        usual_restarts: Some(0),
        ..Knowledge::default()
    }
}

#[test]
fn no_pod_of_a_revision_is_ready_for_the_time_to_verify() {
    let ready = PodSeen { ready: true, ..pod("b", 0) };
    let elsewhere = PodSeen { revision: "old".to_owned(), patched: false, ..ready.clone() };
    for (pods, now, expected) in [
        (vec![pod("a", 10)], 69, false),
        (vec![pod("a", 10)], 70, true),
        (vec![pod("a", 10), ready], 100, false),
        (vec![pod("a", 10), elsewhere], 100, true),
        (vec![pod("a", 10), pod("b", 50)], 100, false),
        (vec![PodSeen { node: String::new(), ..pod("a", 10) }], 100, false),
        (vec![PodSeen { started: None, ..pod("a", 10) }], 100, false),
        (vec![PodSeen { terminating: true, ..pod("a", 10) }], 100, false),
        (vec![PodSeen { patched: false, ..pod("a", 10) }], 100, false),
        (vec![], 100, false),
    ] {
        let seen = workload("web", pods);
        let found = suspicions(&seen, now) == [TroubleKind::Unready];
        assert_eq!(found, expected, "{seen:?} at {now}");
    }
}

#[test]
fn evidence_begins_anew_after_a_gap() {
    let seen = workload("web", vec![pod("a", 10)]);
    let is_suspicious = |seen_since: i64, now: i64| {
        troubles(&seen, at(seen_since), at(now)).iter().any(|trouble| trouble.suspicious)
    };
    assert!(is_suspicious(0, 70));
    assert!(!is_suspicious(600, 659), "nobody saw what was between");
    assert!(is_suspicious(600, 660));
    assert_eq!(next_look(&seen, at(600), at(601)), Some(at(660)));
}

#[test]
fn three_restarts_within_an_hour_make_a_suspicion_and_two_make_none() {
    for (times, now, expected) in [
        (vec![10, 20], 30, false),
        (vec![10, 20, 30], 30, true),
        (vec![10, 1800, 3610], 3610, true),
        (vec![10, 1800, 3611], 3611, false),
        (vec![10, 20, 30], 4000, false),
    ] {
        let restarting = PodSeen { ready: true, restarts: restarts(&times), ..pod("a", 0) };
        let found = suspicions(&workload("web", vec![restarting]), now);
        assert_eq!(found == [TroubleKind::Restarts], expected, "{times:?} at {now}");
    }
    let mut apart = PodSeen { ready: true, restarts: restarts(&[10, 20, 30]), ..pod("a", 0) };
    apart.restarts[1].container = "sidecar".to_owned();
    assert!(suspicions(&workload("web", vec![apart]), 30).is_empty(), "of two containers");
}

/// The verdict on a pod that restarted three times.
fn after_restarts(known: &Knowledge) -> Option<Harm> {
    let restarting = PodSeen { restarts: restarts(&[100, 200, 300]), ready: true, ..pod("a", 0) };
    let mut known = known.clone();
    known.pods.push(restarting.clone());
    let found = troubles(&workload("web", vec![restarting]), at(0), at(300));
    find_harm(&found[0], &known, at(300))
}

/// A pod of an earlier revision that is ready.
fn earlier(patched: bool) -> PodSeen {
    PodSeen { revision: "old".to_owned(), started: Some(at(-100)), ready: true, patched, ..pod("b", -90) }
}

#[test]
fn restarts_are_harm_if_our_probe_causes_them() {
    let killing = "Container main failed liveness probe, will be restarted";
    let named = repeated(3, 99, event("a", "Killing", killing, 299));
    let base = knowledge(vec![named.clone()]);
    let harm = after_restarts(&base).unwrap();
    assert_eq!(harm.reason, RemediationReason::ProbeRestarts);
    assert_eq!(harm.fields, base.owned.keys().cloned().collect(), "its probes go together");
    assert!(harm.message.contains("the probe did its job; it is withdrawn all the same"), "{}", harm.message);
    // The restarts before the patch are unknown, so only the events count.
    let unknown = |events| Knowledge { usual_restarts: None, ..knowledge(events) };
    let startup = "Container main failed startup probe, will be restarted";
    let single = |second| event("a", "Killing", killing, second);
    for (what, events, expected) in [
        ("liveness", vec![named.clone()], true),
        ("startup", vec![repeated(3, 99, event("a", "Killing", startup, 299))], true),
        ("three events", vec![single(99), single(199), single(299)], true),
        ("two kills, and an exit of its own", vec![repeated(2, 99, single(299))], false),
        ("of four kills, an unknown number long ago", vec![repeated(4, -4000, single(299))], false),
        ("another pod", vec![EventSeen { name: "b".to_owned(), ..named.clone() }], false),
        (
            "another container",
            vec![EventSeen { field_path: "spec.containers{b}".to_owned(), ..named.clone() }],
            false,
        ),
        (
            "an init container",
            vec![EventSeen { field_path: "spec.initContainers{main}".to_owned(), ..named.clone() }],
            false,
        ),
        ("long ago", vec![EventSeen { last: Some(at(30)), ..named.clone() }], false),
        ("a stop", vec![repeated(3, 99, event("a", "Killing", "Stopping container main", 299))], false),
    ] {
        assert_eq!(after_restarts(&unknown(events)).is_some(), expected, "{what}");
    }
    let theirs = Knowledge { owned: owned(&[("main/readinessProbe", json!({}))]), ..unknown(vec![named]) };
    assert_eq!(after_restarts(&theirs), None, "the liveness probe is the owner's");
}

#[test]
fn a_probe_that_fails_and_does_not_kill_is_no_evidence_for_restarts() {
    // A server that needs more than a second to listen fails its startup probe after each restart.
    for note in ["Startup probe failed: dial tcp: refused", "Liveness probe failed: dial tcp: refused"] {
        let failing = repeated(30, 99, event("a", "Unhealthy", note, 301));
        for usual_restarts in [None, Some(3)] {
            let known = Knowledge { usual_restarts, ..knowledge(vec![failing.clone()]) };
            assert_eq!(after_restarts(&known), None, "{note}, {usual_restarts:?} restarts before the patch");
        }
        let restarting = PodSeen { restarts: restarts(&[150]), ..earlier(false) };
        let elsewhere = Knowledge { pods: vec![restarting], ..knowledge(vec![failing.clone()]) };
        assert_eq!(after_restarts(&elsewhere), None, "{note}, and pods without it restart too");
    }
}

#[test]
fn restarts_without_a_cause_are_harm_if_there_were_none_without_our_probe() {
    let reason = |known: &Knowledge| after_restarts(known).map(|harm| harm.reason);
    let none = knowledge(Vec::new());
    assert_eq!(reason(&none), Some(RemediationReason::CrashLoop), "it never ended before the patch");
    assert_eq!(reason(&Knowledge { usual_restarts: Some(3), ..none.clone() }), None, "it always did");
    assert_eq!(reason(&Knowledge { steady: BTreeMap::new(), ..none.clone() }), None, "the node is not well");
    let beside = |other: PodSeen| reason(&Knowledge { pods: vec![other], ..none.clone() });
    let restarting = |patched| PodSeen { restarts: restarts(&[150]), ..earlier(patched) };
    let same = PodSeen { revision: "new".to_owned(), ..earlier(true) };
    let later = PodSeen { started: Some(at(200)), ..earlier(true) };
    for (what, other, is_harm) in [
        ("without our probe, which does not restart", earlier(false), true),
        ("without our probe, which restarts too", restarting(false), false),
        ("of the release before, which does not restart with our probe", earlier(true), false),
        ("of the release before, which restarts too", restarting(true), true),
        ("of the release before, which is not ready", PodSeen { ready: false, ..earlier(true) }, true),
        ("of the same release, which does not restart", same, true),
        ("of a later release, which may restart later", later, true),
    ] {
        assert_eq!(beside(other).is_some(), is_harm, "beside a pod {what}");
    }
}

#[test]
fn restarts_before_the_node_was_well_are_no_evidence() {
    let killing = event("a", "Killing", "Container main failed liveness probe, will be restarted", 299);
    for events in [Vec::new(), vec![repeated(3, 99, killing)]] {
        let since = |second: i64| {
            let steady = BTreeMap::from([("node".to_owned(), at(second))]);
            after_restarts(&Knowledge { steady, ..knowledge(events.clone()) }).is_some()
        };
        assert!(since(100), "all three restarts");
        assert!(!since(101), "the first restart was while the node was not well");
    }
}

#[test]
fn a_release_whose_containers_end_is_no_failure_of_the_patch() {
    let changed = |events| Knowledge { others_changed: true, ..knowledge(events) };
    let harm = after_restarts(&changed(Vec::new())).unwrap();
    assert_eq!(harm.reason, RemediationReason::ChangedMeanwhile);
    assert!(harm.message.starts_with("CrashLoop, after another client changed the template too: pod a"));
    let killing = event("a", "Killing", "Container main failed liveness probe, will be restarted", 299);
    let known = changed(vec![repeated(3, 99, killing)]);
    let harm = after_restarts(&known).unwrap();
    assert_eq!(harm.reason, RemediationReason::ProbeRestarts, "the kubelet names the probe");
}

/// A pod whose container ran out of memory at a second, and runs again.
fn out_of_memory(name: &str, second: i64) -> PodSeen {
    PodSeen { ready: true, out_of_memory: restarts(&[second]), ..pod(name, 0) }
}

#[test]
fn an_oom_kill_is_harm_at_our_memory_limit_alone() {
    let pod = out_of_memory("a", 100);
    let limit = owned(&[("main/resources.limits.memory", json!("32Mi")), ("main/livenessProbe", json!({}))]);
    let evaluated = |known: Knowledge| {
        let found = troubles(&workload("web", vec![pod.clone()]), at(0), at(115));
        find_harm(&found[0], &Knowledge { pods: vec![pod.clone()], ..known }, at(115))
    };
    let harm = evaluated(Knowledge { owned: limit.clone(), ..knowledge(Vec::new()) }).unwrap();
    assert_eq!(harm.reason, RemediationReason::OomKilled);
    assert_eq!(harm.fields, ["main/resources.limits.memory".parse().unwrap()].into(), "the probe stays");
    assert_eq!(harm.message, "container main of pod a ran out of memory");
    assert_eq!(evaluated(knowledge(Vec::new())), None, "the limit is the owner's");
    let unsteady = Knowledge { owned: limit, steady: BTreeMap::new(), ..knowledge(Vec::new()) };
    assert_eq!(evaluated(unsteady), None, "the node is not well");
}

#[test]
fn an_oom_kill_by_a_node_without_memory_is_no_harm_of_a_limit() {
    let limit = owned(&[("main/resources.limits.memory", json!("32Mi"))]);
    let of_node = |first: i64, last: i64| EventSeen {
        name: "node".to_owned(),
        reason: "SystemOOM".to_owned(),
        note: "System OOM encountered, victim process: server, pid: 7".to_owned(),
        count: 2,
        first: Some(at(first)),
        last: Some(at(last)),
        ..EventSeen::default()
    };
    let is_harm = |events: Vec<EventSeen>| {
        let pod = out_of_memory("a", 1000);
        let found = troubles(&workload("web", vec![pod.clone()]), at(0), at(1015));
        let known = Knowledge { owned: limit.clone(), pods: vec![pod], ..knowledge(events) };
        find_harm(&found[0], &known, at(1015)).is_some()
    };
    assert!(!is_harm(vec![of_node(1001, 1001)]));
    assert!(!is_harm(vec![of_node(100, 1500)]), "one of several may have been at that time");
    assert!(is_harm(vec![of_node(100, 900), of_node(1100, 1100)]), "at other times");
    assert!(is_harm(vec![EventSeen { reason: "NodeNotReady".to_owned(), ..of_node(1000, 1000) }]));
    // The API server forgets the event after an hour.
    let seen = workload("web", vec![out_of_memory("a", 1000)]);
    assert_eq!(suspicions(&seen, 1000 + 45 * 60), [TroubleKind::OutOfMemory]);
    assert!(suspicions(&seen, 1001 + 45 * 60).is_empty());
}

#[test]
fn pods_are_looked_at_in_turn_if_their_events_may_be_evidence() {
    let waiting = PodSeen { unready: Vec::new(), ..pod("b", 10) };
    let pods = vec![pod("a", 10), waiting, pod("c", 10), PodSeen { node: "two".to_owned(), ..pod("d", 10) }];
    let found = troubles(&workload("web", pods.clone()), at(0), at(100));
    let looked_at = |second| pods_in_turn(&found[0], &pods, at(second));
    let first = looked_at(120);
    let names = |found: &[(&str, &str)]| found.iter().map(|(name, _)| (*name).to_owned()).collect::<Vec<_>>();
    assert_eq!(BTreeSet::from_iter(names(&first)), ["a", "c", "d"].map(str::to_owned).into());
    assert_eq!(looked_at(140), first, "in the same minute");
    assert_eq!(names(&looked_at(180)), [names(&first)[1..].to_vec(), names(&first)[..1].to_vec()].concat());
    assert!(first.contains(&("d", "two")));
    let none: Vec<_> = pods.iter().map(|pod| PodSeen { unready: Vec::new(), ..pod.clone() }).collect();
    assert!(pods_in_turn(&found[0], &none, at(120)).is_empty(), "no container runs");
}

#[test]
fn oom_kills_of_many_workloads_are_an_incident() {
    let killed = |name: &str, second| workload(name, vec![out_of_memory(name, second)]);
    let course_of = |all: &[WorkloadSeen]| {
        let first = next_look(&all[0], at(0), at(100)).unwrap();
        let found: Vec<Trouble> = all.iter().flat_map(|seen| troubles(seen, at(0), first)).collect();
        assert!(found[0].suspicious, "{found:?}");
        course(&found[0], &found, VERIFY, None, first)
    };
    let four = [killed("a", 100), killed("b", 101), killed("c", 105), killed("d", 110)];
    assert_eq!(course_of(&four), Course::Try, "a node ran out of memory");
    assert_eq!(course_of(&four[..3]), Course::Withdraw);
    let theirs = WorkloadSeen { patched: false, ..killed("theirs", 110) };
    assert_eq!(course_of(&[killed("a", 100), theirs]), Course::Try);
    let earlier = WorkloadSeen { patched: false, ..killed("theirs", 30) };
    assert_eq!(course_of(&[killed("a", 100), earlier]), Course::Withdraw);
}

#[test]
fn a_port_is_silent_if_our_probe_of_it_failed() {
    let harm = |reason| Harm { fields: probes().into_keys().collect(), reason, message: String::new() };
    let ports = |reason| harm(reason).silent_ports(&probes());
    assert_eq!(ports(RemediationReason::NotReady), BTreeSet::from([8080]));
    assert_eq!(ports(RemediationReason::ProbeRestarts), BTreeSet::from([8080]));
    assert!(ports(RemediationReason::CrashLoop).is_empty(), "it may exit because of a connect");
    assert!(harm(RemediationReason::NotReady).silent_ports(&Fields::new()).is_empty());
}

#[test]
fn unready_pods_are_harm_if_our_probe_fails_on_healthy_nodes() {
    let evaluated = |known: &Knowledge, pods: Vec<PodSeen>| {
        let known = Knowledge { pods: pods.clone(), ..known.clone() };
        let found = troubles(&workload("web", pods), at(0), at(100));
        find_harm(&found[0], &known, at(100)).map(|harm| harm.reason)
    };
    let failing = event("a", "Unhealthy", "Readiness probe failed: dial tcp 10.0.0.1:8080: refused", 90);
    let base = knowledge(vec![failing]);
    assert_eq!(evaluated(&base, vec![pod("a", 10)]), Some(RemediationReason::NotReady));
    let on_lost_node = |name| PodSeen { node: "lost".to_owned(), ..pod(name, 10) };
    let one_lost = vec![pod("a", 10), on_lost_node("b")];
    assert_eq!(
        evaluated(&base, one_lost),
        Some(RemediationReason::NotReady),
        "a lost node excuses its own pod"
    );
    assert_eq!(
        evaluated(&base, vec![on_lost_node("a"), pod("b", 10)]),
        None,
        "the failure is on the lost node"
    );
    assert_eq!(evaluated(&base, vec![on_lost_node("a"), on_lost_node("b")]), None, "all nodes are lost");
    assert_eq!(evaluated(&knowledge(Vec::new()), vec![pod("a", 10)]), None, "nothing names a probe");
    let resources = Knowledge { owned: owned(&[("main/resources.limits.memory", json!("1Gi"))]), ..base };
    assert_eq!(evaluated(&resources, vec![pod("a", 10)]), None, "the probe is the owner's");
}

#[test]
fn a_pod_that_is_unready_for_another_cause_is_no_evidence() {
    let evaluated = |probe: &str, unready: Vec<UnreadyContainer>| {
        let pods = vec![PodSeen { unready, ..pod("a", 10) }];
        let failing = event("a", "Unhealthy", &format!("{probe} probe failed: dial tcp: refused"), 12);
        let known = Knowledge { pods: pods.clone(), ..knowledge(vec![failing]) };
        let found = troubles(&workload("web", pods), at(0), at(100));
        find_harm(&found[0], &known, at(100)).is_some()
    };
    let (started, starting) = (container(true), container(false));
    let sidecar = UnreadyContainer { name: "sidecar".to_owned(), ..started.clone() };
    let restarted = UnreadyContainer { running: at(90), ..starting.clone() };
    for (what, probe, unready, expected) in [
        ("not ready", "Readiness", vec![started.clone()], true),
        ("not started", "Startup", vec![starting.clone()], true),
        ("ready since, and a readiness gate is not", "Readiness", Vec::new(), false),
        ("ready since, and a sidecar is not", "Startup", vec![sidecar], false),
        ("started since, and the owner's readiness probe fails", "Startup", vec![started], false),
        ("not started, and the owner's startup probe fails", "Readiness", vec![starting], false),
        ("always ended by itself after seconds", "Startup", vec![restarted], false),
    ] {
        assert_eq!(evaluated(probe, unready), expected, "the container is {what}");
    }
}

#[test]
fn a_probe_that_fails_now_is_evidence_however_long_the_pods_have_been_unready() {
    let note = "Readiness probe failed: dial tcp 10.0.0.1:8080: refused";
    let evaluated = |last: i64, now: i64| {
        let pods = vec![pod("a", 10)];
        let known = Knowledge { pods: pods.clone(), ..knowledge(vec![event("a", "Unhealthy", note, last)]) };
        let found = troubles(&workload("web", pods), at(0), at(now));
        find_harm(&found[0], &known, at(now)).is_some()
    };
    let hours = 10 * 3600;
    assert!(evaluated(hours, hours + 60), "the operator or a node was away until now");
    assert!(evaluated(hours, hours + 3600));
    assert!(!evaluated(hours, hours + 3601), "it failed long ago");
}

#[test]
fn a_refusal_names_the_amount_that_is_ours() {
    let ours = owned(&[
        ("main/resources.requests.cpu", json!("10m")),
        ("main/resources.limits.memory", json!("32Mi")),
        ("main/livenessProbe", json!({})),
    ]);
    let pods = "pods \"web-1\" is forbidden:";
    for (words, expected) in [
        ("minimum cpu usage per Container is 100m, but request is 10m", "main/resources.requests.cpu"),
        ("minimum cpu usage per Container is 100m, but request is 0.01", "main/resources.requests.cpu"),
        ("minimum cpu usage per Container is 100m, but request is 20m", ""),
        ("maximum memory usage per Container is 16Mi, but limit is 32Mi", "main/resources.limits.memory"),
        ("maximum memory usage per Container is 16Mi, but limit is 64Mi", ""),
        (
            "[maximum cpu usage per Container is 1, but limit is 2, maximum memory usage per Container is 16Mi, \
             but limit is 32Mi]",
            "main/resources.limits.memory",
        ),
        (
            "memory max limit to request ratio per Container is 2, but provided ratio is 4.000000",
            "main/resources.limits.memory",
        ),
        (
            "exceeded quota: small, requested: requests.cpu=10m, used: requests.cpu=1, limited: requests.cpu=1",
            // Without it, the same quota would refuse every pod.
            "",
        ),
        ("exceeded quota: small, requested: pods=1, used: pods=3, limited: pods=3", ""),
        ("failed quota: small: must specify limits.memory for: main", ""),
        ("violates PodSecurity \"restricted:latest\"", ""),
    ] {
        let found = refused_fields(&format!("{pods} {words}"), &ours);
        let names: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(names.join(","), expected, "{words}");
    }
}

fn trouble(name: &str, since: i64, patched: bool) -> Trouble {
    Trouble {
        workload: WorkloadRef::new("n", "Deployment", name),
        patched,
        kind: TroubleKind::Unready,
        since: at(since),
        suspicious: patched,
        pods: BTreeMap::new(),
    }
}

#[test]
fn of_two_policies_that_begin_a_trial_at_once_one_does() {
    let of = |name| Trial::new(&trouble(name, 100, true), BTreeSet::new(), at(170));
    let (first, second) = (of("a"), of("b"));
    let mut ledger = Ledger::default();
    assert!(ledger.begin_trial(first.clone(), None));
    assert!(!ledger.begin_trial(second.clone(), None));
    assert!(ledger.begin_trial(first.clone(), None), "the same call, repeated");
    assert!(ledger.begin_trial(second, Some(&first)), "it knows of the other one");
}

#[test]
fn trouble_of_many_or_of_others_is_an_incident_with_one_trial() {
    let suspect = trouble("a", 100, true);
    let three = [suspect.clone(), trouble("b", 110, true), trouble("c", 160, true)];
    let four = [&three[..], &[trouble("d", 90, true)]].concat();
    let others = [suspect.clone(), trouble("theirs", 120, false)];
    let earlier = [suspect.clone(), trouble("theirs", 39, false)];
    let of = |all: &[Trouble], trial: Option<&Trial>, now| course(&suspect, all, VERIFY, trial, at(now));
    assert_eq!(of(&three, None, 170), Course::Withdraw, "as many as may fail by themselves");
    assert_eq!(of(&four, None, 170), Course::Try);
    assert_eq!(of(&others, None, 170), Course::Try);
    assert_eq!(of(&earlier, None, 170), Course::Withdraw, "not at the same time");

    let trial = Trial::new(&four[3], BTreeSet::from([80]), at(170));
    assert_eq!(of(&four, Some(&trial), 500), Course::Hold, "the trial did not help");
    assert_eq!(of(&three, Some(&trial), 229), Course::Hold, "it has its time");
    assert_eq!(of(&three, Some(&trial), 230), Course::Ask, "its pods are ready, but without a probe");
    let helped = Trial { helped: true, ..trial.clone() };
    assert_eq!(of(&three, Some(&helped), 230), Course::Follow, "it helped");
    assert_eq!(of(&four, Some(&helped), 500), Course::Hold, "it did not help for long");
    let soon = |now| course(&suspect, &three, SignedDuration::from_secs(30), Some(&helped), at(now));
    assert_eq!((soon(229), soon(230)), (Course::Hold, Course::Follow), "a minute at least");
    let before = Trial { time: at(99), ..trial };
    assert_eq!(of(&three, Some(&before), 300), Course::Withdraw, "of an earlier incident");
}

#[test]
fn a_trial_that_stays_in_trouble_holds_up_only_its_incident() {
    let broken = trouble("d", 90, true);
    let trial = Trial::new(&broken, BTreeSet::new(), at(170));
    let of = |suspect: &Trouble, others: &[Trouble], now| {
        let all = [&[suspect.clone(), broken.clone()][..], others].concat();
        course(suspect, &all, VERIFY, Some(&trial), at(now))
    };
    let later = trouble("a", 3600, true);
    assert_eq!(of(&later, &[], 3700), Course::Withdraw, "its trouble is its own");
    let other_kind = Trouble { kind: TroubleKind::Restarts, ..trouble("a", 100, true) };
    assert_eq!(of(&other_kind, &[], 300), Course::Withdraw, "of another sort");
    assert_eq!(of(&trouble("a", 20, true), &[], 300), Course::Withdraw, "it began long before");
    assert_eq!(of(&trouble("a", 30, true), &[], 300), Course::Hold, "it began with the incident");
    let wave = ["b", "c", "e"].map(|name| trouble(name, 3610, true));
    assert_eq!(of(&later, &wave, 3700), Course::Hold, "the incident goes on");
    assert_eq!(of(&later, &wave, 170 + 25 * 3600), Course::Try, "another trial after a day");
}

#[test]
fn the_first_suspect_of_an_incident_sees_the_trouble_of_those_that_follow_within_seconds() {
    let shortest = SignedDuration::from_secs(30);
    let fails =
        |name: &str, since| WorkloadSeen { verify: shortest, ..workload(name, vec![pod(name, since)]) };
    let all = [fails("a", 10), fails("b", 15), fails("c", 20), fails("d", 25)];
    let now = next_look(&all[0], at(0), at(11)).unwrap();
    let found: Vec<Trouble> = all.iter().flat_map(|seen| troubles(seen, at(0), now)).collect();
    assert!(found[0].suspicious);
    assert_eq!(course(&found[0], &found, shortest, None, now), Course::Try);
}

proptest! {
    #[test]
    fn only_what_is_ours_is_withdrawn_and_nothing_from_pods_on_bad_nodes(
        times in prop::collection::vec(0..400_i64, 0..6),
        steady in any::<bool>(),
        since in 0..200_i64,
        note in prop::sample::select(vec![
            "Liveness probe failed: x", "Readiness probe failed: x", "Startup probe failed: x",
            "Container main failed liveness probe, will be restarted",
        ]),
        field in prop::sample::select(vec!["main/livenessProbe", "main/readinessProbe", "main/startupProbe"]),
        reason in prop::sample::select(vec!["Unhealthy", "Killing"]),
    ) {
        let restarting = PodSeen { restarts: restarts(&times), ..pod("a", since) };
        let mut known = knowledge(vec![event("a", reason, note, 390)]);
        known.pods.push(restarting.clone());
        known.owned = owned(&[(field, json!({}))]);
        if !steady {
            known.steady.clear();
        }
        for found in troubles(&workload("web", vec![restarting]), at(0), at(400)) {
            if let Some(harm) = find_harm(&found, &known, at(400)) {
                prop_assert!(steady);
                prop_assert!(!harm.fields.is_empty());
                prop_assert!(harm.fields.iter().all(|of| known.owned.contains_key(of)));
            }
        }
    }

    #[test]
    fn an_incident_has_one_trial_until_that_helped(
        begun in prop::collection::vec((100..160_i64, any::<bool>()), 4..20),
        order in any::<prop::sample::Index>(),
    ) {
        let mut all: Vec<Trouble> = begun
            .iter()
            .enumerate()
            .map(|(index, (since, patched))| trouble(&index.to_string(), *since, *patched || index < 4))
            .collect();
        // All of them start within the time in which they belong together.
        let mut trial: Option<Trial> = None;
        let suspects: Vec<Trouble> = all.iter().filter(|found| found.patched).cloned().collect();
        let mut tried = 0;
        for step in 0..200 {
            let suspect = &suspects[(order.index(suspects.len()) + step) % suspects.len()];
            let now = at(200 + i64::try_from(step).unwrap());
            match course(suspect, &all, VERIFY, trial.as_ref(), now) {
                Course::Try => {
                    tried += 1;
                    trial = Some(Trial::new(suspect, BTreeSet::new(), now));
                }
                Course::Follow => prop_assert!(trial.as_ref().unwrap().name == suspect.workload.name),
                Course::Withdraw => prop_assert!(false, "it is an incident"),
                Course::Hold => {}
                Course::Ask => prop_assert!(false, "it is in trouble"),
            }
        }
        prop_assert_eq!(tried, 1);
        let helped = trial.clone().unwrap().name;
        all.retain(|found| found.workload.name != helped);
        if let Some(left) = all.iter().find(|found| found.patched) {
            prop_assert_eq!(course(left, &all, VERIFY, trial.as_ref(), at(1000)), Course::Ask);
        }
    }
}
