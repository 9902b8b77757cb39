//! The operator's decisions over a sequence of verdicts: statuses and audit results, without a cluster.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube_devops::operator::{
    AdmissionState, AuditTrail, EvaluationOutcome, Inventory, Past, Step, evaluate_namespace, next_status,
    next_step,
};
use kube_devops::policy::{DevOpsPolicy, DevOpsPolicySpec, EffectivePolicy};
use kube_devops::remediation::EnforcementState;
use kube_devops::workload::{Workload, WorkloadKind};
use proptest::prelude::*;
use serde_json::json;

const INTERVAL: SignedDuration = SignedDuration::from_mins(5);

fn policy(spec: &str) -> DevOpsPolicy {
    let spec: DevOpsPolicySpec = yaml_serde::from_str(spec).unwrap();
    let mut policy = DevOpsPolicy::new("base", spec);
    policy.metadata.namespace = Some("shop".to_owned());
    policy.metadata.uid = Some("6a0e".to_owned());
    policy.metadata.generation = Some(1);
    policy
}

fn pod(name: &str, image: &str, phase: &str) -> Workload<'static> {
    let pod = json!({
        "metadata": { "name": name, "namespace": "shop", "creationTimestamp": "1970-01-01T00:00:00Z" },
        "spec": { "containers": [{ "name": "main", "image": image }] },
        "status": { "phase": phase },
    });
    Workload::from_json_owned(WorkloadKind::Pod, &pod.to_string()).unwrap()
}

/// An operator without a cluster, which keeps its writes here.
struct Model {
    policy: DevOpsPolicy,
    rules: EffectivePolicy,
    inventory: Inventory,
    trail: AuditTrail,
    /// The numbers of written statuses and results.
    written: (u32, u32),
}

impl Model {
    fn new(spec: &str) -> Self {
        let (inventory, trail) = (Inventory::default(), AuditTrail::default());
        let policy = policy(spec);
        let rules = EffectivePolicy::from_spec(&policy.spec).unwrap();
        Self { policy, rules, inventory, trail, written: (0, 0) }
    }

    fn reconcile(&mut self, now: Timestamp) {
        let evaluation = evaluate_namespace(
            &self.rules,
            "shop",
            self.inventory.objects("shop"),
            self.inventory.exemptions("shop"),
            now,
        );
        let outcome = EvaluationOutcome::Evaluated(evaluation);
        if let Some(status) =
            next_status(&self.policy, &outcome, &EnforcementState::default(), &AdmissionState::Off, now)
        {
            self.policy.status = Some(status);
            self.written.0 += 1;
        }
        let uid = self.policy.metadata.uid.clone().unwrap();
        let latest = self.trail.latest(&uid, "shop").cloned();
        let step =
            next_step(&self.policy, outcome.evaluation().unwrap(), &[], latest.as_ref(), INTERVAL, None, now);
        if let Step::Create(result) = step {
            let bytes = serde_json::to_vec(&result).unwrap().len();
            assert!(bytes <= 32 * 1024, "{bytes}");
            let mut metadata = result.metadata;
            metadata.uid = Some(self.written.1.to_string());
            metadata.creation_timestamp = Some(Time(now));
            self.trail.add(&uid, Past::of(&metadata).unwrap());
            self.written.1 += 1;
        }
        for past in self.trail.surplus(&uid, "shop") {
            self.trail.remove(&uid, &past);
        }
    }

    fn message(&self) -> &str {
        self.policy.status.as_ref().unwrap().message.as_deref().unwrap()
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

#[test]
fn only_changes_are_written() {
    let mut model = Model::new("{forbidLatestTag: true, forbidPendingDuration: 100}");
    model.reconcile(at(0));
    assert_eq!((model.written, model.message()), ((1, 1), "nothing in 0 pods violates the policy"));
    model.inventory.apply(pod("a", "nginx", "Pending"));
    model.reconcile(at(10));
    assert_eq!((model.written, model.message()), ((2, 1), "1 violation in 1 pod: 1 x latest-tag"));
    // Only the time changes.
    model.reconcile(at(100));
    assert_eq!(
        (model.written, model.message()),
        ((3, 1), "2 violations in 1 pod: 1 x latest-tag, 1 x pending")
    );
    // One result covers all changes since.
    model.reconcile(at(300));
    assert_eq!(model.written, (3, 2));
    model.reconcile(at(9_000));
    assert_eq!(model.written, (3, 2));
    model.inventory.delete(WorkloadKind::Pod, "shop", "a");
    model.reconcile(at(9_001));
    assert_eq!(model.written, (4, 3));
}

#[test]
fn the_newest_ten_results_stay() {
    let mut model = Model::new("{forbidLatestTag: true}");
    for round in 0_i32..25 {
        model.inventory.apply(pod("a", if round % 2 == 0 { "nginx" } else { "nginx:1" }, "Running"));
        model.reconcile(at(i64::from(round) * 300));
    }
    assert_eq!(model.written.1, 25);
    assert_eq!(model.trail.latest("6a0e", "shop").unwrap().sequence, 25);
    assert!(model.trail.surplus("6a0e", "shop").is_empty());
}

proptest! {
    #[test]
    fn reconciling_twice_changes_nothing(
        steps in proptest::collection::vec((0_usize..6, "nginx(:[a-z0-9]{1,8})?", 0_usize..4, 0_i64..400), 1..30),
    ) {
        let mut model = Model::new("{forbidLatestTag: true, requireLivenessProbe: true, forbidPendingDuration: 50}");
        let mut now = 0;
        for (name, image, phase, seconds) in steps {
            now += seconds;
            match ["Pending", "Running", "Succeeded"].get(phase) {
                Some(phase) => model.inventory.apply(pod(&name.to_string(), &image, phase)),
                None => model.inventory.delete(WorkloadKind::Pod, "shop", &name.to_string()),
            }
            model.reconcile(at(now));
            let written = model.written;
            model.reconcile(at(now));
            prop_assert_eq!(model.written, written);
            let status = model.policy.status.as_ref().unwrap();
            prop_assert_eq!(status.healthy, Some(status.violations == Some(0)));
        }
    }
}
