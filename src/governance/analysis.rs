//! The sum of many evaluations. Parts of it can be made on several threads and merged.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::Timestamp;

use self::custom::CustomState;
use super::costs::{costs, unscored};
use super::evaluate::evaluate_workload;
use super::exemptions::Split;
use super::other_sums::OtherSums;
use super::workload_sums::{TemplateSum, WorkloadSum};
use super::{
    AnnotatedExemptions, Compliance, Evaluation, Exemptions, NamespaceReport, Origin, Report, ReportError,
    ReportSummary, Scope, Score, Skipped, Tally, UnevaluatedKind, ViolationList, Workloads, evaluate,
};
use crate::inventory::Facts;
use crate::policy::EffectivePolicy;
use crate::rules::{RuleId, Severity};
use crate::workload::{Object, Owner, Parsed, TypeMeta, Workload, WorkloadKey};

/// The evaluations of a set of objects under one policy.
///
/// Its size follows the namespaces, the workloads and the kept violations, not the pods of a workload.
#[derive(Debug)]
pub struct Analysis<'p> {
    policy: &'p EffectivePolicy,
    scope: &'p Scope,
    now: Timestamp,
    keep: bool,
    exemptions: Option<&'p Exemptions>,
    /// The numbers of exempt findings, by the place of the exemption.
    exempt: Vec<u64>,
    /// The exemptions that annotations declare. They count at the end, because their objects may come last.
    annotated: AnnotatedExemptions,
    /// The exempt findings in workloads.
    exempted: Tally,
    /// The exempt findings in other objects, which have no share in the score.
    exempted_others: Tally,
    /// The workloads with an exempt finding that makes them non-compliant.
    exempt_breaches: HashSet<WorkloadKey>,
    namespaces: BTreeMap<String, Tally>,
    workloads: HashMap<WorkloadKey, WorkloadSum>,
    violations: ViolationList,
    /// The templates of workloads. They count unless a pod of their workload is evaluated.
    templates: HashMap<WorkloadKey, TemplateSum>,
    /// The controllers of evaluated pods, each with the workload above it as far as names tell.
    controllers: HashMap<WorkloadKey, Option<WorkloadKey>>,
    /// The managers of the `ReplicaSet`s, `ReplicationController`s and Jobs in the input; one may be its own.
    managers: HashMap<WorkloadKey, WorkloadKey>,
    /// The workloads whose template another one uses.
    borrowed_templates: HashMap<WorkloadKey, WorkloadKey>,
    skipped: BTreeMap<(String, TypeMeta), SkippedObjects>,
    /// The findings about types, by the object, the rule's place and the severity, which depends on the object.
    types: HashMap<(WorkloadKey, usize, Severity), u64>,
    errors: Vec<ReportError>,
    selected: u64,
    patches: u64,
    left_out: u64,
    recheck_at: Option<Timestamp>,
    /// The templates that were left out. They count under the same conditions as evaluated templates.
    left_out_templates: HashMap<WorkloadKey, u64>,
    /// The findings in objects that are no workloads.
    others: OtherSums,
    /// The facts that rules about relations need.
    facts: Facts,
    /// False while an object is added that is not reported.
    is_reported: bool,
    /// The number of lists that failed, by the rules that read them.
    missed: BTreeMap<RuleId, u64>,
    custom: CustomState,
}

/// The objects of one kind that were not evaluated.
#[derive(Debug, Default)]
struct SkippedObjects {
    count: u64,
    /// The objects among them that hold containers.
    with_containers: u64,
}

