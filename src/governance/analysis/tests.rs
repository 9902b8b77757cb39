//! Sums of objects in any order and in any parts.

use serde::Deserialize;

use super::*;
use crate::governance::{Report, Score};
use crate::policy::SystemNamespaces;

fn report(scope: &Scope, yaml: &str) -> Report {
    let policy = EffectivePolicy::default();
    let mut analysis = Analysis::new(&policy, scope, Timestamp::UNIX_EPOCH, true);
    for document in yaml_serde::Deserializer::from_str(yaml) {
        let value = serde_json::Value::deserialize(document).unwrap();
        // Each in a part of its own: the order and the grouping of parts must not matter.
        let mut part = analysis.part();
        part.add(
            &Object::deserialize(value).unwrap(),
            Some(Origin { source: "f.yaml", line: 1, line_of: &|_| None }),
        );
        analysis.merge(part);
    }
    analysis.finish()
}

fn deployment(name: &str) -> String {
    format!(
        "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}}}\n\
         spec: {{template: {{spec: {{containers: [{{name: c, image: nginx}}]}}}}}}\n"
    )
}

fn pod_of(deployment: &str, suffix: &str, phase: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Pod\nmetadata:\n  name: {deployment}-7f9-{suffix}\n  namespace: default\n  \
         labels: {{pod-template-hash: 7f9}}\n  ownerReferences: [{{kind: ReplicaSet, name: {deployment}-7f9, \
         controller: true}}]\nspec: {{containers: [{{name: c, image: 'nginx:1'}}]}}\nstatus: {{phase: {phase}}}\n"
    )
}

#[test]
fn a_template_counts_only_if_no_pod_of_its_workload_is_evaluated() {
    let scope = Scope::default();
    let alone = report(&scope, &deployment("web"));
    assert_eq!((alone.summary.pods, alone.summary.counts[&crate::rules::LATEST_TAG.id]), (1, 1));
    for order in [
        [deployment("web"), pod_of("web", "a", "Running")],
        [pod_of("web", "a", "Running"), deployment("web")],
    ] {
        let both = report(&scope, &order.concat());
        assert_eq!((both.summary.pods, both.summary.counts[&crate::rules::LATEST_TAG.id]), (1, 0));
    }
}

#[test]
fn a_terminal_pod_hides_no_template() {
    let scope = Scope::default();
    for phase in ["Succeeded", "Failed"] {
        for order in
            [[deployment("web"), pod_of("web", "a", phase)], [pod_of("web", "a", phase), deployment("web")]]
        {
            let report = report(&scope, &order.concat());
            assert_eq!((report.summary.pods, report.summary.counts[&crate::rules::LATEST_TAG.id]), (1, 1));
        }
    }
    let managed = job("backup-29712345", "[{kind: CronJob, name: backup, controller: true}]");
    let ended = pod_of_job("backup-29712345").replace("spec: {", "status: {phase: Succeeded}, spec: {");
    let report = report(&scope, &[CRON_JOB, &managed, &ended].concat());
    let evaluated: Vec<_> = report.violations.iter().map(|found| (found.kind, found.name)).collect();
    assert_eq!(evaluated, [("CronJob", "backup")]);
}

#[test]
fn a_pod_that_the_selector_excludes_hides_no_template() {
    let template = deployment("web").replace("template: {", "template: {metadata: {labels: {track: new}}, ");
    let selector = crate::governance::parse_selector("track=new").unwrap();
    let scope = Scope { selector: Some(selector), ..Scope::default() };
    let report = report(&scope, &[template, pod_of("web", "a", "Running")].concat());
    assert_eq!((report.summary.pods, report.selected), (1, 1));
}

#[test]
fn a_patch_is_counted_and_not_evaluated() {
    let patch = deployment("web").replace(", image: nginx", "");
    let report = report(&Scope::default(), &[patch, deployment("api")].concat());
    assert_eq!((report.summary.pods, report.patches), (1, 1));
}

