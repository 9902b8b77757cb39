//! Tests of when audit results are due, and of their names and sizes.

use serde_json::json;

use super::*;
use crate::operator::evaluate_namespace;
use crate::policy::{DevOpsPolicySpec, EffectivePolicy};
use crate::workload::{Workload, WorkloadKind};

const INTERVAL: SignedDuration = SignedDuration::from_mins(5);

fn policy(name: &str, uid: &str) -> DevOpsPolicy {
    let spec: DevOpsPolicySpec =
        yaml_serde::from_str("{forbidLatestTag: true, requireLivenessProbe: true}").unwrap();
    let mut policy = DevOpsPolicy::new(name, spec);
    policy.metadata.namespace = Some("n".to_owned());
    policy.metadata.uid = Some(uid.to_owned());
    policy
}

/// The evaluation of pods of the Deployment web, given by name and image.
fn evaluation(pods: &[(&str, &str)]) -> NamespaceEvaluation {
    let owner = json!([{ "kind": "ReplicaSet", "name": "web-7f9", "controller": true }]);
    let pods: Vec<_> = pods
        .iter()
        .map(|(name, image)| {
            let metadata = json!({
                "name": name, "namespace": "n", "ownerReferences": owner, "labels": { "pod-template-hash": "7f9" },
            });
            let spec = json!({ "containers": [{ "name": "main", "image": image }] });
            let pod = json!({ "metadata": metadata, "spec": spec });
            Workload::from_json_owned(WorkloadKind::Pod, &pod.to_string()).unwrap()
        })
        .collect();
    let rules = EffectivePolicy::from_spec(&policy("p", "u").spec).unwrap();
    evaluate_namespace(&rules, "n", pods.iter(), Timestamp::UNIX_EPOCH)
}

fn created(step: Step) -> PolicyAuditResult {
    let Step::Create(result) = step else { panic!("not created: {step:?}") };
    *result
}

/// The result as the API server stores it.
fn past(result: &PolicyAuditResult, created: Timestamp) -> Past {
    let metadata = ObjectMeta {
        uid: Some("r".to_owned()),
        creation_timestamp: Some(Time(created)),
        ..result.metadata.clone()
    };
    Past::of(&metadata).unwrap()
}

#[test]
fn the_first_result_is_immediate_and_later_ones_need_a_change_and_the_interval() {
    let (policy, start) = (policy("p", "u"), Timestamp::UNIX_EPOCH);
    let step = |evaluation: &NamespaceEvaluation, latest: Option<&Past>, now| {
        next_step(&policy, evaluation, &[], latest, INTERVAL, None, now)
    };
    let good = evaluation(&[("a", "nginx:1")]);
    let first = created(step(&good, None, start));
    assert_eq!((first.spec.total_pods, first.spec.total_violations), (1, 1));
    let latest = past(&first, start);
    assert_eq!(latest.sequence, 1);
    let bad = evaluation(&[("a", "nginx")]);
    assert!(matches!(step(&good, Some(&latest), start + 2 * INTERVAL), Step::Nothing));
    let early = step(&bad, Some(&latest), start + INTERVAL - SignedDuration::from_secs(1));
    assert!(matches!(early, Step::Wait(due) if due == start + INTERVAL), "{early:?}");
    let second = created(step(&bad, Some(&latest), start + INTERVAL));
    assert_eq!((second.spec.total_violations, past(&second, start).sequence), (2, 2));
    // A violation that is fixed before a result is due causes no result.
    assert!(matches!(step(&good, Some(&latest), start + INTERVAL), Step::Nothing));
}

#[test]
fn names_order_and_number_of_pods_do_not_change_a_result() {
    let content = |pods: &[(&str, &str)]| super::content(&evaluation(pods).violations, &[]);
    let one = content(&[("a", "nginx")]);
    assert_eq!(one, content(&[("b", "nginx"), ("c", "nginx")]));
    assert_ne!(one, content(&[("a", "nginx:1")]));
}

#[test]
fn new_suggested_patches_cause_a_result_and_missing_ones_do_not() {
    let (policy, evaluation) = (policy("p", "u"), evaluation(&[("a", "nginx")]));
    let fix = |name: &str| SuggestedFix {
        kind: "Deployment".into(),
        name: name.into(),
        patch: "{}".into(),
        reasons: Vec::new(),
    };
    let start = Timestamp::UNIX_EPOCH;
    let step = |fixes: &[SuggestedFix], latest: Option<&Past>| {
        next_step(&policy, &evaluation, fixes, latest, INTERVAL, None, start + INTERVAL)
    };
    let without = past(&created(step(&[], None)), start);
    let with = created(step(&[fix("web")], Some(&without)));
    assert_eq!((&with.spec.fixes[..], with.spec.total_fixes), (&[fix("web")][..], Some(1)));
    let many: Vec<_> = (0..101).map(|number| fix(&format!("web-{number}"))).collect();
    let part = created(step(&many, Some(&without)));
    assert_eq!((part.spec.fixes.len(), part.spec.total_fixes), (100, Some(101)));
    let with = past(&with, start);
    assert!(matches!(step(&[fix("web")], Some(&with)), Step::Nothing));
    assert!(matches!(step(&[], Some(&with)), Step::Nothing));
    assert!(matches!(step(&[fix("web"), fix("db")], Some(&with)), Step::Create(_)));
}

