//! Tests of a status's content, and of the decision to write it.

use jiff::SignedDuration;
use serde_json::json;

use super::*;
use crate::governance::AnnotatedExemptions;
use crate::operator::evaluate_namespace;
use crate::policy::{DevOpsPolicySpec, EffectivePolicy};
use crate::workload::{Workload, WorkloadKind};

const LATER: SignedDuration = SignedDuration::from_mins(1);

fn policy(spec: &str) -> DevOpsPolicy {
    let spec: DevOpsPolicySpec = yaml_serde::from_str(spec).unwrap();
    let mut policy = DevOpsPolicy::new("p", spec);
    policy.metadata.generation = Some(1);
    policy
}

fn outcome(policy: &DevOpsPolicy, images: &[&str]) -> EvaluationOutcome {
    let pods: Vec<_> = images
        .iter()
        .enumerate()
        .map(|(index, image)| {
            let spec = json!({ "containers": [{ "name": "main", "image": image }] });
            let pod = json!({ "metadata": { "name": format!("p{index}"), "namespace": "n" }, "spec": spec });
            Workload::from_json_owned(WorkloadKind::Pod, &pod.to_string()).unwrap()
        })
        .collect();
    let rules = EffectivePolicy::from_spec(&policy.spec).unwrap();
    EvaluationOutcome::Evaluated(evaluate_namespace(
        &rules,
        "n",
        pods.iter(),
        AnnotatedExemptions::default(),
        Timestamp::UNIX_EPOCH,
    ))
}

/// Returns the policy as the API server stores it: JSON, with times in whole seconds.
fn written(mut policy: DevOpsPolicy, status: &DevOpsPolicyStatus) -> DevOpsPolicy {
    let json = serde_json::to_string(status).unwrap();
    policy.status = Some(serde_json::from_str(&json).unwrap());
    policy
}

fn condition<'s>(status: &'s DevOpsPolicyStatus, of: &str) -> &'s Condition {
    status.conditions.iter().find(|condition| condition.type_ == of).unwrap()
}

#[test]
fn a_verdict_fills_the_status_and_the_same_again_is_no_change() {
    let policy = policy("{forbidLatestTag: true}");
    let outcome = outcome(&policy, &["nginx", "nginx:1"]);
    let now = Timestamp::from_millisecond(1_500).unwrap();
    let status =
        next_status(&policy, &outcome, &EnforcementState::default(), &AdmissionState::Off, now).unwrap();
    assert_eq!((status.healthy, status.health_score, status.violations), (Some(false), Some(97), Some(1)));
    assert_eq!(status.last_evaluated.as_ref().unwrap().0, Timestamp::from_second(1).unwrap());
    assert_eq!(status.message.as_deref(), Some("1 violation in 2 pods: 1 x latest-tag"));
    let policy = written(policy, &status);
    assert!(
        next_status(&policy, &outcome, &EnforcementState::default(), &AdmissionState::Off, now + LATER)
            .is_none()
    );
}

#[test]
fn a_condition_keeps_its_time_until_it_turns() {
    let policy = policy("{forbidLatestTag: true}");
    let start = Timestamp::UNIX_EPOCH;
    let good = next_status(
        &policy,
        &outcome(&policy, &["nginx:1"]),
        &EnforcementState::default(),
        &AdmissionState::Off,
        start,
    )
    .unwrap();
    let mut policy = written(policy, &good);
    policy.metadata.generation = Some(2);
    let bad = next_status(
        &policy,
        &outcome(&policy, &["nginx"]),
        &EnforcementState::default(),
        &AdmissionState::Off,
        start + LATER,
    )
    .unwrap();
    assert_eq!(bad.observed_generation, Some(2));
    assert!(bad.conditions.iter().all(|condition| condition.observed_generation == Some(2)));
    assert_eq!(condition(&bad, "Ready").last_transition_time.0, start, "it was ready before");
    assert_eq!(condition(&bad, "Ready").message, "1 violation in 1 pod: 1 x latest-tag");
    let policy = written(policy, &bad);
    let gone = next_status(
        &policy,
        &EvaluationOutcome::NoEffect,
        &EnforcementState::default(),
        &AdmissionState::Off,
        start + LATER + LATER,
    )
    .unwrap();
    assert_eq!(condition(&gone, "Ready").last_transition_time.0, start + LATER + LATER);
    assert_eq!(condition(&gone, "Degraded").last_transition_time.0, start);
}

#[test]
fn without_a_verdict_there_are_no_figures() {
    let policy = policy("{enforcementMode: enforce}");
    let unknown: DevOpsPolicySpec = yaml_serde::from_str("rules: [{id: nope}]").unwrap();
    let error = EffectivePolicy::from_spec(&unknown).unwrap_err();
    for (outcome, ready, degraded) in [
        (EvaluationOutcome::NoEffect, "SystemNamespace", "False"),
        (EvaluationOutcome::Invalid(error.into()), "InvalidSpec", "True"),
    ] {
        let full = next_status(
            &policy,
            &self::outcome(&policy, &["x"]),
            &EnforcementState::default(),
            &AdmissionState::Off,
            Timestamp::UNIX_EPOCH,
        )
        .unwrap();
        let status = next_status(
            &written(policy.clone(), &full),
            &outcome,
            &EnforcementState::default(),
            &AdmissionState::Off,
            Timestamp::UNIX_EPOCH,
        )
        .unwrap();
        assert_eq!((status.healthy, status.health_score, status.violations), (None, None, None));
        assert_eq!(
            (status.classification.as_deref(), condition(&status, "Ready").status.as_str()),
            (None, "False")
        );
        assert_eq!(condition(&status, "Ready").reason, ready);
        assert_eq!(condition(&status, "Degraded").status, degraded);
        assert_eq!(condition(&status, "Enforcing").reason, ready);
    }
}

#[test]
fn foreign_status_fields_are_overwritten() {
    let policy = policy("{forbidLatestTag: true}");
    let outcome = outcome(&policy, &["nginx:1"]);
    let status = next_status(
        &policy,
        &outcome,
        &EnforcementState::default(),
        &AdmissionState::Off,
        Timestamp::UNIX_EPOCH,
    )
    .unwrap();
    let mut foreign = status.clone();
    foreign.health_score = Some(1);
    foreign.remediations_applied = Some(3);
    foreign.conditions.push(Condition { type_: "Foreign".to_owned(), ..foreign.conditions[0].clone() });
    let repaired = next_status(
        &written(policy, &foreign),
        &outcome,
        &EnforcementState::default(),
        &AdmissionState::Off,
        Timestamp::UNIX_EPOCH,
    )
    .unwrap();
    assert_eq!(repaired, DevOpsPolicyStatus { remediations_applied: Some(3), ..status });
}
