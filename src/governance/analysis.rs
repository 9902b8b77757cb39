//! The sum of many judgements, which can be taken in parts on several threads and put together.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::Timestamp;

use super::{
    Judgement, NamespaceReport, Offender, Origin, Report, ReportError, ReportSummary, RuleCost, Scope, Score,
    Skipped, Tally, ViolationList, evaluate,
};
use crate::policy::EffectivePolicy;
use crate::rules::RULES;
use crate::workload::{Object, Owner, Parsed, TypeMeta, Workload, WorkloadKind};

/// The judgements of a set of objects under one policy.
///
/// It grows with namespaces, workloads and, where they are kept, violations, but not with pods.
#[derive(Debug)]
pub struct Analysis<'p> {
    policy: &'p EffectivePolicy,
    scope: &'p Scope,
    now: Timestamp,
    keep: bool,
    namespaces: BTreeMap<String, Tally>,
    offenders: HashMap<Box<str>, Tally>,
    violations: ViolationList,
    templates: HashMap<Box<str>, Vec<Template>>,
    /// What manages pods directly, and what by its name or theirs is above that.
    controllers: HashMap<Box<str>, Option<String>>,
    /// What manages each `ReplicaSet` and Job of the input, itself where nothing does.
    managers: HashMap<Box<str>, String>,
    skipped: BTreeMap<(String, TypeMeta), u64>,
    errors: Vec<ReportError>,
    selected: u64,
    left_out: u64,
    /// The templates that were left out, which count as those that are judged do.
    left_out_templates: HashMap<Box<str>, u64>,
}

/// A judged template, which counts only where no pod of its workload turns up.
#[derive(Debug)]
struct Template {
    namespace: String,
    judgement: Judgement,
}

impl<'p> Analysis<'p> {
    /// Starts an analysis at the time `now`; `keep` asks for every violation and not only for figures.
    pub fn new(policy: &'p EffectivePolicy, scope: &'p Scope, now: Timestamp, keep: bool) -> Self {
        Self {
            policy,
            scope,
            now,
            keep,
            namespaces: BTreeMap::new(),
            offenders: HashMap::new(),
            violations: ViolationList::default(),
            templates: HashMap::new(),
            controllers: HashMap::new(),
            managers: HashMap::new(),
            skipped: BTreeMap::new(),
            errors: Vec::new(),
            selected: 0,
            left_out: 0,
            left_out_templates: HashMap::new(),
        }
    }

    /// An empty analysis of the same kind, to be merged later.
    #[must_use]
    pub fn part(&self) -> Self {
        Self::new(self.policy, self.scope, self.now, self.keep)
    }

    /// Adds an object of any kind; the items of a list one by one.
    pub fn add(&mut self, object: &Object<'_>, origin: Option<Origin<'_>>) {
        match &object.parsed {
            Parsed::Workload(workload) => self.add_workload(workload, origin),
            Parsed::List(items) => items.iter().for_each(|item| self.add(item, origin)),
            Parsed::Other | Parsed::Foreign => {
                let source = origin.map_or(String::new(), |origin| origin.source.to_owned());
                *self.skipped.entry((source, object.types.clone())).or_default() += 1;
            }
        }
    }

    /// Adds something that could not be read.
    pub fn fail(&mut self, error: ReportError) {
        self.errors.push(error);
    }

    /// Adds what another part found.
    pub fn merge(&mut self, part: Self) {
        for (namespace, tally) in part.namespaces {
            self.namespaces.entry(namespace).or_default().add(&tally);
        }
        for (workload, tally) in part.offenders {
            self.offenders.entry(workload).or_default().add(&tally);
        }
        for (workload, templates) in part.templates {
            self.templates.entry(workload).or_default().extend(templates);
        }
        for (skipped, count) in part.skipped {
            *self.skipped.entry(skipped).or_default() += count;
        }
        self.violations.merge(part.violations);
        for (controller, above) in part.controllers {
            self.add_controller(controller, above);
        }
        self.managers.extend(part.managers);
        self.errors.extend(part.errors);
        for (workload, count) in part.left_out_templates {
            *self.left_out_templates.entry(workload).or_default() += count;
        }
        self.selected += part.selected;
        self.left_out += part.left_out;
    }

