//! The part of an analysis about exemptions: it takes exempt findings out of every figure, and counts them.

use std::collections::{BTreeMap, BTreeSet};

use super::Analysis;
use crate::governance::evaluate::{breaches, evaluate_type, evaluate_workload};
use crate::governance::{
    AnnotatedExemptions, Compliance, ExemptFindings, Exemption, RawFigures, Score, Tally, ViolationRow,
    Workloads, evaluate,
};
use crate::policy::EffectivePolicy;
use crate::rules::RuleId;
use crate::workload::{Metadata, TypeMeta, Workload, WorkloadKey};

/// The numbers of exempt findings, by the object with the annotation, and by rule.
type Counts<'e> = BTreeMap<String, (&'e Exemption, BTreeMap<RuleId, u64>)>;

/// Adds to the number of a rule's findings that an exemption accepts.
fn add_count<'e>(counts: &mut Counts<'e>, exemption: &'e Exemption, rule: RuleId, count: u64) {
    let (_, by_rule) = counts.entry(exemption.object()).or_insert((exemption, BTreeMap::new()));
    *by_rule.entry(rule).or_default() += count;
}

impl Analysis<'_> {
    /// Adds exemptions that annotations declare, of objects that are not in the input themselves.
    pub fn exempt(&mut self, annotated: AnnotatedExemptions) {
        self.annotated.merge(annotated);
    }

    /// Returns the kinds of the workloads with findings, for a look at the annotations of these workloads.
    pub fn kinds_with_findings(&self) -> BTreeSet<String> {
        let found = self.workloads.iter().filter(|(_, sum)| sum.found().has_findings());
        found.map(|(key, _)| key.local().kind.to_owned()).collect()
    }

    /// Notes the annotations of an object if it is a Namespace.
    pub(super) fn note_exemptions_of(&mut self, types: &TypeMeta, metadata: &Metadata<'_>) {
        let name = metadata.name.as_deref().unwrap_or_default();
        let is_namespace = types.api_version == "v1" && types.kind == "Namespace";
        if is_namespace && self.scope.asks_for(name) && !self.scope.leaves_out(name) {
            self.annotated.add_namespace(name, |key| metadata.annotation(key));
        }
    }

    /// Counts the findings of a workload that an exemption of the project accepts.
    pub(super) fn count_exempt(
        &mut self,
        exemption: usize,
        rules: &EffectivePolicy,
        (workload, key): (&Workload<'_>, &WorkloadKey),
        types: Option<&TypeMeta>,
    ) {
        let mut found = vec![evaluate(rules, workload, self.now, false)];
        if workload.metadata.controller().is_none() {
            found.push(evaluate_workload(rules, workload, self.now, false));
            found.push(evaluate_type(rules, types, &workload.metadata, false, &mut |_, _, _| {}));
        }
        for evaluation in found {
            let tally = evaluation.tally.without_pods();
            self.add_exempt(exemption, &tally);
            self.exempted.add(&tally);
            if evaluation.is_in_breach {
                self.exempt_breaches.insert(key.clone());
            }
        }
    }

    pub(super) fn add_exempt(&mut self, exemption: usize, found: &Tally) {
        if self.exempt.len() <= exemption {
            self.exempt.resize(exemption + 1, 0);
        }
        self.exempt[exemption] += found.sum();
    }

    /// Takes the findings that annotations exempt out of all sums, and returns the exemptions with findings.
    pub(super) fn leave_out_exempt(&mut self, workloads: &mut Workloads) -> Vec<ExemptFindings> {
        let mut all = self.exemptions.map_or(Vec::new(), |all| all.report(&self.exempt, self.now));
        let annotated = std::mem::take(&mut self.annotated);
        if !annotated.is_empty() {
            let mut counts = Counts::new();
            self.reduce_workloads(workloads, &annotated, &mut counts);
            self.reduce_others(&annotated, &mut counts);
            self.reduce_lists(&annotated);
            let ends = counts.values().filter_map(|(exemption, _)| exemption.end(self.now));
            self.recheck_at = self.recheck_at.into_iter().chain(ends.min()).min();
            all.extend(counts.into_values().map(|(exemption, by_rule)| {
                let count = by_rule.values().sum();
                ExemptFindings { by_rule, ..exemption.with_count(count, self.now) }
            }));
        }
        self.annotated = annotated;
        all
    }

    fn reduce_workloads<'e>(
        &mut self,
        workloads: &mut Workloads,
        annotated: &'e AnnotatedExemptions,
        counts: &mut Counts<'e>,
    ) {
        let (policy, now) = (self.policy, self.now);
        workloads.reduce(|key, found| {
            let mut exempt = Tally::default();
            for enabled in policy.rules().iter().filter(|enabled| found.count(enabled.index) > 0) {
                let Some(exemption) = annotated.of(key, enabled, now) else { continue };
                let count = if exemption.is_over(now) { 0 } else { found.count(enabled.index) };
                add_count(counts, exemption, enabled.rule.id, count);
                exempt.set(enabled.index, count);
                if count > 0 && breaches(enabled) {
                    self.exempt_breaches.insert(key.clone());
                }
            }
            if !exempt.has_findings() {
                return None;
            }
            if let Some(sum) = self.namespaces.get_mut(key.namespace()) {
                sum.remove(&exempt);
            }
            self.exempted.add(&exempt);
            let mut left = found.clone();
            left.remove(&exempt);
            Some(if left.has_findings() { left } else { Tally::default() })
        });
    }

    fn reduce_others<'e>(&mut self, annotated: &'e AnnotatedExemptions, counts: &mut Counts<'e>) {
        let (policy, now) = (self.policy, self.now);
        let exempted = &mut self.exempted_others;
        self.others.reduce(|namespace, found| {
            let mut exempt = Tally::default();
            for enabled in policy.rules().iter().filter(|enabled| found.count(enabled.index) > 0) {
                let Some(exemption) = annotated.of_namespace(namespace, enabled) else { continue };
                let count = if exemption.is_over(now) { 0 } else { found.count(enabled.index) };
                add_count(counts, exemption, enabled.rule.id, count);
                exempt.set(enabled.index, count);
            }
            exempted.add(&exempt);
            exempt
        });
    }

    /// Takes exempt findings out of the lists, and says of those with a former exemption when it ended.
    fn reduce_lists(&mut self, annotated: &AnnotatedExemptions) {
        let (policy, now) = (self.policy, self.now);
        let of = |key: &WorkloadKey, rule: RuleId| {
            policy.get(rule).and_then(|enabled| annotated.of(key, enabled, now))
        };
        let of_row = |row: &ViolationRow<'_>| of(&WorkloadKey::new(row.namespace, row.workload()), row.rule);
        self.types.retain(|(key, place, _), _| {
            let enabled = policy.rules().iter().find(|enabled| enabled.index == *place);
            enabled.and_then(|enabled| annotated.of(key, enabled, now)).is_none_or(|one| one.is_over(now))
        });
        self.violations.retain(|row| of_row(row).is_none_or(|exemption| exemption.is_over(now)));
        self.violations.annotate(|row| {
            let last = of_row(row)?.expires?;
            Some(format!(" (the exemption from this rule ended with {last})"))
        });
    }

    /// Returns the number of exempt findings of each rule that has some.
    pub(super) fn counts_of_exempt(&self) -> BTreeMap<RuleId, u64> {
        let mut all = self.exempted.clone();
        all.add(&self.exempted_others);
        all.by_rule(self.policy).into_iter().filter(|(_, count)| *count > 0).collect()
    }

    /// Returns the figures as they would be without exemptions; `None` if nothing is exempt.
    pub(super) fn with_exempted(&self, total: &Tally, workloads: &Workloads) -> Option<RawFigures> {
        if !self.exempted.has_findings() {
            return None;
        }
        let mut all = total.clone();
        all.add(&self.exempted);
        let mut compliance = Compliance::default();
        for (key, sum) in workloads.sums() {
            compliance.add(!sum.is_in_breach && !self.exempt_breaches.contains(key));
        }
        let score = Score::of(&all, self.policy);
        Some(RawFigures { score, status: score.classification(), compliance: compliance.percent() })
    }

    /// Returns the annotations that exempt nothing, each with its object and the reason.
    pub(super) fn refused_exemptions(&self) -> Vec<String> {
        let mut all: Vec<_> = self.annotated.problems().cloned().collect();
        all.extend(self.annotated.refused(self.policy));
        all
    }
}
