//! The cost of each rule in a report, and the findings without a cost.

use super::{RuleCost, RuleFindings, Tally, Workloads};
use crate::policy::EffectivePolicy;

/// Returns the findings that leave the score alone, the worst severity first: those of rules without a weight, and
/// those in `others`, which are no workloads.
pub(super) fn unscored(
    found: &[RuleFindings],
    others: &Tally,
    policy: &EffectivePolicy,
) -> Vec<RuleFindings> {
    let mut unscored = Vec::new();
    for enabled in policy.rules() {
        if enabled.half_points == 0 {
            unscored.extend(found.iter().filter(|found| found.rule.id == enabled.rule.id).cloned());
        } else if others.count(enabled.index) > 0 {
            let (severity, count) = (enabled.severity, others.count(enabled.index));
            unscored.push(RuleFindings { rule: enabled.rule, severity, count });
        }
    }
    unscored
        .sort_by(|a, b| (b.severity, b.count).cmp(&(a.severity, a.count)).then(a.rule.id.cmp(&b.rule.id)));
    unscored
}

/// Returns the cost of each rule, the largest penalty for each workload to edit first.
#[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
pub(super) fn costs(total: &Tally, all_workloads: &Workloads, policy: &EffectivePolicy) -> Vec<RuleCost> {
    let all = total.half_points(policy);
    let lost = |half_points: u64| (half_points as f64 / (2 * total.pods) as f64).min(100.0);
    let has_cost = |place: usize, half_points: u64| half_points > 0 && total.count(place) > 0;
    let broken = policy.rules().iter().filter(|enabled| has_cost(enabled.index, enabled.half_points));
    let mut costs: Vec<RuleCost> = broken
        .map(|enabled| {
            let count = total.count(enabled.index);
            let workloads = all_workloads.with_violations_of(enabled.index);
            let penalty = count * enabled.half_points;
            RuleCost {
                rule: enabled.rule,
                count,
                workloads,
                penalty_per_workload: penalty as f64 / (2 * workloads.max(1)) as f64,
                points: lost(all) - lost(all - penalty),
            }
        })
        .collect();
    costs.sort_by(|a, b| b.penalty_per_workload.total_cmp(&a.penalty_per_workload));
    costs
}
