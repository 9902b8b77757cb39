//! The judgement of one workload under one policy: the step that every way in shares.

use jiff::Timestamp;

use super::Tally;
use crate::policy::EffectivePolicy;
use crate::rules::{Context, Violation, Violations};
use crate::workload::Workload;

/// What the rules of a policy say about one workload.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Judgement {
    /// One pod, and what each rule counted on it.
    pub tally: Tally,
    /// The violations, where they were asked for.
    pub violations: Vec<Violation>,
}

/// Judges one workload at the time `now`; `keep` asks for the violations and not only for their counts.
pub fn evaluate(policy: &EffectivePolicy, workload: &Workload<'_>, now: Timestamp, keep: bool) -> Judgement {
    let mut tally = Tally { pods: 1, ..Tally::default() };
    let mut found = Violations::new(keep);
    for enabled in policy.rules().iter().filter(|enabled| (enabled.rule.applies_to)(workload)) {
        found.begin(enabled.rule.id, enabled.severity);
        (enabled.rule.check)(&Context { workload, parameters: &enabled.parameters, now }, &mut found);
        tally.counts[enabled.index] = found.count();
    }
    Judgement { tally, violations: found.into_kept() }
}
