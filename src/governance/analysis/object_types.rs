//! The part of an analysis about the types of objects, which rules evaluate for objects of any kind.

use std::collections::BTreeMap;

use super::Analysis;
use crate::governance::evaluate::evaluate_type;
use crate::governance::{Evaluation, Origin, RuleFindings, Tally};
use crate::policy::EffectivePolicy;
use crate::rules::{Check, Severity};
use crate::workload::{Metadata, Owner, TypeMeta, WorkloadKey};

impl Analysis<'_> {
    /// Evaluates the type of an object that is no workload.
    pub(super) fn evaluate_other(
        &mut self,
        types: &TypeMeta,
        metadata: &Metadata<'_>,
        origin: Option<Origin<'_>>,
    ) {
        if !self.policy.evaluates_types() || metadata.controller().is_some() {
            return;
        }
        let own = metadata.namespace.as_deref().filter(|namespace| !namespace.is_empty());
        let namespace =
            if types.is_cluster_scoped() { "" } else { own.unwrap_or(self.scope.default_namespace()) };
        if !self.scope.asks_for(namespace)
            || self.scope.leaves_out(namespace)
            || !self.scope.selects_labels(metadata.labels.as_ref())
        {
            return;
        }
        let split = self.split(origin);
        let policy = split.as_ref().map_or(self.policy, |split| &split.left);
        for (exemption, rules) in split.iter().flat_map(|split| &split.exempt) {
            let exempt = evaluate_type(rules, Some(types), metadata, false, &mut |_, _, _| {}).tally;
            self.add_exempt(*exemption, &exempt);
            self.exempted_others.add(&exempt);
        }
        let name = metadata.name.as_deref().or(metadata.generate_name.as_deref()).unwrap_or_default();
        let object = Owner { kind: &types.kind, name };
        let key = WorkloadKey::new(namespace, object);
        let evaluation = self.evaluate_type(policy, Some(types), metadata, &key);
        let violations = evaluation.violations.iter().map(Into::into);
        self.violations.add_certain(namespace, object, origin, violations);
        self.others.add(namespace, &evaluation.tally);
    }

    pub(super) fn evaluate_type(
        &mut self,
        policy: &EffectivePolicy,
        types: Option<&TypeMeta>,
        metadata: &Metadata<'_>,
        key: &WorkloadKey,
    ) -> Evaluation {
        evaluate_type(policy, types, metadata, self.keep, &mut |place, severity, count| {
            *self.types.entry((key.clone(), place, severity)).or_default() += count;
        })
    }

    /// Returns the findings of each rule and severity.
    pub(super) fn findings(&self, all: &Tally) -> Vec<RuleFindings> {
        let mut types: BTreeMap<(usize, Severity), u64> = BTreeMap::new();
        for ((_, place, severity), count) in &self.types {
            *types.entry((*place, *severity)).or_default() += count;
        }
        let rules = self.policy.rules().iter().filter(|enabled| all.count(enabled.index) > 0);
        let found = rules.flat_map(|enabled| {
            let found = |severity, count| RuleFindings { rule: enabled.rule, severity, count };
            if !matches!(enabled.rule.check, Check::Type(_)) {
                return vec![found(enabled.severity, all.count(enabled.index))];
            }
            let by_severity =
                types.range((enabled.index, Severity::Low)..=(enabled.index, Severity::Critical));
            by_severity.map(|((_, severity), count)| found(*severity, *count)).collect()
        });
        found.collect()
    }
}
