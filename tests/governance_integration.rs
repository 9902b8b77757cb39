//! The library's pipeline from pods to a score class: properties that hold for any set of pods.
//!
//! The expected figures come from a model that uses the documented weights and none of the code.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::collections::BTreeMap;

use jiff::Timestamp;
use kube_devops::governance::{Analysis, Classification, Report, Scope};
use kube_devops::observer::Scoreboard;
use kube_devops::policy::{DevOpsPolicySpec, EffectivePolicy};
use kube_devops::workload::{Object, Workload, WorkloadKind};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json, to_value};

// --- Pods and the model of their penalty ---

#[derive(Debug, Clone, Copy, PartialEq)]
struct Container {
    latest: bool,
    liveness: bool,
    readiness: bool,
    restarts: u64,
}

const GOOD: Container = Container { latest: false, liveness: true, readiness: true, restarts: 0 };

#[derive(Debug, Clone)]
struct Pod {
    namespace: &'static str,
    phase: &'static str,
    containers: Vec<Container>,
}

impl Container {
    /// Returns the penalty by the documented weights: 5, 3 and 2 points, and with more than three restarts 6 points for
    /// each of at most five.
    fn penalty(self) -> u64 {
        let restarts = if self.restarts > 3 { self.restarts.min(5) } else { 0 };
        5 * u64::from(self.latest)
            + 3 * u64::from(!self.liveness)
            + 2 * u64::from(!self.readiness)
            + 6 * restarts
    }
}

impl Pod {
    fn penalty(&self) -> u64 {
        let pending = if self.phase == "Pending" { 4 } else { 0 };
        pending + self.containers.iter().map(|container| container.penalty()).sum::<u64>()
    }

    fn counts(&self) -> bool {
        !matches!(self.phase, "Succeeded" | "Failed")
    }

    fn object(&self, name: &str) -> Value {
        let probe = |there: bool| if there { json!({}) } else { Value::Null };
        let containers = self.containers.iter().enumerate().map(|(index, container)| {
            json!({
                "name": format!("c{index}"), "image": if container.latest { "web" } else { "web:1" },
                "livenessProbe": probe(container.liveness), "readinessProbe": probe(container.readiness),
            })
        });
        let statuses = self.containers.iter().enumerate().map(
            |(index, container)| json!({ "name": format!("c{index}"), "restartCount": container.restarts }),
        );
        json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": { "name": name, "namespace": self.namespace },
            "spec": { "containers": containers.collect::<Vec<_>>() },
            "status": { "phase": self.phase, "containerStatuses": statuses.collect::<Vec<_>>() },
        })
    }
}

/// Returns the score: 100 minus the mean penalty, truncated once. Without pods it is 100.
fn expected<'p>(pods: impl Iterator<Item = &'p Pod>) -> (u64, u8) {
    let penalties: Vec<u64> = pods.filter(|pod| pod.counts()).map(Pod::penalty).collect();
    let count = penalties.len() as u64;
    let left = (100 * count).saturating_sub(penalties.iter().sum());
    (count, left.checked_div(count).map_or(100, |score| u8::try_from(score).unwrap()))
}

fn container() -> impl Strategy<Value = Container> {
    (any::<[bool; 3]>(), 0_u64..8).prop_map(|([latest, liveness, readiness], restarts)| Container {
        latest,
        liveness,
        readiness,
        restarts,
    })
}

fn pod() -> impl Strategy<Value = Pod> {
    let phase = select(vec!["Pending", "Running", "Running", "Unknown", "Succeeded", "Failed"]);
    (select(vec!["bank", "park", "shop"]), phase, vec(container(), 1..4))
        .prop_map(|(namespace, phase, containers)| Pod { namespace, phase, containers })
}

// --- The pipeline ---

fn objects(pods: &[Pod]) -> Vec<Value> {
    pods.iter().enumerate().map(|(index, pod)| pod.object(&format!("p{index}"))).collect()
}

