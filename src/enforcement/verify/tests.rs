//! Successful, failed and stuck rollouts, each evaluated at one time, and two properties of all rollouts.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::enforcement::{Compute, Field};

const VERIFY: u32 = 300;

fn at(seconds: i64) -> Timestamp {
    let start: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
    start + SignedDuration::from_secs(seconds)
}

/// A patch of a probe at second 0, on a workload of two pods.
fn patched() -> AppliedPatch {
    let fields = BTreeSet::from([ContainerField::new("main", Field::LivenessProbe)]);
    AppliedPatch {
        at: at(0),
        pods: Some(2),
        fields,
        settling: SignedDuration::from_secs(60),
        usual_restarts: 0,
    }
}

fn with_fields(fields: &[Field]) -> AppliedPatch {
    let fields = fields.iter().map(|field| ContainerField::new("main", *field)).collect();
    AppliedPatch { fields, ..patched() }
}

fn rolling(updated: i32, available: i32) -> RolloutProgress {
    let outdated = 2 - updated;
    RolloutProgress {
        observed: true,
        wanted: 2,
        updated,
        ready: available,
        available,
        outdated,
        ..RolloutProgress::default()
    }
}

fn complete() -> RolloutProgress {
    rolling(2, 2)
}

/// A running pod created at a second; ready since another, or never.
fn pod(name: &str, created: i64, ready: Option<i64>) -> Pod {
    let condition = ready.map_or(
        json!({ "type": "Ready", "status": "False", "lastTransitionTime": at(created) }),
        |ready| json!({ "type": "Ready", "status": "True", "lastTransitionTime": at(ready) }),
    );
    serde_json::from_value(json!({
        "metadata": { "name": name, "creationTimestamp": at(created) },
        "spec": { "nodeName": "here", "containers": [{ "name": "main" }] },
        "status": { "phase": "Running", "conditions": [condition], "containerStatuses": [{
            "name": "main", "image": "", "imageID": "", "ready": ready.is_some(), "started": true, "restartCount": 0,
            "state": { "running": {} },
        }] },
    }))
    .unwrap()
}

/// The pod with another container status.
fn with_status(pod: &Pod, status: &Value) -> Pod {
    let mut whole = serde_json::to_value(&pod.status).unwrap();
    for (name, value) in status.as_object().unwrap() {
        whole["containerStatuses"][0][name] = value.clone();
    }
    Pod { status: serde_json::from_value(whole).unwrap(), ..pod.clone() }
}

fn crashed(pod: &Pod, exit: i32, reason: &str) -> Pod {
    let end = json!({ "terminated": { "exitCode": exit, "reason": reason, "finishedAt": at(20) } });
    with_status(pod, &json!({ "restartCount": 1, "ready": false, "lastState": end }))
}

fn leaving(mut pod: Pod) -> Pod {
    pod.metadata.deletion_timestamp = Some(at(30).into());
    pod
}

fn on(node: &str, mut pod: Pod) -> Pod {
    pod.spec.as_mut().unwrap().node_name = Some(node.to_owned());
    pod
}

fn unschedulable(name: &str, created: i64) -> Pod {
    serde_json::from_value(json!({
        "metadata": { "name": name, "creationTimestamp": at(created) },
        "spec": { "containers": [{ "name": "main",
            "resources": { "limits": { "cpu": "1", "memory": "1Gi" }, "requests": { "cpu": "1", "memory": "1Mi" } } }] },
        "status": { "phase": "Pending", "conditions": [
            { "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes are available" },
        ] },
    }))
    .unwrap()
}

fn evaluate_with(
    patched: &AppliedPatch,
    progress: RolloutProgress,
    pods: &[Pod],
    now: i64,
) -> RolloutVerdict {
    let nodes_away = BTreeSet::from(["away".to_owned()]);
    let evidence = Evidence { progress, pods: pods.to_vec(), nodes_away, ..Evidence::default() };
    verify(patched, &evidence, VERIFY, at(now))
}

fn evaluate(progress: RolloutProgress, pods: &[Pod], now: i64) -> RolloutVerdict {
    evaluate_with(&patched(), progress, pods, now)
}

