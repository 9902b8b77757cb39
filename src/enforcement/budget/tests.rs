//! Properties of the budgets over generated histories, and single cases.

use proptest::prelude::*;

use super::*;

const LIMITS: Limits = Limits { rollouts: 2, per_hour: 5, stall: Limits::STALL };
const POLICY_PER_HOUR: u32 = 3;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn request(namespace: &str, uid: &str) -> Request {
    let workload = WorkloadRef::new(namespace, "Deployment", uid);
    let policy = PolicyRef::new(namespace, "p");
    Request { policy, policy_per_hour: POLICY_PER_HOUR, workload, uid: uid.to_owned() }
}

fn until(decision: BudgetDecision) -> (Option<Timestamp>, String) {
    match decision {
        BudgetDecision::Wait { until, reason } => (until, reason),
        BudgetDecision::Granted => panic!("granted"),
    }
}

#[test]
fn a_grant_by_name_matches_before_the_uid_is_known() {
    let mut ledger = Ledger::default();
    assert_eq!(ledger.reserve(&request("n", "a"), &LIMITS, at(0)), BudgetDecision::Granted);
    let unknown = Request { uid: String::new(), ..request("n", "a") };
    assert_eq!(ledger.reserve(&unknown, &LIMITS, at(1)), BudgetDecision::Granted);
    let other = Request { uid: String::new(), ..request("n", "b") };
    assert_ne!(ledger.reserve(&other, &LIMITS, at(1)), BudgetDecision::Granted);
    assert_eq!(ledger.open().count(), 1);
}

#[test]
fn an_unused_grant_returns_its_place() {
    let mut ledger = Ledger::default();
    for second in 0..20 {
        assert_eq!(ledger.reserve(&request("n", "a"), &LIMITS, at(second)), BudgetDecision::Granted);
        ledger.give_back("a");
    }
    assert!(ledger.is_empty());
    assert_eq!(ledger.reserve(&request("n", "a"), &LIMITS, at(20)), BudgetDecision::Granted);
    ledger.finish("a", None);
    ledger.give_back("a");
    assert!(!ledger.is_empty(), "what was made counts");
}

#[test]
fn a_lost_ledger_is_rebuilt_from_the_records() {
    let record = |name: &str, phase: &str, reason: &str, second: i64| -> Remediation {
        serde_json::from_value(serde_json::json!({
            "kind": "Deployment", "name": name, "uid": name, "phase": phase, "reason": reason, "time": at(second),
        }))
        .unwrap()
    };
    let recall = |records: &[Remediation], now: i64| {
        let policy = PolicyRef::new("n", "p");
        Ledger::recall(records.iter().map(|record| (&policy, record)), at(now))
    };
    let done = [
        record("a", "Verified", "Verified", 0),
        record("b", "Withdrawn", "CrashLoop", 10),
        record("c", "Failed", "Conflict", 20),
        record("d", "Withdrawn", "Reverted", 30),
    ];
    let (until, reason) = until(recall(&done, 100).reserve(&request("n", "e"), &LIMITS, at(100)));
    assert_eq!(until, Some(at(3601)), "{reason}");
    assert!(reason.starts_with("3 patches within the last hour by policy n/p"), "{reason}");
    assert_eq!(recall(&done, 3601).reserve(&request("n", "e"), &LIMITS, at(3601)), BudgetDecision::Granted);
    assert!(recall(&done, 4000).is_empty(), "none of these counts any more");

    let under_way = [record("a", "Applied", "Patched", 0), record("b", "Withdrawing", "Reverted", 10)];
    let mut ledger = recall(&under_way, 9000);
    assert_eq!(ledger.open().count(), 2, "however long they take");
    let decision = recall(&under_way, 500).reserve(&request("m", "c"), &LIMITS, at(500));
    assert!(matches!(decision, BudgetDecision::Wait { until: None, .. }), "{decision:?}");
    assert_eq!(
        ledger.reserve(&request("n", "a"), &LIMITS, at(9000)),
        BudgetDecision::Granted,
        "it has its place"
    );
}

