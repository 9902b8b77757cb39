//! After any sequence of events, the sums equal a fresh count of the existing pods.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::to_value;

use super::super::tests::Made;
use super::*;
use crate::governance::Analysis;
use crate::policy::DevOpsPolicySpec;
use crate::rules::{HIGH_RESTARTS, LATEST_TAG, PENDING, Rule, place};
use crate::workload::{Object, Parsed};

fn board() -> Scoreboard {
    Scoreboard::new(EffectivePolicy::default(), Scope::default())
}

impl Scoreboard {
    fn take(&mut self, pod: &Made, now: Timestamp) {
        let json = pod.json();
        let object: Object<'_> = serde_json::from_str(&json).unwrap();
        let Parsed::Workload(workload) = &object.parsed else { panic!("no pod: {json}") };
        self.apply(workload, now);
    }

    fn see(&mut self, pod: &Made) {
        self.take(pod, Timestamp::UNIX_EPOCH);
    }

    fn count(&self, rule: &Rule) -> u64 {
        self.cluster.count(place(rule.id))
    }

    /// Returns each pod's tally and workload, by namespace and name.
    fn pods(&self) -> BTreeMap<(String, String), (Tally, Option<String>)> {
        let all = self.pods.iter().map(|(namespace, name, pod)| {
            let what =
                (pod.tally.clone(), pod.workload.as_ref().map(|workload| workload.owner().to_string()));
            ((namespace.to_owned(), name.to_string()), what)
        });
        all.collect()
    }

    #[track_caller]
    fn assert_traceless(&self) {
        assert!(self.namespaces.is_empty(), "{:?}", self.namespaces);
        assert_eq!((&self.cluster, self.unreadable), (&Tally::default(), 0));
        assert!(self.offenders(9).is_empty() && self.namespaces().is_empty());
    }
}

#[test]
fn a_changed_pod_replaces_its_former_counts() {
    let mut board = board();
    let pod = Made { image: "web:latest", ..Made::new("shop", "a") };
    board.see(&pod);
    assert_eq!((board.cluster().pods, board.count(&LATEST_TAG)), (1, 1));
    assert_eq!(board.cluster_score().map(Score::value), Some(95));
    board.see(&pod);
    assert_eq!((board.cluster().pods, board.count(&LATEST_TAG)), (1, 1), "the same once more");
    board.see(&Made { image: "web:2", ..pod });
    assert_eq!(board.count(&LATEST_TAG), 0, "its image was changed in place");
    assert_eq!(board.cluster_score().map(Score::value), Some(100));
    assert!(board.offenders(9).is_empty());
    board.delete("shop", "a");
    board.assert_traceless();
}

#[test]
fn more_than_three_restarts_count_up_to_five() {
    let mut board = board();
    let counts = [0, 3, 4, 5, 6, 100, 0].map(|restarts| {
        board.see(&Made { restarts, ..Made::new("shop", "a") });
        board.count(&HIGH_RESTARTS)
    });
    assert_eq!(counts, [0, 0, 4, 5, 5, 5, 0]);
}

#[test]
fn only_pending_and_running_pods_count() {
    let mut board = board();
    for (phase, pods, pending) in
        [("Pending", 1, 1), ("Running", 1, 0), ("Unknown", 1, 0), ("Pending", 1, 1), ("Failed", 0, 0)]
    {
        board.see(&Made { phase, ..Made::new("shop", "a") });
        assert_eq!((board.cluster().pods, board.count(&PENDING)), (pods, pending), "{phase}");
    }
    board.assert_traceless();
    board.see(&Made { phase: "Succeeded", ..Made::new("shop", "b") });
    board.assert_traceless();
}

#[test]
fn a_pod_with_a_new_owner_counts_only_for_it() {
    let mut board = board();
    let pod = Made { readiness: false, ..Made::new("shop", "a") };
    board.see(&Made { owner: Some("db"), ..pod.clone() });
    board.see(&Made { owner: Some("db"), readiness: false, ..Made::new("shop", "b") });
    assert_eq!(board.offenders(9).iter().map(|worst| worst.pods).collect::<Vec<_>>(), [2]);
    board.see(&pod);
    let offenders = board.offenders(9);
    let offenders: Vec<_> = offenders.iter().map(|worst| (worst.workload.as_str(), worst.pods)).collect();
    assert_eq!(offenders, [("Pod/a", 1), ("StatefulSet/db", 1)]);
    assert_eq!(board.offenders(1).len(), 1);
}

