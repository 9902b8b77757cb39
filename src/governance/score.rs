//! The health score and its class.

use std::fmt;

use serde::Serialize;

use super::Tally;
use crate::policy::EffectivePolicy;

/// A health score, from 0 (worst) to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Score(u8);

impl Score {
    /// The score without any penalty.
    pub const BEST: Self = Self(100);

    /// The score of a tally under a policy: 100 less the mean penalty of a pod, at most 100, truncated once at the
    /// end. Nothing to evaluate scores 100.
    pub fn of(tally: &Tally, policy: &EffectivePolicy) -> Self {
        Self::of_penalty(tally.pods, tally.half_points(policy))
    }

    /// The score of pods with a penalty, in half points.
    pub fn of_penalty(pods: u64, half_points: u64) -> Self {
        let left = pods.saturating_mul(200).saturating_sub(half_points);
        let score = if pods == 0 { 100 } else { left / pods.saturating_mul(2) };
        Self(u8::try_from(score).unwrap_or(100))
    }

    /// Returns the score that a number stands for. A number above 100 counts as 100.
    pub fn from_value(value: u8) -> Self {
        Self(value.min(100))
    }

    /// The score as a number.
    pub fn value(self) -> u8 {
        self.0
    }

    /// The class of the score.
    pub fn classification(self) -> Classification {
        match self.0 {
            80.. => Classification::Healthy,
            60.. => Classification::Stable,
            40.. => Classification::Degraded,
            _ => Classification::Critical,
        }
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The class of a score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Classification {
    /// 0 to 39.
    Critical,
    /// 40 to 59.
    Degraded,
    /// 60 to 79.
    Stable,
    /// 80 to 100.
    Healthy,
}

impl fmt::Display for Classification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Critical => "Critical",
            Self::Degraded => "Degraded",
            Self::Stable => "Stable",
            Self::Healthy => "Healthy",
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::policy::DevOpsPolicySpec;
    use crate::rules::{LATEST_TAG, MISSING_READINESS, RULES, place};

    fn tally(pods: u64, counts: &[(&crate::rules::Rule, u64)]) -> Tally {
        let mut tally = Tally::of_pods(pods);
        for (rule, count) in counts {
            tally.set(place(rule.id), *count);
        }
        tally
    }

    fn score(tally: &Tally) -> u8 {
        Score::of(tally, &EffectivePolicy::default()).value()
    }

    #[test]
    fn a_score_is_truncated_once_at_the_end() {
        assert_eq!(score(&tally(3, &[(&LATEST_TAG, 1)])), 98, "100 - 5/3 = 98.33");
        assert_eq!(score(&tally(3, &[(&LATEST_TAG, 1), (&MISSING_READINESS, 1)])), 97, "100 - 7/3 = 97.67");
        assert_eq!(score(&tally(1, &[(&LATEST_TAG, 20)])), 0);
        assert_eq!(score(&tally(1, &[(&LATEST_TAG, 21)])), 0);
        assert_eq!(score(&tally(0, &[])), 100);
    }

    #[test]
    fn a_low_override_counts_half_points() {
        let spec: DevOpsPolicySpec =
            yaml_serde::from_str("{forbidLatestTag: true, severityOverrides: {latestTag: low}}").unwrap();
        let policy = EffectivePolicy::from_spec(&spec).unwrap();
        assert_eq!(Score::of(&tally(1, &[(&LATEST_TAG, 1)]), &policy).value(), 97, "100 - 2.5 = 97.5");
    }

    #[test]
    fn classes_change_at_40_60_and_80() {
        use Classification::{Critical, Degraded, Healthy, Stable};
        let classes = [0, 39, 40, 59, 60, 79, 80, 100].map(|score| Score(score).classification());
        assert_eq!(classes, [Critical, Critical, Degraded, Degraded, Stable, Stable, Healthy, Healthy]);
    }

    proptest! {
        #[test]
        fn a_score_lies_between_0_and_100(pods in any::<u64>(), counts in prop::collection::vec(any::<u64>(), RULES.len())) {
            let mut tally = Tally::of_pods(pods);
            for (place, count) in counts.into_iter().enumerate() {
                tally.set(place, count);
            }
            let score = score(&tally);
            prop_assert!(score <= 100);
        }

        #[test]
        fn one_more_violation_never_raises_a_score(pods in 1u64..1000, count in 0u64..100_000) {
            prop_assert!(score(&tally(pods, &[(&LATEST_TAG, count + 1)])) <= score(&tally(pods, &[(&LATEST_TAG, count)])));
        }
    }
}
