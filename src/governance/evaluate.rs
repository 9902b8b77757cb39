//! The judgement of one workload under one policy, shared by files, live lists, watches and the operator.

use jiff::Timestamp;

use super::{Compliance, Tally};
use crate::policy::EffectivePolicy;
use crate::rules::{Context, Violation, Violations};
use crate::workload::Workload;

/// The judgement of one workload under a policy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Judgement {
    /// One pod with the count of each rule.
    pub tally: Tally,
    /// True if a violation of at least [`Compliance::THRESHOLD`] was found.
    pub is_in_breach: bool,
    /// The violations, where they were asked for.
    pub violations: Vec<Violation>,
}

/// Judges one workload at the time `now`. With `keep` the violations are kept, else only their counts.
pub fn evaluate(policy: &EffectivePolicy, workload: &Workload<'_>, now: Timestamp, keep: bool) -> Judgement {
    let mut tally = Tally { pods: 1, ..Tally::default() };
    let mut is_in_breach = false;
    let mut found = Violations::new(keep);
    for enabled in policy.rules().iter().filter(|enabled| (enabled.rule.applies_to)(workload)) {
        found.begin(enabled.rule.id, enabled.severity);
        (enabled.rule.check)(&Context { workload, parameters: &enabled.parameters, now }, &mut found);
        tally.counts[enabled.index] = found.count();
        is_in_breach |= found.count() > 0 && enabled.severity >= Compliance::THRESHOLD;
    }
    Judgement { tally, is_in_breach, violations: found.into_kept() }
}
