//! Exact sums of judgements. Removing is the inverse of adding, so that a live sum equals a fresh count.

use std::collections::BTreeMap;

use crate::policy::EffectivePolicy;
use crate::rules::{RULES, RuleId};

/// The number of pods and the count of each rule, by the rule's place in the registry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// The pods that were judged.
    pub pods: u64,
    /// The count of each rule.
    pub counts: [u64; RULES.len()],
}

impl Tally {
    /// Adds another tally.
    pub fn add(&mut self, other: &Self) {
        self.pods = self.pods.wrapping_add(other.pods);
        for (count, other) in self.counts.iter_mut().zip(other.counts) {
            *count = count.wrapping_add(other);
        }
    }

    /// Removes a tally that was added before.
    pub fn remove(&mut self, other: &Self) {
        self.pods = self.pods.wrapping_sub(other.pods);
        for (count, other) in self.counts.iter_mut().zip(other.counts) {
            *count = count.wrapping_sub(other);
        }
    }

    /// The count of every rule that is on under a policy, zeros included.
    pub fn by_rule(&self, policy: &EffectivePolicy) -> BTreeMap<RuleId, u64> {
        policy.rules().iter().map(|enabled| (enabled.rule.id, self.counts[enabled.index])).collect()
    }

    /// The penalty under a policy, in half points.
    pub fn half_points(&self, policy: &EffectivePolicy) -> u64 {
        policy.rules().iter().fold(0, |sum, enabled| {
            sum.saturating_add(self.counts[enabled.index].saturating_mul(enabled.half_points))
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_tally() -> impl Strategy<Value = Tally> {
        (any::<u64>(), any::<[u64; RULES.len()]>()).prop_map(|(pods, counts)| Tally { pods, counts })
    }

    proptest! {
        #[test]
        fn removing_is_the_inverse_of_adding(start in any_tally(), change in any_tally()) {
            let mut tally = start;
            tally.add(&change);
            tally.remove(&change);
            prop_assert_eq!(tally, start);
        }

        #[test]
        fn the_order_of_adding_does_not_matter(a in any_tally(), b in any_tally()) {
            let (mut ab, mut ba) = (a, b);
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