fn report(policy: &EffectivePolicy, objects: &[Value]) -> Report {
    let scope = Scope::default();
    let mut analysis = Analysis::new(policy, &scope, Timestamp::UNIX_EPOCH, true);
    for object in objects {
        let text = object.to_string();
        analysis.add(&serde_json::from_str::<Object<'_>>(&text).unwrap(), None);
    }
    analysis.finish()
}

fn default_report(objects: &[Value]) -> Report {
    report(&EffectivePolicy::default(), objects)
}

fn policy(spec: Value) -> EffectivePolicy {
    EffectivePolicy::from_spec(&serde_json::from_value::<DevOpsPolicySpec>(spec).unwrap()).unwrap()
}

fn score(report: &Report) -> u8 {
    report.summary.score.unwrap().value()
}

#[test]
fn each_class_has_its_scores() {
    let pod = |penalty: u64| {
        // Each container without a readiness probe costs 2 points.
        let containers = vec![Container { readiness: false, ..GOOD }; usize::try_from(penalty / 2).unwrap()];
        Pod { namespace: "shop", phase: "Running", containers }
    };
    for (penalty, score_of, class) in [
        (0, 100, Classification::Healthy),
        (20, 80, Classification::Healthy),
        (22, 78, Classification::Stable),
        (40, 60, Classification::Stable),
        (42, 58, Classification::Degraded),
        (60, 40, Classification::Degraded),
        (62, 38, Classification::Critical),
        (100, 0, Classification::Critical),
        (240, 0, Classification::Critical),
    ] {
        let report = default_report(&objects(&[pod(penalty)]));
        assert_eq!((score(&report), report.summary.status), (score_of, Some(class)), "{penalty}");
    }
    let empty = default_report(&[]);
    assert_eq!((score(&empty), empty.summary.status), (100, Some(Classification::Healthy)));
}

#[test]
fn a_named_severity_multiplies_the_penalty_of_its_rule_alone() {
    let container = Container { latest: true, readiness: false, ..GOOD };
    let pod = Pod { namespace: "shop", phase: "Running", containers: vec![container] };
    for (severity, points) in [("critical", 15), ("high", 10), ("medium", 5), ("low", 3)] {
        let policy = policy(json!({
            "forbidLatestTag": true, "requireReadinessProbe": true, "severityOverrides": { "latestTag": severity },
        }));
        let report = report(&policy, &objects(std::slice::from_ref(&pod)));
        assert_eq!(score(&report), 100 - points - 2, "{severity}: the score is truncated");
    }
}

proptest! {
    #[test]
    fn the_score_follows_the_documented_formula(pods in vec(pod(), 0..30)) {
        let report = default_report(&objects(&pods));
        prop_assert_eq!((report.summary.pods, score(&report)), expected(pods.iter()));
        for namespace in &report.namespaces {
            let own = pods.iter().filter(|pod| pod.namespace == namespace.namespace);
            prop_assert_eq!((namespace.pods, namespace.score.value()), expected(own));
        }
        let all: u64 = pods.iter().filter(|pod| pod.counts()).map(Pod::penalty).sum();
        let blamed: u64 = report.workloads.worst(usize::MAX).iter().map(|offender| offender.half_points).sum();
        prop_assert_eq!(blamed, 2 * all, "every penalty belongs to a workload");
    }

    #[test]
    fn order_and_parts_do_not_matter(pods in vec(pod(), 0..30), cut in any::<Index>(), turn in any::<Index>()) {
        let mut all = objects(&pods);
        let whole = to_value(default_report(&all)).unwrap();
        if !all.is_empty() {
            let turn = turn.index(all.len());
            all.rotate_left(turn);
        }
        let cut = cut.index(all.len() + 1);
        let (policy, scope) = (EffectivePolicy::default(), Scope::default());
        let mut analysis = Analysis::new(&policy, &scope, Timestamp::UNIX_EPOCH, true);
        for half in [&all[cut..], &all[..cut]] {
            let mut part = analysis.part();
            for object in half {
                let text = object.to_string();
                part.add(&serde_json::from_str::<Object<'_>>(&text).unwrap(), None);
            }
            analysis.merge(part);
        }
        prop_assert_eq!(to_value(analysis.finish()).unwrap(), whole);
    }

    #[test]
    fn namespaces_add_up_to_the_cluster(pods in vec(pod(), 0..30)) {
        let report = default_report(&objects(&pods));
        let mut counts = BTreeMap::new();
        for (rule, count) in report.namespaces.iter().flat_map(|namespace| &namespace.counts) {
            *counts.entry(*rule).or_insert(0) += count;
        }
        if !report.namespaces.is_empty() {
            prop_assert_eq!(&counts, &report.summary.counts);
        }
        prop_assert_eq!(report.namespaces.iter().map(|namespace| namespace.pods).sum::<u64>(), report.summary.pods);
        let scores = || report.namespaces.iter().map(|namespace| namespace.score);
        if let (Some(worst), Some(best)) = (scores().min(), scores().max()) {
            let cluster = report.summary.score.unwrap();
            prop_assert!(worst <= cluster && cluster <= best);
        }
    }

    #[test]
    fn a_fix_never_lowers_the_score(mut pods in vec(pod(), 1..20), at in any::<Index>()) {
        let before = default_report(&objects(&pods));
        let at = at.index(pods.len());
        pods[at].containers.fill(GOOD);
        let after = default_report(&objects(&pods));
        prop_assert!(after.summary.score >= before.summary.score);
        prop_assert!(after.summary.status >= before.summary.status);
        prop_assert!(after.violations.len() <= before.violations.len());
    }

    #[test]
    fn every_count_has_its_violations(pods in vec(pod(), 0..20)) {
        let report = default_report(&objects(&pods));
        for (rule, count) in &report.summary.counts {
            let violations = report.violations.iter().filter(|found| found.rule == *rule).count() as u64;
            // A container that restarts too often counts once for each restart, up to five.
            let most = if rule.as_str() == "high-restarts" { 5 * violations } else { violations };
            prop_assert!(violations <= *count && *count <= most, "{} {} {}", rule, violations, count);
        }
        let severities: Vec<_> = report.violations.iter().map(|found| found.severity).collect();
        prop_assert!(severities.is_sorted_by(|a, b| a >= b), "the worst come first");
    }

    #[test]
    fn a_template_counts_only_without_pods(container in container(), pods in 0_usize..4) {
        let pod = Pod { namespace: "shop", phase: "Running", containers: vec![Container { restarts: 0, ..container }] };
        let mut all = vec![json!({
            "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": { "name": "db", "namespace": "shop" },
            "spec": { "template": { "spec": pod.object("")["spec"] } },
        })];
        for index in 0..pods {
            let mut object = pod.object(&format!("db-{index}"));
            object["metadata"]["ownerReferences"] =
                json!([{ "apiVersion": "apps/v1", "kind": "StatefulSet", "name": "db", "controller": true }]);
            all.push(object);
        }
        let report = default_report(&all);
        prop_assert_eq!(report.summary.pods, pods.max(1) as u64);
        prop_assert_eq!(score(&report), expected(std::iter::once(&pod)).1);
        let worst = report.workloads.worst(usize::MAX);
        let workloads: Vec<_> = worst.iter().map(|offender| offender.workload.as_str()).collect();
        prop_assert_eq!(workloads, if pod.penalty() > 0 { vec!["StatefulSet/db"] } else { vec![] });
    }

    #[test]
    fn a_watch_and_an_analysis_yield_the_same_class(pods in vec(pod(), 0..20), before in vec(pod(), 0..20)) {
        let mut board = Scoreboard::new(EffectivePolicy::default(), Scope::default());
        let texts = |pods: &[Pod]| objects(pods).iter().map(Value::to_string).collect::<Vec<_>>();
        for (pods, last) in [(&before, false), (&pods, true)] {
            let begun = board.begin_list();
            for text in texts(pods) {
                let pod = Workload::from_json(WorkloadKind::Pod, &text).unwrap();
                board.apply(&pod, Timestamp::UNIX_EPOCH);
            }
            if last {
                board.end_list(None, begun);
            }
        }
        let report = default_report(&objects(&pods));
        prop_assert_eq!(board.cluster_score(), report.summary.score);
        prop_assert_eq!(to_value(board.namespaces()).unwrap(), to_value(&report.namespaces).unwrap());
        prop_assert_eq!(board.offenders(usize::MAX), report.workloads.worst(usize::MAX));
    }
}
