//! Records in each phase, and the conclusions from them.

use serde_json::{Value, json};

use super::*;
use crate::enforcement::FIELD_MANAGER;
use crate::policy::{DefaultProbe, DevOpsPolicySpec, SkipReason};
use crate::workload::Owner;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn record(name: &str, phase: RemediationPhase, second: i64) -> Remediation {
    Remediation {
        namespace: None,
        kind: "Deployment".to_owned(),
        name: name.to_owned(),
        uid: Some("u".to_owned()),
        phase,
        causes_hash: None,
        generation: Some(4),
        time: Some(Time(at(second))),
        policy_generation: Some(1),
        reason: None,
        message: None,
        withdrawal_refused: None,
        withdrawals: None,
        retry_after: None,
        fields: vec!["main/livenessProbe".to_owned(), "main/resources.limits.memory".to_owned()],
        earlier_fields: Vec::new(),
        declared_ports: Vec::new(),
        pods: Some(1),
        usual_restarts: None,
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
fn an_undo_after_the_patch_is_told_from_an_earlier_one() {
    let record = record("web", RemediationPhase::Applied, 0);
    for (annotation, is_undone) in [(None, false), (Some("5"), true), (Some("4"), false), (Some("x"), false)]
    {
        let mut object = subject("i").object;
        object["metadata"]["annotations"] = json!({ UNDONE: annotation.unwrap_or_default() });
        let subject = Subject::read(WorkloadKind::Deployment, object).unwrap();
        assert_eq!(super::is_undone(&record, &subject), is_undone, "planned in generation 4: {annotation:?}");
    }
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
    let reverted = Remediation { reason: Some(RemediationReason::Reverted), ..record("other", Withdrawn, 0) };
    assert_eq!(with(&status, reverted).remediations_failed, Some(2), "nothing failed");
    let taken = Remediation { reason: Some(RemediationReason::TakenOut), ..record("third", Failed, 0) };
    assert_eq!(with(&status, taken).remediations_failed, Some(2), "nothing failed");
    assert!(without(&status, Owner { kind: "Deployment", name: "web" }).remediations.is_empty());
}

#[test]
fn a_cluster_without_room_stops_only_a_policy_that_requests_more() {
    let status = DevOpsPolicyStatus { observed_generation: Some(1), ..DevOpsPolicyStatus::default() };
    for (field, expected) in [("main/livenessProbe", None), ("main/resources.requests.cpu", Some(1))] {
        let reason = Some(RemediationReason::Unschedulable);
        let fields = vec![field.to_owned()];
        let ended = Remediation { reason, fields, ..record("web", RemediationPhase::Withdrawn, 1) };
        assert_eq!(with(&status, ended).withdrawals_in_a_row, expected, "{field}");
    }
}

#[test]
fn three_withdrawals_in_a_row_stop_a_policy_until_it_changes() {
    use RemediationPhase::{Applied, Failed, Verified, Withdrawn};
    let mut policy = policy(Vec::new());
    policy.status =
        Some(DevOpsPolicyStatus { observed_generation: Some(1), ..DevOpsPolicyStatus::default() });
    let mut end = |name: &str, phase, reason: RemediationReason| {
        let mut status = policy.status.clone().unwrap();
        status = with(&status, record(name, Applied, 0));
        let ended = Remediation { reason: Some(reason), ..record(name, phase, 1) };
        policy.status = Some(with(&status, ended));
        policy.clone()
    };
    // The same workload repeatedly, as if it were redeployed.
    end("web", Withdrawn, RemediationReason::CrashLoop);
    end("web", Failed, RemediationReason::CoOwned);
    assert!(!end("web", Verified, RemediationReason::Verified).is_stopped(), "one that held");
    end("web", Withdrawn, RemediationReason::CrashLoop);
    end("db", Withdrawn, RemediationReason::ChangedMeanwhile);
    end("db", Withdrawn, RemediationReason::NoVerdict);
    end("db", Withdrawn, RemediationReason::Unwatched);
    end("db", Failed, RemediationReason::Conflict);
    assert!(
        !end("db", Withdrawn, RemediationReason::Reverted).is_stopped(),
        "none of these was the patch's doing"
    );
    end("web", Withdrawn, RemediationReason::NotReady);
    let mut stopped = end("web", Withdrawn, RemediationReason::CrashLoop);
    assert!(stopped.is_stopped());
    stopped.status = stopped.status.map(|status| without(&status, Owner { kind: "Deployment", name: "web" }));
    assert!(stopped.is_stopped(), "that the workload is gone makes it no better");
    stopped.metadata.generation = Some(2);
    assert!(!stopped.is_stopped(), "the policy changed");
}

/// Returns the hash of what bears on a failure, under the policy of these tests.
fn hash(subject: &Subject) -> String {
    subject.causes_hash(&DevOpsPolicySpec::default().fix_defaults())
}

#[test]
fn a_failed_workload_is_skipped_until_its_causes_change_and_the_pause_ends() {
    let withdrawn = at(1_800_000_000);
    let days = |days: i64| withdrawn.saturating_add(SignedDuration::from_hours(24 * days)).unwrap();
    let closed = |reason| {
        let begins = in_phase(
            &record("web", RemediationPhase::Applied, 0),
            RemediationPhase::Withdrawing,
            reason,
            "",
            withdrawn,
        );
        let withdrawn =
            in_phase(&backing_off(begins, withdrawn), RemediationPhase::Withdrawn, reason, "", withdrawn);
        Remediation { causes_hash: Some(hash(&subject("x:1"))), ..withdrawn }
    };
    let (failed, silent) = (RemediationReason::NotReady, RemediationReason::Unschedulable);
    for (reason, image, policy_generation, days_later, expected) in [
        (failed, "x:1", 1, 0, Some(SkipReason::FailedBefore)),
        (failed, "x:1", 1, 400, Some(SkipReason::FailedBefore)),
        (failed, "x:2", 1, 400, Some(SkipReason::FailedBefore)),
        (failed, "x:1", 2, 400, Some(SkipReason::FailedBefore)),
        (failed, "y:1", 1, 0, Some(SkipReason::BackingOff)),
        (failed, "y:1", 1, 1, None),
        // Nothing speaks against the patch.
        (silent, "x:1", 1, 0, Some(SkipReason::BackingOff)),
        (silent, "x:1", 1, 1, None),
    ] {
        let mut policy = policy(vec![closed(reason)]);
        policy.metadata.generation = Some(policy_generation);
        let left = left_alone(&[policy], &subject(image), days(days_later));
        assert_eq!(
            left.map(|left| left.reason()),
            expected,
            "{reason} {image} {policy_generation} {days_later}"
        );
    }
    let mut changed = policy(vec![closed(failed)]);
    changed.spec.default_probe = Some(DefaultProbe { tcp_port: Some(81), ..DefaultProbe::default() });
    let left = left_alone(&[changed], &subject("x:1"), days(1));
    assert_eq!(left, None, "the probe is another one");
}

#[test]
fn each_withdrawal_doubles_the_time_to_the_next_attempt_up_to_thirty_days() {
    let mut record = record("web", RemediationPhase::Withdrawing, 0);
    for (count, days) in [1, 2, 4, 8, 16, 30, 30].into_iter().enumerate() {
        record = backing_off(record, at(0));
        assert_eq!(record.withdrawals, u32::try_from(count + 1).ok());
        assert_eq!(record.retry_after, Some(Time(at(days * 86_400))), "{count}");
    }
    let many = backing_off(Remediation { withdrawals: Some(u32::MAX), ..record.clone() }, at(0));
    assert_eq!((many.withdrawals, many.retry_after), (Some(u32::MAX), Some(Time(at(30 * 86_400)))));
    for reason in [RemediationReason::Reverted, RemediationReason::TakenOut] {
        let ended = Remediation { reason: Some(reason), ..record.clone() };
        assert_eq!(backing_off(ended.clone(), at(5)), ended, "{reason}");
    }
}

#[test]
fn a_user_may_request_another_attempt_once() {
    let ended = at(1_800_000_000);
    let failed = Remediation {
        causes_hash: Some(hash(&subject("x:1"))),
        ..record("web", RemediationPhase::Withdrawn, 1_800_000_000)
    };
    let policies = [policy(vec![failed])];
    let now = ended.saturating_add(SignedDuration::from_mins(10)).unwrap();
    for (minutes, expected) in [(-1, true), (0, true), (9, false), (11, true)] {
        let asked = ended.saturating_add(SignedDuration::from_mins(minutes)).unwrap();
        let mut object = subject("x:1").object;
        object["metadata"]["annotations"] = json!({ RETRY: asked.to_string() });
        let subject = Subject::read(WorkloadKind::Deployment, object).unwrap();
        assert_eq!(left_alone(&policies, &subject, now).is_some(), expected, "{minutes}");
    }
}

#[test]
fn a_dropped_plan_keeps_the_record_of_the_withdrawal() {
    let planned = Remediation {
        withdrawals: Some(2),
        fields: Vec::new(),
        ..record("web", RemediationPhase::Planned, 0)
    };
    assert_eq!(before(&Remediation { withdrawals: None, ..planned.clone() }, at(1)), None);
    let given_up = before(&planned, at(1)).unwrap();
    assert_eq!((given_up.phase, given_up.withdrawals), (RemediationPhase::Withdrawn, Some(2)));
    let status = with(&DevOpsPolicyStatus::default(), planned);
    assert_eq!(with(&status, given_up).remediations_failed, None, "nothing failed");
}

#[test]
fn a_refused_patch_is_retried_after_an_hour_if_that_can_help() {
    let refused = Timestamp::from_second(1_800_000_000).unwrap();
    for (phase, reason, helps) in [
        (RemediationPhase::Failed, RemediationReason::Forbidden, true),
        (RemediationPhase::Failed, RemediationReason::AdmissionRefused, true),
        (RemediationPhase::Failed, RemediationReason::QuotaExceeded, true),
        (RemediationPhase::Failed, RemediationReason::Conflict, true),
        (RemediationPhase::Failed, RemediationReason::Invalid, false),
        (RemediationPhase::Failed, RemediationReason::TakenOut, false),
        (RemediationPhase::Failed, RemediationReason::CoOwned, false),
        (RemediationPhase::Withdrawn, RemediationReason::QuotaExceeded, false),
    ] {
        let record = Remediation {
            causes_hash: Some(hash(&subject("x:1"))),
            reason: Some(reason),
            time: Some(Time(refused)),
            ..record("web", phase, 0)
        };
        let policies = [policy(vec![record])];
        let is_left = |minutes| {
            let now = refused.saturating_add(SignedDuration::from_mins(minutes)).unwrap();
            left_alone(&policies, &subject("x:1"), now).is_some()
        };
        assert_eq!((is_left(59), is_left(60)), (true, !helps), "{reason}");
    }
}

#[test]
fn a_missing_field_counts_as_removed() {
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
fn only_the_limit_is_withdrawn_after_an_oom_kill() {
    let mut verified = record("web", RemediationPhase::Verified, 0);
    verified.fields.push("other/resources.limits.memory".to_owned());
    verified.earlier_fields = vec!["third/resources.limits.memory".to_owned()];
    let limits = ["main/resources.limits.memory", "third/resources.limits.memory"];
    let killed = of_fields(&verified, &limits.map(|of| of.parse().unwrap()).into());
    assert_eq!(killed.fields, limits);
    assert_eq!(killed.earlier_fields, ["main/livenessProbe", "other/resources.limits.memory"]);
    let withdrawn = in_phase(&killed, RemediationPhase::Withdrawn, RemediationReason::OomKilled, "", at(1));
    let status = with(&DevOpsPolicyStatus::default(), withdrawn.clone());
    assert_eq!(status.remediated_workloads, ["Deployment/web"], "it carries the rest");
    let left = ["main/livenessProbe", "other/resources.limits.memory"];
    assert_eq!(set_by(&withdrawn), left.map(|of| of.parse().unwrap()).into());
}

#[test]
fn removed_fields_of_a_patch_move_to_the_earlier_fields() {
    let verified = record("web", RemediationPhase::Verified, 0);
    let probe = ContainerField::new("main", Field::LivenessProbe);
    let left = left_of(&verified, &Fields::from([(probe, json!({}))])).unwrap();
    assert_eq!(left.fields, ["main/livenessProbe"]);
    assert_eq!(left.earlier_fields, ["main/resources.limits.memory"]);
    let policies = [policy(vec![left.clone()])];
    assert_eq!(taken_out(&policies, &subject("x:1")).len(), 2, "nothing is there, and all of it stays out");
    assert_eq!(left_of(&left, &Fields::new()), None);
    let all = fields_of(&verified).into_iter().map(|of| (of, json!({}))).collect();
    assert_eq!(left_of(&verified, &all), Some(verified));
}

#[test]
fn a_deleted_policy_withdraws_every_field() {
    let earlier = vec!["main/startupProbe".to_owned()];
    let withdrawn = Remediation { earlier_fields: earlier, ..record("web", RemediationPhase::Withdrawn, 0) };
    assert!(has_patches(&withdrawn) && !is_in_place(&withdrawn));
    let verified = Remediation { phase: RemediationPhase::Verified, ..withdrawn };
    let owned = |fields: &[Field]| {
        fields.iter().map(|field| (ContainerField::new("main", *field), json!({}))).collect::<Fields>()
    };
    let all = owned(&[Field::StartupProbe, Field::LivenessProbe, Field::ReadinessProbe]);
    let reverting = to_withdraw(&verified, RemediationReason::Reverted, &all).unwrap();
    assert_eq!(reverting.fields, ["main/livenessProbe", "main/startupProbe"], "and what is ours, no other's");
    assert!(!has_patches(&in_phase(
        &reverting,
        RemediationPhase::Withdrawn,
        RemediationReason::Reverted,
        "",
        at(3)
    )));
    let failing = to_withdraw(&verified, RemediationReason::CrashLoop, &all).unwrap();
    assert_eq!(failing.fields, ["main/livenessProbe"], "the last patch alone");
    assert_eq!(to_withdraw(&verified, RemediationReason::CrashLoop, &owned(&[Field::StartupProbe])), None);
}

#[test]
fn a_sent_patch_is_recognized() {
    let planned = record("web", RemediationPhase::Planned, 100);
    let found = |generation: i64, entries: Value| {
        let metadata = json!({ "name": "web", "namespace": "n", "uid": "u", "generation": generation,
            "managedFields": entries });
        let container =
            json!({ "name": "main", "livenessProbe": {}, "resources": { "limits": { "memory": "1" } } });
        let spec = json!({ "selector": {}, "template": { "spec": { "containers": [container] } } });
        let object = json!({ "metadata": metadata, "spec": spec });
        was_sent(&planned, &Subject::read(WorkloadKind::Deployment, object).unwrap())
    };
    let entry = |manager: &str, second: i64, fields: Value| {
        let time = at(second);
        json!({ "manager": manager, "operation": "Apply", "time": time, "fieldsV1": fields })
    };
    let of_container = |fields: Value| {
        let containers = json!({ "k:{\"name\":\"main\"}": fields });
        json!({ "f:spec": { "f:template": { "f:spec": { "f:containers": containers } } } })
    };
    let whole =
        of_container(json!({ "f:livenessProbe": {}, "f:resources": { "f:limits": { "f:memory": {} } } }));
    let mark = of_container(json!({ ".": {}, "f:name": {} }));
    let ours = |second, fields: &Value| entry(FIELD_MANAGER, second, fields.clone());
    let theirs = |second| entry("kubectl-set", second, of_container(json!({ "f:image": {} })));
    let cases = [
        (4, json!([]), false, "nothing happened"),
        (5, json!([ours(99, &whole)]), true, "it is there, whatever the clocks say"),
        (6, json!([ours(100, &mark), theirs(101)]), true, "another client removed it"),
        (6, json!([ours(99, &mark)]), true, "of an earlier patch something is left, and this one was undone"),
        (4, json!([ours(99, &mark)]), false, "of an earlier patch something is left"),
        (6, json!([theirs(100)]), true, "there and back, and it was nobody else"),
        (5, json!([theirs(99)]), false, "once is not there and back"),
        (6, json!([theirs(101)]), false, "it was somebody else"),
        (6, json!([entry("kubelet", 101, json!({ "f:status": {} }))]), true, "a status is another matter"),
    ];
    for (generation, entries, sent, why) in cases {
        assert_eq!(found(generation, entries), sent, "{why}");
    }
}

#[test]
fn a_refused_withdrawal_keeps_its_cause_and_is_forgotten_in_the_next_phase() {
    let message = Some("crashed".to_owned());
    let withdrawing = Remediation { message, ..record("web", RemediationPhase::Withdrawing, 0) };
    let again = refused(&refused(&withdrawing, "forbidden"), "denied");
    assert_eq!(
        (again.message.as_deref(), again.withdrawal_refused.as_deref()),
        (Some("crashed"), Some("denied"))
    );
    let long = refused(&withdrawing, &"y".repeat(2000)).withdrawal_refused.unwrap();
    assert_eq!(long.len(), 1024, "what the API server takes");
    let ended = in_phase(&again, RemediationPhase::Withdrawn, RemediationReason::CrashLoop, "crashed", at(1));
    assert_eq!(ended.withdrawal_refused, None);
}

#[test]
fn a_workload_inherits_nothing_from_one_that_had_its_name() {
    let earlier = vec!["main/startupProbe".to_owned()];
    let verified = Remediation { earlier_fields: earlier, ..record("web", RemediationPhase::Verified, 0) };
    let so_far = |record: Remediation| set_so_far(&policy(vec![record]).status.unwrap(), &subject("x:1"));
    let all = ["main/livenessProbe", "main/startupProbe", "main/resources.limits.memory"];
    assert_eq!(so_far(verified.clone()), all);
    assert!(so_far(Remediation { uid: Some("another".to_owned()), ..verified }).is_empty());
}

#[test]
fn a_patch_that_was_not_made_leaves_the_record_of_the_one_before() {
    let earlier = vec!["main/livenessProbe".to_owned()];
    let planned = Remediation {
        fields: vec!["main/readinessProbe".to_owned()],
        earlier_fields: earlier.clone(),
        ..record("web", RemediationPhase::Planned, 0)
    };
    let before = before(&planned, at(1)).unwrap();
    assert_eq!((before.phase, &before.fields), (RemediationPhase::Verified, &earlier));
    assert!(before.earlier_fields.is_empty());
    assert_eq!(super::before(&record("web", RemediationPhase::Planned, 0), at(1)), None);
}

#[test]
fn probes_go_with_a_port_that_is_not_declared_any_more() {
    let subject = |ports: &str, probes: &str, owned: &str| {
        let of = |text: &str| -> Value { yaml_serde::from_str(text).unwrap() };
        let mut container = of(probes);
        (container["name"], container["ports"]) = (json!("main"), of(ports));
        let owned = json!({ "f:spec": { "f:template": { "f:spec": { "f:containers": {
            "k:{\"name\":\"main\"}": of(owned) } } } } });
        let entry = json!({ "manager": FIELD_MANAGER, "operation": "Apply", "fieldsV1": owned });
        let object = json!({
            "metadata": { "name": "web", "uid": "u", "managedFields": [entry] },
            "spec": { "selector": {}, "template": { "spec": { "containers": [container] } } },
        });
        Subject::read(WorkloadKind::Deployment, object).unwrap()
    };
    let record = Remediation {
        fields: ["livenessProbe", "startupProbe", "resources.limits.memory"]
            .map(|of| format!("main/{of}"))
            .into(),
        declared_ports: vec!["main/80".to_owned(), "main/9090".to_owned()],
        ..record("web", RemediationPhase::Verified, 0)
    };
    let both = "{livenessProbe: {tcpSocket: {port: 80}}, startupProbe: {tcpSocket: {port: 80}}}";
    let of_both = "{'f:livenessProbe': {'f:tcpSocket': {'f:port': {}}}, 'f:startupProbe': {'f:tcpSocket': {'f:port': {}}}}";
    let (declared, moved) =
        ("[{containerPort: 80}, {containerPort: 9090}]", "[{containerPort: 81}, {containerPort: 9090}]");
    for (ports, probes, owned, stranded) in [
        (declared, both, of_both, None),
        // Our probes are still there, or the API server took them out.
        (moved, both, of_both, Some("main/livenessProbe,main/startupProbe")),
        (moved, "{}", "{}", Some("main/livenessProbe,main/startupProbe")),
        // The owner has set other probes.
        (moved, both, "{}", Some("")),
        (
            moved,
            "{livenessProbe: {tcpSocket: {port: 81}}, startupProbe: {tcpSocket: {port: 80}}}",
            of_both,
            Some("main/startupProbe"),
        ),
    ] {
        let found = of_lost_ports(&record, &subject(ports, probes, owned));
        let lost = found.map(|found| {
            let (Ok(after) | Err(after)) = &found;
            assert_eq!(after.declared_ports, ["main/9090"], "{ports} {probes}");
            found.as_ref().map_or(String::new(), |stranded| stranded.fields.join(","))
        });
        assert_eq!(lost.as_deref(), stranded, "{ports} {probes} {owned}");
    }
}