impl<'p> Analysis<'p> {
    /// Starts an analysis at the time `now`. With `keep` it keeps every violation, else only figures.
    pub fn new(policy: &'p EffectivePolicy, scope: &'p Scope, now: Timestamp, keep: bool) -> Self {
        Self {
            policy,
            scope,
            now,
            keep,
            exemptions: None,
            exempt: Vec::new(),
            annotated: AnnotatedExemptions::default(),
            exempted: Tally::default(),
            exempted_others: Tally::default(),
            exempt_breaches: HashSet::new(),
            namespaces: BTreeMap::new(),
            workloads: HashMap::new(),
            violations: ViolationList::default(),
            templates: HashMap::new(),
            controllers: HashMap::new(),
            managers: HashMap::new(),
            borrowed_templates: HashMap::new(),
            skipped: BTreeMap::new(),
            types: HashMap::new(),
            errors: Vec::new(),
            selected: 0,
            patches: 0,
            left_out: 0,
            recheck_at: None,
            left_out_templates: HashMap::new(),
            others: OtherSums::default(),
            facts: Facts::new(policy.relates()),
            is_reported: true,
            missed: BTreeMap::new(),
            custom: CustomState::default(),
        }
    }

    /// Returns the policy by which objects are evaluated.
    pub fn policy(&self) -> &'p EffectivePolicy {
        self.policy
    }

    /// Makes an empty analysis of the same kind, to be merged later.
    #[must_use]
    pub fn part(&self) -> Self {
        Self { exemptions: self.exemptions, ..Self::new(self.policy, self.scope, self.now, self.keep) }
    }

    /// Leaves out the findings that exemptions accept, and counts them.
    #[must_use]
    pub fn with_exemptions(self, exemptions: &'p Exemptions) -> Self {
        Self { exemptions: Some(exemptions), ..self }
    }

    /// Adds an object of any kind. The items of a list are added one by one.
    pub fn add(&mut self, object: &Object<'_>, origin: Option<Origin<'_>>) {
        match &object.parsed {
            Parsed::Workload(workload) => self.evaluate(workload, Some(&object.types), origin),
            Parsed::List(items) => items.iter().for_each(|item| self.add(item, origin)),
            Parsed::Related(other) => self.add_other(other, &object.types, origin),
            Parsed::Other { holds_containers, metadata } => {
                self.note_exemptions_of(&object.types, metadata);
                self.evaluate_other(&object.types, metadata, origin);
                self.skip(&object.types, origin, *holds_containers);
            }
            Parsed::Foreign => self.skip(&object.types, origin, false),
        }
    }

    /// Takes an object into account that is not reported. A pod still stands for its workload's template, and rules about
    /// relations still read the object.
    pub fn add_unreported(&mut self, object: &Object<'_>) {
        self.is_reported = false;
        self.add(object, None);
        self.is_reported = true;
    }

    fn skip(&mut self, types: &TypeMeta, origin: Option<Origin<'_>>, holds_containers: bool) {
        if !self.facts.is_unneeded() {
            self.facts.add_unread(types, holds_containers);
        }
        if !self.is_reported {
            return;
        }
        let source = origin.map_or(String::new(), |origin| origin.source.to_owned());
        let skipped = self.skipped.entry((source, types.clone())).or_default();
        skipped.count += 1;
        skipped.with_containers += u64::from(holds_containers);
    }

    /// Adds an error about a part of the input that could not be read.
    pub fn fail(&mut self, error: ReportError) {
        self.errors.push(error);
    }

    /// Adds the sums of another part.
    pub fn merge(&mut self, part: Self) {
        for (namespace, tally) in part.namespaces {
            self.namespaces.entry(namespace).or_default().add(&tally);
        }
        merge_into(&mut self.workloads, part.workloads, WorkloadSum::merge);
        merge_into(&mut self.templates, part.templates, TemplateSum::merge);
        for (types, skipped) in part.skipped {
            let sum = self.skipped.entry(types).or_default();
            sum.count += skipped.count;
            sum.with_containers += skipped.with_containers;
        }
        self.violations.merge(part.violations);
        for (key, count) in part.types {
            *self.types.entry(key).or_default() += count;
        }
        for (controller, above) in part.controllers {
            self.add_controller(controller, above);
        }
        self.managers.extend(part.managers);
        self.borrowed_templates.extend(part.borrowed_templates);
        self.errors.extend(part.errors);
        for (workload, count) in part.left_out_templates {
            *self.left_out_templates.entry(workload).or_default() += count;
        }
        self.exempt.resize(self.exempt.len().max(part.exempt.len()), 0);
        for (sum, count) in self.exempt.iter_mut().zip(part.exempt) {
            *sum += count;
        }
        self.annotated.merge(part.annotated);
        self.exempted.add(&part.exempted);
        self.exempted_others.add(&part.exempted_others);
        self.exempt_breaches.extend(part.exempt_breaches);
        self.selected += part.selected;
        self.patches += part.patches;
        self.left_out += part.left_out;
        self.recheck_at = self.recheck_at.into_iter().chain(part.recheck_at).min();
        self.others.merge(part.others);
        self.facts.merge(part.facts);
        self.custom.merge(part.custom);
        for (rule, count) in part.missed {
            *self.missed.entry(rule).or_default() += count;
        }
    }

    /// Adds a pod or a workload's template.
    pub fn add_workload(&mut self, workload: &Workload<'_>, origin: Option<Origin<'_>>) {
        self.evaluate(workload, None, origin);
    }

    fn evaluate(&mut self, workload: &Workload<'_>, types: Option<&TypeMeta>, origin: Option<Origin<'_>>) {
        let namespace = workload.metadata.namespace.as_deref().filter(|namespace| !namespace.is_empty());
        let namespace = namespace.unwrap_or(self.scope.default_namespace());
        if !self.facts.is_unneeded() {
            self.note_workload(namespace, workload, origin);
        }
        if !self.scope.asks_for(namespace) {
            return;
        }
        if !self.scope.leaves_out(namespace) {
            self.annotated.add_workload(namespace, workload);
        }
        let owner = workload.owner();
        let key = WorkloadKey::new(namespace, owner);
        if let Some(template) = &workload.uses_template_of {
            let of = Owner { kind: &template.kind, name: &template.name };
            self.borrowed_templates.insert(key, WorkloadKey::new(namespace, of));
            return;
        }
        let controller = workload.metadata.controller();
        let controller = controller.map(|owner| Owner { kind: &owner.kind, name: &owner.name });
        if workload.may_be_managed() {
            self.managers.insert(key.clone(), WorkloadKey::new(namespace, controller.unwrap_or(owner)));
        }
        if workload.is_patch() {
            self.patches += u64::from(self.is_reported);
            return;
        }
        let selected = self.scope.selects(workload);
        self.selected += u64::from(selected);
        if workload.is_managed() || workload.is_terminal() || !selected {
            return;
        }
        // Only a pod that is evaluated, or would be, stands for its workload's template.
        if workload.is_pod() {
            self.add_pod_of(namespace, workload, controller);
        }
        if !self.is_reported {
            return;
        }
        if self.scope.leaves_out(namespace) {
            if workload.is_pod() {
                self.left_out += 1;
            } else {
                *self.left_out_templates.entry(key).or_default() += 1;
            }
            return;
        }
        self.evaluate_custom_rules(namespace, workload, origin);
        let split = self.split(origin);
        let policy = split.as_ref().map_or(self.policy, |split| &split.left);
        for (exemption, rules) in split.iter().flat_map(|split| &split.exempt) {
            self.count_exempt(*exemption, rules, (workload, &key), types);
        }
        let mut evaluation = evaluate(policy, workload, self.now, self.keep);
        self.recheck_at = self.recheck_at.into_iter().chain(evaluation.recheck_at).min();
        let violations = std::mem::take(&mut evaluation.violations);
        let manager = (owner.kind != workload.kind.name()).then_some(owner);
        self.violations.add(namespace, workload, manager, origin, &violations);
        if controller.is_none() && policy.evaluates_workloads() {
            let evaluation = evaluate_workload(policy, workload, self.now, self.keep);
            self.recheck_at = self.recheck_at.into_iter().chain(evaluation.recheck_at).min();
            self.add_own(namespace, workload, &key, origin, &evaluation);
        }
        if controller.is_none() && policy.evaluates_types() {
            let evaluation = self.evaluate_type(policy, types, &workload.metadata, &key);
            self.add_own(namespace, workload, &key, origin, &evaluation);
        }
        let all = &evaluation.tally;
        let found = all.if_found();
        if workload.is_pod() {
            self.count(key.namespace(), all);
            self.workloads.entry(key).or_default().add(evaluation.is_in_breach, &found);
        } else {
            self.templates.entry(key).or_default().add(evaluation.is_in_breach, &found, all);
        }
    }

    /// Splits the rules for a file into those that are exempt there and the rest; `None` if none is exempt.
    fn split(&self, origin: Option<Origin<'_>>) -> Option<Split> {
        self.exemptions?.split(self.policy, origin?.source, self.now)
    }

    /// Adds the evaluation of a workload itself.
    fn add_own(
        &mut self,
        namespace: &str,
        workload: &Workload<'_>,
        key: &WorkloadKey,
        origin: Option<Origin<'_>>,
        evaluation: &Evaluation,
    ) {
        let object = Owner { kind: workload.kind.name(), name: workload.name() };
        self.violations.add_certain(namespace, object, origin, &evaluation.violations);
        if evaluation.tally != Tally::default() {
            self.count(namespace, &evaluation.tally);
            let found = evaluation.tally.if_found();
            self.workloads.entry(key.clone()).or_default().add(evaluation.is_in_breach, &found);
        }
    }

    /// Notes the workloads that a evaluated pod belongs to. A pod without a controller belongs to none.
    fn add_pod_of(&mut self, namespace: &str, pod: &Workload<'_>, controller: Option<Owner<'_>>) {
        let Some(controller) = controller else { return };
        let manager = pod.manager();
        let above = (controller != manager).then(|| WorkloadKey::new(namespace, manager));
        self.add_controller(WorkloadKey::new(namespace, controller), above);
        if pod.owner() != manager {
            self.add_controller(WorkloadKey::new(namespace, pod.owner()), None);
        }
    }

    fn add_controller(&mut self, controller: WorkloadKey, above: Option<WorkloadKey>) {
        let known = self.controllers.entry(controller).or_default();
        *known = known.take().or(above);
    }

    fn count(&mut self, namespace: &str, tally: &Tally) {
        match self.namespaces.get_mut(namespace) {
            Some(sum) => sum.add(tally),
            None => {
                self.namespaces.insert(namespace.to_owned(), tally.clone());
            }
        }
    }

    /// Ends the analysis: counts the templates without evaluated pods, sums up and sorts.
    pub fn finish(mut self) -> Report {
        self.evaluate_waiting();
        let unknown = self.evaluate_relations();
        let with_pods = self.workloads_with_pods();
        self.count_templates(&with_pods);
        let left_out_templates = self.left_out_templates.iter();
        let left_out = left_out_templates.filter(|(key, _)| !with_pods.contains(*key));
        self.left_out += left_out.map(|(_, count)| count).sum::<u64>();
        self.violations.finish(|workload| with_pods.contains(workload));
        self.errors.sort();
        let (sums, templates) = (std::mem::take(&mut self.workloads), std::mem::take(&mut self.templates));
        let mut workloads = Workloads::new(self.policy, sums, templates);
        let exempt = self.leave_out_exempt(&mut workloads);
        let mut total = Tally::default();
        self.namespaces.values().for_each(|tally| total.add(tally));
        let by_namespace = compliance_by_namespace(&workloads);
        let mut compliance = Compliance::default();
        for namespace in by_namespace.values() {
            compliance.merge(*namespace);
        }
        // Without an evaluated pod, the parts that could not be read may be all that matters.
        let score = (total.pods > 0 || self.errors.is_empty()).then(|| Score::of(&total, self.policy));
        let namespaces = self.namespaces.iter().map(|(name, tally)| {
            let compliance = by_namespace.get(&**name).copied().unwrap_or_default();
            let mut report = NamespaceReport::new(name, tally, compliance, self.policy);
            report.counts = self.others.with(name, tally).by_rule(self.policy);
            report
        });
        let namespaces = namespaces.collect();
        drop(by_namespace);
        let refused_exemptions = self.refused_exemptions();
        let with_exempted = self.with_exempted(&total, &workloads).filter(|_| score.is_some());
        let mut all = total.clone();
        all.add(&self.others.total);
        let found = self.findings(&all);
        Report {
            api_version: "kube-devops/v1",
            summary: ReportSummary {
                pods: total.pods,
                workloads: compliance.workloads,
                score,
                status: score.map(Score::classification),
                compliance: score.map(|_| compliance.percent()),
                compliant: compliance.compliant,
                partial: !self.errors.is_empty(),
                counts: all.by_rule(self.policy),
                unknown,
                exempted: self.counts_of_exempt(),
                with_exempted,
            },
            worst: found.iter().map(|found| found.severity).max(),
            costs: costs(&total, &workloads, self.policy),
            unscored: unscored(&found, &self.others.total, self.policy),
            workloads,
            namespaces,
            unevaluated: self.unevaluated(),
            skipped: self
                .skipped
                .iter()
                .map(|((source, types), skipped)| Skipped {
                    source: source.clone(),
                    api_version: types.api_version.clone(),
                    kind: types.kind.clone(),
                    count: skipped.count,
                })
                .collect(),
            violations: self.violations,
            baseline: None,
            exempt,
            refused_exemptions,
            errors: self.errors,
            selected: self.selected,
            patches: self.patches,
            left_out: self.left_out,
            objects: self.others.objects,
            recheck_at: self.recheck_at,
            unknown_reasons: self.custom.reasons,
        }
    }

    /// Counts the templates of workloads without an evaluated pod.
    fn count_templates(&mut self, with_pods: &HashSet<WorkloadKey>) {
        let mut templates = std::mem::take(&mut self.templates);
        templates.retain(|key, _| !with_pods.contains(key));
        for (key, template) in &templates {
            self.count(key.namespace(), &template.all());
        }
        self.templates = templates;
    }

    /// Returns the workloads that have an evaluated pod: the controllers of these pods, the workloads that manage those,
    /// and the ones that lend them their template.
    ///
    /// A name only suggests a manager. If the controller itself is in the input, its owner reference decides.
    fn workloads_with_pods(&mut self) -> HashSet<WorkloadKey> {
        let mut workloads = HashSet::new();
        for (controller, above) in std::mem::take(&mut self.controllers) {
            workloads.extend(self.managers.get(&controller).cloned().or(above));
            workloads.insert(controller);
        }
        let lent = self.borrowed_templates.iter().filter(|(borrower, _)| workloads.contains(*borrower));
        let lent: Vec<WorkloadKey> = lent.map(|(_, lender)| lender.clone()).collect();
        workloads.extend(lent);
        workloads
    }

    /// Returns the kinds of objects that hold containers and were not evaluated.
    fn unevaluated(&self) -> Vec<UnevaluatedKind> {
        let mut kinds: BTreeMap<&TypeMeta, u64> = BTreeMap::new();
        for ((_, types), skipped) in &self.skipped {
            if skipped.with_containers > 0 {
                *kinds.entry(types).or_default() += skipped.with_containers;
            }
        }
        kinds.into_iter().map(|(types, count)| UnevaluatedKind { types: types.clone(), count }).collect()
    }
}

/// Returns the compliance of each namespace.
fn compliance_by_namespace(workloads: &Workloads) -> HashMap<&str, Compliance> {
    let mut namespaces: HashMap<&str, Compliance> = HashMap::new();
    for (key, sum) in workloads.sums() {
        namespaces.entry(key.namespace()).or_default().add(!sum.is_in_breach);
    }
    namespaces
}

/// Adds sums to others. The larger map is kept, because a copy of all workloads would take as much memory again.
fn merge_into<V: Default>(
    sums: &mut HashMap<WorkloadKey, V>,
    mut others: HashMap<WorkloadKey, V>,
    merge: impl Fn(&mut V, &V),
) {
    if sums.len() < others.len() {
        std::mem::swap(sums, &mut others);
    }
    for (workload, sum) in others {
        merge(sums.entry(workload).or_default(), &sum);
    }
}

mod custom;
mod exempting;
mod object_types;
mod relations;

#[cfg(test)]
mod tests;