#[test]
fn a_rollout_that_uses_another_template_is_evaluated_by_that_one() {
    let rollout = "---\n{apiVersion: argoproj.io/v1alpha1, kind: Rollout, metadata: {name: web}, \
                   spec: {workloadRef: {apiVersion: apps/v1, kind: Deployment, name: web}}}\n";
    let pods = |objects: &[&str]| report(&Scope::default(), &objects.concat()).summary.pods;
    let pod = pod_of("web", "a", "Running").replace("{pod-template", "{rollouts-pod-template");
    assert_eq!(pods(&[rollout]), 0);
    assert_eq!(pods(&[rollout, &deployment("web")]), 1);
    assert_eq!(pods(&[&pod, rollout, &deployment("web")]), 1, "the pod stands for the Deployment's template");
    assert_eq!(pods(&[&pod, &deployment("web")]), 2);
}

#[test]
fn the_pods_of_a_knative_service_stand_for_it_and_for_its_deployment() {
    let service = "---\n{apiVersion: serving.knative.dev/v1, kind: Service, metadata: {name: web}, \
                   spec: {template: {spec: {containers: [{image: nginx}]}}}}\n";
    let of_service = "{serving.knative.dev/service: web, pod-template";
    let pod = pod_of("web-1-deployment", "a", "Running").replace("{pod-template", of_service);
    let alone = report(&Scope::default(), service);
    let rules: Vec<_> = alone.violations.iter().map(|found| found.rule.as_str()).collect();
    assert_eq!(rules, ["latest-tag", "missing-liveness"], "Knative probes for readiness itself");
    let all = report(&Scope::default(), &[service, &deployment("web-1-deployment"), &pod].concat());
    assert_eq!((all.summary.pods, all.summary.workloads), (1, 1));
    assert_eq!(all.violations.iter().next().unwrap().owner, Some("Service/web"));
}

#[test]
fn kinds_that_hold_containers_are_named() {
    let task = "---\n{apiVersion: example.com/v1, kind: Worker, spec: {template: {spec: \
                {containers: [{name: c, image: nginx}]}}}}\n";
    let empty = "---\n{apiVersion: example.com/v1, kind: Worker, spec: {}}\n";
    let report = report(&Scope::default(), &[task, task, empty].concat());
    let named: Vec<_> = report.unevaluated.iter().map(|kind| (&*kind.types.kind, kind.count)).collect();
    assert_eq!(named, [("Worker", 2)]);
    assert_eq!(report.other_kinds(), (1, 1), "without those that are named already");
}

#[test]
fn compliance_counts_workloads_and_violations_of_medium_severity() {
    let sound = "containers: [{name: c, image: 'nginx:1', livenessProbe: {}}]";
    let sound = deployment("sound").replace("containers: [{name: c, image: nginx}]", sound);
    let all =
        [pod_of("web", "a", "Running"), pod_of("web", "b", "Running"), sound, deployment("bad")].concat();
    let report = report(&Scope::default(), &all);
    let summary = &report.summary;
    assert_eq!((summary.pods, summary.workloads, summary.compliant), (4, 3, 1));
    assert_eq!(summary.compliance.unwrap().to_string(), "33.3%");
    assert_eq!(report.namespaces[0].compliance.percent(), summary.compliance.unwrap());
}

#[test]
fn the_worst_namespace_has_the_largest_mean_penalty() {
    let pod = |namespace: &str, name: &str, image: &str| {
        format!(
            "---\n{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, namespace: {namespace}}}, \
             spec: {{containers: [{{name: c, image: {image}, livenessProbe: {{}}, readinessProbe: {{}}}}]}}}}\n"
        )
    };
    let all = [
        pod("mixed", "a", "nginx"),
        pod("mixed", "b", "x@sha256:1"),
        pod("bad", "a", "nginx"),
        pod("also-bad", "a", "nginx"),
        pod("good", "a", "x@sha256:1"),
    ];
    let report = report(&Scope::default(), &all.concat());
    let names = |limit| -> Vec<&str> {
        report.worst_namespaces(limit).into_iter().map(|worst| worst.namespace.as_str()).collect()
    };
    assert_eq!(names(9), ["also-bad", "bad", "mixed"]);
    assert_eq!(names(2), ["also-bad", "bad"]);
}

#[test]
fn pods_of_one_workload_are_grouped_and_each_is_counted() {
    let all = [pod_of("web", "a", "Running"), pod_of("web", "b", "Pending"), pod_of("api", "a", "Running")]
        .concat();
    let report = report(&Scope::default(), &all);
    assert_eq!(report.summary.pods, 3);
    let worst = report.workloads.worst(9);
    let workloads: Vec<(&str, u64)> = worst.iter().map(|o| (&*o.workload, o.pods)).collect();
    assert_eq!(workloads, [("Deployment/web", 2), ("Deployment/api", 1)]);
    let pending = report.violations.iter().find(|v| v.rule == crate::rules::PENDING.id).unwrap();
    assert_eq!((pending.name, pending.owner), ("web-7f9-b", Some("Deployment/web")));
}

