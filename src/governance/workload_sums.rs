//! The sum of each workload, in little memory: an input can hold hundreds of thousands of workloads.

use std::collections::HashMap;

use super::Tally;
use super::evaluate::breaches;
use crate::policy::EffectivePolicy;
use crate::rules::RuleId;
use crate::workload::{Owner, WorkloadKey};

/// The number of rules of which a small tally holds counts. Few workloads break more.
const FEW: usize = 5;

/// A tally in 16 bytes, as long as its counts are few and small.
#[derive(Debug, Clone)]
enum Counts {
    /// The pods, and the counts of rules, each with the rule's place in the registry. A count of zero is unused.
    Small(u8, [(u8, u8); FEW]),
    Large(Box<Tally>),
}

impl Default for Counts {
    fn default() -> Self {
        Self::Small(0, [(0, 0); FEW])
    }
}

impl From<Tally> for Counts {
    fn from(tally: Tally) -> Self {
        Self::small(&tally).unwrap_or_else(|| Self::Large(Box::new(tally)))
    }
}

impl Counts {
    fn small(tally: &Tally) -> Option<Self> {
        let mut small = [(0, 0); FEW];
        for (index, (place, count)) in tally.iter().enumerate() {
            *small.get_mut(index)? = (u8::try_from(place).ok()?, u8::try_from(count).ok()?);
        }
        Some(Self::Small(u8::try_from(tally.pods).ok()?, small))
    }

    fn tally(&self) -> Tally {
        match self {
            Self::Small(pods, counts) => {
                let mut tally = Tally::of_pods(u64::from(*pods));
                for (place, count) in counts.iter().filter(|(_, count)| *count > 0) {
                    tally.set(usize::from(*place), u64::from(*count));
                }
                tally
            }
            Self::Large(tally) => (**tally).clone(),
        }
    }

    /// Returns the count of the rule at a place of the registry.
    fn count(&self, place: usize) -> u64 {
        match self {
            Self::Small(_, counts) => counts
                .iter()
                .find(|(own, count)| *count > 0 && usize::from(*own) == place)
                .map_or(0, |(_, count)| u64::from(*count)),
            Self::Large(tally) => tally.count(place),
        }
    }

    fn add(&mut self, other: &Tally) {
        if let Self::Large(tally) = self {
            tally.add(other);
        } else {
            let mut sum = self.tally();
            sum.add(other);
            *self = sum.into();
        }
    }
}

/// The sum of a workload's evaluations.
#[derive(Debug, Clone, Default)]
pub(super) struct WorkloadSum {
    /// True if a violation of at least [`super::Compliance::THRESHOLD`] was found.
    pub(super) is_in_breach: bool,
    /// The evaluated templates, with findings or without.
    templates: u32,
    /// The counts of the pods and templates with findings.
    found: Counts,
}

impl WorkloadSum {
    /// Adds an evaluation, or the sum of several; `found` counts the pods among them that have findings.
    pub(super) fn add(&mut self, is_in_breach: bool, found: &Tally) {
        self.is_in_breach |= is_in_breach;
        self.found.add(found);
    }

    /// Adds the evaluation of a template.
    pub(super) fn add_template(&mut self, is_in_breach: bool, found: &Tally) {
        self.add(is_in_breach, found);
        self.templates = self.templates.saturating_add(1);
    }

    /// Adds the sum of another part of the input.
    pub(super) fn merge(&mut self, other: &Self) {
        self.add(other.is_in_breach, &other.found.tally());
        self.templates = self.templates.saturating_add(other.templates);
    }

    /// Returns the counts of the templates, those without findings included.
    pub(super) fn of_templates(&self) -> Tally {
        let mut tally = self.found.tally();
        tally.pods = u64::from(self.templates);
        tally
    }

    /// Returns the counts of the pods and templates with findings.
    pub(super) fn found(&self) -> Tally {
        self.found.tally()
    }

    /// Replaces the counts by those that are left, which may no longer be a breach.
    pub(super) fn keep(&mut self, left: Tally, policy: &EffectivePolicy) {
        let mut rules = policy.rules().iter();
        self.is_in_breach &= rules.any(|enabled| left.count(enabled.index) > 0 && breaches(enabled));
        self.found = left.into();
    }
}

/// A workload with violations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offender {
    /// The namespace.
    pub namespace: String,
    /// The workload as `Kind/name`.
    pub workload: String,
    /// Its pods that were evaluated.
    pub pods: u64,
    /// The broken rules with their counts.
    pub counts: Vec<(RuleId, u64)>,
    /// The penalty, in half points.
    pub half_points: u64,
}

impl Offender {
    /// Makes the figures of a workload from its tally.
    pub fn new(namespace: &str, workload: Owner<'_>, tally: &Tally, policy: &EffectivePolicy) -> Self {
        Self {
            namespace: namespace.to_owned(),
            workload: workload.to_string(),
            pods: tally.pods,
            counts: tally.by_rule(policy).into_iter().filter(|(_, count)| *count > 0).collect(),
            half_points: tally.half_points(policy),
        }
    }

