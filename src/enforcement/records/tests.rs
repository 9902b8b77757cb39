//! Records as they go from phase to phase, and what follows from them.

use serde_json::json;

use super::*;
use crate::policy::DevOpsPolicySpec;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn record(name: &str, phase: RemediationPhase, second: i64) -> Remediation {
    Remediation {
        kind: "Deployment".to_owned(),
        name: name.to_owned(),
        uid: Some("u".to_owned()),
        phase,
        template_hash: None,
        time: Some(Time(at(second))),
        policy_generation: Some(1),
        reason: None,
        message: None,
        fields: vec!["main/livenessProbe".to_owned(), "main/resources.limits.memory".to_owned()],
        earlier_fields: Vec::new(),
        pods: Some(1),
        revision: None,
    }
}

fn policy(records: Vec<Remediation>) -> DevOpsPolicy {
    let mut policy = DevOpsPolicy::new("p", DevOpsPolicySpec::default());
    policy.metadata.generation = Some(1);
    policy.status = Some(DevOpsPolicyStatus { remediations: records, ..DevOpsPolicyStatus::default() });
    policy
}

fn subject(image: &str) -> Subject {
    let object = json!({
        "metadata": { "name": "web", "namespace": "n", "uid": "u" },
        "spec": { "selector": {}, "template": { "spec": { "containers": [{ "name": "main", "image": image }] } } },
    });
    Subject::read(WorkloadKind::Deployment, object).unwrap()
}

#[test]
fn a_patch_and_a_failure_are_counted_once_however_often_they_are_written() {
    use RemediationPhase::{Applied, Failed, Planned, Verified, Withdrawing, Withdrawn};
    let counts = |status: &DevOpsPolicyStatus| (status.remediations_applied, status.remediations_failed);
    let mut status = DevOpsPolicyStatus::default();
    for (phase, expected) in [
        (Planned, (None, None)),
        (Applied, (Some(1), None)),
        (Applied, (Some(1), None)),
        (Verified, (Some(1), None)),
        (Withdrawing, (Some(1), None)),
        (Withdrawn, (Some(1), Some(1))),
        (Withdrawn, (Some(1), Some(1))),
        (Planned, (Some(1), Some(1))),
        (Failed, (Some(1), Some(2))),
    ] {
        status = with(&status, record("web", phase, 0));
        assert_eq!((counts(&status), status.remediations.len()), (expected, 1), "{phase:?}");
        let listed = status.remediated_workloads == ["Deployment/web"];
        assert_eq!(listed, matches!(phase, Applied | Verified), "{phase:?}");
    }
    let reverted = Remediation { reason: Some(REVERTED.to_owned()), ..record("other", Withdrawn, 0) };
    assert_eq!(with(&status, reverted).remediations_failed, Some(2), "nothing failed");
    assert!(without(&status, "Deployment", "web").remediations.is_empty());
}

#[test]
fn three_withdrawals_in_a_row_stop_a_policy_until_it_changes() {
    use RemediationPhase::{Verified, Withdrawn};
    let withdrawn = |second| record(&format!("w{second}"), Withdrawn, second);
    assert!(!is_stopped(&policy(vec![withdrawn(1), withdrawn(2)])));
    let mut stopped = policy(vec![record("old", Verified, 0), withdrawn(1), withdrawn(2), withdrawn(3)]);
    assert!(is_stopped(&stopped));
    stopped.metadata.generation = Some(2);
    assert!(!is_stopped(&stopped), "the policy changed");
    assert!(!is_stopped(&policy(vec![withdrawn(1), withdrawn(2), record("ok", Verified, 3), withdrawn(4)])));
}

#[test]
fn a_failed_workload_is_left_alone_until_its_template_or_the_policy_changes() {
    let failed = Remediation {
        template_hash: Some(subject("x:1").template_hash()),
        ..record("web", RemediationPhase::Withdrawn, 0)
    };
    let mut policies = [policy(vec![failed])];
    assert!(left_alone(&policies, &subject("x:1")).is_some());
    assert!(left_alone(&policies, &subject("x:2")).is_none(), "its template changed");
    policies[0].metadata.generation = Some(2);
    assert!(left_alone(&policies, &subject("x:1")).is_none(), "the policy changed");
}

#[test]
fn what_was_set_and_is_gone_was_taken_out() {
    let all = fields_of(&record("web", RemediationPhase::Verified, 0));
    assert_eq!(all.len(), 2);
    let mut policies = [policy(vec![record("web", RemediationPhase::Verified, 0)])];
    assert_eq!(taken_out(&policies, &subject("x:1")), all);
    let withdrawn = record("web", RemediationPhase::Withdrawn, 0);
    policies[0] = policy(vec![withdrawn.clone()]);
    assert!(taken_out(&policies, &subject("x:1")).is_empty(), "it was we who took it out");
    let earlier = vec!["main/startupProbe".to_owned()];
    policies[0] = policy(vec![Remediation { earlier_fields: earlier, ..withdrawn }]);
    assert_eq!(taken_out(&policies, &subject("x:1")).len(), 1);
    policies[0] = policy(vec![record("web", RemediationPhase::Planned, 0)]);
    assert!(taken_out(&policies, &subject("x:1")).is_empty(), "it was never set");
    policies[0] = policy(vec![record("other", RemediationPhase::Verified, 0)]);
    assert!(taken_out(&policies, &subject("x:1")).is_empty());
}

#[test]
fn only_the_limit_goes_when_the_memory_was_too_little() {
    let mut withdrawn = record("web", RemediationPhase::Withdrawing, 0);
    assert_eq!(to_withdraw(&withdrawn).len(), 2);
    withdrawn.reason = Some(OUT_OF_MEMORY.to_owned());
    let limit = ContainerField::new("main", Field::Limit(Compute::Memory));
    assert_eq!(to_withdraw(&withdrawn), BTreeSet::from([limit]));
}