/// A pod of a Job, of the time 29712345 minutes after 1970.
fn pod_of_job(job: &str) -> String {
    format!(
        "---\n{{apiVersion: v1, kind: Pod, metadata: {{name: {job}-x, namespace: default, creationTimestamp: \
         '2026-06-29T13:45:03Z', ownerReferences: [{{kind: Job, name: {job}, controller: true}}]}}, \
         spec: {{containers: [{{name: c, image: nginx}}]}}}}\n"
    )
}

fn job(name: &str, owners: &str) -> String {
    format!(
        "---\n{{apiVersion: batch/v1, kind: Job, metadata: {{name: {name}, ownerReferences: {owners}}}, \
         spec: {{template: {{spec: {{containers: [{{name: c, image: nginx}}]}}}}}}}}\n"
    )
}

const CRON_JOB: &str = "---\n{apiVersion: batch/v1, kind: CronJob, metadata: {name: backup}, \
                        spec: {jobTemplate: {spec: {template: {spec: {containers: [{name: c, image: nginx}]}}}}}}\n";

#[test]
fn a_manual_job_of_a_cron_job_is_grouped_by_its_own_name() {
    let by_hand = job("by-hand", "[{kind: CronJob, name: backup, controller: true}]");
    let report = report(&Scope::default(), &[CRON_JOB, &by_hand, &pod_of_job("by-hand")].concat());
    assert_eq!(report.summary.pods, 1);
    // A live pod says no more of where it comes from.
    assert_eq!(report.workloads.worst(1)[0].workload, "Job/by-hand");
    assert_eq!(report.violations.iter().next().unwrap().owner, Some("Job/by-hand"));
}

#[test]
fn a_job_without_a_controller_belongs_to_no_cron_job() {
    let pods = |objects: &[&str]| report(&Scope::default(), &objects.concat()).summary.pods;
    for name in ["backup-29712345", "backup-25122026"] {
        let (bare, pod) = (job(name, "[]"), pod_of_job(name));
        assert_eq!(pods(&[&bare, &pod]), 1, "{name}");
        assert_eq!(pods(&[&pod, &bare, CRON_JOB]), 2, "{name}: the pod and the CronJob's template");
    }
    let scheduled = job("backup-29712345", "[{kind: CronJob, name: backup, controller: true}]");
    let pod = pod_of_job("backup-29712345");
    assert_eq!(pods(&[CRON_JOB, &pod]), 1);
    assert_eq!(pods(&[CRON_JOB, &scheduled, &pod]), 1);
}

#[test]
fn a_replica_set_that_outlived_its_deployment_is_counted_by_its_pods() {
    let set = "---\n{apiVersion: apps/v1, kind: ReplicaSet, metadata: {name: web-7f9}, \
               spec: {template: {spec: {containers: [{name: c, image: nginx}]}}}}\n";
    let report = report(&Scope::default(), &[set, &pod_of("web", "a", "Running")].concat());
    assert_eq!(report.summary.pods, 1);
}

#[test]
fn system_namespaces_are_left_out_unless_requested() {
    let pod = "{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: kube-system}}";
    let named = Scope { namespaces: vec!["kube-system".into()], ..Scope::default() };
    let all = Scope { include_system: true, ..Scope::default() };
    let out = report(&Scope::default(), pod);
    assert_eq!((out.summary.pods, out.left_out), (0, 1));
    assert_eq!(report(&named, pod).summary.pods, 1);
    assert_eq!(report(&all, pod).summary.pods, 1);
    let more = Scope { system: SystemNamespaces::with(vec!["default".into()]), ..Scope::default() };
    assert_eq!(report(&more, &deployment("web")).left_out, 1);
}

#[test]
fn an_empty_namespace_counts_as_none() {
    let pod = "{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: ''}}";
    assert_eq!(report(&Scope::default(), pod).namespaces[0].namespace, "default");
    let named = Scope { namespaces: vec!["shop".into()], ..Scope::default() };
    assert_eq!(report(&named, pod).namespaces[0].namespace, "shop");
}