    /// Returns the penalty in points.
    #[expect(clippy::cast_precision_loss, reason = "exact up to 2^52 points")]
    pub fn penalty(&self) -> f64 {
        self.half_points as f64 / 2.0
    }
}

/// The workloads of a report, from which the worst ones are computed on demand.
#[derive(Debug)]
pub struct Workloads {
    policy: EffectivePolicy,
    sums: HashMap<WorkloadKey, WorkloadSum>,
    /// The workloads of which only the template was evaluated; none of them is among `sums`.
    templates: HashMap<WorkloadKey, WorkloadSum>,
    offenders: usize,
}

/// A workload with its penalty in half points, its namespace and its counts.
type Ranked<'a> = (u64, &'a str, Owner<'a>, &'a WorkloadSum);

impl Workloads {
    /// Puts the sums of workloads and of templates together. A workload that is among both gets the sum of its template.
    pub(super) fn new(
        policy: &EffectivePolicy,
        mut sums: HashMap<WorkloadKey, WorkloadSum>,
        mut templates: HashMap<WorkloadKey, WorkloadSum>,
    ) -> Self {
        // Only these are moved: a second map of all templates would take as much memory again.
        templates.retain(|key, template| match sums.get_mut(key) {
            Some(sum) => {
                sum.merge(template);
                false
            }
            None => true,
        });
        let mut workloads = Self { policy: policy.clone(), sums, templates, offenders: 0 };
        workloads.count_offenders();
        workloads
    }

    fn count_offenders(&mut self) {
        let offenders = self.sums().filter(|(_, sum)| sum.found().half_points(&self.policy) > 0);
        self.offenders = offenders.count();
    }

    /// Passes each workload with findings to `left`, and keeps the counts that it returns, if it returns any.
    pub(super) fn reduce(&mut self, mut left: impl FnMut(&WorkloadKey, &Tally) -> Option<Tally>) {
        for (key, sum) in self.sums.iter_mut().chain(&mut self.templates) {
            let found = sum.found();
            if found != Tally::default()
                && let Some(left) = left(key, &found)
            {
                sum.keep(left, &self.policy);
            }
        }
        self.count_offenders();
    }

    /// Iterates over the workloads and their sums.
    pub(super) fn sums(&self) -> impl Iterator<Item = (&WorkloadKey, &WorkloadSum)> {
        self.sums.iter().chain(&self.templates)
    }

    /// Returns true if a workload was evaluated.
    pub(super) fn has(&self, namespace: &str, workload: Owner<'_>) -> bool {
        let key = WorkloadKey::new(namespace, workload);
        self.sums.contains_key(&key) || self.templates.contains_key(&key)
    }

    /// Returns the policy under which the workloads were evaluated.
    pub(super) fn policy(&self) -> &EffectivePolicy {
        &self.policy
    }

    /// Returns the number of workloads with a penalty.
    pub fn offenders(&self) -> usize {
        self.offenders
    }

    /// Returns at most `limit` workloads with a penalty, the largest penalty first.
    pub fn worst(&self, limit: usize) -> Vec<Offender> {
        let offenders = self.sums().filter_map(|(key, sum)| {
            let half_points = sum.found().half_points(&self.policy);
            (half_points > 0).then(|| (half_points, key.namespace(), key.local(), sum))
        });
        let order = |a: &Ranked<'_>, b: &Ranked<'_>| b.0.cmp(&a.0).then_with(|| (a.1, a.2).cmp(&(b.1, b.2)));
        let mut ranked: Vec<Ranked<'_>> = Vec::new();
        for offender in offenders {
            ranked.push(offender);
            // There may be very many offenders, of which few are kept at any time.
            if ranked.len() / 2 > limit {
                ranked.select_nth_unstable_by(limit, order);
                ranked.truncate(limit);
            }
        }
        ranked.sort_unstable_by(order);
        ranked.truncate(limit);
        let offender = |(_, namespace, workload, sum): Ranked<'_>| {
            Offender::new(namespace, workload, &sum.found(), &self.policy)
        };
        ranked.into_iter().map(offender).collect()
    }

    /// Returns the number of workloads in which the rule at a place of the registry found something.
    pub(super) fn with_violations_of(&self, rule: usize) -> u64 {
        self.sums().filter(|(_, sum)| sum.found.count(rule) > 0).count() as u64
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::rules::RULES;

    fn any_tally() -> impl Strategy<Value = Tally> {
        let count = || prop_oneof![0..3_u64, 250..260_u64, any::<u32>().prop_map(u64::from)];
        (count(), proptest::collection::vec((0..RULES.len(), count()), 0..9)).prop_map(|(pods, counts)| {
            let mut tally = Tally::of_pods(pods);
            for (place, count) in counts {
                tally.set(place, count);
            }
            tally
        })
    }

    proptest! {
        #[test]
        fn counts_are_exact_however_large(tallies in proptest::collection::vec(any_tally(), 0..6)) {
            let (mut counts, mut expected) = (Counts::default(), Tally::default());
            for tally in &tallies {
                counts.add(tally);
                expected.add(tally);
            }
            prop_assert_eq!(counts.tally(), expected);
        }
    }
}
