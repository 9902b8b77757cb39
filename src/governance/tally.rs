//! Exact sums of evaluations. Removing is the inverse of adding, so that a live sum equals a fresh count.

use std::collections::BTreeMap;

use crate::policy::EffectivePolicy;
use crate::rules::RuleId;

/// The number of pods and the counts of rules. Most objects break few rules, so only counts above zero are stored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// The pods that were evaluated.
    pub pods: u64,
    /// The counts above zero, each with the rule's place in the registry, sorted by place.
    counts: Vec<(u16, u64)>,
}

impl Tally {
    /// Makes a tally of pods without a count.
    pub fn of_pods(pods: u64) -> Self {
        Self { pods, counts: Vec::new() }
    }

    /// Returns the count of the rule at a place in the registry.
    pub fn count(&self, place: usize) -> u64 {
        self.find(narrow(place)).ok().and_then(|index| self.counts.get(index)).map_or(0, |(_, count)| *count)
    }

    /// Iterates over the counts above zero, each with the rule's place in the registry.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, u64)> {
        self.counts.iter().map(|(place, count)| (usize::from(*place), *count))
    }

    /// Sets the count of the rule at a place in the registry.
    pub fn set(&mut self, place: usize, count: u64) {
        self.change(narrow(place), |_| count);
    }

    /// Adds another tally.
    pub fn add(&mut self, other: &Self) {
        self.pods = self.pods.wrapping_add(other.pods);
        for (place, count) in &other.counts {
            self.change(*place, |own| own.wrapping_add(*count));
        }
    }

    /// Removes a tally that was added before.
    pub fn remove(&mut self, other: &Self) {
        self.pods = self.pods.wrapping_sub(other.pods);
        for (place, count) in &other.counts {
            self.change(*place, |own| own.wrapping_sub(*count));
        }
    }

    fn find(&self, place: u16) -> Result<usize, usize> {
        self.counts.binary_search_by_key(&place, |(place, _)| *place)
    }

    fn change(&mut self, place: u16, change: impl FnOnce(u64) -> u64) {
        match self.find(place) {
            Ok(index) => {
                let count = change(self.counts[index].1);
                if count == 0 {
                    self.counts.remove(index);
                } else {
                    self.counts[index].1 = count;
                }
            }
            Err(index) => {
                let count = change(0);
                if count > 0 {
                    self.counts.insert(index, (place, count));
                }
            }
        }
    }

    /// The count of every rule that is on under a policy, zeros included.
    pub fn by_rule(&self, policy: &EffectivePolicy) -> BTreeMap<RuleId, u64> {
        policy.rules().iter().map(|enabled| (enabled.rule.id, self.count(enabled.index))).collect()
    }

    /// The penalty under a policy, in half points.
    pub fn half_points(&self, policy: &EffectivePolicy) -> u64 {
        policy.rules().iter().fold(0, |sum, enabled| {
            sum.saturating_add(self.count(enabled.index).saturating_mul(enabled.half_points))
        })
    }
}

fn narrow(place: usize) -> u16 {
    u16::try_from(place).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::rules::RULES;

    fn any_tally() -> impl Strategy<Value = Tally> {
        (any::<u64>(), prop::collection::vec((0..RULES.len(), any::<u64>()), 0..12)).prop_map(
            |(pods, counts)| {
                let mut tally = Tally::of_pods(pods);
                for (place, count) in counts {
                    tally.set(place, count);
                }
                tally
            },
        )
    }

    proptest! {
        #[test]
        fn removing_is_the_inverse_of_adding(start in any_tally(), change in any_tally()) {
            let mut tally = start.clone();
            tally.add(&change);
            tally.remove(&change);
            prop_assert_eq!(tally, start);
        }

        #[test]
        fn the_order_of_adding_does_not_matter(a in any_tally(), b in any_tally()) {
            let (mut ab, mut ba) = (a.clone(), b.clone());
            ab.add(&b);
            ba.add(&a);
            prop_assert_eq!(ab, ba);
        }

        #[test]
        fn a_penalty_never_overflows(tally in any_tally()) {
            let _ = tally.half_points(&EffectivePolicy::default());
        }
    }
}