#[test]
fn the_name_derives_from_the_policys_uid_the_previous_result_and_the_content() {
    let name = |policy: &DevOpsPolicy, latest: Option<&Past>, image, second| {
        let now = Timestamp::from_second(second).unwrap();
        created(next_step(policy, &evaluation(&[("a", image)]), &[], latest, INTERVAL, None, now))
            .metadata
            .name
            .unwrap()
    };
    let this = policy("p", "u");
    let first = name(&this, None, "nginx", 0);
    assert_eq!(first, name(&this, None, "nginx", 9), "a repeat is the same");
    assert!(first.starts_with("p-"), "{first}");
    let latest = Past {
        namespace: "shop".to_owned(),
        name: first.clone(),
        uid: String::new(),
        sequence: 1,
        content: "other".to_owned(),
        created: Timestamp::UNIX_EPOCH,
    };
    for other in [
        name(&policy("p", "v"), None, "nginx", 0),
        name(&this, None, "nginx:1", 0),
        name(&this, Some(&latest), "nginx", 900),
    ] {
        assert_ne!(first, other);
    }
    let long = name(&policy(&format!("{}.{}", "x".repeat(199), "y".repeat(53)), "u"), None, "nginx", 0);
    assert!(long.len() <= 253 && !long.contains(".-"), "{long}");
}

#[test]
fn a_result_is_owned_by_its_policy_and_does_not_block_deletion() {
    let result = created(next_step(
        &policy("p", "u"),
        &evaluation(&[]),
        &[],
        None,
        INTERVAL,
        None,
        Timestamp::UNIX_EPOCH,
    ));
    let [owner] = &result.metadata.owner_references.unwrap()[..] else { panic!("one owner") };
    assert_eq!((owner.kind.as_str(), owner.name.as_str(), owner.uid.as_str()), ("DevOpsPolicy", "p", "u"));
    assert_eq!((owner.controller, owner.block_owner_deletion), (None, Some(false)));
}

#[test]
fn a_result_names_the_cluster() {
    let (policy, evaluation) = (policy("p", "u"), evaluation(&[("a", "nginx")]));
    let result = |cluster| {
        created(next_step(&policy, &evaluation, &[], None, INTERVAL, cluster, Timestamp::UNIX_EPOCH))
    };
    assert_eq!(result(Some("prod-eu")).spec.cluster_name.as_deref(), Some("prod-eu"));
    assert_eq!(result(None).spec.cluster_name, None);
}

#[test]
fn the_pods_of_a_workload_share_an_entry() {
    let result = created(next_step(
        &policy("p", "u"),
        &evaluation(&[("a", "nginx"), ("b", "nginx"), ("c", "nginx:1")]),
        &[],
        None,
        INTERVAL,
        None,
        Timestamp::UNIX_EPOCH,
    ));
    let entries: Vec<_> = result.spec.violations.iter().collect();
    let entries: Vec<_> = entries
        .iter()
        .map(|entry| (&*entry.kind, &*entry.name, entry.pods, &*entry.violation_type))
        .collect();
    assert_eq!(
        entries,
        [("Deployment", "web", 2, "latest-tag"), ("Deployment", "web", 3, "missing-liveness")]
    );
    assert_eq!(result.spec.total_violations, 5, "each pod counts");
}

#[test]
fn a_result_is_bounded_and_its_totals_are_exact() {
    let names: Vec<_> = (0..3_000).map(|index| format!("{}-{index}", "n".repeat(200))).collect();
    let pods: Vec<_> = names.iter().map(|name| (name.as_str(), "nginx")).collect();
    let mut evaluation = evaluation(&pods);
    for violation in &mut evaluation.violations {
        violation.owner = None;
        violation.message = "é".repeat(5_000);
    }
    let result =
        created(next_step(&policy("p", "u"), &evaluation, &[], None, INTERVAL, None, Timestamp::UNIX_EPOCH));
    let bytes = size(&result);
    assert!(bytes <= LIMIT - RESERVE && bytes > LIMIT - RESERVE - 3_000, "{bytes}");
    assert_eq!((result.spec.total_pods, result.spec.total_violations), (3_000, 6_000));
    assert_eq!(result.spec.violations[0].message.chars().count(), MESSAGE);
    assert!(result.spec.violations.is_sorted_by_key(|violation| std::cmp::Reverse(violation.severity)));
}

#[test]
fn results_without_the_operators_metadata_are_ignored() {
    assert!(Past::of(&ObjectMeta { name: Some("x".to_owned()), ..ObjectMeta::default() }).is_none());
}
