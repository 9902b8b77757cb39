//! Verdicts of policies, alone and together.

use serde_json::{Value as Json, json};

use super::*;
use crate::policy::DevOpsPolicy;
use crate::rules::LATEST_TAG;

fn policy(name: &str, spec: &Json) -> CompiledPolicy {
    let policy = json!({
        "metadata": { "name": name, "namespace": "shop", "uid": name, "generation": 1 }, "spec": spec,
    });
    CompiledPolicy::new(serde_json::from_value::<DevOpsPolicy>(policy).unwrap())
}

fn annotations(policies: &[CompiledPolicy]) -> [String; 2] {
    let annotations = AdmissionVerdict::of(policies).unwrap().annotations();
    [DENY_ANNOTATION, WARN_ANNOTATION].map(|key| annotations.get(key).cloned().unwrap_or_default())
}

#[test]
fn only_enforce_mode_denies_and_only_from_deny_at_up() {
    let spec = |mode: &str, deny_at: &str| {
        json!({
            "enforcementMode": mode, "forbidLatestTag": true, "requireLivenessProbe": true,
            "admission": { "denyAt": deny_at },
        })
    };
    for (mode, deny_at, denied, warned) in [
        ("audit", "low", "", "latest-tag;a,missing-liveness;a"),
        ("enforce", "critical", "", "latest-tag;a,missing-liveness;a"),
        ("enforce", "high", "latest-tag;a", "missing-liveness;a"),
        ("enforce", "medium", "latest-tag;a,missing-liveness;a", ""),
    ] {
        assert_eq!(annotations(&[policy("a", &spec(mode, deny_at))]), [denied, warned], "{mode} {deny_at}");
    }
}

#[test]
fn policies_share_an_entry_unless_their_parameters_differ() {
    let limited = json!({ "defaultResources": { "cpuLimit": "1" }, "enforcementMode": "enforce",
        "admission": { "denyAt": "low" } });
    let plain = json!({ "requireResources": true });
    let all = [policy("c", &plain), policy("a", &limited), policy("b", &limited), policy("d", &plain)];
    let expected = ["missing-resources;a|b;cpuLimit=true", "missing-resources;c|d;cpuLimit=false"];
    assert_eq!(annotations(&all), expected);
}

#[test]
fn a_list_is_written_with_bars_and_left_out_if_an_item_holds_one() {
    let listed = |registries: &Json| {
        let rule = json!({ "id": "unlisted-registry", "params": { "registries": registries } });
        AdmissionVerdict::of(&[policy("a", &json!({ "rules": [rule] }))]).unwrap()
    };
    let verdict = listed(&json!(["quay.io", "registry.example:5000/team"]));
    let expected = "unlisted-registry;a;registries=quay.io|registry.example:5000/team";
    assert_eq!(verdict.annotations()[WARN_ANNOTATION], expected);
    for broken in [json!(["a|b"]), json!(["a,b"]), json!(["a", ""])] {
        let verdict = listed(&broken);
        assert_eq!(verdict.left_out[0].reason, LeftOutReason::Separator, "{broken}");
    }
}

#[test]
fn a_denied_check_does_not_warn_too() {
    let deny =
        json!({ "forbidLatestTag": true, "enforcementMode": "enforce", "admission": { "denyAt": "low" } });
    let all = [policy("a", &deny), policy("b", &json!({ "forbidLatestTag": true }))];
    assert_eq!(annotations(&all), ["latest-tag;a", ""]);
    let suspended = AdmissionVerdict::of(&all).unwrap().suspended();
    assert_eq!(suspended.annotations()[WARN_ANNOTATION], "latest-tag;a");
    assert!(!suspended.annotations().contains_key(DENY_ANNOTATION));
}

#[test]
fn rules_without_an_expression_and_texts_that_are_too_long_are_left_out() {
    let verdict =
        AdmissionVerdict::of(&[policy("a", &json!({ "maxRestartCount": 1, "forbidLatestTag": true }))])
            .unwrap();
    let [left_out] = &*verdict.left_out else { panic!("{verdict:?}") };
    assert_eq!((left_out.rule.as_str(), left_out.reason), ("high-restarts", LeftOutReason::NoExpression));
    assert!(verdict.holds("a", crate::rules::LATEST_TAG.id) && !verdict.holds("a", left_out.rule));

    let many: Vec<_> = (0..100)
        .map(|number| policy(&format!("{number:0>200}"), &json!({ "forbidLatestTag": true })))
        .collect();
    let verdict = AdmissionVerdict::of(&many).unwrap();
    assert!(verdict.warned.is_empty() && verdict.left_out.len() == 100);
    assert_eq!(verdict.left_out[0].reason, LeftOutReason::TooLong);
}