    /// Adds a pod or a workload's template.
    pub fn add_workload(&mut self, workload: &Workload<'_>, origin: Option<Origin<'_>>) {
        let namespace = workload.metadata.namespace.as_deref().filter(|namespace| !namespace.is_empty());
        let namespace = namespace.unwrap_or(self.scope.default_namespace());
        if !self.scope.asks_for(namespace) {
            return;
        }
        let selected = self.scope.selects(workload);
        self.selected += u64::from(selected);
        let owner = workload.owner();
        let key = format!("{namespace}/{owner}");
        let controller = workload.metadata.controller();
        let controller = controller.map(|owner| Owner { kind: &owner.kind, name: &owner.name });
        if matches!(workload.kind, WorkloadKind::ReplicaSet | WorkloadKind::Job) {
            self.managers.insert(key.clone().into(), controller.unwrap_or(owner).to_string());
        }
        if workload.is_managed() {
            return;
        }
        // A pod stands for its workload's template even where it isn't asked for itself; one that nothing manages
        // stands for none.
        if let (true, Some(controller)) = (workload.is_pod(), controller) {
            let above = (controller != owner).then(|| owner.to_string());
            self.add_controller(format!("{namespace}/{controller}").into(), above);
        }
        if workload.is_terminal() || !selected {
            return;
        }
        if self.scope.leaves_out(namespace) {
            if workload.is_pod() {
                self.left_out += 1;
            } else {
                *self.left_out_templates.entry(key.into()).or_default() += 1;
            }
            return;
        }
        let mut judgement = evaluate(self.policy, workload, self.now, self.keep);
        let violations = std::mem::take(&mut judgement.violations);
        let manager = (owner.kind != workload.kind.name()).then_some(owner);
        self.violations.add(namespace, workload, manager, origin, &violations);
        if workload.is_pod() {
            self.count(namespace, &key, &judgement);
        } else {
            let template = Template { namespace: namespace.to_owned(), judgement };
            self.templates.entry(key.into()).or_default().push(template);
        }
    }

    fn add_controller(&mut self, controller: Box<str>, above: Option<String>) {
        let known = self.controllers.entry(controller).or_default();
        *known = known.take().or(above);
    }

    fn count(&mut self, namespace: &str, key: &str, judgement: &Judgement) {
        match self.namespaces.get_mut(namespace) {
            Some(tally) => tally.add(&judgement.tally),
            None => {
                self.namespaces.insert(namespace.to_owned(), judgement.tally);
            }
        }
        if judgement.tally.half_points(self.policy) > 0 {
            match self.offenders.get_mut(key) {
                Some(tally) => tally.add(&judgement.tally),
                None => {
                    self.offenders.insert(key.into(), judgement.tally);
                }
            }
        }
    }

    /// Ends the analysis: templates without pods are counted, everything is summed and sorted.
    pub fn finish(mut self) -> Report {
        let with_pods = self.workloads_with_pods();
        for (key, templates) in std::mem::take(&mut self.templates) {
            if !with_pods.contains(&key) {
                for template in templates {
                    self.count(&template.namespace, &key, &template.judgement);
                }
            }
        }
        let left_out_templates = self.left_out_templates.iter();
        let left_out = left_out_templates.filter(|(key, _)| !with_pods.contains(*key));
        self.left_out += left_out.map(|(_, count)| count).sum::<u64>();
        let mut total = Tally::default();
        self.namespaces.values().for_each(|tally| total.add(tally));
        // What could not be read may be all that there is to judge.
        let score = (total.pods > 0 || self.errors.is_empty()).then(|| Score::of(&total, self.policy));
        self.violations.finish(|workload| with_pods.contains(workload));
        self.errors.sort();
        let found = self.policy.rules().iter().filter(|enabled| total.counts[enabled.index] > 0);
        Report {
            api_version: "kube-devops/v1",
            summary: ReportSummary {
                pods: total.pods,
                score,
                status: score.map(Score::classification),
                partial: !self.errors.is_empty(),
                counts: total.by_rule(self.policy),
            },
            worst: found.map(|enabled| enabled.severity).max(),
            costs: self.costs(&total),
            offenders: self.offenders(),
            namespaces: self
                .namespaces
                .iter()
                .map(|(name, tally)| NamespaceReport::new(name, tally, self.policy))
                .collect(),
            skipped: self
                .skipped
                .iter()
                .map(|((source, types), count)| Skipped {
                    source: source.clone(),
                    api_version: types.api_version.clone(),
                    kind: types.kind.clone(),
                    count: *count,
                })
                .collect(),
            violations: self.violations,
            errors: self.errors,
            selected: self.selected,
            left_out: self.left_out,
        }
    }

    /// The workloads that have pods in the input: what manages these directly, and what manages that in turn.
    ///
    /// A `ReplicaSet` or Job of the input says what manages it; a name only suggests that.
    fn workloads_with_pods(&mut self) -> HashSet<Box<str>> {
        let mut workloads = HashSet::new();
        for (controller, above) in std::mem::take(&mut self.controllers) {
            if let (Some(above), Some((namespace, _))) =
                (self.managers.get(&controller).or(above.as_ref()), controller.split_once('/'))
            {
                workloads.insert(format!("{namespace}/{above}").into());
            }
            workloads.insert(controller);
        }
        workloads
    }

    fn offenders(&self) -> Vec<Offender> {
        let offenders = self.offenders.iter().filter_map(|(key, tally)| {
            let (namespace, workload) = key.split_once('/')?;
            Some(Offender::new(namespace, workload, tally, self.policy))
        });
        let mut offenders: Vec<Offender> = offenders.collect();
        offenders.sort_by(Offender::worst_first);
        offenders
    }