fn until(seconds: i64) -> RolloutVerdict {
    RolloutVerdict::Wait { until: at(seconds), against: None }
}

/// Asserts a wait for pods that are evidence against the patch.
#[track_caller]
fn doubts(finding: RolloutVerdict) -> (Timestamp, String) {
    match finding {
        RolloutVerdict::Wait { until, against: Some((_, against)) } => (until, against),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn failed(finding: RolloutVerdict) -> (RemediationReason, String) {
    match finding {
        RolloutVerdict::Failed { reason, message } => (reason, message),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_whole_new_revision_is_verified_once_it_stayed_so_for_a_minute() {
    let pods = [pod("a", 1, Some(10)), pod("b", 12, Some(25))];
    assert_eq!(evaluate(complete(), &pods, 84), until(85));
    assert_eq!(evaluate(complete(), &pods, 85), RolloutVerdict::Verified);
    let evidence = Evidence { progress: complete(), pods: pods.to_vec(), ..Evidence::default() };
    assert_eq!(verify(&patched(), &evidence, 20, at(84)), until(85), "however short verifySeconds is");
    let slow = RolloutProgress { min_ready_seconds: 30, ..complete() };
    assert_eq!(evaluate(slow, &pods, 85), until(115), "available is later than ready");
}

#[test]
fn pods_that_status_is_ahead_of_are_waited_for() {
    assert_eq!(evaluate(complete(), &[], 100), until(105));
    let behind = [pod("a", 1, Some(10)), pod("b", 12, None)];
    assert_eq!(doubts(evaluate(complete(), &behind, 100)).0, at(312));
}

#[test]
fn a_workload_that_wants_no_pods_any_more_is_never_verified() {
    let none = RolloutProgress { wanted: 0, updated: 0, available: 0, outdated: 0, ..complete() };
    let stopping = RolloutProgress { outdated: 1, ..none.clone() };
    for progress in [&none, &stopping] {
        assert_eq!(evaluate(progress.clone(), &[], 1000), RolloutVerdict::Idle);
        assert_eq!(evaluate(progress.clone(), &[leaving(pod("a", 1, None))], 1000), RolloutVerdict::Idle);
    }
    let crashed = crashed(&pod("a", 1, None), 1, "Error");
    assert_eq!(
        failed(evaluate(stopping, &[crashed], 1)).0,
        RemediationReason::Restarted,
        "that was seen in time"
    );
    let stale = RolloutProgress { observed: false, ..none };
    assert!(matches!(evaluate(stale, &[], 1), RolloutVerdict::Wait { .. }), "it may tell of another time");
}

#[test]
fn pods_that_restart_as_often_as_before_the_patch_are_not_harmed_by_it() {
    use RemediationReason::{CrashLoop, OomKilled, Restarted};
    let ended = |count: i32, state: Value, reason: &str| {
        let last = json!({ "terminated": { "exitCode": 1, "reason": reason, "finishedAt": at(5) } });
        with_status(
            &pod("a", 1, Some(10)),
            &json!({ "restartCount": count, "state": state, "lastState": last }),
        )
    };
    let running = || json!({ "running": {} });
    let looping = || json!({ "waiting": { "reason": "CrashLoopBackOff" } });
    for (what, usual_restarts, first, expected) in [
        ("once at every start", 1, ended(1, running(), "Error"), None),
        ("fewer", 2, ended(1, running(), "Error"), None),
        ("one more", 1, ended(2, running(), "Error"), Some(Restarted)),
        ("none before", 0, ended(1, running(), "Error"), Some(Restarted)),
        ("as often, with a pause before the next start", 2, ended(2, looping(), "Error"), None),
        ("one more, with such a pause", 1, ended(2, looping(), "Error"), Some(CrashLoop)),
        ("as often, but for want of memory", 3, ended(1, running(), "OOMKilled"), Some(OomKilled)),
    ] {
        let patched = AppliedPatch { usual_restarts, ..patched() };
        let verdict = evaluate_with(&patched, complete(), &[first, pod("b", 12, Some(25))], 85);
        match expected {
            None => assert_eq!(verdict, RolloutVerdict::Verified, "{what}"),
            Some(reason) => assert_eq!(failed(verdict).0, reason, "{what}"),
        }
    }
}

#[test]
fn a_restart_of_a_new_pod_fails_the_patch_at_once() {
    let well = pod("a", 1, Some(10));
    let killed = crashed(&well, 137, "Error");
    let (reason, message) = failed(evaluate(complete(), &[killed], 30));
    assert_eq!(reason, RemediationReason::Restarted);
    let expected = "pod a, container main: ended with exit code 137 (killed, as after a liveness or startup probe that \
                    failed too often), restarted once";
    assert_eq!(message, expected);
    let (reason, message) = failed(evaluate(complete(), &[crashed(&well, 137, "OOMKilled")], 30));
    assert_eq!(reason, RemediationReason::OomKilled);
    assert_eq!(message, "pod a, container main: ended with exit code 137 (OOMKilled), restarted once");
    let looping = json!({
        "state": { "waiting": { "reason": "CrashLoopBackOff", "message": "back-off 20s" } }, "restartCount": 3,
        "lastState": { "terminated": { "exitCode": 1, "message": "no database" } },
    });
    let (reason, message) = failed(evaluate(rolling(1, 1), &[with_status(&well, &looping)], 30));
    assert_eq!(reason, RemediationReason::CrashLoop);
    let expected =
        "pod a, container main: ended with exit code 1: no database, restarted 3 times: back-off 20s";
    assert_eq!(message, expected);
    let died =
        with_status(&well, &json!({ "state": { "terminated": { "exitCode": 2, "reason": "Error" } } }));
    let (reason, message) = failed(evaluate(rolling(1, 1), &[died], 30));
    assert_eq!(
        (reason, message.as_str()),
        (RemediationReason::Restarted, "pod a, container main: ended with exit code 2 (Error)")
    );
}

#[test]
fn a_pod_that_does_not_get_ready_fails_when_its_time_is_over() {
    let pods = [pod("a", 1, Some(10)), pod("b", 12, None)];
    let against = "pod b, container main is not ready: running, but its readiness probe fails";
    assert_eq!(doubts(evaluate(rolling(2, 1), &pods, 311)), (at(312), against.to_owned()));
    let (reason, message) = failed(evaluate(rolling(2, 1), &pods, 312));
    assert_eq!(reason, RemediationReason::NotReady);
    let expected = "pod b, container main is not ready: running, but its readiness probe fails, and no other pod got \
                    ready for 300 s";
    assert_eq!(message, expected);
    let progressing = [pod("a", 1, Some(200)), pod("b", 12, None)];
    assert_eq!(doubts(evaluate(rolling(2, 1), &progressing, 312)).0, at(500), "another got ready since");
}

#[test]
fn the_obstacle_of_a_pod_is_named() {
    let unready = pod("b", 1, None);
    for (status, seen) in [
        (json!({ "started": false }), "running, but its startup probe has not succeeded"),
        (json!({ "state": {} }), "not running"),
        (
            json!({ "state": { "waiting": { "reason": "ImagePullBackOff", "message": "no such image" } } }),
            "ImagePullBackOff: no such image",
        ),
    ] {
        let (_, message) = failed(evaluate(rolling(1, 0), &[with_status(&unready, &status)], 400));
        assert!(message.starts_with(&format!("pod b, container main is not ready: {seen},")), "{message}");
    }
    let mut init = unready.clone();
    let status = init.status.as_mut().unwrap();
    let mut waiting = status.container_statuses.clone().unwrap();
    waiting[0].name = "setup".to_owned();
    waiting[0].started = Some(false);
    waiting[0].restart_count = 4;
    status.init_container_statuses = Some(waiting);
    let (reason, message) = failed(evaluate(rolling(1, 0), &[init], 400));
    assert_eq!(
        reason,
        RemediationReason::NotReady,
        "an init container may fail until what it waits for is there"
    );
    assert!(message.contains("container setup is not ready: an init container"), "{message}");
    let mut bare = unready;
    bare.status.as_mut().unwrap().container_statuses = None;
    let (_, message) = failed(evaluate(rolling(1, 0), &[bare], 400));
    assert!(message.starts_with("pod b is not ready: no container has started"), "{message}");
}

#[test]
fn a_pod_without_room_fails_when_its_time_is_over_whatever_was_patched() {
    let pods = [unschedulable("a", 1)];
    for patch in [patched(), with_fields(&[Field::Request(Compute::Cpu)])] {
        let waiting = evaluate_with(&patch, rolling(1, 0), &pods, 200);
        let RolloutVerdict::Wait { against: Some((RemediationReason::Unschedulable, words)), .. } = waiting
        else {
            panic!("{waiting:?}");
        };
        let (reason, message) = failed(evaluate_with(&patch, rolling(1, 0), &pods, 400));
        assert_eq!(reason, RemediationReason::Unschedulable);
        assert!(message.starts_with("pod a can't be scheduled: 0/3 nodes are available"), "{message}");
        assert!(message.starts_with(&words), "{words}");
    }
}

#[test]
fn new_pods_settle_from_when_their_last_container_has_started() {
    let mut late = pod("b", 1, Some(20));
    let status = late.status.as_mut().unwrap().container_statuses.as_mut().unwrap();
    let running = json!({ "running": { "startedAt": at(50) } });
    status[0].state = serde_json::from_value(running).unwrap();
    let patch = AppliedPatch { settling: SignedDuration::from_secs(70), ..patched() };
    let pods = [pod("a", 1, Some(10)), late];
    let waits = RolloutVerdict::Wait { until: at(120), against: None };
    assert_eq!(evaluate_with(&patch, complete(), &pods, 119), waits);
    assert_eq!(evaluate_with(&patch, complete(), &pods, 120), RolloutVerdict::Verified);
}

#[test]
fn pods_that_are_no_evidence_fail_nothing() {
    let bad = crashed(&pod("b", 12, None), 1, "Error");
    let well = pod("a", 1, Some(10));
    for excused in [leaving(bad.clone()), on("away", bad.clone())] {
        assert_eq!(evaluate(rolling(2, 1), &[well.clone(), excused], 1000), until(1300));
    }
    let mut evicted = bad;
    evicted.status.as_mut().unwrap().phase = Some("Failed".to_owned());
    let replaced = [well, evicted, pod("c", 900, Some(905))];
    assert_eq!(evaluate(complete(), &replaced, 1000), RolloutVerdict::Verified);
}

#[test]
fn a_ready_pod_that_is_being_deleted_was_made_all_the_same() {
    let pods = [pod("a", 1, Some(10)), leaving(pod("b", 2, Some(11)))];
    assert!(matches!(evaluate(rolling(2, 1), &pods, 1000), RolloutVerdict::Wait { .. }));
}

#[test]
fn pods_made_by_scaling_are_no_evidence() {
    let grown = RolloutProgress { wanted: 3, updated: 3, ..rolling(2, 2) };
    let pods = [crashed(&pod("c", 50, None), 1, "Error"), pod("a", 1, Some(10)), pod("b", 12, Some(25))];
    assert!(matches!(evaluate(grown.clone(), &pods, 1000), RolloutVerdict::Wait { .. }));
    let at_once = [pod("a", 1, Some(10)), pod("b", 12, None), pod("c", 12, Some(25))];
    assert!(
        matches!(evaluate(grown.clone(), &at_once, 1000), RolloutVerdict::Wait { .. }),
        "b may have come by scaling"
    );
    let broken = [pod("a", 1, Some(10)), pod("b", 12, Some(25)), crashed(&pod("c", 12, None), 1, "Error")];
    assert_eq!(
        failed(evaluate(grown.clone(), &broken, 1000)).0,
        RemediationReason::Restarted,
        "c may be one of the patch"
    );
    let unknown = AppliedPatch { pods: None, ..patched() };
    assert_eq!(failed(evaluate_with(&unknown, grown.clone(), &pods, 1000)).0, RemediationReason::Restarted);
    assert_eq!(
        failed(evaluate(rolling(2, 2), &pods, 1000)).0,
        RemediationReason::Restarted,
        "no more are wanted"
    );
    // The rollout of a StatefulSet replaces the pod with the highest ordinal first.
    let set = RolloutProgress { revision: Some("r".to_owned()), first_ordinal: 5, ..grown };
    let pods = [crashed(&pod("web-7", 1, None), 1, "Error"), pod("web-6", 12, Some(25))];
    assert!(matches!(evaluate(set.clone(), &pods, 100), RolloutVerdict::Wait { .. }));
    let pods = [pod("web-7", 1, Some(2)), crashed(&pod("web-6", 12, None), 1, "Error")];
    assert_eq!(failed(evaluate(set, &pods, 100)).0, RemediationReason::Restarted);
}

#[test]
fn the_deadline_of_a_deployment_fails_the_patch_unless_only_excused_pods_are_missing() {
    let late = (DEADLINE_EXCEEDED.to_owned(), "it timed out".to_owned());
    let progress = RolloutProgress { failure: Some(late), ..rolling(2, 1) };
    let well = pod("a", 1, Some(10));
    let (reason, message) = failed(evaluate(progress.clone(), &[well.clone(), pod("b", 12, None)], 50));
    assert_eq!(reason, RemediationReason::ProgressDeadlineExceeded);
    assert!(message.starts_with("it timed out; pod b, container main is not ready"), "{message}");
    let away = [well.clone(), on("away", pod("b", 12, None))];
    assert!(matches!(evaluate(progress.clone(), &away, 50), RolloutVerdict::Wait { .. }));
    let stale = RolloutProgress { observed: false, ..progress };
    assert!(
        matches!(evaluate(stale, &[well], 50), RolloutVerdict::Wait { .. }),
        "it may tell of the rollout before"
    );
}

#[test]
fn pods_that_are_not_made_fail_when_time_is_over() {
    let quota = ("FailedCreate".to_owned(), "pods \"a\" is forbidden: exceeded quota: small".to_owned());
    let refused = RolloutProgress { failure: Some(quota), ..rolling(0, 2) };
    assert_eq!(evaluate(refused.clone(), &[], 299), until(300));
    let (reason, message) = failed(evaluate(refused, &[], 300));
    assert_eq!(reason, RemediationReason::QuotaExceeded);
    assert!(message.starts_with("only 0 of 2 pods of the new revision were made: pods \"a\" is forbidden"));
    assert_eq!(failed(evaluate(rolling(0, 2), &[], 300)).0, RemediationReason::NotCreated);
    let one = [pod("a", 1, Some(100))];
    assert_eq!(evaluate(rolling(1, 2), &one, 399), until(400));
    assert_eq!(failed(evaluate(rolling(1, 2), &one, 400)).0, RemediationReason::NotCreated);
    let slow = RolloutProgress { grace_seconds: 600, ..rolling(1, 2) };
    assert_eq!(evaluate(slow, &one, 400), until(1000), "an old pod may take its time to end");
    for held in [
        RolloutProgress { held: true, ..rolling(1, 2) },
        RolloutProgress { observed: false, ..rolling(1, 2) },
    ] {
        assert_eq!(evaluate(held, &one, 400), until(700), "nobody makes pods now");
    }
}

#[test]
fn a_missing_pod_is_excused_by_an_old_pod_on_an_unready_node() {
    let pods = [pod("a", 1, Some(10))];
    let well = pod("b", -50, Some(-40));
    let evaluate = |former: Pod| {
        let nodes_away = BTreeSet::from(["away".to_owned()]);
        let evidence = Evidence {
            progress: rolling(1, 1),
            revision: None,
            pods: pods.to_vec(),
            former: vec![former],
            nodes_away,
        };
        verify(&patched(), &evidence, VERIFY, at(400))
    };
    for hanging in [leaving(well.clone()), pod("b", -50, None)] {
        assert!(matches!(evaluate(on("away", hanging.clone())), RolloutVerdict::Wait { .. }));
        assert_eq!(failed(evaluate(hanging)).0, RemediationReason::NotCreated, "its node is there");
    }
    assert_eq!(failed(evaluate(on("away", well))).0, RemediationReason::NotCreated, "nobody waits for it");
}

#[test]
fn after_an_outage_the_present_state_counts() {
    let late = 100_000;
    let pods = [pod("a", 1, Some(10)), pod("b", 12, Some(25))];
    assert_eq!(evaluate(complete(), &pods, late), RolloutVerdict::Verified);
    let stuck = [pod("a", 1, Some(10)), pod("b", 12, None)];
    assert_eq!(failed(evaluate(rolling(2, 1), &stuck, late)).0, RemediationReason::NotReady);
    let moved = [pod("a", 1, Some(10)), pod("b", late - 5, None)];
    let waits = doubts(evaluate(rolling(2, 1), &moved, late)).0;
    assert_eq!(waits, at(late + 295), "a pod made just now gets its time");
}

#[test]
fn a_rollout_has_the_full_time_for_each_pod() {
    let of = |wanted, min_ready_seconds| {
        let progress =
            RolloutProgress { wanted, min_ready_seconds, grace_seconds: 30, ..RolloutProgress::default() };
        patience(&progress, VERIFY).as_secs()
    };
    assert_eq!([of(0, 0), of(100, 0)], [10 * 330, 110 * 330]);
    assert_eq!(of(1, 400), 11 * 730, "new pods are available late, and old ones end late");
    assert!(of(i32::MAX, i32::MAX) > of(100, 400), "no overflow");
}

/// A pod in any state. With `excused`, its state is no evidence about a patch of a probe.
fn any_pod(excused: bool) -> impl Strategy<Value = Pod> {
    let states = (0_i64..600, prop::option::of(0_i64..600), 0_u8..3, 0_u8..3, any::<u16>());
    states.prop_map(move |(created, ready, health, excuse, number)| {
        let name = format!("web-{number}");
        let pod = pod(&name, created, ready.map(|after| created + after));
        let pod = match health {
            0 => pod,
            1 => crashed(&pod, 1, "Error"),
            _ => crashed(&pod, 137, "OOMKilled"),
        };
        match (excused, excuse) {
            (true, 0) => leaving(pod),
            (true, _) => on("away", pod),
            (false, _) => pod,
        }
    })
}

fn any_progress() -> impl Strategy<Value = RolloutProgress> {
    (any::<[bool; 3]>(), 0..4, 0..4, 0..4, 0..2).prop_map(
        |([observed, held, late], wanted, updated, available, outdated)| {
            let failure = late.then(|| (DEADLINE_EXCEEDED.to_owned(), String::new()));
            let ready = available;
            RolloutProgress {
                observed,
                held,
                wanted,
                updated,
                ready,
                available,
                outdated,
                failure,
                ..RolloutProgress::default()
            }
        },
    )
}

proptest! {
    #[test]
    fn an_incomplete_rollout_is_never_verified(
        progress in any_progress(), pods in prop::collection::vec(any_pod(false), 0..5), now in 0_i64..5000,
    ) {
        let finding = evaluate(progress.clone(), &pods, now);
        prop_assert!(progress.is_complete() || finding != RolloutVerdict::Verified);
        if let RolloutVerdict::Wait { until, .. } = finding {
            prop_assert!(until > at(now), "a wait ends later than now");
        }
    }

    #[test]
    fn pods_that_are_no_evidence_never_fail_a_patch(
        progress in any_progress(), pods in prop::collection::vec(any_pod(true), 1..5), now in 0_i64..5000,
    ) {
        // One of the pods is not ready, or none is missing, so the controller waits for one of them.
        prop_assume!(pods.len() >= 3 || pods.iter().any(|pod| !symptoms::is_ready(pod)));
        let late = progress.failure.is_some();
        prop_assume!(!late || pods.iter().any(|pod| !symptoms::is_ready(pod)));
        let finding = evaluate(progress, &pods, now);
        prop_assert!(!matches!(finding, RolloutVerdict::Failed { .. }), "{finding:?}");
    }
}
