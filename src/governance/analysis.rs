//! The sum of many evaluations. Parts of it can be made on several threads and merged.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::Timestamp;

use self::custom::CustomState;
use self::supplied::SupplyState;
use super::evaluate::evaluate_workload;
use super::exemptions::Split;
use super::other_sums::OtherSums;
use super::workload_sums::{TemplateSum, WorkloadSum};
use super::{
    AnnotatedExemptions, Evaluation, Exemptions, Origin, ReportError, Scope, Tally, ViolationList, evaluate,
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
    unrendered: Vec<ReportError>,
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
    supplies: SupplyState,
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
            unrendered: Vec::new(),
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
            supplies: SupplyState::default(),
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

    /// Returns true if a part of the input could not be read.
    pub fn has_errors(&self) -> bool {
        !self.errors.is_empty()
    }

    /// Adds a chart or kustomization that no installed program renders.
    pub fn leave_unrendered(&mut self, directory: ReportError) {
        self.unrendered.push(directory);
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
        self.unrendered.extend(part.unrendered);
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
        self.supplies.merge(part.supplies);
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
        let key = WorkloadKey::new(namespace, workload.owner());
        if self.place(namespace, workload, &key) {
            self.evaluate_custom_rules(namespace, workload, origin);
            self.evaluate_rules(namespace, workload, key, types, origin);
        }
    }

    /// Notes how a workload belongs to others, and returns true if it is evaluated itself.
    fn place(&mut self, namespace: &str, workload: &Workload<'_>, key: &WorkloadKey) -> bool {
        if let Some(template) = &workload.uses_template_of {
            let of = Owner { kind: &template.kind, name: &template.name };
            self.borrowed_templates.insert(key.clone(), WorkloadKey::new(namespace, of));
            return false;
        }
        let controller = controller_of(workload);
        if workload.may_be_managed() {
            let manager = controller.unwrap_or(workload.owner());
            self.managers.insert(key.clone(), WorkloadKey::new(namespace, manager));
        }
        if workload.is_patch() {
            self.patches += u64::from(self.is_reported);
            return false;
        }
        let selected = self.scope.selects(workload);
        self.selected += u64::from(selected);
        if workload.is_managed() || workload.is_terminal() || !selected {
            return false;
        }
        // Only a pod that is evaluated, or would be, stands for its workload's template.
        if workload.is_pod() {
            self.add_pod_of(namespace, workload, controller);
        }
        let left_out = self.scope.leaves_out(namespace);
        if left_out && self.is_reported {
            if workload.is_pod() {
                self.left_out += 1;
            } else {
                *self.left_out_templates.entry(key.clone()).or_default() += 1;
            }
        }
        self.is_reported && !left_out
    }

    /// Evaluates a workload by the policy's rules, and adds the result.
    fn evaluate_rules(
        &mut self,
        namespace: &str,
        workload: &Workload<'_>,
        key: WorkloadKey,
        types: Option<&TypeMeta>,
        origin: Option<Origin<'_>>,
    ) {
        let split = self.split(origin);
        let policy = split.as_ref().map_or(self.policy, |split| &split.left);
        for (exemption, rules) in split.iter().flat_map(|split| &split.exempt) {
            self.count_exempt(*exemption, rules, (workload, &key), types);
        }
        self.note_lacking(policy, workload, &key);
        let mut evaluation = evaluate(policy, workload, self.now, self.keep);
        self.recheck_at = self.recheck_at.into_iter().chain(evaluation.recheck_at).min();
        let violations = std::mem::take(&mut evaluation.violations);
        let owner = workload.owner();
        let manager = (owner.kind != workload.kind.name()).then_some(owner);
        self.violations.add(namespace, workload, manager, origin, &violations);
        let is_controlled = workload.metadata.controller().is_some();
        if !is_controlled && policy.evaluates_workloads() {
            let evaluation = evaluate_workload(policy, workload, self.now, self.keep);
            self.recheck_at = self.recheck_at.into_iter().chain(evaluation.recheck_at).min();
            self.add_own(namespace, workload, &key, origin, &evaluation);
        }
        if !is_controlled && policy.evaluates_types() {
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

    /// Notes the workloads that an evaluated pod belongs to. A pod without a controller belongs to none.
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
}

/// Returns the controller that a workload's owner references name.
fn controller_of<'a>(workload: &'a Workload<'_>) -> Option<Owner<'a>> {
    workload.metadata.controller().map(|owner| Owner { kind: &owner.kind, name: &owner.name })
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
mod finish;
mod object_types;
mod relations;
mod supplied;

#[cfg(test)]
mod tests;
