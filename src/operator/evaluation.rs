//! Evaluates a namespace under one policy, with the engine of all reports. Pure.

use jiff::Timestamp;
use serde_json::Value;

use super::{Inventory, UnreadKind};
use crate::governance::{
    Analysis, AnnotatedExemptions, ExemptFindings, Report, ReportedViolation, Scope, Score,
};
use crate::policy::EffectivePolicy;
use crate::rules::RuleId;
use crate::workload::{self, Workload};

/// The evaluation of a namespace under one policy.
#[derive(Debug, Clone)]
pub struct NamespaceEvaluation {
    /// The evaluated pods; a template without pods counts as one.
    pub pods: u64,
    /// The health score.
    pub score: Score,
    /// The penalty, in half points.
    pub half_points: u64,
    /// The violations, the worst first.
    pub violations: Vec<ReportedViolation>,
    /// The number of exempt findings. No other figure has them.
    pub exempted: u64,
    /// The exemptions with findings, and those that ended.
    pub exempt: Vec<ExemptFindings>,
    /// The annotations that exempt nothing, each with its object and the reason.
    pub refused: Vec<String>,
    /// The time at which a Pending pod becomes a violation, or an exemption ends.
    pub next: Option<Timestamp>,
    /// The rules that can't tell for some objects, in words.
    pub unknown: Vec<String>,
    /// These rules, in the same order.
    pub unknown_rules: Vec<RuleId>,
    /// The kinds that rules read and that could not be read; `None` if every rule looks at pods and workloads alone.
    pub unread: Option<Vec<UnreadKind>>,
}

/// Evaluates the pods and workloads of a namespace at the time `now`. `exemptions` has those of the Namespace.
pub fn evaluate_namespace<'a>(
    policy: &EffectivePolicy,
    namespace: &str,
    objects: impl Iterator<Item = &'a Workload<'static>>,
    exemptions: AnnotatedExemptions,
    now: Timestamp,
) -> NamespaceEvaluation {
    evaluate_within(policy, (namespace, None), objects, exemptions, now)
}

/// Evaluates as [`evaluate_namespace`] does. Rules of the policy's own can read the Namespace, if it is given.
pub fn evaluate_within<'a>(
    policy: &EffectivePolicy,
    (namespace, object): (&str, Option<Value>),
    objects: impl Iterator<Item = &'a Workload<'static>>,
    exemptions: AnnotatedExemptions,
    now: Timestamp,
) -> NamespaceEvaluation {
    evaluate_with(policy, &within(namespace), now, |analysis| {
        analysis.exempt(exemptions);
        if let Some(object) = object {
            analysis.add_namespace(object);
        }
        objects.for_each(|object| analysis.add_workload(object, None));
        None
    })
}

/// Evaluates a namespace as an inventory has it, with the other objects that rules read. Rules of the policy's own can
/// read the Namespace, if it is given.
pub fn evaluate_inventory(
    policy: &EffectivePolicy,
    (namespace, object): (&str, Option<Value>),
    inventory: &Inventory,
    now: Timestamp,
) -> NamespaceEvaluation {
    evaluate_with(policy, &within(namespace), now, |analysis| {
        analysis.exempt(inventory.exemptions(namespace));
        if let Some(object) = object {
            analysis.add_namespace(object);
        }
        inventory.objects(namespace).for_each(|object| analysis.add_workload(object, None));
        let unread = inventory.related.add_to(analysis, namespace);
        let reads_more = !policy.reads_in_namespaces().is_empty() || !unread.is_empty();
        reads_more.then_some(unread)
    })
}

/// Evaluates the objects without a namespace that an inventory has. The other objects of the cluster only say how these
/// fit together.
pub fn evaluate_cluster_objects(
    policy: &EffectivePolicy,
    inventory: &Inventory,
    now: Timestamp,
) -> NamespaceEvaluation {
    let scope = Scope { only_cluster: true, ..Scope::default() };
    evaluate_with(policy, &scope, now, |analysis| Some(inventory.related.add_all_to(analysis)))
}