#[test]
fn a_workload_is_compliant_while_all_of_its_pods_are() {
    let mut board = board();
    let compliance = |board: &Scoreboard| board.cluster_compliance().unwrap().percent().to_string();
    assert_eq!(compliance(&board), "100.0%");
    let pod = |name| Made { owner: Some("db"), ..Made::new("shop", name) };
    board.see(&pod("a"));
    board.see(&Made { readiness: false, ..pod("b") });
    board.see(&Made::new("bank", "c"));
    assert_eq!(compliance(&board), "100.0%", "a violation of low severity does not count");
    board.see(&Made { image: "web", ..pod("b") });
    assert_eq!(compliance(&board), "50.0%");
    let by_namespace: Vec<_> = board.compliances().map(|(name, share)| (name, share.ratio())).collect();
    assert_eq!(by_namespace, [("bank", 1.0), ("shop", 0.0)]);
    board.delete("shop", "b");
    assert_eq!(compliance(&board), "100.0%");
    board.apply_unreadable("shop", "a");
    board.apply_unreadable("bank", "c");
    assert_eq!(board.cluster_compliance(), None, "no pod can be read");
}

#[test]
fn deleting_an_unknown_pod_changes_nothing() {
    let mut board = board();
    board.delete("shop", "a");
    board.see(&Made::new("shop", "a"));
    board.delete("shop", "b");
    board.delete("bank", "a");
    assert_eq!(board.cluster().pods, 1);
    board.delete("shop", "a");
    board.delete("shop", "a");
    board.assert_traceless();
}

#[test]
fn system_namespaces_are_observed_only_on_request() {
    let seen = |scope: Scope| {
        let mut board = Scoreboard::new(EffectivePolicy::default(), scope);
        for namespace in ["kube-system", "shop", "bank"] {
            board.see(&Made::new(namespace, "a"));
            board.apply_unreadable(namespace, "b");
            board.delete(namespace, "c");
        }
        assert_eq!(board.unreadable(), board.cluster().pods);
        board.scores().map(|(namespace, _)| namespace.to_owned()).collect::<Vec<_>>()
    };
    let named = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(seen(Scope::default()), ["bank", "shop"]);
    assert_eq!(seen(Scope { include_system: true, ..Scope::default() }), ["bank", "kube-system", "shop"]);
    assert_eq!(seen(Scope { namespaces: named(&["kube-system"]), ..Scope::default() }), ["kube-system"]);
    assert_eq!(seen(Scope { namespaces: named(&["bank", "shop"]), ..Scope::default() }), ["bank", "shop"]);
}

#[test]
fn an_unreadable_pod_is_counted_separately() {
    let mut board = board();
    board.see(&Made { image: "web", ..Made::new("shop", "a") });
    board.apply_unreadable("shop", "a");
    assert_eq!((board.unreadable(), board.cluster()), (1, &Tally::default()));
    assert_eq!(board.scores().count(), 0, "there is nothing to evaluate");
    board.apply_unreadable("shop", "a");
    assert_eq!(board.unreadable(), 1);
    board.see(&Made::new("shop", "a"));
    assert_eq!((board.unreadable(), board.cluster().pods), (0, 1));
    board.apply_unreadable("shop", "b");
    board.delete("shop", "b");
    board.delete("shop", "a");
    board.assert_traceless();
}

#[test]
fn a_list_removes_missing_pods_only_in_its_scope() {
    let mut board = board();
    for (namespace, name) in [("shop", "a"), ("shop", "b"), ("bank", "a"), ("bank", "b")] {
        board.see(&Made::new(namespace, name));
    }
    let shop = board.begin_list();
    board.see(&Made::new("shop", "a"));
    // Another watch begins its list before this one ends.
    let bank = board.begin_list();
    board.see(&Made::new("shop", "c"));
    assert_eq!(board.cluster().pods, 5, "what was known counts until the end");
    board.end_list(Some("shop"), shop);
    let names = |board: &Scoreboard| -> Vec<String> {
        board.pods().keys().map(|(namespace, name)| format!("{namespace}/{name}")).collect()
    };
    assert_eq!(names(&board), ["bank/a", "bank/b", "shop/a", "shop/c"]);
    board.see(&Made::new("bank", "b"));
    board.end_list(Some("bank"), bank);
    assert_eq!(names(&board), ["bank/b", "shop/a", "shop/c"]);
    // An aborted list removes nothing, and the next list removes every stale pod.
    board.begin_list();
    board.see(&Made::new("bank", "b"));
    let mark = board.begin_list();
    board.end_list(None, mark);
    board.assert_traceless();
}

