//! Measures the operator without an API server: the time to evaluate a namespace and update a policy's status, the
//! memory of each pod, and the time of the rules about how objects fit together.
//!
//!     cargo bench --bench reconcile -- [--pods 50000]
//!
//! Those rules are evaluated over twice as many pods, with a Service for ten of them and a `NetworkPolicy` for fifty.
//!
//! The time is the median and the maximum of 500 rounds over 1,000 pods. The memory is the growth of this process's
//! resident memory while it reads the pods into the inventory.

#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::unwrap_used,
    dead_code,
    reason = "a bench that can't go on ends, the table is what it is for, and it uses only a part of the generator"
)]

#[path = "../tests/common/generate.rs"]
mod generate;
#[path = "observe/memory.rs"]
mod memory;

use std::hint::black_box;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use kube_devops::governance::{Analysis, AnnotatedExemptions, Scope};
use kube_devops::operator::{AdmissionState, EvaluationOutcome, Inventory, evaluate_namespace, next_status};
use kube_devops::policy::{DevOpsPolicy, EffectivePolicy};
use kube_devops::remediation::EnforcementState;
use kube_devops::workload::{Fields, Kind, Kinds, Object, Text, Workload, WorkloadKind};
use serde::Deserialize as _;
use serde_json::{Value, json};

const PODS: usize = 1_000;
const ROUNDS: usize = 500;
const SEED: u64 = 42;
const NAMESPACE: &str = "production";
/// The budget.
const LIMIT: Duration = Duration::from_millis(2);

fn main() {
    // The second argument names the rules.
    if memory::fill(|pods, rules| fill(pods, fields(rules))) {
        return;
    }
    let arguments: Vec<String> = std::env::args().collect();
    if !arguments.iter().any(|argument| argument == "--bench") {
        return;
    }
    let pods = arguments.iter().skip_while(|argument| *argument != "--pods").nth(1);
    let pods = pods.map_or(50_000, |pods| pods.parse().expect("--pods takes a number"));
    for rules in ["default", "recommended", "all"] {
        memory::print(&format!("inventory for the rules {rules}"), pods, rules);
    }
    reconcile();
    relate(2 * pods);
}

/// Reads pods into an inventory, as the operator's watch does.
fn fill(pods: usize, fields: Fields) -> Inventory {
    let mut inventory = Inventory::default();
    for pod in generate::pods(pods, SEED) {
        let workload = Workload::from_json_with(fields, WorkloadKind::Pod, &pod).expect("a pod");
        let name = |name: &Option<Text<'_>>| name.as_deref().unwrap_or_default().to_owned();
        let (namespace, name) = (name(&workload.metadata.namespace), name(&workload.metadata.name));
        inventory.apply(workload);
        inventory.observe(WorkloadKind::Pod, &namespace, &name, &pod, Timestamp::UNIX_EPOCH);
    }
    inventory
}

/// Returns the fields that rules read of pods.
fn fields(rules: &str) -> Fields {
    EffectivePolicy::select(rules).expect("a list of rules").fields_of_stored()
}

fn reconcile() {
    let mut list = Vec::new();
    generate::write_pod_list(&mut list, PODS, SEED).expect("memory");
    let mut list: Value = serde_json::from_slice(&list).expect("a list");
    let mut inventory = Inventory::default();
    for pod in list["items"].as_array_mut().expect("items") {
        pod["metadata"]["namespace"] = NAMESPACE.into();
        let pod = Workload::from_json_owned(WorkloadKind::Pod, &pod.to_string()).expect("a pod");
        inventory.apply(pod);
    }
    let policy = include_str!("../kube-tests/sample-devopspolicy.yaml");
    let policy: DevOpsPolicy = yaml_serde::from_str(policy).expect("a policy");
    let rules = EffectivePolicy::from_spec(&policy.spec).expect("a policy that can be followed");
    let now: Timestamp = "2026-06-01T00:00:00Z".parse().expect("a time");
    let mut times = Vec::with_capacity(ROUNDS);
    let mut violations = 0;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let objects = black_box(&inventory).objects(NAMESPACE);
        let evaluation = evaluate_namespace(&rules, NAMESPACE, objects, AnnotatedExemptions::default(), now);
        violations = evaluation.violations.len();
        let (outcome, enforcement) = (EvaluationOutcome::Evaluated(evaluation), EnforcementState::default());
        let _ = black_box(next_status(&policy, &outcome, &enforcement, &AdmissionState::Off, now));
        times.push(start.elapsed());
    }
    times.sort_unstable();
    let (median, slowest) = (times[ROUNDS / 2], times[ROUNDS - 1]);
    println!("{} pods, {violations} violations: median {median:?}, slowest {slowest:?}", inventory.pods());
    assert!(median < LIMIT, "more than {LIMIT:?}");
}

/// Measures the rules about Services and `NetworkPolicies`, from the facts of all objects to the findings.
fn relate(count: usize) {
    let policy = EffectivePolicy::select("networking").expect("a category");
    let (scope, now) = (Scope::default(), "2026-06-01T00:00:00Z".parse().expect("a time"));
    let mut analysis = Analysis::new(&policy, &scope, now, true);
    analysis.close(Kinds::of(&Kind::ALL));
    let (mut reading, mut selectors) = (Duration::ZERO, Vec::new());
    for (index, text) in generate::pods(count, SEED).enumerate() {
        let pod = policy.fields().within(|| Workload::from_json(WorkloadKind::Pod, &text)).expect("a pod");
        let start = Instant::now();
        analysis.add_workload_facts(&pod);
        reading += start.elapsed();
        if index % 10 == 0 {
            let app = pod.labels().and_then(|labels| labels.get("app")).expect("a label");
            selectors
                .push((pod.metadata.namespace.as_deref().expect("a namespace").to_owned(), app.to_string()));
        }
    }
    let mut add = |api_version: &str, kind: &str, index: usize, spec: Value| {
        let namespace = &selectors[index].0;
        let metadata = json!({ "name": format!("{kind}-{index}").to_lowercase(), "namespace": namespace });
        let object = json!({ "apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec });
        let object = policy.fields().within(|| Object::deserialize(object)).expect("an object");
        let start = Instant::now();
        analysis.add_facts(&object);
        reading += start.elapsed();
    };
    for (index, (_, app)) in selectors.iter().enumerate() {
        let ports = json!([{ "port": 80, "targetPort": "http" }]);
        add("v1", "Service", index, json!({ "selector": { "app": app }, "ports": ports }));
        if index % 5 == 0 {
            let selector = json!({ "matchLabels": { "app": app } });
            add("networking.k8s.io/v1", "NetworkPolicy", index, json!({ "podSelector": selector }));
        }
    }
    let services = selectors.len();
    let start = Instant::now();
    let report = analysis.finish();
    println!(
        "{count} pods, {services} Services, {} NetworkPolicies: facts {reading:?}, relations {:?}, {} violations",
        services.div_ceil(5),
        start.elapsed(),
        report.violations.len()
    );
}