/// Returns the scope of one namespace.
fn within(namespace: &str) -> Scope {
    Scope { namespaces: vec![namespace.to_owned()], ..Scope::default() }
}

fn evaluate_with(
    policy: &EffectivePolicy,
    scope: &Scope,
    now: Timestamp,
    fill: impl FnOnce(&mut Analysis<'_>) -> Option<Vec<UnreadKind>>,
) -> NamespaceEvaluation {
    let mut analysis = Analysis::new(policy, scope, now, true);
    let unread = fill(&mut analysis);
    let report = analysis.finish();
    let unknown = unknown(&report);
    NamespaceEvaluation {
        unread,
        pods: report.summary.pods,
        score: report.summary.score.unwrap_or(Score::BEST),
        half_points: report.namespaces.iter().map(|namespace| namespace.half_points).sum(),
        violations: report.violations.iter().map(Into::into).collect(),
        exempted: report.summary.exempted.values().sum(),
        exempt: report.exempt,
        refused: report.refused_exemptions,
        next: report.recheck_at,
        unknown,
        unknown_rules: report.summary.unknown.keys().copied().collect(),
    }
}

fn unknown(report: &Report) -> Vec<String> {
    let of = |(rule, count): (&RuleId, &u64)| {
        let objects = workload::count(*count, "object", "objects");
        let reason = report.unknown_reasons.get(rule).map(|reason| format!("; the first is {reason}"));
        format!("rule {rule} can't tell for {objects}{}", reason.unwrap_or_default())
    };
    report.summary.unknown.iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize as _;
    use serde_json::{Value as Json, json};

    use super::*;
    use crate::workload::{EXEMPT, EXEMPT_REASON, EXEMPT_UNTIL, Object, Owner, WorkloadKind};

    const OLD: &str = "1970-01-01T00:00:00Z";

    fn policy_of(spec: &str) -> EffectivePolicy {
        EffectivePolicy::from_spec(&yaml_serde::from_str(spec).unwrap()).unwrap()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn object(kind: &str, name: &str, owner: Option<(&str, &str)>, phase: &str) -> Json {
        let containers = json!({ "containers": [{ "name": "main", "image": "nginx" }] });
        let owners = owner.map(|(kind, name)| json!([{ "kind": kind, "name": name, "controller": true }]));
        let labels = json!({ "pod-template-hash": "7f9" });
        let spec = match kind {
            "Pod" => containers,
            "CronJob" => json!({ "jobTemplate": { "spec": { "template": { "spec": containers } } } }),
            _ => json!({ "template": { "spec": containers } }),
        };
        let api = match kind {
            "Pod" => "v1",
            "Job" | "CronJob" => "batch/v1",
            _ => "apps/v1",
        };
        json!({
            "apiVersion": api, "kind": kind, "spec": spec, "status": { "phase": phase },
            "metadata": {
                "name": name, "namespace": "n", "creationTimestamp": OLD, "ownerReferences": owners, "labels": labels,
            },
        })
    }

    fn workloads(objects: &[Json]) -> Vec<Workload<'static>> {
        let read = |object: &Json| {
            let text = |name: &str| object[name].as_str().unwrap();
            let kind = WorkloadKind::find(text("apiVersion"), text("kind")).unwrap();
            Workload::from_json_owned(kind, &object.to_string()).unwrap()
        };
        objects.iter().map(read).collect()
    }

    fn evaluation_of(policy: &str, objects: &[Json], now: Timestamp) -> NamespaceEvaluation {
        let none = AnnotatedExemptions::default();
        evaluate_namespace(&policy_of(policy), "n", workloads(objects).iter(), none, now)
    }

    fn names(evaluation: &NamespaceEvaluation) -> Vec<String> {
        let names = evaluation.violations.iter();
        names.map(|found| Owner { kind: &found.kind, name: &found.name }.to_string()).collect()
    }

    #[test]
    fn a_pod_is_pending_for_too_long_by_time_alone() {
        let pods = [object("Pod", "a", None, "Pending"), object("Pod", "b", None, "Running")];
        let policy = "{forbidPendingDuration: 60}";
        let early = evaluation_of(policy, &pods, at(59));
        assert_eq!((early.violations.len(), early.next), (0, Some(at(60))));
        let late = evaluation_of(policy, &pods, at(60));
        assert_eq!((late.violations.len(), late.next), (1, None));
        let by_id = evaluation_of("{rules: [{id: pending, params: {seconds: 60}}]}", &pods, at(59));
        assert_eq!((by_id.violations.len(), by_id.next), (0, Some(at(60))));
        assert_eq!(evaluation_of("{forbidLatestTag: true}", &pods, at(0)).next, None, "the rule is off");
    }

    #[test]
    fn templates_count_only_without_pods_and_without_an_owner() {
        let policy = "{forbidLatestTag: true}";
        let deployment = object("Deployment", "web", None, "");
        let replica_set = object("ReplicaSet", "web-7f9", Some(("Deployment", "web")), "");
        let pod = object("Pod", "web-7f9-x", Some(("ReplicaSet", "web-7f9")), "Running");
        let alone = evaluation_of(policy, &[deployment.clone(), replica_set.clone()], at(0));
        assert_eq!((names(&alone), alone.pods), (vec!["Deployment/web".to_owned()], 1));
        let both = evaluation_of(policy, &[deployment, replica_set, pod], at(0));
        assert_eq!((names(&both), both.pods), (vec!["Pod/web-7f9-x".to_owned()], 1));

        let bare = [object("ReplicaSet", "old", None, "")];
        assert_eq!(
            names(&evaluation_of(policy, &bare, at(0))),
            ["ReplicaSet/old"],
            "nobody else stands for it"
        );

        let cron = object("CronJob", "backup", None, "");
        let job = object("Job", "backup-29712345", Some(("CronJob", "backup")), "");
        let never_ran = evaluation_of(policy, &[cron.clone(), job.clone()], at(0));
        assert_eq!(names(&never_ran), ["CronJob/backup"]);
        let done = object("Pod", "backup-29712345-x", Some(("Job", "backup-29712345")), "Succeeded");
        let ran = evaluation_of(policy, &[cron, job, done], at(0));
        assert_eq!(
            (names(&ran), ran.pods),
            (vec!["CronJob/backup".to_owned()], 1),
            "an ended pod hides nothing"
        );
    }

    #[test]
    fn the_verdict_is_that_of_an_analysis_of_the_same_objects() {
        let policy = "{forbidLatestTag: true, requireLivenessProbe: true, maxRestartCount: 0, severityOverrides: {latestTag: low}}";
        let objects = [
            object("Pod", "a", None, "Running"),
            object("Deployment", "web", None, ""),
            object("CronJob", "backup", None, ""),
            object("Job", "backup-29712345", Some(("CronJob", "backup")), ""),
        ];
        let evaluation = evaluation_of(policy, &objects, at(0));
        let effective = policy_of(policy);
        let scope = Scope { namespaces: vec!["n".to_owned()], ..Scope::default() };
        let mut analysis = Analysis::new(&effective, &scope, at(0), true);
        for object in &objects {
            analysis.add(&Object::deserialize(object.clone()).unwrap(), None);
        }
        let report = analysis.finish();
        assert_eq!((evaluation.pods, Some(evaluation.score)), (report.summary.pods, report.summary.score));
        assert_eq!(evaluation.violations, report.violations.iter().map(Into::into).collect::<Vec<_>>());
    }

    #[test]
    fn an_exempt_workload_is_no_violation_until_its_last_day_has_passed() {
        let mut deployment = object("Deployment", "web", None, "");
        deployment["metadata"]["annotations"] = json!({
            EXEMPT: "latest-tag", EXEMPT_REASON: "moves in spring", EXEMPT_UNTIL: "1970-01-01",
        });
        let mut pod = object("Pod", "web-7f9-x", Some(("ReplicaSet", "web-7f9")), "Running");
        // An annotation of a pod with an owner exempts nothing.
        pod["metadata"]["annotations"] = json!({ EXEMPT: "missing-liveness", EXEMPT_REASON: "no" });
        let objects = [deployment, pod];
        let rules = "forbidLatestTag: true, requireLivenessProbe: true";
        let audit = format!("{{{rules}}}");
        let before = evaluation_of(&audit, &objects, at(0));
        let found: Vec<_> = before.violations.iter().map(|found| found.rule.as_str()).collect();
        assert_eq!((found, before.exempted, before.next), (vec!["missing-liveness"], 1, Some(at(86_400))));
        let after = evaluation_of(&audit, &objects, at(86_400));
        assert_eq!((after.violations.len(), after.exempted, after.exempt[0].expired), (2, 0, true));
        let message = &after.violations[0].message;
        assert!(message.ends_with("(the exemption from this rule ended with 1970-01-01)"), "{message}");

        let enforce = format!("{{{rules}, enforcementMode: enforce}}");
        let refused = evaluation_of(&enforce, &objects, at(0));
        assert_eq!((refused.violations.len(), refused.exempted), (2, 0));
        assert!(refused.refused[0].starts_with("n/Deployment/web: only a Namespace may"), "{refused:?}");
        let allowed = format!("{{{rules}, enforcementMode: enforce, exemptions: workload}}");
        assert_eq!(evaluation_of(&allowed, &objects, at(0)).exempted, 1);
    }

    #[test]
    fn a_rule_of_the_policys_own_reads_the_kept_json_and_the_namespace() {
        let spec = "{customRules: [{id: own-names, match: {kinds: [Deployment]}, message: m, \
                    expression: 'object.metadata.name == namespaceObject.metadata.name'}]}";
        let policy = policy_of(spec);
        let json = object("Deployment", "web", None, "").to_string();
        let kept = [Workload::from_json_with(policy.fields(), WorkloadKind::Deployment, &json).unwrap()];
        let namespace = |name: &str| Some(json!({ "metadata": { "name": name } }));
        let evaluate = |of: Option<Json>| {
            evaluate_within(&policy, ("n", of), kept.iter(), AnnotatedExemptions::default(), at(0))
        };
        assert_eq!(names(&evaluate(namespace("n"))), ["Deployment/web"]);
        let unknown = "rule own-names can't tell for 1 object; the first is n/Deployment/web: its Namespace was not read";
        assert_eq!(evaluate(None).unknown, [unknown]);
        let mut inventory = crate::operator::Inventory::default();
        inventory.apply(Workload::from_json_owned(WorkloadKind::Deployment, &json).unwrap());
        assert!(inventory.lacks("n", policy.fields()));
        inventory.apply(kept[0].clone());
        assert!(!inventory.lacks("n", policy.fields()));
    }

    #[test]
    fn a_rule_waits_until_the_fields_that_it_reads_are_kept() {
        let of_score = policy_of("{forbidLatestTag: true}").fields_of_stored();
        let of_details = policy_of("{rules: [{id: host-namespace}]}").fields_of_stored();
        let json = object("Deployment", "web", None, "").to_string();
        let read = |fields| Workload::from_json_with(fields, WorkloadKind::Deployment, &json).unwrap();
        let mut inventory = crate::operator::Inventory::default();
        for (kept, lacks) in [(of_score, true), (of_details, false)] {
            inventory.apply(read(kept));
            assert!(!inventory.take_changed().is_empty(), "other fields of the same object are a change");
            assert_eq!(inventory.lacks("n", of_details), lacks);
            assert!(!inventory.lacks("n", of_score));
        }
    }

    #[test]
    fn an_empty_namespace_is_healthy() {
        let evaluation = evaluation_of("{forbidLatestTag: true}", &[], at(0));
        assert_eq!((evaluation.pods, evaluation.score), (0, Score::BEST));
    }
}