#[test]
fn the_count_of_left_out_pods_is_the_count_that_would_be_evaluated() {
    let system = |yaml: &str| {
        yaml.replace("metadata: {name", "metadata: {namespace: kube-system, name")
            .replace("namespace: default", "namespace: kube-system")
    };
    let managed = "---\n{apiVersion: apps/v1, kind: ReplicaSet, metadata: {name: api-7f9, ownerReferences: \
                   [{kind: Deployment, name: api, controller: true}]}}\n";
    let all = [
        deployment("web"),
        pod_of("web", "a", "Running"),
        pod_of("web", "b", "Running"),
        pod_of("web", "c", "Succeeded"),
        deployment("api"),
        managed.to_owned(),
        deployment("ended"),
        pod_of("ended", "a", "Failed"),
    ];
    let all = system(&all.concat());
    let left_out = report(&Scope::default(), &all);
    let evaluated = report(&Scope { include_system: true, ..Scope::default() }, &all);
    assert_eq!((left_out.summary.pods, left_out.left_out), (0, 4));
    assert_eq!((evaluated.summary.pods, evaluated.left_out), (4, 0));
}

#[test]
fn an_empty_input_scores_100_only_if_everything_was_read() {
    let (policy, scope) = (EffectivePolicy::default(), Scope::default());
    let empty = || Analysis::new(&policy, &scope, Timestamp::UNIX_EPOCH, false);
    assert_eq!(empty().finish().summary.score.map(Score::value), Some(100));
    let error = ReportError { source: "f".into(), document: None, line: None, message: "m".into() };
    let mut failed = empty();
    failed.fail(error.clone());
    let failed = failed.finish();
    assert_eq!((failed.summary.score, failed.summary.partial), (None, true));
    let add = |analysis: &mut Analysis<'_>, json: &str| {
        analysis.add(&serde_json::from_str(json).unwrap(), None);
    };
    let mut partial = empty();
    add(&mut partial, r#"{"apiVersion":"v1","kind":"Service"}"#);
    add(&mut partial, r#"{"apiVersion":"v1","kind":"PodList","items":[]}"#);
    partial.fail(error.clone());
    let partial = partial.finish();
    assert!(partial.summary.score.is_none() && partial.summary.status.is_none());
    let mut evaluated = empty();
    add(&mut evaluated, r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p"}}"#);
    evaluated.fail(error);
    assert_eq!(evaluated.finish().summary.score.map(Score::value), Some(100));
}

#[test]
fn a_rule_costs_its_penalty_over_the_pods() {
    let report = report(&Scope::default(), &[deployment("web"), deployment("api")].concat());
    let costs: Vec<(&str, u64, u64, f64)> =
        report.costs.iter().map(|c| (c.rule.id.as_str(), c.count, c.workloads, c.points)).collect();
    assert_eq!(
        costs,
        [("latest-tag", 2, 2, 5.0), ("missing-liveness", 2, 2, 3.0), ("missing-readiness", 2, 2, 2.0)]
    );
    assert_eq!(report.summary.score.map(Score::value), Some(90));
}

#[test]
fn no_rule_gains_more_points_than_are_lost() {
    // 40 containers: 200 points for the tag, 120 and 80 for the probes, where 100 are all that count.
    let containers = vec!["{name: c, image: nginx}"; 40].join(", ");
    let pod = |name: &str, containers: &str| {
        format!(
            "---\n{{apiVersion: v1, kind: Pod, metadata: {{name: {name}}}, spec: {{containers: [{containers}]}}}}\n"
        )
    };
    let points = |pods: &[String]| -> Vec<(&str, f64)> {
        let costs = report(&Scope::default(), &pods.concat()).costs;
        costs.iter().map(|cost| (cost.rule.id.as_str(), cost.points)).collect()
    };
    let alone = [pod("a", &containers)];
    assert_eq!(points(&alone), [("latest-tag", 0.0), ("missing-liveness", 0.0), ("missing-readiness", 0.0)]);
    let sound = "{name: c, image: 'nginx:1', livenessProbe: {}, readinessProbe: {}}";
    let of_three = [pod("a", &containers), pod("b", sound), pod("c", sound)];
    // 133.3 a pod.
    let wins: Vec<String> = points(&of_three).iter().map(|(_, points)| format!("{points:.1}")).collect();
    assert_eq!(wins, ["33.3", "6.7", "0.0"]);
}