    /// What each rule costs, by the penalty that goes with each workload that is edited.
    #[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
    fn costs(&self, total: &Tally) -> Vec<RuleCost> {
        let all = total.half_points(self.policy);
        let lost = |half_points: u64| (half_points as f64 / (2 * total.pods) as f64).min(100.0);
        let mut costs: Vec<(f64, RuleCost)> = self
            .policy
            .rules()
            .iter()
            .filter(|enabled| total.counts[enabled.index] > 0)
            .map(|enabled| {
                let count = total.counts[enabled.index];
                let breaks = |tally: &&Tally| tally.counts[enabled.index] > 0;
                let workloads = self.offenders.values().filter(breaks).count() as u64;
                let penalty = count * enabled.half_points;
                let points = lost(all) - lost(all - penalty);
                let cost = RuleCost { rule: RULES[enabled.index], count, workloads, points };
                (penalty as f64 / workloads.max(1) as f64, cost)
            })
            .collect();
        costs.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        costs.into_iter().map(|(_, cost)| cost).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::policy::SystemNamespaces;

    fn report(scope: &Scope, yaml: &str) -> Report {
        let policy = EffectivePolicy::default();
        let mut analysis = Analysis::new(&policy, scope, Timestamp::UNIX_EPOCH, true);
        for document in yaml_serde::Deserializer::from_str(yaml) {
            let value = serde_json::Value::deserialize(document).unwrap();
            // Each in a part of its own: the order and the grouping of parts must not matter.
            let mut part = analysis.part();
            part.add(&Object::deserialize(value).unwrap(), Some(Origin { source: "f.yaml", line: 1 }));
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
    fn a_template_counts_only_where_no_pod_of_its_workload_is_there() {
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
        let ended = report(&scope, &[deployment("web"), pod_of("web", "a", "Succeeded")].concat());
        assert_eq!(ended.summary.pods, 0);
    }

    #[test]
    fn pods_of_one_workload_are_grouped_and_each_is_counted() {
        let all =
            [pod_of("web", "a", "Running"), pod_of("web", "b", "Pending"), pod_of("api", "a", "Running")]
                .concat();
        let report = report(&Scope::default(), &all);
        assert_eq!(report.summary.pods, 3);
        let workloads: Vec<(&str, u64)> = report.offenders.iter().map(|o| (&*o.workload, o.pods)).collect();
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
    fn a_job_made_by_hand_from_a_cron_job_stands_for_it_and_is_grouped_by_its_own_name() {
        let by_hand = job("by-hand", "[{kind: CronJob, name: backup, controller: true}]");
        let report = report(&Scope::default(), &[CRON_JOB, &by_hand, &pod_of_job("by-hand")].concat());
        assert_eq!(report.summary.pods, 1);
        // A live pod says no more of where it comes from.
        assert_eq!(report.offenders[0].workload, "Job/by-hand");
        assert_eq!(report.violations.iter().next().unwrap().owner, Some("Job/by-hand"));
    }

    #[test]
    fn a_job_without_a_controller_is_none_of_a_cron_job_whatever_its_name() {
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
    fn system_namespaces_are_left_out_unless_asked_for() {
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
    fn an_empty_namespace_is_none() {
        let pod = "{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: ''}}";
        assert_eq!(report(&Scope::default(), pod).namespaces[0].namespace, "default");
        let named = Scope { namespaces: vec!["shop".into()], ..Scope::default() };
        assert_eq!(report(&named, pod).namespaces[0].namespace, "shop");
    }

    #[test]
    fn as_many_are_left_out_as_would_be_judged() {
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
        let judged = report(&Scope { include_system: true, ..Scope::default() }, &all);
        assert_eq!((left_out.summary.pods, left_out.left_out), (0, 3));
        assert_eq!((judged.summary.pods, judged.left_out), (3, 0));
    }

    #[test]
    fn nothing_to_judge_scores_100_only_where_everything_was_read() {
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
        let mut judged = empty();
        add(&mut judged, r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p"}}"#);
        judged.fail(error);
        assert_eq!(judged.finish().summary.score.map(Score::value), Some(100));
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
    fn no_rule_is_said_to_win_more_than_there_is_to_win() {
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
        assert_eq!(
            points(&alone),
            [("latest-tag", 0.0), ("missing-liveness", 0.0), ("missing-readiness", 0.0)]
        );
        let sound = "{name: c, image: 'nginx:1', livenessProbe: {}, readinessProbe: {}}";
        let of_three = [pod("a", &containers), pod("b", sound), pod("c", sound)];
        // 133.3 a pod.
        let wins: Vec<String> = points(&of_three).iter().map(|(_, points)| format!("{points:.1}")).collect();
        assert_eq!(wins, ["33.3", "6.7", "0.0"]);
    }
}