#[test]
fn policies_that_go_or_can_not_be_followed_have_no_part() {
    let mut going = policy("a", &json!({ "forbidLatestTag": true }));
    let mut policy_of_it = (*going.policy).clone();
    policy_of_it.metadata.deletion_timestamp =
        Some(serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap());
    going = CompiledPolicy::new(policy_of_it);
    let invalid = policy("b", &json!({ "rules": [{ "id": "nope" }] }));
    assert_eq!(AdmissionVerdict::of(&[going, invalid]), None);
    assert_eq!(AdmissionVerdict::of(&[]), None);
}

#[test]
fn the_hash_follows_each_generation_and_no_order() {
    let (a, b) = (policy("a", &json!({})), policy("b", &json!({})));
    let hash = |policies: &[CompiledPolicy]| AdmissionVerdict::of(policies).unwrap().hash;
    assert_eq!(hash(&[a.clone(), b.clone()]), hash(&[b.clone(), a.clone()]));
    let mut newer = (*b.policy).clone();
    newer.metadata.generation = Some(2);
    assert_ne!(hash(&[a.clone(), b]), hash(&[a, CompiledPolicy::new(newer)]));
}

#[test]
fn a_policy_that_sets_defaults_only_warns_about_dropped_ones() {
    let spec = |mode: &str, mutate: bool| {
        json!({
            "enforcementMode": mode, "forbidLatestTag": true, "requireLivenessProbe": true,
            "admission": { "denyAt": "low", "mutate": mutate },
        })
    };
    let (mutates, strict, audits) = (
        policy("a", &spec("enforce", true)),
        policy("b", &spec("enforce", false)),
        policy("c", &spec("audit", true)),
    );
    assert_eq!(
        annotations(std::slice::from_ref(&mutates)),
        ["latest-tag;a,missing-liveness;a;dropped=allowed", "missing-liveness;a;dropped=only"]
    );
    assert_eq!(
        annotations(&[mutates.clone(), strict.clone()]),
        ["latest-tag;a|b,missing-liveness;a;dropped=allowed,missing-liveness;b", ""],
        "another policy denies them"
    );
    assert_eq!(
        annotations(&[mutates, audits.clone()]),
        ["latest-tag;a,missing-liveness;a;dropped=allowed", "missing-liveness;a|c;dropped=only"],
        "a denied finding is not repeated"
    );
    assert_eq!(annotations(&[audits]), ["", "latest-tag;c,missing-liveness;c"]);
}

#[test]
fn a_rule_from_which_workloads_may_exempt_themselves_has_the_day_and_an_exempt_one_is_left_out() {
    let audit = policy("a", &json!({ "forbidLatestTag": true, "requireLivenessProbe": true }));
    let enforce =
        json!({ "enforcementMode": "enforce", "forbidLatestTag": true, "admission": { "denyAt": "low" } });
    let all = [audit, policy("b", &enforce)];
    let today = "2026-11-30".parse().unwrap();
    let verdict = AdmissionVerdict::exempting(&all, |_| false, today).unwrap();
    let annotations = verdict.annotations();
    assert_eq!(annotations[DENY_ANNOTATION], "latest-tag;b", "only a Namespace may exempt from it");
    assert_eq!(annotations[WARN_ANNOTATION], "missing-liveness;a;exempt=2026-11-30");

    let is_exempt = |enabled: &EnabledRule| enabled.rule.id == LATEST_TAG.id;
    let verdict = AdmissionVerdict::exempting(&all, is_exempt, today).unwrap();
    assert_eq!((verdict.denied.len(), verdict.warned.len()), (0, 1));
    let left_out: Vec<_> = verdict.left_out.iter().map(|one| (one.policy.as_str(), one.reason)).collect();
    assert_eq!(left_out, [("a", LeftOutReason::Exempt), ("b", LeftOutReason::Exempt)]);
    assert_eq!(verdict.hash, AdmissionVerdict::of(&all).unwrap().hash, "the webhook knows it again");
}

#[test]
fn a_rule_of_a_policys_own_is_left_out() {
    let rule = json!({ "id": "own", "match": { "kinds": ["Pod"] }, "expression": "true", "message": "m" });
    let verdict = AdmissionVerdict::of(&[policy("a", &json!({ "customRules": [rule] }))]).unwrap();
    let [left_out] = &*verdict.left_out else { panic!("{verdict:?}") };
    assert_eq!((left_out.rule.as_str(), left_out.reason), ("own", LeftOutReason::Custom));
}

#[test]
fn a_rule_has_four_entries_at_most_and_the_webhook_evaluates_the_others() {
    let listed = |name: &str| {
        let rule =
            json!({ "id": "unlisted-registry", "params": { "registries": [format!("{name}.example.com")] } });
        policy(name, &json!({ "rules": [rule] }))
    };
    let names = ["a", "b", "c", "d", "e"];
    let verdict = AdmissionVerdict::of(&names.map(listed)).unwrap();
    assert_eq!(verdict.warned.len(), 4);
    let rule = verdict.warned[0].rule;
    assert_eq!(names.map(|policy| verdict.holds(policy, rule)), [true, true, true, true, false]);
    assert_eq!(verdict.left_out[0].reason, LeftOutReason::TooMany);
}
