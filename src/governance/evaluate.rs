//! The judgement of one workload under one policy, shared by files, live lists, watches and the operator.

use jiff::Timestamp;

use super::{Compliance, Tally};
use crate::policy::EffectivePolicy;
use crate::rules::{Check, Context, Violation, Violations};
use crate::workload::Workload;

/// The judgement of one workload under a policy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Judgement {
    /// One pod with the count of each rule.
    pub tally: Tally,
    /// True if a rule with a weight found a violation of at least [`Compliance::THRESHOLD`].
    pub is_in_breach: bool,
    /// The earliest time at which the judgement may change although the workload stays the same.
    pub recheck_at: Option<Timestamp>,
    /// The violations, where they were asked for.
    pub violations: Vec<Violation>,
}

/// Judges one pod or template at the time `now`. With `keep` the violations are kept, else only their counts.
pub fn evaluate(policy: &EffectivePolicy, workload: &Workload<'_>, now: Timestamp, keep: bool) -> Judgement {
    let check = |check: Check| match check {
        Check::Pod(check) | Check::Live(check) => Some(check),
        Check::Workload(_) | Check::Object { .. } | Check::Relation { .. } => None,
    };
    run(policy, workload, now, keep, Tally::of_pods(1), check)
}

/// Judges a workload itself, beside its template or pods. The judgement counts no pod.
pub(super) fn evaluate_workload(
    policy: &EffectivePolicy,
    workload: &Workload<'_>,
    now: Timestamp,
    keep: bool,
) -> Judgement {
    let check = |check: Check| match check {
        Check::Workload(check) => Some(check),
        Check::Pod(_) | Check::Live(_) | Check::Object { .. } | Check::Relation { .. } => None,
    };
    run(policy, workload, now, keep, Tally::default(), check)
}

/// The function of a check that looks at workloads.
type WorkloadCheck = fn(&Context<'_>, &mut Violations);

fn run(
    policy: &EffectivePolicy,
    workload: &Workload<'_>,
    now: Timestamp,
    keep: bool,
    mut tally: Tally,
    check_of: impl Fn(Check) -> Option<WorkloadCheck>,
) -> Judgement {
    let mut is_in_breach = false;
    let mut found = Violations::new(keep);
    for enabled in policy.rules() {
        let Some(check) = check_of(enabled.rule.check) else { continue };
        found.begin(enabled.rule.id, enabled.severity);
        check(&Context { workload, parameters: &enabled.parameters, now }, &mut found);
        if found.count() > 0 {
            tally.set(enabled.index, found.count());
            // A finding outside the score is listed, and changes neither score nor compliance.
            is_in_breach |= enabled.half_points > 0 && enabled.severity >= Compliance::THRESHOLD;
        }
    }
    Judgement { tally, is_in_breach, recheck_at: found.next_check(), violations: found.into_kept() }
}