#[test]
fn a_clock_jump_keeps_the_sums_consistent() {
    let spec: DevOpsPolicySpec = yaml_serde::from_str("{forbidPendingDuration: 60}").unwrap();
    let mut board = Scoreboard::new(EffectivePolicy::from_spec(&spec).unwrap(), Scope::default());
    let created: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let pod = Made { phase: "Pending", ..Made::new("shop", "a") };
    let hour = jiff::SignedDuration::from_hours(1);
    let counts = [created, created + hour, created - hour, created + hour, created].map(|now| {
        board.take(&pod, now);
        (board.cluster().pods, board.count(&PENDING))
    });
    assert_eq!(counts, [(1, 0), (1, 1), (1, 0), (1, 1), (1, 0)]);
    board.take(&pod, created + hour);
    board.delete("shop", "a");
    board.assert_traceless();
}

#[test]
fn memory_is_released_when_pods_and_namespaces_are_deleted() {
    let mut board = board();
    let names = || (0..2_000).map(|index| format!("n{index}"));
    board.see(&Made { image: "web:latest", ..Made::new("shop", "a") });
    for name in names() {
        board.see(&Made { image: "web:latest", ..Made::new("shop", &name) });
        board.see(&Made::new(&name, "a"));
    }
    for name in names() {
        board.delete("shop", &name);
        board.delete(&name, "a");
    }
    let shop = &board.namespaces["shop"];
    let held = [board.namespaces.capacity(), shop.workloads.capacity()];
    assert!(held.iter().all(|capacity| *capacity < 128), "{held:?}");
}

/// A change of one pod; `None` is a deletion.
#[derive(Debug, Clone)]
struct Change {
    namespace: &'static str,
    name: &'static str,
    to: Option<Seen>,
}

#[derive(Debug, Clone)]
enum Seen {
    Pod(Made),
    Unreadable,
}

#[derive(Debug, Clone)]
enum Step {
    /// A change that the watch delivers.
    Told(Change),
    /// A change that happens while the watch is down.
    Missed(Change),
    /// A list of one namespace, or of all.
    List(Option<&'static str>),
    /// A list that is aborted after this many pods.
    Broken(usize),
}

const NAMESPACES: [&str; 4] = ["shop", "bank", "kube-system", "a"];

fn any_change() -> impl Strategy<Value = Change> {
    let name = prop::sample::select(vec!["a", "b", "c", "d", "web-0"]);
    let pod = (
        prop::sample::select(vec!["web", "web:latest", "web:1", "reg:5000/web"]),
        any::<[bool; 2]>(),
        0u32..8,
        prop::sample::select(vec!["Pending", "Running", "Running", "Succeeded", "Failed"]),
        prop::option::of(prop::sample::select(vec!["db", "cache"])),
    );
    let to = prop_oneof![6 => pod.prop_map(Some), 1 => Just(None)];
    (prop::sample::select(NAMESPACES.to_vec()), name, prop::option::weighted(0.7, to)).prop_map(
        |(namespace, name, to)| {
            let to = to.map(|pod| match pod {
                Some((image, [liveness, readiness], restarts, phase, owner)) => Seen::Pod(Made {
                    image,
                    liveness,
                    readiness,
                    restarts,
                    phase,
                    owner,
                    ..Made::new(namespace, name)
                }),
                None => Seen::Unreadable,
            });
            Change { namespace, name, to }
        },
    )
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => any_change().prop_map(Step::Told),
        4 => any_change().prop_map(Step::Missed),
        1 => prop::option::of(prop::sample::select(NAMESPACES.to_vec())).prop_map(Step::List),
        1 => (0usize..6).prop_map(Step::Broken),
    ]
}

type Truth = BTreeMap<(&'static str, &'static str), Seen>;

fn tell(board: &mut Scoreboard, (namespace, name): (&str, &str), to: Option<&Seen>) {
    match to {
        Some(Seen::Pod(pod)) => board.see(pod),
        Some(Seen::Unreadable) => board.apply_unreadable(namespace, name),
        None => board.delete(namespace, name),
    }
}

