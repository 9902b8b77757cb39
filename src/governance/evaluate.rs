//! Evaluates one workload under one policy, for files, live lists, watches and the operator.

use jiff::Timestamp;

use super::{Compliance, Tally};
use crate::policy::{EffectivePolicy, EnabledRule};
use crate::rules::{Check, Context, RuleId, Severity, TypeContext, Violation, Violations};
use crate::workload::{Metadata, TypeMeta, Workload};

/// The evaluation of one workload under a policy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evaluation {
    /// One pod with the count of each rule.
    pub tally: Tally,
    /// True if a rule with a weight found a violation of at least [`Compliance::THRESHOLD`].
    pub is_in_breach: bool,
    /// The earliest time at which the evaluation may change although the workload stays the same.
    pub recheck_at: Option<Timestamp>,
    /// The violations, where they were asked for.
    pub violations: Vec<Violation>,
}

/// Evaluates one pod or template at the time `now`. With `keep` the violations are kept, else only their counts.
pub fn evaluate(policy: &EffectivePolicy, workload: &Workload<'_>, now: Timestamp, keep: bool) -> Evaluation {
    run(policy, Violations::new(keep), Tally::of_pods(1), |enabled, found| {
        if let Check::Pod(check) | Check::Live(check) = enabled.rule.check {
            check(&Context { workload, parameters: &enabled.parameters, now }, found);
        }
    })
}

/// Evaluates an object before it is stored: its pod or template, and the workload itself unless a controller has made
/// it. Returns the violations with the values that are wrong.
pub fn evaluate_for_admission(
    policy: &EffectivePolicy,
    workload: &Workload<'_>,
    now: Timestamp,
) -> Vec<Violation> {
    let is_managed = workload.metadata.controller().is_some();
    let evaluation = run(policy, Violations::with_values(), Tally::of_pods(1), |enabled, found| {
        let check = match enabled.rule.check {
            Check::Pod(check) | Check::Live(check) => check,
            Check::Workload(check) if !is_managed => check,
            _ => return,
        };
        check(&Context { workload, parameters: &enabled.parameters, now }, found);
    });
    evaluation.violations
}

/// Evaluates an object under the rules of the policy's own. Returns its violations, and the rules that can't tell, each
/// with the reason.
pub fn evaluate_custom(
    policy: &EffectivePolicy,
    workload: &Workload<'_>,
) -> (Vec<Violation>, Vec<(RuleId, String)>) {
    let (mut violations, mut unknown) = (Vec::new(), Vec::new());
    let Some(object) = &workload.raw else { return (violations, unknown) };
    for enabled in policy.rules() {
        let Some(custom) = enabled.custom.as_ref().filter(|custom| custom.kinds.contains(workload.kind))
        else {
            continue;
        };
        match custom.evaluate(object, None) {
            Ok(true) => {}
            Ok(false) => violations.push(Violation {
                rule: enabled.rule.id,
                severity: enabled.severity,
                count: 1,
                container: None,
                path: "spec".to_owned(),
                message: custom.message.clone(),
                values: Vec::new(),
            }),
            Err(reason) => unknown.push((enabled.rule.id, reason.to_string())),
        }
    }
    (violations, unknown)
}

/// Evaluates a workload itself, beside its template or pods. The evaluation counts no pod.
pub fn evaluate_workload(
    policy: &EffectivePolicy,
    workload: &Workload<'_>,
    now: Timestamp,
    keep: bool,
) -> Evaluation {
    run(policy, Violations::new(keep), Tally::default(), |enabled, found| {
        if let Check::Workload(check) = enabled.rule.check {
            check(&Context { workload, parameters: &enabled.parameters, now }, found);
        }
    })
}

/// Evaluates the type of an object. `each` gets the place of a rule, a severity and a count.
pub(super) fn evaluate_type(
    policy: &EffectivePolicy,
    types: Option<&TypeMeta>,
    metadata: &Metadata<'_>,
    keep: bool,
    each: &mut dyn FnMut(usize, Severity, u64),
) -> Evaluation {
    run(policy, Violations::new(keep), Tally::default(), |enabled, found| {
        if let Check::Type(check) = enabled.rule.check {
            if let Some(context) = TypeContext::of(types, metadata, &enabled.parameters) {
                check(&context, found);
            }
            if let Some(severity) = found.worst() {
                each(enabled.index, severity, found.count());
            }
        }
    })
}

/// Returns true if a violation of a rule makes a workload non-compliant. For a rule about types, the object decides, and
/// this is the worst case.
pub fn breaches(enabled: &EnabledRule) -> bool {
    let is_bad = enabled.severity >= Compliance::THRESHOLD || matches!(enabled.rule.check, Check::Type(_));
    enabled.half_points > 0 && is_bad
}

/// Runs the rules of a policy.
fn run(
    policy: &EffectivePolicy,
    mut found: Violations,
    mut tally: Tally,
    mut check: impl FnMut(&EnabledRule, &mut Violations),
) -> Evaluation {
    let mut is_in_breach = false;
    for enabled in policy.rules() {
        found.begin(enabled.rule.id, enabled.severity);
        check(enabled, &mut found);
        if found.count() > 0 {
            tally.set(enabled.index, found.count());
            // A finding outside the score is listed, and changes neither score nor compliance.
            is_in_breach |= enabled.half_points > 0 && found.worst() >= Some(Compliance::THRESHOLD);
        }
    }
    Evaluation { tally, is_in_breach, recheck_at: found.next_check(), violations: found.into_kept() }
}