/// An event in the history of a ledger. Namespaces and workloads are numbers.
#[derive(Debug, Clone)]
enum Step {
    Reserve {
        namespace: u8,
        workload: u8,
    },
    Finish {
        namespace: u8,
        workload: u8,
    },
    Forget,
    Prune,
    Progress {
        namespace: u8,
        workload: u8,
    },
    /// The process crashes and reads the stored ledger.
    Crash,
    Pass {
        milliseconds: i64,
    },
    SetBack {
        seconds: i64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let workload = || (0..4_u8, 0..3_u8);
    prop_oneof![
        6 => workload().prop_map(|(namespace, workload)| Step::Reserve { namespace, workload }),
        5 => workload().prop_map(|(namespace, workload)| Step::Finish { namespace, workload }),
        1 => Just(Step::Forget),
        1 => Just(Step::Prune),
        2 => workload().prop_map(|(namespace, workload)| Step::Progress { namespace, workload }),
        1 => Just(Step::Crash),
        4 => (0..1_500_000_i64).prop_map(|milliseconds| Step::Pass { milliseconds }),
        1 => prop_oneof![1..30_i64, 3000..5000_i64, Just(400_000_000)].prop_map(|seconds| Step::SetBack { seconds }),
    ]
}

proptest! {
    #[test]
    fn no_history_goes_over_a_budget(steps in prop::collection::vec(step(), 1..250)) {
        let mut ledger = Ledger::default();
        // The real time, which only increases, and the clock's offset from it, in milliseconds.
        let (mut real, mut behind) = (0_i64, 0_i64);
        let mut granted: Vec<(i64, u8)> = Vec::new();
        for step in steps {
            let now = Timestamp::from_millisecond(1_800_000_000_000 + real - behind).unwrap();
            match step {
                Step::Reserve { namespace, workload } => {
                    let (name, uid) = (namespace.to_string(), format!("{namespace}-{workload}"));
                    let held = ledger.open().any(|grant| grant.uid == uid);
                    let before = ledger.open().count();
                    let decision = ledger.reserve(&request(&name, &uid), &LIMITS, now);
                    if held {
                        prop_assert_eq!(&decision, &BudgetDecision::Granted);
                        prop_assert_eq!(ledger.open().count(), before);
                    } else if decision == BudgetDecision::Granted {
                        granted.push((real, namespace));
                        prop_assert_eq!(ledger.open().count(), before + 1);
                    }
                }
                Step::Finish { namespace, workload } => {
                    let uid = format!("{namespace}-{workload}");
                    let held = ledger.open().any(|grant| grant.uid == uid);
                    prop_assert_eq!(ledger.finish(&uid, None), held);
                }
                Step::Forget => ledger.forget(now),
                Step::Prune => ledger.prune_open(|grant| grant.workload.namespace != "0", now),
                Step::Progress { namespace, workload } => {
                    ledger.note_progress(&format!("{namespace}-{workload}"), 1, now);
                }
                Step::Crash => {
                    let text = serde_json::to_string(&ledger).unwrap();
                    let read: Ledger = serde_json::from_str(&text).unwrap();
                    prop_assert_eq!(&read, &ledger);
                    ledger = read;
                }
                Step::Pass { milliseconds } => real += milliseconds,
                Step::SetBack { seconds } => behind += seconds * 1000,
            }
            let open: Vec<_> = ledger.open().map(|grant| grant.workload.namespace.clone()).collect();
            let namespaces: std::collections::BTreeSet<_> = open.iter().collect();
            prop_assert!(ledger.occupied() <= LIMITS.rollouts as usize);
            prop_assert_eq!(namespaces.len(), open.len(), "two in a namespace");
        }
        for (begin, namespace) in &granted {
            let hour = granted.iter().filter(|(time, _)| (*begin..begin + 3_600_000).contains(time));
            prop_assert!(hour.clone().count() <= LIMITS.per_hour as usize);
            let of_policy = hour.filter(|(_, other)| other == namespace).count();
            prop_assert!(of_policy <= POLICY_PER_HOUR as usize);
        }
    }

    #[test]
    fn a_clock_that_was_set_back_blocks_for_no_longer_than_an_hour(back in 1..1_000_000_000_i64) {
        let mut ledger = Ledger::default();
        for uid in ["a", "b", "c"] {
            prop_assert_eq!(ledger.reserve(&request("n", uid), &LIMITS, at(0)), BudgetDecision::Granted);
            ledger.finish(uid, None);
        }
        let (until, _) = until(ledger.reserve(&request("n", "d"), &LIMITS, at(-back)));
        let until = until.unwrap();
        prop_assert!(until > at(-back) && until <= at(-back) + UNTIL_FREE);
        prop_assert_eq!(ledger.reserve(&request("n", "d"), &LIMITS, until), BudgetDecision::Granted);
    }
}

#[test]
fn a_refusal_names_the_obstacle_and_its_end() {
    let mut ledger = Ledger::default();
    for (second, uid) in [(0, "a"), (10, "b"), (20, "c")] {
        assert_eq!(ledger.reserve(&request("n", uid), &LIMITS, at(second)), BudgetDecision::Granted);
        if uid != "c" {
            assert!(ledger.finish(uid, None) && !ledger.finish(uid, None));
        }
    }
    let (free, reason) = until(ledger.reserve(&request("n", "d"), &LIMITS, at(30)));
    assert_eq!(free, Some(at(3601)), "{reason}");
    assert_eq!(reason, "3 patches within the last hour by policy n/p (maxPerHour 3)");
    let (free, reason) = until(ledger.reserve(&request("n", "d"), &LIMITS, at(3601)));
    assert_eq!(
        (free, reason.as_str()),
        (None, "Deployment/c of the same namespace is rolling out; one at a time a namespace")
    );
    ledger.note_progress("c", 1, at(3600));
    assert_eq!(ledger.reserve(&request("m", "e"), &LIMITS, at(3601)), BudgetDecision::Granted);
    let (free, reason) = until(ledger.reserve(&request("o", "f"), &LIMITS, at(3601)));
    assert_eq!(
        (free, reason.as_str()),
        (None, "2 workloads of the cluster are rolling out (--max-rollouts 2)")
    );
}

#[test]
fn each_patch_and_each_end_is_counted_once() {
    let mut ledger = Ledger::default();
    ledger.reserve(&request("n", "a"), &LIMITS, at(0));
    let end = Some((RemediationPhase::Withdrawn, RemediationReason::CrashLoop));
    for _ in 0..2 {
        ledger.count_made("a");
    }
    for _ in 0..2 {
        ledger.finish("a", end);
    }
    ledger.count_made("a");
    ledger.finish("never granted", end);
    assert_eq!(ledger.totals().applied, 1);
    assert_eq!(ledger.totals().withdrawn, [(RemediationReason::CrashLoop, 1)].into());
}

#[test]
fn a_stalled_rollout_gives_its_place_back_and_one_that_progresses_keeps_it() {
    let mut ledger = Ledger::default();
    for (namespace, uid) in [("n", "a"), ("m", "b")] {
        assert_eq!(ledger.reserve(&request(namespace, uid), &LIMITS, at(0)), BudgetDecision::Granted);
    }
    let (_, reason) = until(ledger.reserve(&request("o", "c"), &LIMITS, at(599)));
    assert!(reason.contains("2 workloads of the cluster"), "{reason}");
    ledger.note_progress("b", 1, at(500));
    // An operator that starts reads the same times.
    let mut read: Ledger = serde_json::from_str(&serde_json::to_string(&ledger).unwrap()).unwrap();
    assert_eq!(read.reserve(&request("o", "c"), &LIMITS, at(600)), BudgetDecision::Granted);
    assert_eq!((read.open().count(), read.occupied()), (3, 2));
    let (_, reason) = until(read.reserve(&request("n", "d"), &LIMITS, at(601)));
    assert!(reason.contains("Deployment/a of the same namespace"), "{reason}");
    read.note_progress("a", 1, at(602));
    let (_, reason) = until(read.reserve(&request("p", "e"), &LIMITS, at(603)));
    assert!(reason.contains("2 workloads of the cluster"), "its place is another's by now: {reason}");
}

#[test]
fn a_pod_that_becomes_ready_again_and_again_is_no_progress() {
    let mut ledger = Ledger::default();
    ledger.reserve(&request("n", "a"), &LIMITS, at(0));
    ledger.reserve(&request("m", "b"), &LIMITS, at(0));
    for second in (100..=1000).step_by(100) {
        ledger.note_progress("a", 1, at(second));
        ledger.note_progress("b", usize::try_from(second).unwrap() / 100, at(second));
    }
    let mut read: Ledger = serde_json::from_str(&serde_json::to_string(&ledger).unwrap()).unwrap();
    assert_eq!(read.reserve(&request("o", "c"), &LIMITS, at(1000)), BudgetDecision::Granted);
    let stalled = |uid: &str| read.open().find(|grant| grant.uid == uid).unwrap().stalled;
    assert_eq!((stalled("a"), stalled("b")), (Some(at(1000)), None));
}

#[test]
fn a_budget_of_none_is_never_free() {
    let mut ledger = Ledger::default();
    let none = Request { policy_per_hour: 0, ..request("n", "a") };
    let (free, reason) = until(ledger.reserve(&none, &LIMITS, at(0)));
    assert_eq!((free, reason.as_str()), (None, "no patch is allowed by policy n/p (maxPerHour 0)"));
    assert_eq!(ledger, Ledger::default());
}

#[test]
fn a_recreated_policy_keeps_its_budget_and_another_has_its_own() {
    let mut ledger = Ledger::default();
    for uid in ["a", "b", "c"] {
        ledger.reserve(&request("n", uid), &LIMITS, at(0));
        ledger.finish(uid, None);
    }
    assert_ne!(ledger.reserve(&request("n", "d"), &LIMITS, at(1)), BudgetDecision::Granted);
    let other = Request { policy: PolicyRef::new("n", "q"), ..request("n", "d") };
    assert_eq!(ledger.reserve(&other, &LIMITS, at(1)), BudgetDecision::Granted);
}

#[test]
fn an_unrecorded_grant_closes_after_a_minute_and_counts_for_its_hour() {
    let mut ledger = Ledger::default();
    ledger.reserve(&request("n", "a"), &LIMITS, at(0));
    ledger.prune_open(|_| false, at(60));
    assert_eq!(ledger.open().count(), 1, "whoever was granted it may be about to record it");
    ledger.prune_open(|grant| grant.uid == "a", at(61));
    assert_eq!(ledger.open().count(), 1);
    ledger.prune_open(|_| false, at(61));
    assert_eq!((ledger.open().count(), ledger.grants.len()), (0, 1));
    ledger.forget(at(3600));
    assert_eq!(ledger.grants.len(), 1);
    ledger.forget(at(3601));
    assert_eq!(ledger, Ledger::default());
}

#[test]
fn a_harmful_patch_is_withdrawn_without_a_free_place_and_the_next_rollouts_wait_for_it() {
    let mut ledger = Ledger::default();
    for namespace in ["m", "n"] {
        assert_eq!(ledger.reserve(&request(namespace, namespace), &LIMITS, at(0)), BudgetDecision::Granted);
    }
    let harmful = request("o", "harmful");
    let (_, reason) = until(ledger.reserve_revert(&harmful, &LIMITS, at(1)));
    assert!(reason.contains("2 workloads of the cluster"), "{reason}");
    ledger.take_place(&harmful, &LIMITS, at(1));
    ledger.take_place(&harmful, &LIMITS, at(2));
    assert_eq!(ledger.occupied(), 3, "once");
    ledger.finish("m", None);
    assert_ne!(ledger.reserve(&request("p", "next"), &LIMITS, at(3)), BudgetDecision::Granted);
    ledger.finish("harmful", None);
    assert_eq!(ledger.reserve(&request("p", "next"), &LIMITS, at(4)), BudgetDecision::Granted);
}

#[test]
fn a_withdrawal_that_only_a_note_records_keeps_its_place_until_it_is_done() {
    let mut ledger = Ledger::default();
    ledger.take_place(&request("n", "a"), &LIMITS, at(0));
    assert!(ledger.note(Note {
        namespace: "n".to_owned(),
        kind: "Deployment".to_owned(),
        name: "a".to_owned(),
        uid: "a".to_owned(),
        fields: Vec::new(),
        causes_hash: String::new(),
        time: at(0),
        reason: RemediationReason::NotReady,
        message: String::new(),
        withdrawals: None,
        retry_after: None,
        done: false,
    }));
    ledger.prune_open(|_| false, at(3600));
    assert_eq!(ledger.occupied(), 1);
    ledger.note_done("a");
    ledger.prune_open(|_| false, at(3600));
    assert_eq!(ledger.occupied(), 0);
}

#[test]
fn an_invalid_ledger_is_not_empty() {
    for text in ["", "{}", "[]", r#"{"grants":[{}]}"#, r#"{"grants":null}"#] {
        assert!(serde_json::from_str::<Ledger>(text).is_err(), "{text}");
    }
}