/// Asserts that a scoreboard equals a fresh count of the existing pods by the engine of `analyze`.
fn assert_fresh(board: &Scoreboard, truth: &Truth) {
    let (policy, scope) = (EffectivePolicy::default(), Scope::default());
    let mut analysis = Analysis::new(&policy, &scope, Timestamp::UNIX_EPOCH, false);
    let mut pods = BTreeMap::new();
    for ((namespace, name), seen) in truth {
        let key = ((*namespace).to_owned(), (*name).to_owned());
        let Seen::Pod(pod) = seen else {
            if !scope.leaves_out(namespace) {
                pods.insert(key, (Tally::default(), None));
            }
            continue;
        };
        let json = pod.json();
        let object: Object<'_> = serde_json::from_str(&json).unwrap();
        analysis.add(&object, None);
        let Parsed::Workload(workload) = &object.parsed else { panic!("no pod: {json}") };
        if !scope.leaves_out(namespace) && !workload.is_terminal() {
            let tally = evaluate(&policy, workload, Timestamp::UNIX_EPOCH, false).tally;
            pods.insert(key, (tally, Some(workload.owner().to_string())));
        }
    }
    let unreadable = pods.values().filter(|(tally, _)| tally.pods == 0).count();
    assert_eq!(board.unreadable(), unreadable as u64);
    assert_eq!(board.pods(), pods);
    let with_pods: BTreeSet<_> = pods.keys().map(|(namespace, _)| namespace.as_str()).collect();
    assert_eq!(board.namespaces.keys().map(|name| &**name).collect::<BTreeSet<_>>(), with_pods);

    let report = analysis.finish();
    assert_eq!(board.cluster().pods, report.summary.pods);
    assert_eq!(board.cluster().by_rule(&policy), report.summary.counts);
    let known = report.summary.pods > 0 || unreadable == 0;
    assert_eq!(board.cluster_score(), report.summary.score.filter(|_| known));
    assert_eq!(to_value(board.namespaces()).unwrap(), to_value(&report.namespaces).unwrap());
    let scores: Vec<_> =
        report.namespaces.iter().map(|entry| (entry.namespace.as_str(), entry.score)).collect();
    assert_eq!(board.scores().collect::<Vec<_>>(), scores);
    for limit in [usize::MAX, 2] {
        assert_eq!(board.offenders(limit), report.workloads.worst(limit), "the worst are the first");
    }
    let compliance = board.cluster_compliance().unwrap_or_default();
    assert_eq!(
        (compliance.workloads, compliance.compliant),
        (report.summary.workloads, report.summary.compliant)
    );
    let compliances: Vec<_> =
        report.namespaces.iter().map(|entry| (entry.namespace.as_str(), entry.compliance)).collect();
    assert_eq!(board.compliances().collect::<Vec<_>>(), compliances);
    let sums = || board.namespaces.values().flat_map(|namespace| namespace.workloads.values());
    assert_eq!(sums().count() as u64, report.summary.workloads, "workloads without pods leave no trace");
    let with_tally = sums().filter(|sum| sum.tally.is_some()).count();
    assert_eq!(with_tally, report.workloads.offenders(), "workloads without a penalty keep no tally");
}

/// Lists every pod of a namespace, or of all, into the scoreboard.
fn list(board: &mut Scoreboard, truth: &Truth, only: Option<&str>) {
    let elsewhere = |board: &Scoreboard| -> Vec<_> {
        let pods = board.pods().into_iter();
        pods.filter(|((namespace, _), _)| only.is_some_and(|only| only != namespace)).collect()
    };
    let before = elsewhere(board);
    let mark = board.begin_list();
    for (key, seen) in truth.iter().filter(|((namespace, _), _)| only.is_none_or(|only| only == *namespace)) {
        tell(board, *key, Some(seen));
    }
    board.end_list(only, mark);
    assert_eq!(elsewhere(board), before);
}

proptest! {
    #[test]
    fn after_any_history_the_sums_equal_a_fresh_count(steps in prop::collection::vec(any_step(), 1..60)) {
        let (mut board, mut truth) = (board(), Truth::new());
        // The namespaces with changes that the scoreboard has missed.
        let mut stale: BTreeSet<&str> = BTreeSet::new();
        for step in steps {
            match step {
                Step::Told(change) => {
                    tell(&mut board, (change.namespace, change.name), change.to.as_ref());
                    keep(&mut truth, change);
                }
                Step::Missed(change) => {
                    stale.insert(change.namespace);
                    keep(&mut truth, change);
                }
                Step::List(only) => {
                    list(&mut board, &truth, only);
                    stale.retain(|namespace| only.is_some_and(|only| only != *namespace));
                }
                Step::Broken(shown) => {
                    board.begin_list();
                    for (key, seen) in truth.iter().take(shown) {
                        tell(&mut board, *key, Some(seen));
                    }
                }
            }
            if stale.is_empty() {
                assert_fresh(&board, &truth);
            }
        }
        list(&mut board, &truth, None);
        assert_fresh(&board, &truth);
        for key in truth.into_keys() {
            tell(&mut board, key, None);
        }
        board.assert_traceless();
    }
}

fn keep(truth: &mut Truth, Change { namespace, name, to }: Change) {
    match to {
        Some(seen) => truth.insert((namespace, name), seen),
        None => truth.remove(&(namespace, name)),
    };
}
